"""A database made anew from its pages alone: how long they are, and which of them are the store's own."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from forensics import samples
from forensics.readers.database import DATABASE
from forensics.repair.recovery.build import recover
from forensics.repair.recovery.frame import Frame

TABLES = ("collections", "segments", "embeddings", "embedding_metadata", "embeddings_queue", "max_seq_id")


def rows(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the tables of records."""
    with closing(sqlite3.connect(database)) as opened:
        return {name: sorted(opened.execute(f"SELECT * FROM {name}"), key=repr) for name in TABLES}


def grown(folder: Path, page_size: int, pages: int, seed: int = 7) -> Path:
    """The database of a store with pages of that many bytes, and more of them than that."""
    path, noise = samples.restore("1.5.9/healthy", folder) / DATABASE, random.Random(seed)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        (first,) = database.execute("SELECT min(id) FROM embeddings").fetchone()
        texts = (noise.randbytes(noise.randrange(page_size // 5)).hex() for _ in range(pages * 2))
        database.execute("BEGIN")
        sql = "INSERT INTO embedding_metadata (id, key, string_value) VALUES (?, ?, ?)"
        database.executemany(sql, ((first, f"page-{at}", text) for at, text in enumerate(texts)))
        database.execute("COMMIT")
        database.execute(f"PRAGMA page_size = {page_size}")
        database.execute("VACUUM")
    assert path.stat().st_size > pages * page_size
    return path


@pytest.mark.parametrize("page_size", [1024, 4096, 8192])
def test_a_header_of_zeros_costs_no_row_however_many_pages_there_are(page_size: int, tmp_path: Path) -> None:
    path = grown(tmp_path / "store", page_size, 600)
    before = rows(path)
    with path.open("r+b") as file:
        file.write(bytes(100))
    assert Frame.of(path).page_size == page_size
    recover(path, tmp_path / "new.sqlite3", "1.5.9")
    assert rows(tmp_path / "new.sqlite3") == before


def test_pages_of_another_database_give_none_of_their_values(tmp_path: Path) -> None:
    path, other = grown(tmp_path / "store", 4096, 150), grown(tmp_path / "other", 4096, 150, seed=8)
    before = rows(path)
    foreign = other.read_bytes()[100 * 4096 : 160 * 4096]
    with path.open("r+b") as file:
        file.seek(100 * 4096)
        file.write(foreign)
    made = recover(path, tmp_path / "new.sqlite3", "1.5.9")
    after = rows(tmp_path / "new.sqlite3")
    assert all(set(after[name]) <= set(before[name]) for name in TABLES)
    assert 0 < len(after["embedding_metadata"]) < len(before["embedding_metadata"])
    told = made.tables["embedding_metadata"]
    assert told["lost"] is None or told["lost"] + len(after["embedding_metadata"]) >= len(
        before["embedding_metadata"]
    )
    assert told["doubtful"] == sum(
        "doubtful" in line for line in made.lost_rows if line["table"] == "embedding_metadata"
    )
    assert told["doubtful"] > 0
