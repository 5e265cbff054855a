"""The join of all that is said about each record: SQLite row, label, level-0 element, pending queue rows.

One row per record of the METADATA segment, as numpy columns, so that a million records cost about a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.readers.columns import place_of
from forensics.readers.database import MetadataRows
from forensics.readers.embeddings_queue import QueueEffect
from forensics.readers.hnsw import Level0Summary
from forensics.readers.id_map import BadIdMap, ColumnMap, IdMap
from forensics.readers.shelf import once_of

if TYPE_CHECKING:
    from forensics.segment import VectorSegment

NONE = -1
FEW = 1000
"""Pending ids up to which a join is known by them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Columns over the n records in rowid order, and what the index holds besides them.

    labels (n,) int64: the label that the map gives, or -1. elements (n,) int64: the internal id that carries that label,
    or -1. live (n,) bool: that element is not flagged deleted. pending (n,) bool: an effective queue row brings it.
    known is False where the id map is lost beside a full index: then indexed and missing are unknown.
    ghosts: mapped ids without a record and without a pending delete. stray (k,) int64: live elements (with a label of 1 or
    more) that no id maps to. deleted: how many elements are flagged.
    """

    rows: MetadataRows = field(repr=False)
    labels: np.ndarray = field(repr=False)
    elements: np.ndarray = field(repr=False)
    live: np.ndarray = field(repr=False)
    pending: np.ndarray = field(repr=False)
    known: bool
    unknown_reason: str
    ghosts: tuple[str, ...] = field(repr=False)
    stray: np.ndarray = field(repr=False)
    deleted: int | None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def indexed(self) -> np.ndarray:
        """(n,) bool: mapped to a live element."""
        return (self.elements >= 0) & self.live

    @property
    def missing(self) -> np.ndarray:
        """(n,) bool: neither indexed nor pending. Meaningless where `known` is False."""
        return ~self.indexed & ~self.pending

    def ids(self, mask: np.ndarray) -> list[str]:
        """The ids where `mask` (n,) holds, in rowid order."""
        return [self.rows.ids[index] for index in np.flatnonzero(mask).tolist()]


def join_records(
    rows: MetadataRows,
    segment: VectorSegment | Absent,
    id_map: IdMap | BadIdMap | Absent,
    pending: Mapping[str, QueueEffect],
    *,
    summary: Level0Summary | None = None,
) -> Records:
    """The join for one collection. `pending` is what the queue above the vector watermark will do.

    `summary` takes the place of the segment's own where that must be read under another header than the stored one.
    """
    if (
        summary is None
        and not isinstance(segment, Absent)
        and isinstance(segment.files.summary, Level0Summary)
    ):
        summary = segment.files.summary
    if len(pending) > FEW or summary is None or not isinstance(id_map, IdMap):
        return _joined(rows, segment, id_map, pending, summary)
    kind = ("records", tuple(pending.items()))
    return once_of(kind, (rows, id_map, summary), lambda: _joined(rows, segment, id_map, pending, summary))


def _joined(
    rows: MetadataRows,
    segment: VectorSegment | Absent,
    id_map: IdMap | BadIdMap | Absent,
    pending: Mapping[str, QueueEffect],
    summary: Level0Summary | None,
) -> Records:
    labels = _labels(rows, id_map if isinstance(id_map, IdMap) else None)
    elements = elements_of(labels, summary)
    live = np.zeros(len(rows), dtype=bool)
    if summary is not None:
        live[elements >= 0] = ~summary.deleted[elements[elements >= 0]]
    known, reason = _knowledge(segment, id_map)
    return Records(
        rows=rows,
        labels=labels,
        elements=elements,
        live=live,
        pending=_pending_mask(rows, pending, (elements >= 0) & live),
        known=known,
        unknown_reason=reason,
        ghosts=_ghosts(rows, labels, id_map, pending),
        stray=_stray(id_map, summary),
        deleted=None if summary is None else int(summary.deleted.sum()),
    )


def _labels(rows: MetadataRows, id_map: IdMap | None) -> np.ndarray:
    """(n,) int64 label of each id, -1 where the map has none. Mostly rows and map are in one order: no look-ups then."""
    if isinstance(id_map, ColumnMap) and rows.column is not None:
        return id_map.labels_of(rows.column)
    ids, mapping = rows.ids, {} if id_map is None else id_map.id_to_label
    labels = np.full(len(ids), NONE, dtype=np.int64)
    names = list(mapping)
    same = len(names) if ids[: len(names)] == names else 0
    labels[:same] = np.fromiter(mapping.values(), dtype=np.int64, count=same)
    rest = len(ids) - same
    labels[same:] = np.fromiter(map(mapping.get, ids[same:], repeat(NONE)), dtype=np.int64, count=rest)
    return labels


def elements_of(labels: np.ndarray, summary: Level0Summary | None) -> np.ndarray:
    """(n,) int64 internal id of each label, -1 where level 0 holds none. Of repeated labels the last wins, as in hnswlib."""
    held = np.empty(0, dtype=np.int64) if summary is None else summary.labels.astype(np.int64)
    return place_of(held, labels)


def _pending_mask(rows: MetadataRows, pending: Mapping[str, QueueEffect], indexed: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(rows), dtype=bool)
    brought = {name for name, effect in pending.items() if effect.exists and effect.vector_seq is not None}
    if brought:
        found = np.fromiter(map(brought.__contains__, rows.ids), dtype=bool, count=len(rows))
        mask = found & ~indexed
    return mask


def _ghosts(
    rows: MetadataRows,
    labels: np.ndarray,
    id_map: IdMap | BadIdMap | Absent,
    pending: Mapping[str, QueueEffect],
) -> tuple[str, ...]:
    if not isinstance(id_map, IdMap) or int((labels >= 0).sum()) == id_map.size:
        return ()
    extra = id_map.id_to_label.keys() - set(rows.ids)
    return tuple(sorted(name for name in extra if name not in pending))


def _stray(id_map: IdMap | BadIdMap | Absent, summary: Level0Summary | None) -> np.ndarray:
    if summary is None:
        return np.empty(0, dtype=np.int64)
    mapped = id_map.labels() if isinstance(id_map, IdMap) else np.empty(0, dtype=np.int64)
    held = summary.labels.astype(np.int64)
    return np.flatnonzero(summary.live & (held >= 1) & ~np.isin(held, mapped))


def _knowledge(segment: VectorSegment | Absent, id_map: IdMap | BadIdMap | Absent) -> tuple[bool, str]:
    if isinstance(id_map, IdMap) or isinstance(segment, Absent):
        return True, ""
    if segment.state in ("absent", "stub"):
        return True, ""
    return False, id_map.reason
