"""Every damage of the menu: named, repaired as far as the plan promises, and silent on a second look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.testing.damage import Damage, damage_menu

EMBEDDER = "forensics.testing.embedder:embed"
MANUAL = frozenset(
    {"CF001", "CF002", "CF003", "CF008", "CF010", "CF011", "CF111"}
    | {"CF702", "CF703", "CF705", "CF708", "CF801", "CF807"}
    | {"CF505", "CF811"}  # the latter only where no other place records the space
    | {"CF101"}  # where not one page holds together: what the directories give must be accepted
)
"""What only a person can decide, or what later work recovers; the plan must say so and touch nothing."""
TIDY = frozenset({"CF006", "CF007", "CF112", "CF201", "CF213", "CF607"})
QUICK = frozenset(
    {
        "directory-removed",
        "header-zeroed",
        "header-counts-too-few",
        "level0-halved",
        "link-list-size-torn",
        "id-map-hostile",
        "label-doubled",
        "labels-zeroed",
        "records-flagged",
        "rows-deleted",
        "vector-stale",
        "vectors-not-finite",
        "links-emptied",
        "ids-padded",
        "journal-left",
        "index-page-zeroed",
        "full-text-dropped",
        "rows-orphaned",
        "vector-segment-row-deleted",
        "metadata-segment-row-deleted",
        "queue-emptied",
        "watermark-ahead",
        "watermark-in-map-only",
        "queue-metadata-cut",
        "migration-hash-edited",
        "sequence-id-converted-early",
        "queue-config-cut",
        "tenant-deleted",
    }
)
"""At least one damage for every kind of action; the others take minutes together."""


UNPROMISED = {"CF608"}
"""Links are made again; whether that is enough only a deep diagnosis measures, so that no plan says so before."""


def damages() -> list[Any]:
    return [
        pytest.param(damage, id=name, marks=[] if name in QUICK else [pytest.mark.slow])
        for name, damage in damage_menu().items()
        if not damage.embedder
    ]


def look(store: Path, deep: bool) -> Any:
    with fx.open_store(store) as opened:
        return fx.diagnose(opened, deep=deep)


def test_the_quick_ones_are_on_the_menu() -> None:
    assert set(damage_menu()) >= QUICK


@pytest.mark.parametrize("damage", damages())
def test_a_damage_is_repaired_or_left_to_a_person(damage: Damage, tmp_path: Path) -> None:
    store, case = samples.restore(damage.sample, tmp_path / "store"), tmp_path / "case"
    damage(store)
    found = look(store, damage.deep)
    plan = fx.plan(store, case=case, diagnosis=found, embedder=EMBEDDER, engine="none")
    lost = {"CF501"} if any(loss.get("unit") == "rows" for loss in plan.losses) else set[str]()
    assert set(plan.remaining) <= MANUAL | TIDY | UNPROMISED | lost, "everything else can be healed"
    assert not set(plan.promised) & set(plan.remaining)
    result = fx.apply(case, yes=True, nobody_else=True)
    if not plan.approved:
        assert not result["applied"]
        return
    assert result["verified"] == "checks"
    after = look(store, damage.deep)
    assert not set(after.codes(notes=False)) - set(plan.remaining)
    again = fx.plan(store, diagnosis=after, embedder=EMBEDDER, engine="none")
    assert again.approved == (), "a second repair has nothing to do"


@pytest.mark.parametrize(
    ("damage", "code", "kind"),
    [
        ("directory-orphaned", "CF006", "remove-directories"),
        ("directory-set-aside", "CF007", "remove-directories"),
        ("pages-freed", "CF112", "vacuum"),
        ("queue-kept", "CF201", "purge-queue"),
    ],
)
def test_housekeeping_is_done_only_when_asked(damage: str, code: str, kind: str, tmp_path: Path) -> None:
    entry = damage_menu()[damage]
    store = samples.restore(entry.sample, tmp_path / "store")
    entry(store)
    assert fx.plan(store, engine="none").approved == ()
    result = fx.reconcile(store, case=tmp_path / "case", also_fix=(code,), engine="none", nobody_else=True)
    assert result["verified"] == "checks"
    assert code not in look(store, False).codes()
    assert [a["kind"] for a in result_plan(tmp_path / "case") if a["approved"]] == [kind]


def test_remains_of_deleted_records_go_when_asked(tmp_path: Path) -> None:
    store, case = samples.restore("1.5.9/healthy", tmp_path / "store"), tmp_path / "case"
    damage_menu()["deleted-record-in-queue"](store)
    found = look(store, deep=True)
    assert "CF213" in found.codes()
    plan = fx.plan(store, case=case, diagnosis=found, also_fix=("CF213",), engine="none")
    assert [action.kind for action in plan.approved] == ["purge-queue", "vacuum"]
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    assert "CF213" not in look(store, deep=True).codes()


def result_plan(case: Path) -> list[dict[str, Any]]:
    return json.loads((case / "plan.json").read_text())["actions"]


def test_tombstones_are_compacted_when_asked(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    damage_menu()["mostly-deleted"](store)
    assert "CF607" in look(store, False).codes()
    fx.reconcile(store, case=tmp_path / "case", also_fix="CF607", engine="none", nobody_else=True)
    assert "CF607" not in look(store, False).codes()
