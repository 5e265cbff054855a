"""Level 0 cut so short that nothing is left to link to, and an index built again because somebody asks for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.readers import layout
from forensics.testing.damage import damage_menu
from forensics.testing.index import Index

EMBEDDER = "forensics.testing.embedder:embed"
SAMPLE = "1.5.9/healthy"
THREE = "1.5.9/healthy-three-collections"


def cut(store: Path, share: float) -> None:
    """data_level0.bin ends after that share of its elements, in the middle of one."""
    index = Index(store)
    size = index.header.size_data_per_element
    os.truncate(index.path(layout.LEVEL0_FILE), int(index.header.cur_element_count * share) * size + 17)


def empty_from(store: Path, element: int) -> None:
    """Every byte of level 0 from that element on is 0."""
    with Index(store).level0() as level0:
        level0[element:] = np.zeros(1, dtype=level0.dtype)


def done(case: Path) -> list[str]:
    plan = json.loads((case / "plan.json").read_text())
    return [action["kind"] for action in plan["actions"] if action["approved"]]


@pytest.mark.parametrize("share", [0.2, 0.55])
def test_what_survives_is_built_into_a_new_index(share: float, tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    cut(store, share)
    assert "CF304" in fx.diagnose(store).codes()
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    result = fx.reconcile(store, case=case, embedder=EMBEDDER, nobody_else=True)
    assert done(case) == ["rebuild-segment", "relink-elements"]
    assert result["verified"] == "checks+engine"
    assert result["records"]["after"] == 300
    assert result["remaining"] == []
    assert fx.plan(store, embedder=EMBEDDER).approved == ()
    fx.undo(case)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_without_an_embedder_what_survives_is_searched_and_the_rest_is_said(tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    cut(store, 0.2)
    result = fx.reconcile(store, case=case, engine="none", nobody_else=True)
    assert done(case) == ["rebuild-segment", "relink-elements"]
    assert result["verified"] == "checks"
    assert result["remaining"] == ["CF501"]
    assert result["records"] == {"before": 100, "after": 101, "reattached": 1, "reembedded": 0, "lost": 199}


def test_elements_without_identity_leave_nothing_to_link_to_either(tmp_path: Path) -> None:
    """The end of level 0 is there, but empty, as after a cut flush that somebody opened again."""
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    empty_from(store, 150)
    assert "CF412" in fx.diagnose(store).codes()
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    result = fx.reconcile(store, case=case, engine="none", nobody_else=True)
    assert "rebuild-segment" in done(case)
    assert result["verified"] == "checks"
    assert result["records"]["after"] == 201
    assert result["remaining"] == ["CF501"]
    fx.undo(case)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_a_few_lost_elements_cost_no_new_index(tmp_path: Path) -> None:
    store = samples.restore(SAMPLE, tmp_path / "store")
    cut(store, 0.98)
    kinds = [action.kind for action in fx.plan(store, embedder=EMBEDDER).approved]
    assert "rebuild-segment" not in kinds
    assert "add-missing-vectors" in kinds


@pytest.mark.parametrize("wanted", ["terms", "*"])
def test_a_new_index_can_be_asked_for(wanted: str, tmp_path: Path, say: Any) -> None:
    store, case = samples.restore(THREE, tmp_path / "store"), tmp_path / "case"
    words = ("--rebuild", wanted, "--yes", "--engine", "none", "--nobody-else-uses-it", "--case", case)
    said = say("repair", store, *words, "--format", "json")
    assert said.status == 0
    assert said.data["verified"] == "checks"
    plan = json.loads((case / "plan.json").read_text())
    built = {a["collection"] for a in plan["actions"] if a["kind"] == "rebuild-segment" and a["approved"]}
    assert built == ({"terms"} if wanted == "terms" else {e["collection"] for e in plan["effects"]} & built)
    assert "terms" in built
    fx.undo(case)
    assert samples.differences(THREE, store) == []


def test_a_collection_that_is_not_there_cannot_be_built(tmp_path: Path, say: Any) -> None:
    said = say("plan", samples.restore(SAMPLE, tmp_path / "store"), "--rebuild", "nope")
    assert said.status == 16
    assert "No collection is called 'nope'" in said.sentence


def test_a_new_index_leaves_no_vector_unkept(tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    damage_menu()["rows-deleted"](store)
    fx.rebuild(store, "terms", case=case, engine="none", nobody_else=True)
    kept = (case / "evidence" / "quarantined-terms-rebuild-segment.jsonl").read_text().splitlines()
    assert len(kept) == 5
    assert all(len(json.loads(line)["vector"]) == 32 for line in kept)
