"""A `where` that a collection can be asked, and what it lets through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.readers.database import Database
from forensics.readers.record_rows import MetadataRows
from forensics.store import Collection


@dataclass(frozen=True, slots=True)
class Filter:
    """A `where` that this collection can be asked, and the ids that it lets through."""

    where: Mapping[str, Any]
    ids: frozenset[str] = field(repr=False)


def a_filter(collection: Collection, rows: MetadataRows) -> Filter | None:
    """A key and value of a record's metadata, of those tried the one that most records share; None without
    metadata.
    """
    database, segment = collection.database, collection.metadata_segment_id
    if not len(rows) or segment is None or "embedding_metadata" not in database.tables:
        return None
    tried = rows.rowids[np.unique(np.linspace(0, len(rows) - 1, 3).astype(int))].tolist()
    pairs = {pair for rowid in tried for pair in _pairs(database, rowid)}
    found = (
        Filter({key: value}, _matching(database, segment, key, value))
        for key, value in sorted(pairs, key=repr)
    )
    return max((one for one in found if one.ids), key=lambda one: len(one.ids), default=None)


def _pairs(database: Database, rowid: int) -> Iterable[tuple[str, str | int]]:
    sql = (
        "SELECT key, string_value, int_value FROM embedding_metadata WHERE id = ? AND key NOT LIKE 'chroma:%'"
        " AND (string_value IS NOT NULL OR int_value IS NOT NULL) ORDER BY key LIMIT 8"
    )
    found = database.rows(sql, (rowid,))
    return (
        []
        if isinstance(found, Absent)
        else [(key, text if text is not None else number) for key, text, number in found]
    )


def _matching(database: Database, segment: str, key: str, value: str | int) -> frozenset[str]:
    column = "string_value" if isinstance(value, str) else "int_value"
    sql = (
        "SELECT e.embedding_id FROM embedding_metadata m JOIN embeddings e ON e.id = m.id"
        f" WHERE m.key = ? AND m.{column} = ? AND e.segment_id = ?"
    )
    found = database.rows(sql, (key, value, segment))
    return frozenset() if isinstance(found, Absent) else frozenset(row[0] for row in found)
