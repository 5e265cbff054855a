"""Watermarks against the queue: behind it, ahead of it, poisoned, stale, or kept where 1.x does not look."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent
from forensics.checks.places import id_map_of, in_table
from forensics.checks.queue_marks import (
    VECTOR,
    Poisoned,
    believable_marks,
    floor,
    is_uninitialised,
    mark_place,
    poisoned_marks,
    purge_means,
    purged_at_open,
)
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Remedy
from forensics.readers.database import SeqId
from forensics.readers.embeddings_queue import effects
from forensics.readers.watermarks import purges, reach
from forensics.store import Collection
from forensics.words import counted


@check("CF202")
def queue_behind_watermark(collection: Collection) -> Iterator[Finding]:
    """The next number that the queue gives is at or below a watermark."""
    top = reach(collection.database).top
    marks = believable_marks(collection)
    behind = {scope: value for scope, value in marks.items() if value > top}
    if not behind:
        return
    unseen = _unseen_writes(collection, behind)
    yield finding(
        "CF202",
        collection,
        count=max(behind.values()) - top,
        unit="sequence numbers",
        expected={"next_seq_id": f"above {max(marks.values())}"},
        found={"next_seq_id": top + 1, "watermarks": marks, "unseen_writes": len(unseen)},
        where=(
            in_table("embeddings_queue", f"highest seq_id {top}"),
            *(mark_place(collection, s) for s in behind),
        ),
        means=f"The next {counted(max(behind.values()) - top, 'writes')} will be taken for applied already: "
        f"they vanish without an error.{_unseen_text(len(unseen))}",
        remedy=Remedy(action="put-queue-floor", safety="safe"),
        causes=(
            Cause(
                name="the queue was emptied by hand",
                confidence="likely",
                evidence=f"Chroma keeps the row at the watermark; the queue ends at {top}, "
                f"the watermark is {max(behind.values())}",
            ),
        ),
        lists={"unseen_ids": unseen},
    )


def _unseen_text(unseen: int) -> str:
    return (
        f" {counted(unseen, 'ids')} in the queue were lost from view in this way already." if unseen else ""
    )


def _unseen_writes(collection: Collection, behind: dict[str, int]) -> list[str]:
    """Ids that the rows now in the queue would have made and that SQLite does not hold."""
    queued, rows = collection.queue.rows(), collection.rows
    if isinstance(queued, Absent) or isinstance(rows, Absent):
        return []
    known = set(rows.ids)
    made = effects([row for row in queued if row.seq_id <= max(behind.values())], known.__contains__)
    return [name for name, effect in made.items() if effect.exists and name not in known]


@check("CF203")
def watermark_poisoned(collection: Collection) -> Iterator[Finding]:
    """A watermark above all that this queue ever gave, and not because somebody emptied it."""
    marks = poisoned_marks(collection)
    if not marks:
        return
    decoded = all(mark.decoded for mark in marks.values())
    low = all(mark.is_low for mark in marks.values())
    purged = purged_at_open(collection)
    yield finding(
        "CF203",
        collection,
        count=len(marks),
        unit="watermarks",
        expected={scope: mark.expected for scope, mark in marks.items()},
        found={**{scope: mark.stored for scope, mark in marks.items()}, "opening_destroys": purged},
        where=tuple(mark_place(collection, scope) for scope in marks),
        means=_poison_means(marks) + purge_means(purged),
        remedy=Remedy(action="restore-watermark", safety="safe"),
        confidence="certain" if decoded or low else "likely",
        causes=(_low_cause(marks) if low else _poison_cause(marks, decoded),),
    )


def _poison_means(marks: dict[str, Poisoned]) -> str:
    if any(mark.stored < 1 for mark in marks.values()):
        return "Releases before 1.0 take 0 for no position: what waits in the queue is passed over without an error."
    if all(mark.is_low for mark in marks.values()):
        return "Rows that are applied already are replayed, and none of them is purged."
    if VECTOR in marks and len(marks) == 1:
        return "No write reaches the index any more: new records are stored and no search finds them."
    if VECTOR in marks:
        return (
            "Every write is taken for applied already: it returns without an error and is never seen again."
        )
    return "New writes reach the index but not SQLite: records without document and metadata."


def _low_cause(marks: dict[str, Poisoned]) -> Cause:
    shown = "; ".join(f"the {scope} watermark is {mark.stored}" for scope, mark in marks.items())
    evidence = (
        f"{shown}: the queue begins with 1, and a record is written in one transaction with its watermark"
    )
    return Cause(name="max_seq_id was edited", confidence="likely", evidence=evidence)


def _poison_cause(marks: dict[str, Poisoned], decoded: bool) -> Cause:
    if decoded:
        shown = "; ".join(f"{mark.stored} reads {mark.expected} in ASCII" for mark in marks.values())
        return Cause(
            name="max_seq_id was made an integer before metadb migration 5 ran on it",
            confidence="certain",
            evidence=f"the migration takes decimal digits for bytes: {shown}",
        )
    return Cause(
        name="max_seq_id was edited",
        confidence="likely",
        evidence="the value is above every number in the queue and in embeddings",
    )


@check("CF205", needs=("rows",))
def watermark_stale(collection: Collection) -> Iterator[Finding]:
    """The index is gone, its watermark is not, and purging is on: the next open deletes what it replays."""
    row, low = collection.vector_watermark_row, floor(collection)
    if not is_uninitialised(collection) or not isinstance(row, SeqId) or low is None:
        return
    if purges(collection.database) is not True:
        return
    ids = _only_in_queue(collection, low)
    if not ids:
        return
    yield finding(
        "CF205",
        collection,
        count=len(ids),
        unit="records",
        expected={"max_seq_id": None, "because": "the segment has no usable id map"},
        found={"max_seq_id": row.value, "automatically_purge": True, "purged_below": low},
        where=(
            mark_place(collection, VECTOR),
            in_table("embeddings_queue", f"{counted(len(ids), 'ids')} in rows below {low}"),
        ),
        means=f"Do not open this store with Chroma: its first read deletes the queue rows below {low}, "
        f"the only copy of {counted(len(ids), 'vectors')}.",
        remedy=Remedy(action="rebuild-segment", safety="safe"),
        causes=(
            Cause(
                name="the segment directory or its id map was removed after it had been persisted",
                confidence="certain",
                evidence=f"max_seq_id says that it was persisted up to {row.value}",
            ),
        ),
        lists={"ids": ids},
    )


def _only_in_queue(collection: Collection, low: int) -> list[str]:
    """Records whose newest vector is in a queue row below `low`."""
    queued, rows = collection.queue.rows(), collection.rows
    if isinstance(queued, Absent) or isinstance(rows, Absent):
        return []
    left = effects(queued, lambda _: False)
    known = set(rows.ids)
    return [
        name
        for name, effect in left.items()
        if effect.exists and effect.vector_seq is not None and effect.vector_seq < low and name in known
    ]


@check("CF206", needs=("id_map",))
def watermark_legacy(collection: Collection) -> Iterator[Finding]:
    """The id map holds the watermark of the vector segment, no row does, and 1.x has migrated the store."""
    in_map = id_map_of(collection).max_seq_id
    has_row = isinstance(collection.vector_watermark_row, SeqId)
    if not collection.store.is_modern or in_map is None or has_row:
        return
    replayed = _rows_up_to(collection, in_map)
    yield finding(
        "CF206",
        collection,
        count=1,
        unit="watermarks",
        expected={"max_seq_id": in_map},
        found={"max_seq_id": None, "id_map": in_map, "replayed": replayed},
        where=(mark_place(collection, VECTOR),),
        means=f"1.x does not look into the id map: at every open it replays {counted(replayed, 'rows')} that the index "
        "has applied already, which has crashed clients.",
        remedy=Remedy(action="insert-watermark", safety="safe"),
        causes=(
            Cause(
                name="a store of 0.4 or 0.5 was opened with 1.x and not flushed since",
                confidence="likely",
                evidence="only these releases keep the number in index_metadata.pickle",
            ),
        ),
    )


def _rows_up_to(collection: Collection, mark: int) -> int:
    sql = "SELECT count(*) FROM embeddings_queue WHERE topic = ? AND seq_id <= ?"
    found = collection.database.rows(sql, (collection.queue.topic, mark))
    return 0 if isinstance(found, Absent) else int(found[0][0])
