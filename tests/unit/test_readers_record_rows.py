"""Ids and seq_ids come out of SQLite as they are, whatever stands in the cells: the way by one text is the way by rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from forensics.absent import Absent
from forensics.readers import record_rows
from forensics.readers.database import Database
from forensics.readers.hnsw import Level0Summary
from forensics.readers.record_rows import MetadataRows, read_rows, read_seq_ids
from forensics.records import elements_of

SEGMENT = "segment-a"
PLAIN = ["a", "", "two words", "comma,comma", "ü", "日本", "\x00nul", "a" * 500]
ODD = (["line\nbreak", "b"], [b"blob", "b"], [None, "line\nbreak"], [7, "b"], ["", ""], [""])


def database(
    folder: Path, ids: list[object], *, others: int = 0, seqs: list[object] | None = None
) -> Database:
    """`ids` at falling rowids, as a table that was filled in another order; `others` rows of another segment."""
    path = folder / "chroma.sqlite3"
    made = sqlite3.connect(path)
    made.execute("CREATE TABLE segments (id TEXT, type TEXT, scope TEXT, collection TEXT)")
    made.execute(
        "CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id, seq_id BLOB)"
    )
    made.execute("CREATE INDEX by_segment ON embeddings (segment_id, embedding_id)")
    made.executemany(
        "INSERT INTO segments VALUES (?, 'x', 'METADATA', 'c')", [(SEGMENT,), ("b",)][: 1 + bool(others)]
    )
    rows = zip(ids, seqs if seqs is not None else range(len(ids)), strict=True)
    made.executemany(
        "INSERT INTO embeddings VALUES (?, ?, ?, ?)",
        [(1000 - 3 * at, SEGMENT, name, seq) for at, (name, seq) in enumerate(rows)],
    )
    made.executemany("INSERT INTO embeddings VALUES (?, 'b', 'x', 1)", [(2000 + n,) for n in range(others)])
    made.commit()
    made.close()
    opened = Database.open(path, in_use=False, scratch=folder / "scratch")
    assert isinstance(opened, Database)
    return opened


def fetched(opened: Database) -> list[tuple[int, object]]:
    found = opened.rows(
        "SELECT id, embedding_id FROM embeddings WHERE segment_id = ? ORDER BY id", (SEGMENT,)
    )
    assert not isinstance(found, Absent)
    return found


@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("ids", [PLAIN, *ODD, []], ids=repr)
def test_ids_are_those_of_the_rows(tmp_path: Path, ids: list[object], others: int) -> None:
    opened = database(tmp_path, ids, others=others)
    found = read_rows(opened, SEGMENT)
    assert isinstance(found, MetadataRows)
    assert list(zip(found.rowids.tolist(), found.ids, strict=True)) == fetched(opened)


def test_plain_ids_take_the_short_way_and_others_do_not(tmp_path: Path) -> None:
    for number, (ids, short) in enumerate([(PLAIN, True), *((each, False) for each in ODD[:4])]):
        folder = tmp_path / str(number)
        folder.mkdir()
        opened = database(folder, list(ids))
        assert (record_rows._listed(opened, SEGMENT) is not None) == short


def test_ids_that_are_no_utf8_come_with_surrogates(tmp_path: Path) -> None:
    opened = database(tmp_path, ["a", "b"])
    opened.close()
    raw = sqlite3.connect(tmp_path / "chroma.sqlite3")
    raw.execute("UPDATE embeddings SET embedding_id = CAST(X'FF61' AS TEXT) WHERE embedding_id = 'a'")
    raw.commit()
    raw.close()
    again = Database.open(tmp_path / "chroma.sqlite3", in_use=False, scratch=tmp_path / "scratch")
    assert isinstance(again, Database)
    found = read_rows(again, SEGMENT)
    assert isinstance(found, MetadataRows)
    assert found.ids == ["b", "\udcffa"]


@pytest.mark.parametrize(
    ("seqs", "expected"),
    [
        ([5, 9, 7], [7, 9, 5]),
        ([(5).to_bytes(8, "big"), 9, 7], [7, 9, 5]),
        ([None, 9, "x"], [-1, 9, -1]),
        ([-(2**63), 2**63 - 1, 0], [0, 2**63 - 1, -(2**63)]),
        ([], []),
    ],
)
def test_seq_ids_are_in_the_order_of_the_rows(
    tmp_path: Path, seqs: list[object], expected: list[int]
) -> None:
    found = read_seq_ids(database(tmp_path, [f"i{n}" for n in range(len(seqs))], seqs=seqs), SEGMENT)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == expected


@pytest.mark.parametrize("held", [[3, 1, 2], [3, 1, 3], [2**40, 1, 2], [2**64 - 1, 1, 2], [0, 5, 5]])
def test_labels_are_found_by_a_table_as_by_a_search(held: list[int]) -> None:
    """Of repeated labels the last counts, as in hnswlib; labels that cannot be are nowhere."""
    labels = np.array([1, 2, 3, 5, 2**40, -1, 0, 2**62], dtype=np.int64)
    summary = Level0Summary(
        np.array(held, dtype=np.uint64), np.zeros(3, dtype=bool), np.zeros(3, dtype=np.uint16)
    )
    last = {label: at for at, label in enumerate(held)}
    assert elements_of(labels, summary).tolist() == [last.get(label, -1) for label in labels.tolist()]
