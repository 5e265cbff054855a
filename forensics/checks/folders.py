"""What segment directories hold that no row of `segments` names, and which collection could use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.readers.hnsw import Level0Summary
from forensics.readers.id_map import IdMap
from forensics.readers.shelf import once_of
from forensics.records import elements_of
from forensics.store import UUID, Store, VectorSegment


def is_orphan(segment: VectorSegment) -> bool:
    """A name that Chroma gives; anything else was renamed by somebody."""
    return UUID.fullmatch(segment.relative) is not None


def live_ids(segment: VectorSegment) -> list[str]:
    """The ids whose labels stand on a live element of this directory, in the order of the map."""
    id_map, summary = segment.id_map, segment.files.summary
    if not isinstance(id_map, IdMap) or not isinstance(summary, Level0Summary):
        return []
    return once_of(
        "live ids", (id_map, summary), lambda: _alive(list(id_map.id_to_label), id_map.labels(), summary)
    )


def _alive(names: list[str], labels: np.ndarray, summary: Level0Summary) -> list[str]:
    """Those of `names` whose label stands on a live element."""
    elements = elements_of(labels, summary)
    live = elements >= 0
    live[live] = summary.live[elements[live]]
    return [names[at] for at in np.flatnonzero(live).tolist()]


def rescues(store: Store, segment: VectorSegment) -> dict[str, list[str]]:
    """collection name → the ids that its index lacks and that this directory has a vector of."""
    id_map, summary = segment.id_map, segment.files.summary
    found: dict[str, list[str]] = {}
    for collection in store.collections:
        records = collection.records
        if isinstance(records, Absent) or not _same_dimension(segment, collection.dimension):
            continue
        lacking = records.missing if records.known else np.ones(len(records), dtype=bool)
        if isinstance(id_map, IdMap) and isinstance(summary, Level0Summary) and lacking.any():
            labels = id_map.labels_among(records.ids(lacking))
            names = _alive([*labels], np.fromiter(labels.values(), np.int64, len(labels)), summary)
            found |= {collection.name: names} if names else {}
    return found


def nowhere_else(store: Store, segments: Iterable[VectorSegment]) -> int:
    """How many vectors of these directories stand under an id that no index of this dimension holds or will hold."""
    return sum(len(set(live_ids(segment)).difference(*_held(store, segment))) for segment in segments)


def _held(store: Store, segment: VectorSegment) -> Iterator[Iterable[str]]:
    """The ids in the maps of all collections of that dimension, and those that the queue will bring there."""
    for one in store.collections:
        if _same_dimension(segment, one.dimension):
            if isinstance(one.id_map, IdMap):
                yield one.id_map.id_to_label
            yield {name for name, effect in one.pending.items() if effect.exists}


def _same_dimension(segment: VectorSegment, dimension: int | None) -> bool:
    geometry = segment.files.geometry
    return isinstance(geometry, Absent) or dimension is None or geometry.dim == dimension


def folder_rows(store: Store, segments: Iterable[VectorSegment]) -> list[dict[str, Any]]:
    """One row per directory as data: what it holds, and how much of it no live index has."""
    return [_row(store, segment) for segment in segments]


def _row(store: Store, segment: VectorSegment) -> dict[str, Any]:
    id_map, summary, geometry = segment.id_map, segment.files.summary, segment.files.geometry
    only_here = rescues(store, segment)
    return {
        "directory": segment.relative,
        "state": segment.state,
        "ids": len(id_map.id_to_label) if isinstance(id_map, IdMap) else None,
        "elements": None if isinstance(summary, Absent) else len(summary.labels),
        "deleted": None if isinstance(summary, Absent) else int(summary.deleted.sum()),
        "dimension": None if isinstance(geometry, Absent) else geometry.dim,
        "only_here": {name: len(ids) for name, ids in only_here.items()},
    }
