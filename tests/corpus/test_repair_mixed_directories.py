"""Directories of collections that somebody mixed up by hand: each collection gets its own vectors back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.elsewhere import foreign_segments, true_home
from forensics.engine.truth import expected_of
from forensics.testing.damage import damage_menu

SAMPLE = "1.5.9/healthy-three-collections"


def directories(store: Path) -> dict[str, Path]:
    with fx.open_store(store) as opened:
        return {c.name: store / str(c.vector_segment_id) for c in opened.collections}


def vectors(store: Path) -> dict[tuple[str, str], np.ndarray]:
    """(collection, id) → its vector, of every record that has one."""
    with fx.open_store(store) as opened:
        shown = expected_of(opened)
    return {
        (name, one.ids[row]): vector
        for name, one in shown.items()
        for row, vector, known in zip(one.rows.tolist(), one.vectors, one.known.tolist(), strict=True)
        if known
    }


def swapped(store: Path) -> None:
    """The directories of two collections bear each other's name."""
    found = directories(store)
    os.rename(found["notes"], store / "aside")
    os.rename(found["terms"], found["notes"])
    os.rename(store / "aside", found["terms"])


def moved_over(store: Path) -> None:
    """The directory of one collection stands under the name of another, whose own was set aside."""
    found = directories(store)
    os.rename(found["terms"], found["terms"].with_suffix(".old"))
    os.rename(found["notes"], found["terms"])


@pytest.mark.parametrize(
    ("mix_up", "kinds"),
    [
        (swapped, ["put-directory-back", "put-directory-back"]),
        (moved_over, ["rebuild-segment", "add-missing-vectors", "quarantine-ghosts"]),
    ],
    ids=["swapped", "moved-over"],
)
def test_nothing_is_lost(mix_up: Callable[[Path], None], kinds: list[str], tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    believed = vectors(store)
    mix_up(store)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert "CF501" in fx.diagnose(store).codes()
    result = fx.reconcile(store, case=case, nobody_else=True)
    assert result["verified"] == "checks+engine"
    assert result["remaining"] == []
    assert (result["records"]["after"], result["records"]["lost"]) == (310, 0)
    actions = json.loads((case / "plan.json").read_text())["actions"]
    done = [action["kind"] for action in actions if action["approved"]]
    assert [kind for kind in done if kind in kinds] == kinds
    found = vectors(store)
    assert found.keys() == believed.keys()
    for key, vector in believed.items():
        np.testing.assert_allclose(found[key], vector, rtol=0, atol=1e-6)
    assert fx.plan(store).approved == ()
    fx.undo(case)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_ids_that_both_collections_had_prove_nothing(tmp_path: Path) -> None:
    """A few ghosts of one collection that are missing records of another are no mix-up."""
    store = samples.restore(SAMPLE, tmp_path / "store")
    with fx.open_store(store) as opened:
        notes, terms = opened.collection("notes"), opened.collection("terms")
        assert true_home(notes) is None
        assert true_home(terms) is None
        assert list(foreign_segments(notes, set(notes.row_of))) == []


def test_a_collection_that_only_lost_vectors_keeps_its_directory(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    damage_menu()["middle-lost"](store)
    damage_menu()["rows-deleted"](store)
    assert {"CF501", "CF503"} <= set(fx.diagnose(store).codes())
    assert "put-directory-back" not in {action.kind for action in fx.plan(store).actions}
