"""What the watermarks of a collection should be: the true position of each segment in the queue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from forensics.absent import Absent
from forensics.checks.queue_ahead import passed_over
from forensics.checks.queue_marks import METADATA, VECTOR, Poisoned, poisoned_marks
from forensics.readers.database import SeqId
from forensics.readers.id_map import IdMap
from forensics.readers.watermarks import reach
from forensics.store import Collection

Change = Literal["keep", "restore", "insert"]


@dataclass(frozen=True, slots=True)
class Target:
    """The value that a watermark should have (None: no row), and why it is not what is stored."""

    value: int | None
    change: Change
    why: str = ""


class Watermarks:
    """The targets of the metadata and of the vector segment of one collection.

    `ahead`: it was found that a watermark passed over rows (CF204); else the segment is repaired, not its
    mark.
    """

    def __init__(self, collection: Collection, *, ahead: bool = False) -> None:
        self.collection, self.ahead = collection, ahead

    @property
    def queue_top(self) -> int:
        """The highest seq_id that the queue holds, for whatever collection; 0 for an empty one."""
        return reach(self.collection.database).top

    @cached_property
    def metadata(self) -> Target:
        """Of the METADATA segment."""
        stored = self.collection.metadata_watermark
        if not isinstance(stored, SeqId):
            return Target(None, "keep", "it has no row")
        return self._target(METADATA, stored.value)

    @cached_property
    def vector(self) -> Target:
        """Of the VECTOR segment: the row, else what the id map holds."""
        stored, id_map = self.collection.vector_watermark_row, self.collection.id_map
        in_map = id_map.max_seq_id if isinstance(id_map, IdMap) else None
        if isinstance(stored, SeqId):
            return self._target(VECTOR, stored.value)
        if in_map and self.collection.store.is_modern:
            return Target(in_map, "insert", "1.x reads it only from max_seq_id")
        return Target(in_map, "keep", "the id map holds it" if in_map else "it has no row")

    def _target(self, scope: str, stored: int | None) -> Target:
        poison = poisoned_marks(self.collection).get(scope)
        if poison is not None:
            return _cured(poison)
        if stored is None:
            return Target(None, "keep", "it cannot be decoded")
        passed = passed_over(self.collection, scope) if self.ahead else {}
        if not passed:
            return Target(stored, "keep")
        first = min(passed.values())
        return Target(max(1, first - 1), "restore", f"row {first} of the queue was never applied")


def _cured(poison: Poisoned) -> Target:
    """The decoded number; where it is only bounded the lower bound: what is replayed twice changes nothing."""
    if isinstance(poison.expected, int):
        return Target(poison.expected, "restore", f"{poison.stored} decodes to {poison.expected}")
    lowest, highest = poison.expected["at_least"], poison.expected["at_most"]
    why = f"{poison.stored} cannot be decoded; it was between {lowest} and {highest}"
    return Target(max(1, lowest), "restore", why)


def applied_by_both(collection: Collection) -> int:
    """The position up to which both segments have applied the queue."""
    metadata = collection.metadata_watermark
    value = 0 if isinstance(metadata, Absent) else metadata.value or 0
    return min(value, collection.vector_watermark)
