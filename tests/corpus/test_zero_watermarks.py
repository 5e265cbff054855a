"""Watermarks of a store of before 1.0 that somebody edited: found, made true again, and the old release misses nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.absent import Absent
from forensics.readers.database import Database, SeqId
from forensics.repair.actions.asking import of_another_release
from forensics.repair.actions.marks import skipping_problems, watermark_problems
from forensics.report.repair_summary import verified_sentence
from forensics.store import open_store
from forensics.testing.damage_database import change
from forensics.testing.living_on import Truth, lives_on
from forensics.testing.nursery import preloaded

SAMPLE = "0.6.3/healthy"
ZERO = "x'0000000000000000'"
EDITS = {
    "BLOBs times 1000": ("seq_id = seq_id * 1000", {"CF203", "CF804"}),
    "an integer 0": ("seq_id = 0", {"CF203", "CF804"}),
    "a BLOB of 0": (f"seq_id = {ZERO}", {"CF203"}),
    "an integer 1": ("seq_id = 1", {"CF203", "CF804"}),
}


def marks(path: Path) -> dict[str, SeqId]:
    with open_store(path) as store:
        assert isinstance(store.database, Database)
        table = store.database.max_seq_ids
        assert not isinstance(table, Absent)
        return dict(table)


def edited(edit: str, folder: Path) -> Path:
    store = samples.restore(SAMPLE, folder / "store")
    change(store, f"UPDATE max_seq_id SET {EDITS[edit][0]}")
    return store


def repaired(store: Path, folder: Path) -> dict[str, Any]:
    return fx.reconcile(store, case=folder / "case", engine="none", nobody_else=True)


@pytest.mark.parametrize("edit", EDITS)
def test_found_and_made_true(edit: str, tmp_path: Path) -> None:
    healthy = samples.restore(SAMPLE, tmp_path / "healthy")
    assert not fx.diagnose(healthy).codes(notes=False)
    store, true = edited(edit, tmp_path), marks(healthy)
    assert set(fx.diagnose(store).codes(notes=False)) >= EDITS[edit][1]
    result = repaired(store, tmp_path)
    assert (result["verified"], result["remaining"]) == ("checks", [])
    assert not fx.diagnose(store).codes(notes=False)
    assert {name: cell.stored for name, cell in marks(store).items()} == dict.fromkeys(true, "blob")
    left = {name: cell.value or 0 for name, cell in marks(store).items()}
    kept = (
        edit == "an integer 1"
    )  # of the index: replaying rows twice changes nothing, and a kill leaves it so
    assert all(left[name] == (cell.value or 0) or (kept and left[name] == 1) for name, cell in true.items())
    assert max(left.values()) == max(cell.value or 0 for cell in true.values())


def test_a_zero_that_is_left_is_a_problem(tmp_path: Path) -> None:
    with open_store(edited("a BLOB of 0", tmp_path)) as store:
        assert len(skipping_problems(store)) == len(watermark_problems(store)) == 2


def test_the_release_that_was_asked_is_named(tmp_path: Path) -> None:
    with open_store(samples.restore(SAMPLE, tmp_path / "store")) as store:
        assert not list(of_another_release(store, "0.6.3"))
        (told,) = of_another_release(store, "1.5.9")
    verdict: dict[str, Any] = {"verified": "checks+engine", "tests": [asdict(told)]}
    assert "The engine was chromadb 1.5.9; the store was written by 0.5.6" in verified_sentence(verdict)


@pytest.mark.oldchroma
@pytest.mark.parametrize("edit", ["BLOBs times 1000", "a BLOB of 0"])
def test_its_own_release_misses_nothing(edit: str, release: Any, tmp_path: Path) -> None:
    python, store, truth = release("0.6.3"), edited(edit, tmp_path), {"terms": Truth.of_sample(SAMPLE)}
    with preloaded():
        assert lives_on(edited(edit, tmp_path / "broken"), truth, python)
        repaired(store, tmp_path)
        assert lives_on(store, truth, python) == []
