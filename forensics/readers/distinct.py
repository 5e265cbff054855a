"""Which segments and ids the big tables mention, without reading the tables: jumps along an index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forensics.absent import Absent
from forensics.readers.database import Database

GAPS = 2000
"""Up to so many gaps between rowids, each is looked up by itself; beyond, the index is read once."""

_SEGMENTS = """
WITH RECURSIVE jump(segment) AS (
    SELECT min(segment_id) FROM embeddings
    UNION ALL
    SELECT (SELECT min(segment_id) FROM embeddings WHERE segment_id > jump.segment)
    FROM jump WHERE jump.segment IS NOT NULL
)
SELECT segment FROM jump WHERE segment IS NOT NULL
"""


def embedding_segments(database: Database) -> list[str]:
    """The segment ids that rows of `embeddings` name, sorted; one jump in the index per segment."""
    if "embeddings" not in database.tables:
        return []
    found = database.rows(_SEGMENTS)
    return [] if isinstance(found, Absent) else [str(row[0]) for row in found]


def rows_of(database: Database, segment: str) -> np.ndarray:
    """(n,) int64 rowids of one segment in `embeddings`, unsorted."""
    found = database.rows("SELECT id FROM embeddings WHERE segment_id = ?", (segment,))
    return _numbers([] if isinstance(found, Absent) else found)


def ids_without(database: Database, table: str, rowids: np.ndarray) -> np.ndarray | Absent:
    """(k,) int64 ids in `table` (embedding_metadata or its _array) that are not in the sorted `rowids`."""
    if table not in database.tables:
        return _numbers([])
    edges = np.concatenate([[-(2**62)], rowids, [2**62]]).astype(np.int64)
    gaps = np.flatnonzero(np.diff(edges) > 1)
    if len(gaps) > GAPS:
        return _all_without(database, table, rowids)
    found: list[tuple[int]] = []
    for at in gaps.tolist():
        part = database.rows(
            f"SELECT DISTINCT id FROM {table} WHERE id > ? AND id < ?", (int(edges[at]), int(edges[at + 1]))
        )
        if isinstance(part, Absent):
            return part
        found.extend(part)  # pyright: ignore[reportArgumentType]
    return _numbers(found)


def _all_without(database: Database, table: str, rowids: np.ndarray) -> np.ndarray | Absent:
    found = database.rows(f"SELECT DISTINCT id FROM {table} WHERE id IS NOT NULL")
    if isinstance(found, Absent):
        return found
    ids = _numbers(found)
    return ids[~np.isin(ids, rowids)]


def _numbers(rows: Sequence[tuple[int, ...]]) -> np.ndarray:
    return np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
