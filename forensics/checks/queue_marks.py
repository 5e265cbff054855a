"""What the checks of watermarks share: the marks of a collection, as stored and as they can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forensics.absent import Absent
from forensics.model import Place
from forensics.readers.database import SeqId
from forensics.readers.id_map import IdMap
from forensics.readers.watermarks import (
    IMPOSSIBLE,
    decode_poisoned,
    newest_record,
    purges,
    reach,
    whole_numbers,
)
from forensics.records import Records
from forensics.store import Collection, VectorSegment
from forensics.words import counted

METADATA, VECTOR = "metadata", "vector"
Expected = int | Mapping[str, int]
"""A value, or the bounds between which it lies."""


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A watermark that no queue reached: as stored, and what it was or the bounds of that."""

    stored: int
    expected: Expected
    decoded: bool

    @property
    def is_low(self) -> bool:
        """True where it is below what its segment holds, as a 0 is."""
        return not isinstance(self.expected, int) and self.stored < self.expected["at_least"]


def stored_marks(collection: Collection) -> dict[str, int]:
    """scope → its watermark; of the vector segment the row, else that of the id map; only what there is."""
    found: dict[str, int] = {}
    rows = ((METADATA, collection.metadata_watermark), (VECTOR, collection.vector_watermark_row))
    for scope, row in rows:
        if isinstance(row, SeqId) and row.value is not None:
            found[scope] = row.value
    if isinstance(collection.vector_watermark_row, Absent) and isinstance(collection.id_map, IdMap):
        in_map = collection.id_map.max_seq_id
        found |= {} if in_map is None else {VECTOR: in_map}
    return found


def poisoned_marks(collection: Collection) -> dict[str, Poisoned]:
    """scope → every watermark that the queue of this store cannot have given, or that its own records passed."""
    top = reach(collection.database).top
    stored = stored_marks(collection)
    marks = {
        scope: value for scope, value in stored.items() if value > top or _too_low(collection, scope, value)
    }
    if not marks:
        return {}
    newest = newest_record(collection.database, collection.metadata_segment_id or "")
    found = ((scope, _poisoned(collection, scope, value, top, newest)) for scope, value in marks.items())
    return {scope: mark for scope, mark in found if mark is not None}


def _too_low(collection: Collection, scope: str, value: int) -> bool:
    """True before 1.0 for a 0, after which no row is replayed, and for a metadata watermark below its newest record.

    Both are written in one transaction. An index may be ahead of its watermark: a kill between map and row leaves it so.
    """
    if collection.store.is_modern:
        return False
    extent = collection.queue.extent()
    if value < 1 or scope != METADATA or isinstance(extent, Absent) or value >= (extent.highest or value + 1):
        return value < 1
    return value < newest_record(collection.database, collection.metadata_segment_id or "")


def _poisoned(collection: Collection, scope: str, value: int, top: int, newest: int) -> Poisoned | None:
    """None where the queue may have reached it before somebody emptied it (CF202)."""
    lowest, highest = _bounds(collection, scope, top, newest)
    if value <= top:
        lowest = max(1, min(lowest, top or lowest))
        return Poisoned(value, {"at_least": lowest, "at_most": max(lowest, top)}, False)
    digits = decode_poisoned(value)
    numbers = [] if digits is None else whole_numbers(digits, lowest, highest)
    if len(numbers) == 1:
        return Poisoned(value, numbers[0], True)
    if value < IMPOSSIBLE and (newest > top or not _queue_rows(collection)):
        return None
    return Poisoned(value, {"at_least": lowest, "at_most": highest}, False)


def _bounds(collection: Collection, scope: str, top: int, newest: int) -> tuple[int, int]:
    """Between what was surely applied and what the queue or the records reach."""
    highest = max(top, newest)
    if scope == METADATA:
        return newest, highest
    extent = collection.queue.extent()
    lowest = 0 if isinstance(extent, Absent) or extent.lowest is None else extent.lowest
    return min(highest, max(1, lowest - 1, _in_map(collection))), highest


def _in_map(collection: Collection) -> int:
    """The highest seq_id that the id map says was applied to the index; 0 where it says none (1.x keeps none there)."""
    if not isinstance(collection.id_map, IdMap):
        return 0
    each = (seq for seq in collection.id_map.id_to_seq_id.values() if isinstance(seq, int))
    return max(collection.id_map.max_seq_id or 0, max(each, default=0))


def _queue_rows(collection: Collection) -> int:
    extent = collection.queue.extent()
    return 0 if isinstance(extent, Absent) else extent.rows


def believable_marks(collection: Collection) -> dict[str, int]:
    """scope → watermark, with decoded values for poisoned ones and without those that cannot be decoded."""
    marks = stored_marks(collection)
    for scope, mark in poisoned_marks(collection).items():
        del marks[scope]
        if isinstance(mark.expected, int):
            marks[scope] = mark.expected
    return marks


def floor(collection: Collection) -> int | None:
    """The lower of both watermarks: rows below it the engine purges. None where a segment has none."""
    marks = believable_marks(collection)
    return min(marks.values()) if len(marks) == 2 else None


def purged_at_open(collection: Collection) -> int:
    """How many ids lose their only vector when 1.x opens the store: it purges before it reads the index.

    Seen with 1.2.1 and 1.5.9: one `count` deletes every row below the lower of both watermarks as stored.
    """
    rows = (collection.metadata_watermark, collection.vector_watermark_row)
    marks = [row.value for row in rows if isinstance(row, SeqId)]
    if len(marks) < 2 or purges(collection.database) is not True:
        return 0
    sql = "SELECT DISTINCT id FROM embeddings_queue WHERE topic = ? AND seq_id < ? AND vector IS NOT NULL"
    lowest = min(mark or 0 for mark in marks)
    found = collection.database.rows(sql, (collection.queue.topic, lowest))
    records = collection.records
    if isinstance(found, Absent) or not isinstance(records, Records):
        return 0
    waiting = {row[0] for row in found}
    return len(waiting & set(records.rows.ids)) - len(waiting & set(records.ids(records.indexed)))


def mark_place(collection: Collection, scope: str) -> Place:
    """The row of `max_seq_id` of one segment."""
    segment = collection.metadata_segment_id if scope == METADATA else collection.vector_segment_id
    return Place(file="chroma.sqlite3", rows=f"max_seq_id: segment_id = {segment}")


def purge_means(purged: int) -> str:
    """The warning that comes before all else, where opening the store destroys something."""
    if not purged:
        return ""
    return f" Do not open this store with Chroma: its first read purges the only copy of {counted(purged, 'vectors')}."


def is_uninitialised(collection: Collection) -> bool:
    return not isinstance(collection.vector, VectorSegment) or collection.vector.is_uninitialised
