"""The rows of `embeddings` of one METADATA segment: ids, rowids and seq_ids, millions at a time.

SQLite puts the cells of a column into one text, which takes half of handing them out row by row; where that could not
be cut into the same cells again, rows are fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.readers.columns import Column, column_of_lines

if TYPE_CHECKING:
    from forensics.readers.database import Database


_Part = tuple[int, str, str, int, int]
"""How many rows, their rowids and their ids as texts, how many numbers are integers, and the highest."""
STEP, MOST = 1 << 14, 100_000
"""Rowids that are asked for at once, and at most so many questions."""


@dataclass(frozen=True, slots=True)
class SeqId:
    """A sequence id as stored: its value (None if undecodable) and SQLite's type of the cell."""

    value: int | None
    stored: str

    @classmethod
    def decode(cls, cell: object) -> SeqId:
        """Integers as they are; BLOBs of 8 bytes big-endian (0.4–0.6); of longer ones the low 8 bytes."""
        if isinstance(cell, int):
            return cls(cell, "integer")
        if isinstance(cell, bytes):
            return cls(int.from_bytes(cell[-8:], "big") if len(cell) >= 8 else None, "blob")
        return cls(None, "null" if cell is None else type(cell).__name__)


@dataclass(frozen=True)
class MetadataRows:
    """The rows of `embeddings` of one METADATA segment in rowid order: ids (n) and rowids (n,) int64."""

    ids: list[str]
    rowids: np.ndarray

    @cached_property
    def text(self) -> str:
        """All ids, a line each."""
        return "\n".join(self.ids)

    def __len__(self) -> int:
        return len(self.rowids)

    @property
    def column(self) -> Column | None:
        """The ids as a column; None where they were not read as one text."""
        return None

    @property
    def highest_seq(self) -> int | None:
        """The highest `embeddings.seq_id`, where it came with the ids and every one is an integer."""
        return None


class ListedRows(MetadataRows):
    """Rows whose ids SQLite put into one text, a line each. A list of them is made when somebody asks for it."""

    def __init__(self, text: str, rowids: np.ndarray, highest_seq: int | None) -> None:
        vars(self).update(text=text, rowids=rowids, _highest_seq=highest_seq)

    @cached_property
    def ids(self) -> list[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.text.split("\n")

    @property
    def column(self) -> Column:
        return self._column

    @cached_property
    def _column(self) -> Column:
        return column_of_lines(self.text)

    @property
    def highest_seq(self) -> int | None:
        return vars(self)["_highest_seq"]


def read_rows(database: Database, segment: str) -> MetadataRows | Absent:
    """All ids of a METADATA segment with their rowids, in rowid order."""
    found = _listed(database, segment) or _fetched(database, segment)
    if isinstance(found, Absent) or np.all(found.rowids[1:] > found.rowids[:-1]):
        return found
    order = np.argsort(found.rowids)  # cheaper than SQLite's own sort of what its covering index gives
    return MetadataRows([found.ids[at] for at in order.tolist()], found.rowids[order])


def _listed(database: Database, segment: str) -> ListedRows | None:
    """Ids and rowids, put into texts by SQLite; None where some id is no text or holds a line break."""
    segments = database.segments
    alone = not isinstance(segments, Absent) and sum(row.scope == "METADATA" for row in segments) == 1
    rowids, texts, highest, integers = list[np.ndarray](), list[str](), list[int](), True
    for part in _parts(database, segment) if alone else [_part(database, segment)]:
        if part is None:
            return None
        count, numbers, names, whole, top = part
        if count:
            rowids.append(_numbers(numbers))
            texts.append(names)
            integers = integers and whole == count
            highest.append(top)
        if count and (names.count("\n") + 1 != count or len(rowids[-1]) != count):
            return None
    if not texts:
        return None
    return ListedRows("\n".join(texts), np.concatenate(rowids), max(highest) if alone and integers else None)


def _parts(database: Database, segment: str) -> Iterator[_Part | None]:
    """By rowid, which costs no more than an index where the segment is alone, and in parts that stay in the cache."""
    found = database.rows("SELECT min(id), max(id) FROM embeddings NOT INDEXED")
    if isinstance(found, Absent) or found[0][0] is None:
        yield None
        return
    low, high = found[0]
    step = max(STEP, (high - low) // MOST + 1)
    for first in range(low, high + 1, step):
        yield _part(database, segment, (first, min(first + step - 1, high)))


def _part(database: Database, segment: str, within: tuple[int, int] | None = None) -> _Part | None:
    """The rows, of these rowids where they are given; None where some id is no text."""
    seqs = "NULL, NULL" if within is None else "sum(typeof(seq_id) = 'integer'), max(seq_id)"
    there = "WHERE" if within is None else "NOT INDEXED WHERE id BETWEEN ? AND ? AND"
    answer = database.rows(
        "SELECT count(*), sum(typeof(embedding_id) = 'text'), group_concat(id), group_concat(embedding_id, char(10)),"
        f" {seqs} FROM embeddings {there} segment_id = ?",
        (*(within or ()), segment),
    )
    if isinstance(answer, Absent) or answer[0][0] != (answer[0][1] or 0):
        return None
    count, _, *rest = answer[0]
    return (count, *rest)


def _numbers(text: str) -> np.ndarray:
    return np.fromstring(text, dtype=np.int64, sep=",")


def _fetched(database: Database, segment: str) -> MetadataRows | Absent:
    """Ids and rowids, whatever the ids are."""
    found = database.rows("SELECT id, embedding_id FROM embeddings WHERE segment_id = ?", (segment,))
    if isinstance(found, Absent):
        return found
    rowids = np.fromiter(map(itemgetter(0), found), dtype=np.int64, count=len(found))
    return MetadataRows(list(map(itemgetter(1), found)), rowids)


def read_seq_ids(database: Database, segment: str) -> np.ndarray | Absent:
    """(n,) int64 `embeddings.seq_id` in rowid order, decoded by the type of each cell; -1 = undecodable."""
    cells = "SELECT id, seq_id FROM embeddings NOT INDEXED WHERE segment_id = ? ORDER BY id"
    answer = database.rows(
        "SELECT count(*), sum(typeof(seq_id) = 'integer'), group_concat(seq_id), group_concat(id)"
        f" FROM ({cells})",
        (segment,),
    )
    if not isinstance(answer, Absent) and answer[0][0] and answer[0][0] == answer[0][1]:
        seqs, rowids = _numbers(answer[0][2]), _numbers(answer[0][3])
        if len(seqs) == len(rowids) == answer[0][0] and np.all(rowids[1:] > rowids[:-1]):
            return seqs
    found = database.rows(cells, (segment,))
    if isinstance(found, Absent):
        return found
    return np.fromiter((_seq_number(cell) for _, cell in found), dtype=np.int64, count=len(found))


def _seq_number(cell: object) -> int:
    value = cell if isinstance(cell, int) else SeqId.decode(cell).value
    return -1 if value is None or value >= 2**63 else value
