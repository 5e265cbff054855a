"""Ids that SQLite and the id map write differently: the vector stays with its record, whichever of them has the blanks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.evidence import read_rows

OLD = ("1.5.9/healthy", "0.6.3/healthy")


def padded(store: Path, *, blank: str = " ", to: str = "", count: int = 4) -> list[str]:
    """So many indexed ids of `terms`, to each of which SQLite alone adds blanks (or `to`); as they were before."""
    with fx.open_store(store) as opened:
        records = opened.collection("terms").records
        assert records
        chosen = records.ids(records.indexed)[5 : 5 + count]
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        for name in chosen:
            database.execute(
                "UPDATE embeddings SET embedding_id = ? WHERE embedding_id = ?", (to or name + blank, name)
            )
    return chosen


def vectors(store: Path) -> dict[str, bytes]:
    with fx.open_store(store) as opened:
        collection = opened.collection("terms")
        records, segment = collection.records, collection.vector
        assert records
        assert segment
        held = records.indexed
        return {
            name: vector.tobytes()
            for name, vector in zip(
                records.ids(held), segment.files.vectors(records.elements[held]), strict=True
            )
        }


def reconciled(store: Path, case: Path, **choices: Any) -> dict[str, Any]:
    return fx.reconcile(store, case=case, engine="none", nobody_else=True, **choices)


@pytest.mark.parametrize("sample", OLD)
def test_blanks_in_sqlite_alone_cost_no_vector(sample: str, tmp_path: Path) -> None:
    store = samples.restore(sample, tmp_path / "store")
    before = vectors(store)
    names = padded(store)
    assert {"CF501", "CF503", "CF701"} <= set(fx.diagnose(store).codes())
    answer = reconciled(store, tmp_path / "case")
    assert (answer["verified"], answer["records"]["reattached"], answer["records"]["lost"]) == (
        "checks",
        len(names),
        0,
    )
    assert vectors(store) == before
    assert fx.diagnose(store).codes(notes=False) == ()
    proofs = {row[0]: row for row in read_rows(tmp_path / "case/evidence/provenance-terms-mend-id-map.csv")}
    assert {row[7] for row in proofs.values()} == {f"the id map calls it {name!r}" for name in names}
    told = subprocess.run(
        [sys.executable, "-P", tmp_path / "case/verify.py"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout


def test_blanks_that_are_kept_are_written_into_the_map(tmp_path: Path) -> None:
    store = samples.restore(OLD[0], tmp_path / "store")
    before = vectors(store)
    names = padded(store, blank="\n")
    assert reconciled(store, tmp_path / "case", ids="keep")["records"]["lost"] == 0
    after = vectors(store)
    assert all(after[f"{name}\n"] == before[name] for name in names)


def test_two_records_that_read_like_one_id_are_not_told_apart(tmp_path: Path) -> None:
    """One vector and two candidates: it is kept in the case, and given to neither."""
    store = samples.restore(OLD[0], tmp_path / "store")
    name = padded(store, count=1)[0]
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        other = database.execute(
            "SELECT max(id) FROM embeddings WHERE embedding_id NOT LIKE ?", (f"{name}%",)
        )
        database.execute(
            "UPDATE embeddings SET embedding_id = ? WHERE id = ?", (f"\t{name}", *other.fetchone())
        )
    plan = fx.plan(store, case=tmp_path / "case")
    assert "quarantine-ghosts" in {action.kind for action in plan.approved}
    assert not any("renamed" in action.parameters for action in plan.actions)
