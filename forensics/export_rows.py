"""Rows of a damaged table, as many as can be read: around the pages that are lost, not only up to the first of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.readers.database import Database, MetadataRows

Rows = list[tuple[Any, ...]]
Ask = Callable[[int, int], "Rows | Absent"]
PATIENCE = 20_000
"""Questions that may fail before a table is given up."""


@dataclass(slots=True)
class Spans:
    """Reads a range of rowids; a part that fails is halved down to the rows that cannot be read, kept in `lost`."""

    ask: Ask
    lost: list[int] = field(default_factory=list)
    failed: int = 0

    def read(self, low: int, high: int) -> Iterator[tuple[Any, ...]]:
        """The rows between `low` and `high`, in order."""
        found = self.ask(low, high) if self.failed < PATIENCE else Absent("given up")
        if not isinstance(found, Absent):
            yield from found
            return
        self.failed += 1
        if low >= high or self.failed >= PATIENCE:
            self.lost.extend(range(low, min(high, low + PATIENCE) + 1))
            return
        middle = (low + high) // 2
        yield from self.read(low, middle)
        yield from self.read(middle + 1, high)


def readable_rows(database: Database, segment: str) -> MetadataRows:
    """The ids and rowids of a METADATA segment that can still be read, in rowid order; none of a table without a root."""
    sql = (
        "SELECT id, embedding_id, segment_id FROM embeddings NOT INDEXED WHERE id BETWEEN ? AND ? ORDER BY id"
    )
    spans = Spans(lambda low, high: database.rows(sql, (low, high)))
    found = [row for row in spans.read(1, _highest_rowid(database)) if row[2] == segment]
    rowids = np.fromiter((row[0] for row in found), dtype=np.int64, count=len(found))
    return MetadataRows([row[1] for row in found], rowids)


def _highest_rowid(database: Database) -> int:
    """Of `embeddings`, or, where its end is lost, of the metadata that belong to it; 0 where neither can be read."""
    for sql in ("SELECT max(id) FROM embeddings", "SELECT max(id) FROM embedding_metadata"):
        found = database.rows(sql)
        if not isinstance(found, Absent) and found[0][0] is not None:
            return int(found[0][0])
    return 0
