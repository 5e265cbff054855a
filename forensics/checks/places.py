"""What the checks of segments share: where a file stands, and lists cut to a few examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.model import Place
from forensics.readers.id_map import IdMap
from forensics.store import Collection, VectorSegment

EXAMPLES = 10
"""How many ids, labels or elements a finding shows; the full list goes to `Finding.lists`."""


def segment_of(collection: Collection) -> VectorSegment:
    """The vector segment of a collection that has one. Raises ValueError where it has none: declare the need."""
    segment = collection.vector
    if isinstance(segment, Absent):
        raise ValueError(segment.reason)
    return segment


def id_map_of(collection: Collection) -> IdMap:
    """The id map of a collection that has a usable one. Raises ValueError where it has none: declare the need."""
    id_map = collection.id_map
    if isinstance(id_map, Absent):
        raise ValueError(id_map.reason)
    return id_map


def in_segment(collection: Collection, name: str, *, offset: int | None = None, rows: str | None = None) -> Place:
    """A file of the collection's segment directory, by its path relative to the store."""
    return Place(file=f"{segment_of(collection).relative}/{name}", offset=offset, rows=rows)


def in_table(table: str, rows: str) -> Place:
    """Rows of a table of chroma.sqlite3, in words."""
    return Place(file="chroma.sqlite3", rows=f"{table}: {rows}")


def examples(values: Sequence[Any] | np.ndarray, limit: int = EXAMPLES) -> list[Any]:
    """The first `limit` values as plain data."""
    head = values[:limit]
    return head.tolist() if isinstance(head, np.ndarray) else list(head)
