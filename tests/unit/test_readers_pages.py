"""Pages of an SQLite file without SQLite: the same rows as SQLite gives, and never an exception, whatever the bytes are."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from forensics.readers.page_trees import rows_of, strays, walk
from forensics.readers.pages import KINDS, PageFile, decode, local_size, varint

ROWS = 3000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a table of several levels, overflow pages, every kind of cell, and an index."""
    path = tmp_path_factory.mktemp("pages") / "made.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, size REAL, raw BLOB, far INTEGER)"
        )
        noise = random.Random(5)
        database.executemany(
            "INSERT INTO things VALUES (?, ?, ?, ?, ?)",
            (
                (3 * n, "ä" * noise.choice([0, 7, 9000]), n / 7, noise.randbytes(n % 300), -(1 << (n % 62)))
                for n in range(ROWS)
            ),
        )
        database.execute("CREATE INDEX by_name ON things (name, far)")
    return path


def roots(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT name, rootpage FROM sqlite_master"))


def test_the_rows_are_those_of_sqlite(made: Path) -> None:
    with closing(sqlite3.connect(made)) as database, PageFile(made, 4096) as file:
        wanted = database.execute("SELECT * FROM things ORDER BY id").fetchall()
        tree = walk(file, roots(made)["things"])
        assert tree.gaps == []
        assert [(rowid, *record[1:]) for rowid, record in rows_of(file, tree.leaves)] == wanted
        entries = {
            record[-1] for _, record in rows_of(file, walk(file, roots(made)["by_name"], index=True).leaves)
        }
        assert entries == {row[0] for row in wanted}


def test_a_lost_leaf_is_a_gap_and_its_children_are_strays(made: Path, tmp_path: Path) -> None:
    raw, root = bytearray(made.read_bytes()), roots(made)["things"]
    with PageFile(made, 4096) as file:
        whole = walk(file, root)
    broken = tmp_path / "broken.sqlite3"
    raw[(whole.leaves[3] - 1) * 4096] = 99
    broken.write_bytes(raw)
    with PageFile(broken, 4096) as file:
        tree = walk(file, root)
        (gap,) = tree.gaps
        assert (gap.page, tree.has_lost(gap.high), tree.has_lost(gap.low)) == (whole.leaves[3], True, False)
    raw[(root - 1) * 4096] = 0
    broken.write_bytes(raw)
    with PageFile(broken, 4096) as file:
        assert walk(file, root).leaves == []
        assert {page.number for page in strays(file, set())} >= set(whole.leaves) - {whole.leaves[3]}


@pytest.mark.parametrize("seed", range(8))
def test_damaged_bytes_raise_nothing(seed: int, made: Path, tmp_path: Path) -> None:
    raw, noise = bytearray(made.read_bytes()), random.Random(seed)
    for _ in range(400):
        raw[noise.randrange(4096, len(raw))] = noise.choice([*KINDS, 0, 255, noise.randrange(256)])
    path = tmp_path / "noise.sqlite3"
    path.write_bytes(raw[: len(raw) - noise.randrange(5000)])
    with PageFile(path, 4096) as file:
        for name, root in roots(made).items():
            for _, record in rows_of(file, walk(file, root, index=name == "by_name").leaves):
                assert record
        assert all(page.keys for page in strays(file, set()))


def test_numbers_and_records_are_cut_as_sqlite_writes_them() -> None:
    assert varint(b"\x81\x00", 0) == (128, 2)
    assert varint(b"\xff" * 9, 0) == (-1, 9)
    assert decode(b"\x03\x09\x0f\x61") == (1, "a")
    assert decode(b"\x03\x09\x0f") is None, "the body is cut off"
    assert decode(b"\x02\x0f\xff") is None, "no UTF-8"
    assert local_size(4096, 13, 4061) == 4061
    assert local_size(4096, 13, 4062) < 4062
