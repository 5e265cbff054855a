"""What the watermarks of a collection should be: the true position of each segment in the queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from forensics.absent import Absent
from forensics.checks.queue_ahead import passed_over
from forensics.checks.queue_marks import METADATA, VECTOR, Poisoned, believable_marks, poisoned_marks
from forensics.errors import ForensicsError
from forensics.readers.database import SeqId
from forensics.readers.id_map import IdMap
from forensics.readers.watermarks import reach
from forensics.store import Collection, open_store

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
    mark. `also`: other copies of the store, whose watermarks of another time bound one that cannot be decoded.
    """

    def __init__(self, collection: Collection, *, ahead: bool = False, also: Sequence[Path] = ()) -> None:
        self.collection, self.ahead, self.also = collection, ahead, also

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
            return self._cured(scope, poison)
        if stored is None:
            return Target(None, "keep", "it cannot be decoded")
        passed = passed_over(self.collection, scope) if self.ahead else {}
        if not passed:
            return Target(stored, "keep")
        first = min(passed.values())
        return Target(max(1, first - 1), "restore", f"row {first} of the queue was never applied")

    def _cured(self, scope: str, poison: Poisoned) -> Target:
        """The decoded number; where it is only bounded what a copy says within the bounds, else the lower of them: what is
        replayed twice changes nothing.
        """
        if isinstance(poison.expected, int):
            return Target(poison.expected, "restore", f"{poison.stored} decodes to {poison.expected}")
        lowest, highest = poison.expected["at_least"], poison.expected["at_most"]
        why = f"{poison.stored} cannot be decoded; it was between {lowest} and {highest}"
        known = {value: path for path, value in self._in_copies(scope) if lowest <= value <= highest}
        if not known:
            return Target(max(1, lowest), "restore", why)
        return Target(max(known), "restore", f"{why}; the copy at {known[max(known)].name} had {max(known)}")

    def _in_copies(self, scope: str) -> Iterator[tuple[Path, int]]:
        """(copy, watermark) of the same segment in each copy that can be read and whose own is believable."""
        for path in self.also:
            with suppress(ForensicsError), open_store(path) as copy:
                for each in copy.collections:
                    if each.id == self.collection.id and scope in (marks := believable_marks(each)):
                        yield path, marks[scope]


def applied_by_both(collection: Collection) -> int:
    """The position up to which both segments have applied the queue."""
    metadata = collection.metadata_watermark
    value = 0 if isinstance(metadata, Absent) else metadata.value or 0
    return min(value, collection.vector_watermark)
