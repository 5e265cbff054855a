"""Records that were deleted from SQLite by hand: nothing of them comes back, and nothing of them is thrown away."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import forensics as fx
from forensics import samples
from forensics.testing.builder import StoreBuilder
from forensics.testing.damage import damage_menu
from forensics.testing.texts import Record

SAMPLE = "1.5.9/healthy"
PLACES = {"indexed": (20, 25), "pending": (280, 285), "either": (240, 255), "newest": (295, 300)}


def delete_by_hand(store: Path, first: int, last: int) -> None:
    """DELETE of the records at these places and of their metadata: index and queue still have them."""
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        rows = database.execute("SELECT id FROM embeddings ORDER BY id").fetchall()[first:last]
        for table in ("embeddings", "embedding_metadata"):
            database.executemany(f"DELETE FROM {table} WHERE id = ?", rows)


def add_past_a_flush(store: Path) -> None:
    with StoreBuilder(store) as builder:
        records = [Record(f"new {n}", f"new text {n}", {"n": n}) for n in range(150)]
        builder.model.create("terms", {})
        builder.add("terms", records, step=10)


@pytest.mark.parametrize(
    "place", [pytest.param(place, marks=[] if place == "pending" else [pytest.mark.slow]) for place in PLACES]
)
def test_a_flush_does_not_bring_them_back(place: str, tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    first, last = PLACES[place]
    assert "CF503" not in fx.diagnose(store).codes()
    delete_by_hand(store, first, last)
    found = fx.diagnose(store)
    assert found.codes(notes=False) == ("CF503",)
    assert next(f.count for f in found.findings if f.code == "CF503") == last - first
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    result = fx.reconcile(store, case=case, nobody_else=True)
    assert result["verified"] == "checks+engine"
    assert result["remaining"] == []
    repaired = tmp_path / "repaired"
    fx.copy(store, repaired)
    add_past_a_flush(repaired)
    assert fx.diagnose(repaired).codes(notes=False) == ()
    assert kept(case) == last - first
    fx.undo(case)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def kept(case: Path) -> int:
    """How many ids the case holds with a vector, from the index or from the queue."""
    path = case / "evidence" / "quarantined-terms-quarantine-ghosts.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    rows = {line["row"]["id"] for line in lines if line.get("row", {}).get("vector")}
    return len({line["id"] for line in lines if line.get("vector")} | rows)


def test_rows_that_were_passed_over_become_records(tmp_path: Path) -> None:
    store = samples.restore(SAMPLE, tmp_path / "store")
    damage_menu()["metadata-watermark-ahead"](store)
    result = fx.reconcile(store, case=tmp_path / "case", nobody_else=True)
    assert result["verified"] == "checks+engine"
    assert result["remaining"] == []
