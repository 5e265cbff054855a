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


def grown(folder: Path, page_size: int, pages: int) -> Path:
    """The database of a store with pages of that many bytes, and more of them than that."""
    path, noise = samples.restore("1.5.9/healthy", folder) / DATABASE, random.Random(7)
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
