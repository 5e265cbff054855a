"""What the watermarks of a collection should be: the true position of each segment in the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from forensics.absent import Absent
from forensics.readers.embeddings_queue import DELETE, QueueRow
from forensics.readers.id_map import IdMap
from forensics.store import Collection

Change = Literal["keep", "restore", "insert", "remove"]
POISON = 0x11
LIMIT = 2**53
"""No queue reaches this number; a watermark above it was never given by one."""


@dataclass(frozen=True, slots=True)
class Target:
    """The value that a watermark should have (None: no row), and why it is not what is stored."""

    value: int | None
    change: Change
    why: str = ""


def decode_poisoned(value: int) -> int | None:
    """The watermark that was poisoned into `value`, or None.

    metadb migration 5, run on a value that is an integer already, takes its decimal digits for bytes: the
    big-endian bytes of `value` are 0x11 as filler and then the digits as ASCII. Beyond 8 digits the first
    ones are lost (None).
    """
    digits = value.to_bytes(8, "big", signed=False).lstrip(bytes([POISON])) if 0 < value < 2**64 else b""
    return int(digits) if digits.isdigit() and digits[:1] != b"0" and len(digits) < 8 else _full(digits)


def _full(digits: bytes) -> int | None:
    """Eight digits may be all of them or the end of a longer number; the caller compares with what the store
    holds.
    """
    return int(digits) if len(digits) == 8 and digits.isdigit() else None


class Watermarks:
    """The targets of the metadata and of the vector segment of one collection.

    `ahead`: it was found that a watermark passed over rows (CF204); else the segment itself is repaired, not
    its mark.
    """

    def __init__(self, collection: Collection, *, ahead: bool = False) -> None:
        self.collection, self.ahead = collection, ahead

    @cached_property
    def queue_top(self) -> int:
        """The highest seq_id that the queue holds, for whatever collection; 0 for an empty one."""
        found = self.collection.database.rows("SELECT max(seq_id) FROM embeddings_queue")
        return 0 if isinstance(found, Absent) or not found or found[0][0] is None else int(found[0][0])

    @cached_property
    def seq_ids(self) -> np.ndarray:
        """(n,) seq_id of each record."""
        found = self.collection.database.seq_ids(self.collection.metadata_segment_id or "")
        return np.empty(0, dtype=np.int64) if isinstance(found, Absent) else found

    @cached_property
    def ceiling(self) -> int:
        """No true watermark of this collection is above it: the newest row of queue or records."""
        return max(self.queue_top, int(self.seq_ids.max(initial=0)))

    @cached_property
    def metadata(self) -> Target:
        """Of the METADATA segment."""
        stored = self.collection.metadata_watermark
        if isinstance(stored, Absent):
            return Target(None, "keep", "it has no row")
        known = self._plausible(stored.value)
        if known is not None and known != stored.value:
            return Target(known, "restore", f"{stored.value} decodes to {known}")
        if known is None:
            return self._bounded(int(self.seq_ids.max(initial=0)))
        return self._not_ahead(known, self._in_sqlite)

    @cached_property
    def vector(self) -> Target:
        """Of the VECTOR segment. None as value: there should be no row, the whole queue is to be replayed."""
        segment, stored = self.collection.vector, self.collection.vector_watermark_row
        if isinstance(segment, Absent):
            return Target(None, "keep", segment.reason)
        in_map = self.collection.id_map.max_seq_id if isinstance(self.collection.id_map, IdMap) else None
        if isinstance(stored, Absent):
            return self._legacy(in_map)
        known = self._plausible(stored.value)
        if known is not None and known != stored.value:
            return Target(known, "restore", f"{stored.value} decodes to {known}")
        if known is None:
            return self._bounded(in_map or 0)
        return (
            self._not_ahead(known, self._in_index) if segment.state == "persisted" else Target(known, "keep")
        )

    def _legacy(self, in_map: int | None) -> Target:
        if in_map and self.collection.store.is_modern:
            return Target(in_map, "insert", "1.x reads it only from max_seq_id")
        return Target(in_map, "keep", "the id map holds it" if in_map else "it has no row")

    def _plausible(self, value: int | None) -> int | None:
        """The value, or what it decodes to; None where it says nothing."""
        if value is None:
            return None
        if value <= LIMIT:
            return value
        decoded = decode_poisoned(value)
        return decoded if decoded is not None and 0 < decoded <= max(self.ceiling, 1) else None

    def _bounded(self, at_least: int) -> Target:
        """The lowest position that loses nothing: below the first row that the queue still has, else what is
        known.
        """
        extent = self.collection.queue.extent()
        lowest = None if isinstance(extent, Absent) else extent.lowest
        value = max(1, lowest - 1) if lowest is not None else max(1, at_least)
        return Target(value, "restore", "it cannot be decoded; all that the queue still holds is replayed")

    def _not_ahead(self, value: int, holds: Callable[[str], bool]) -> Target:
        """Lowered below the first row that it passed over and that the segment does not hold."""
        rows = self.collection.queue.rows() if self.ahead else []
        passed = [] if isinstance(rows, Absent) else [row for row in rows if row.seq_id <= value]
        lost = _first_not_applied(passed, holds)
        if lost is None:
            return Target(value, "keep")
        return Target(max(1, lost - 1), "restore", f"row {lost} of the queue was never applied")

    def _in_index(self, name: str) -> bool:
        id_map = self.collection.id_map
        return not isinstance(id_map, IdMap) or name in id_map.id_to_label

    @cached_property
    def _ids(self) -> frozenset[str]:
        rows = self.collection.rows
        return frozenset() if isinstance(rows, Absent) else frozenset(rows.ids)

    def _in_sqlite(self, name: str) -> bool:
        return name in self._ids


def _first_not_applied(rows: list[QueueRow], holds: Callable[[str], bool]) -> int | None:
    """The seq_id of the first row that brings an id which the segment should hold by now and does not.

    Only the last row of an id counts, and only one with a vector: an update of metadata alone never reached
    the index.
    """
    last: dict[str, QueueRow] = {}
    for row in rows:
        if row.operation == DELETE or row.vector_bytes is not None:
            last[row.id] = row
    lost = [row.seq_id for row in last.values() if row.operation != DELETE and not holds(row.id)]
    return min(lost) if lost else None
