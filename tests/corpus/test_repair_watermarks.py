"""A watermark that no queue reached and that cannot be decoded: bounded, and from another copy where one is given."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import forensics as fx
from forensics import samples
from forensics.readers.database import DATABASE

SAMPLE, ABSURD = "1.5.9/healthy", 2**62 + 7
OF_VECTORS = "segment_id IN (SELECT id FROM segments WHERE scope = 'VECTOR')"


def mark(store: Path) -> int:
    """The vector watermark."""
    database = sqlite3.connect(f"file:{store / DATABASE}?mode=ro&immutable=1", uri=True)
    (found,) = database.execute(f"SELECT seq_id FROM max_seq_id WHERE {OF_VECTORS}").fetchone()
    database.close()
    return found


def test_the_bounds_are_said_and_a_copy_within_them_is_taken(tmp_path: Path) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    before = samples.restore(SAMPLE, tmp_path / "before")
    database = sqlite3.connect(store / DATABASE)
    database.execute(f"UPDATE max_seq_id SET seq_id = {ABSURD} WHERE {OF_VECTORS}")
    database.commit()
    database.close()
    (alone,) = fx.plan(store, engine="none").approved
    assert f"{ABSURD} cannot be decoded; it was between 249 and 300" in alone.why
    (told,) = fx.plan(store, case=case, also=(before,), engine="none").approved
    assert "the copy at before had 250" in told.why
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"
    assert mark(store) == mark(before) == 250
