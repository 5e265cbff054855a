"""What an action needs is told in the plan and looked at again right before it runs; where it is broken nothing is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.errors import Refused
from forensics.repair.actions import kinds
from forensics.repair.preconditions import PRECONDITIONS, requirements
from forensics.repair.proposals import ORDER
from forensics.report.text import plan_text
from forensics.testing.damage import damage_menu


def planned(tmp_path: Path, damage: str, **choices: Any) -> tuple[Path, Path]:
    """(store, case) of a damage that is planned for."""
    store, case = samples.restore("1.5.9/healthy", tmp_path / "store"), tmp_path / "case"
    damage_menu()[damage](store)
    fx.plan(store, case=case, **choices)
    return store, case


def test_every_kind_that_has_any_is_one_that_a_plan_can_do() -> None:
    assert PRECONDITIONS.keys() <= set(ORDER) & kinds().keys()
    assert all(requirements(kind) for kind in PRECONDITIONS)


def test_the_plan_says_what_has_to_hold_before_and_what_is_gone_after(tmp_path: Path) -> None:
    _, case = planned(tmp_path, "header-halved")
    plan = json.loads((case / "plan.json").read_text())
    (header,) = [action for action in plan["actions"] if action["kind"] == "rebuild-header"]
    assert header["requires"] == ["SQLite names the vector segment", "level 0 can be cut into elements"]
    assert header["heals"] == ["CF303"]
    assert "before: SQLite names the vector segment and level 0 can be cut" in " ".join(
        plan_text(plan).split()
    )


@pytest.mark.parametrize(
    ("damage", "kind", "collection", "says"),
    [
        (
            "id-map-removed",
            "mend-id-map",
            "terms",
            "mend-id-map in 'terms' was not done: it does not hold that",
        ),
        ("header-halved", "settle-journal", None, "that a journal of an unfinished transaction is there"),
        ("directory-removed", "rewrite-link-lists", "terms", "that level 0 can be cut into elements"),
    ],
)
def test_what_does_not_hold_any_more_is_said_and_nothing_is_done(
    damage: str, kind: str, collection: str | None, says: str, tmp_path: Path
) -> None:
    """A plan that asks for what this store cannot bear, as one made for another store would."""
    store, case = planned(tmp_path, damage, embedder="forensics.testing.embedder:embed")
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    plan = json.loads((case / "plan.json").read_text())
    wrong = {**plan["actions"][0], "kind": kind, "collection": collection, "approved": True}
    (case / "plan.json").write_text(json.dumps({**plan, "actions": [wrong]}))
    with pytest.raises(Refused, match=says) as refused:
        fx.apply(case, yes=True, nobody_else=True, engine="none")
    assert str(refused.value).count(". ") == 0
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
