"""One metadata key of millions of records: its values numbered, so that a record costs four bytes and a value one text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from forensics.absent import Absent

if TYPE_CHECKING:
    from forensics.readers.database import Database

KINDS = ("string_value", "int_value", "float_value", "bool_value")
WINDOW = 200_000
"""Records whose rows are held at once."""


def numbered(texts: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """(the different texts in the order in which they come, (n,) int32 the number of each one's text)."""
    known: dict[str, int] = {}
    numbers = np.fromiter((known.setdefault(text, len(known)) for text in texts), dtype=np.int32)
    return list(known), numbers


def values_of(database: Database, key: str, rowids: np.ndarray) -> tuple[list[str], np.ndarray]:
    """(the different values of `key` as text, (n,) int32 that of each record); the first is "", for those without it.

    `rowids` (n,) int64: those of records ascending, then -1 for what has no row. Raises ValueError where the rows cannot
    be read.
    """
    known, out = {"": 0}, np.zeros(len(rowids), dtype=np.int32)
    records = rowids[rowids >= 0]
    for found in _windows(database, key, records):
        owners = np.fromiter((row[0] for row in found), dtype=np.int64, count=len(found))
        values = (known.setdefault(_text(row[1]), len(known)) for row in found)
        numbers = np.fromiter(values, dtype=np.int32, count=len(found))
        places = np.searchsorted(records, owners)
        there = records[np.minimum(places, len(records) - 1)] == owners
        out[places[there]] = numbers[there]
    return list(known), out


def _windows(database: Database, key: str, records: np.ndarray) -> Iterator[list[tuple[Any, ...]]]:
    kinds = [name for name in KINDS if name in database.columns("embedding_metadata")]
    sql = (
        f"SELECT id, coalesce({', '.join(kinds)}, NULL) FROM embedding_metadata"
        " WHERE key = ? AND id BETWEEN ? AND ?"
    )
    for start in range(0, len(records), WINDOW):
        part = records[start : start + WINDOW]
        found = database.rows(sql, (key, int(part[0]), int(part[-1])))
        if isinstance(found, Absent):
            raise ValueError(f"the metadata cannot be read: {found.reason}")
        yield found


def _text(value: object) -> str:
    return "" if value is None else str(value)
