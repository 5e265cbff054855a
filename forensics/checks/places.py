"""What the checks of segments share: where a file stands, what still holds a vector, and lists cut to a
few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from forensics.absent import Absent
from forensics.model import Place
from forensics.readers.hnsw import Level0Summary
from forensics.readers.id_map import IdMap
from forensics.readers.layout import Header
from forensics.records import Records
from forensics.store import Collection, VectorSegment

EXAMPLES = 10
"""How many ids, labels or elements a finding shows; the full list goes to `Finding.lists`."""

T = TypeVar("T")


def needed(value: T | Absent) -> T:
    """`value`, which the check has declared to need. Raises ValueError where it is absent after all."""
    if isinstance(value, Absent):
        raise ValueError(value.reason)
    return value


def segment_of(collection: Collection) -> VectorSegment:
    """The vector segment; for checks that need "segment" or any of its parts."""
    return needed(collection.vector)


def geometry_of(collection: Collection) -> Header:
    """The header, whose fields agree; for checks that need "geometry"."""
    return needed(segment_of(collection).files.geometry)


def summary_of(collection: Collection) -> Level0Summary:
    """Labels, flags and counts of level 0; for checks that need "summary"."""
    return needed(segment_of(collection).files.summary)


def id_map_of(collection: Collection) -> IdMap:
    """The id map; for checks that need "id_map"."""
    return needed(segment_of(collection).id_map)  # pyright: ignore[reportReturnType]


def records_of(collection: Collection) -> Records:
    """The join of all that is said about each record; for checks that need "records"."""
    return needed(collection.records)


def in_segment(
    collection: Collection, name: str, *, offset: int | None = None, rows: str | None = None
) -> Place:
    """A file of the collection's segment directory, by its path relative to the store."""
    return Place(file=f"{segment_of(collection).relative}/{name}", offset=offset, rows=rows)


def in_table(table: str, rows: str) -> Place:
    """Rows of a table of chroma.sqlite3, in words."""
    return Place(file="chroma.sqlite3", rows=f"{table}: {rows}")


def examples(values: Sequence[Any] | np.ndarray, limit: int = EXAMPLES) -> list[Any]:
    """The first `limit` values as plain data."""
    head = values[:limit]
    return head.tolist() if isinstance(head, np.ndarray) else list(head)
