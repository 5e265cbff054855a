"""Ids whose record is gone from SQLite, but that a row of the queue brings into the index at the next flush."""

from __future__ import annotations

from forensics.absent import Absent
from forensics.checks.queue_ahead import is_record, passed_over
from forensics.checks.queue_marks import METADATA, believable_marks
from forensics.store import Collection

FEW = 1000
"""Ids that are looked up one by one."""


def returning_ids(collection: Collection) -> tuple[str, ...]:
    """Sorted. The METADATA segment has applied their rows, so it will not make the records again.

    A row above its watermark is an ordinary pending record; one that the watermark passed over is left to CF204.
    """
    mark = believable_marks(collection).get(METADATA)
    if mark is None or isinstance(collection.rows, Absent):
        return ()
    left = {name for name, effect in collection.pending.items() if effect.exists and effect.last_seq <= mark}
    if len(left) > FEW:
        found = left.difference(collection.rows.ids)
    else:
        found = {name for name in left if not is_record(collection, name)}
    return tuple(sorted(found.difference(passed_over(collection, METADATA) if found else ())))
