"""Directories besides a collection's own that may hold its vectors: set aside, orphaned, of another copy of the store,
or of another collection, where somebody mixed directories up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.collection import UUID, Collection
from forensics.other_copies import segments_of
from forensics.readers.id_map import IdMap
from forensics.segment import PlainTree, VectorSegment

SET_ASIDE, ORPHAN, ALSO, OTHER = "set-aside", "orphan", "also", "other-collection"
MOSTLY = 0.8
"""The share of the ids of a map from which on a directory is taken for that of the collection that has the records."""
FEW = 8
"""Ids below which nothing is concluded from them."""


def candidate_segments(
    collection: Collection, also: Sequence[Path] = ()
) -> Iterator[tuple[str, str, VectorSegment]]:
    """(kind, origin, segment) of every other directory that may hold vectors of this collection, newest first."""
    found = [(_kind(segment), segment.relative, segment) for segment in collection.store.unreferenced]
    found.sort(key=lambda item: _age(item[2]), reverse=True)
    yield from found
    for path in dict.fromkeys(also):
        yield from ((ALSO, str(segment.directory), segment) for segment in segments_of(path))


def foreign_segments(
    collection: Collection, lacking: set[str]
) -> Iterator[tuple[VectorSegment, frozenset[str]]]:
    """(segment of another collection, ids there that are not its own): nearly all of these have to be of the records
    that `lacking` names, so that an id which both collections ever had proves nothing.
    """
    for other in collection.store.collections if len(lacking) >= FEW else ():
        records, segment = other.records, other.vector
        if other.id == collection.id or isinstance(records, Absent) or isinstance(segment, Absent):
            continue
        ghosts = frozenset(records.ghosts)
        if len(ghosts) >= FEW and len(ghosts & lacking) >= MOSTLY * len(ghosts):
            yield segment, ghosts & lacking


def true_home(collection: Collection) -> VectorSegment | None:
    """The directory of another collection that holds this one's index, where its own holds somebody else's.

    Nearly all ids of the map there are records of this collection, and few of those in its own directory.
    """
    if isinstance(collection.vector, Absent) or _share(collection, collection.vector) > 1 - MOSTLY:
        return None
    for other in collection.store.collections:
        segment = other.vector
        if other.id == collection.id or isinstance(segment, Absent) or not _has_room(collection, segment):
            continue
        if _share(collection, segment) >= MOSTLY and _share(other, segment) <= 1 - MOSTLY:
            return segment
    return None


def _share(collection: Collection, segment: VectorSegment) -> float:
    """The share of the ids of that map that are records of the collection; 0 without a map."""
    id_map = segment.id_map
    if not isinstance(id_map, IdMap) or not id_map.id_to_label:
        return 0.0
    return sum(map(collection.row_of.__contains__, id_map.id_to_label)) / len(id_map.id_to_label)


def _has_room(collection: Collection, segment: VectorSegment) -> bool:
    """True where an index with that header can be of this collection: enough ids, and the dimension of SQLite."""
    geometry, id_map = segment.files.geometry, segment.id_map
    if isinstance(geometry, Absent) or not isinstance(id_map, IdMap) or len(id_map.id_to_label) < FEW:
        return False
    return collection.dimension in (None, geometry.dim)


def segment_at(collection: Collection, origin: str) -> VectorSegment:
    """The segment that `origin` names: a directory of the store, or a path."""
    for segment in collection.store.segment_directories:
        if segment.relative == origin:
            return segment
    path = Path(origin)
    return VectorSegment(path.name, PlainTree(path.parent), path.name)


def _kind(segment: VectorSegment) -> str:
    return ORPHAN if UUID.fullmatch(segment.id) else SET_ASIDE


def _age(segment: VectorSegment) -> int:
    stamps = (facts.mtime_ns for facts in segment.facts.values() if not isinstance(facts, Absent))
    return max(stamps, default=0)


def is_current(collection: Collection, ids: Sequence[str], id_map: IdMap) -> np.ndarray:
    """True where the record was not written after that directory: its seq_id is at or below the directory's watermark.

    1.x keeps no watermark in the directory. Its lower bound is the highest seq_id among the records that its map holds
    and that were not written since the queue's oldest row; without one, the answer is False (possibly older).
    """
    seq = seq_ids_of(collection, ids)
    if id_map.max_seq_id is not None:
        return (seq >= 0) & (seq <= id_map.max_seq_id)
    if id_map.id_to_seq_id:
        held = np.fromiter(
            (_plain(id_map.id_to_seq_id.get(name)) for name in ids), dtype=np.int64, count=len(ids)
        )
        return (seq >= 0) & (held >= seq)
    return _current_by_order(collection, ids, seq, id_map)


def _plain(value: object) -> int:
    if isinstance(value, bytes):
        return int.from_bytes(value[-8:], "big")
    return value if isinstance(value, int) else -1


def _current_by_order(
    collection: Collection, ids: Sequence[str], seq: np.ndarray, id_map: IdMap
) -> np.ndarray:
    """1.x gives labels in log order, so the newest label was added at or below the directory's watermark.

    Its record's seq_id is that bound, unless it was written again since: then it is above that of a record which the
    map does not hold yet, and the next older label serves.
    """
    rows = collection.rows
    if isinstance(rows, Absent) or not id_map.id_to_label:
        return np.zeros(len(ids), dtype=bool)
    labels = np.fromiter(map(id_map.id_to_label.get, rows.ids, repeat(-1)), dtype=np.int64, count=len(rows))
    everything = seq_ids_of(collection, rows.ids)
    later = int(everything[labels < 0].min(initial=np.iinfo(np.int64).max))
    bounds = everything[(labels >= 0) & (everything < later)]
    newest = labels[(labels >= 0) & (everything < later)]
    bound = int(bounds[np.argmax(newest)]) if len(newest) else -1
    return (seq >= 0) & (seq <= bound)


def seq_ids_of(collection: Collection, ids: Sequence[str]) -> np.ndarray:
    """(k,) int64 `embeddings.seq_id` of these ids; -1 where there is no row or it cannot be decoded."""
    everything = collection.seq_ids
    if isinstance(everything, Absent) or not len(everything):
        return np.full(len(ids), -1, dtype=np.int64)
    at = np.fromiter(map(collection.row_of.get, ids, repeat(-1)), dtype=np.int64, count=len(ids))
    return np.where(at >= 0, everything[at], -1)
