"""A plan is true to itself: as many records as its effects count as lost are listed with their reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.testing.damage import damage_menu

EMBEDDER = "forensics.testing.embedder:embed"


def stores() -> list[Any]:
    """(sample, damage or None, deep) of every sample and of every damage of the menu."""
    found: list[Any] = [pytest.param(name, None, False, id=name) for name in samples.names()]
    found += [pytest.param(each.sample, each, each.deep, id=name) for name, each in damage_menu().items()]
    return found


def assert_sums(plan: fx.Plan) -> None:
    listed: Counter[str] = Counter()
    for loss in (each for each in plan.losses if each.get("unit") != "rows"):  # those are rows of a table
        listed[str(loss["collection"])] += int(loss["count"])
    assert listed == Counter({e.collection: e.lost for e in plan.effects if e.lost})
    for effect in plan.effects:
        if effect.before is not None and effect.after is not None:
            assert effect.after <= effect.before + effect.reattached + effect.reembedded


@pytest.mark.parametrize(("sample", "damage", "deep"), stores())
def test_what_is_lost_is_listed_with_its_reason(
    sample: str, damage: Callable[[Path], None] | None, deep: bool, tmp_path: Path
) -> None:
    store = samples.restore(sample, tmp_path / "store")
    if damage is not None:
        damage(store)
    with fx.open_store(store) as opened:
        found = fx.diagnose(opened, deep=deep)
        assert_sums(fx.plan(opened, diagnosis=found))
        assert_sums(fx.plan(opened, diagnosis=found, embedder=EMBEDDER))
        assert_sums(fx.plan(opened, diagnosis=found, decline=found.codes()))


def test_a_record_that_is_deleted_for_its_id_is_not_lost_as_well(tmp_path: Path) -> None:
    store = samples.restore("1.2.1/peek-failure", tmp_path / "store")

    plan = fx.plan(store, ids="delete", accept_loss=("CF701",))

    assert [action.kind for action in plan.approved if action.kind == "delete-ids"]
    assert_sums(plan)
