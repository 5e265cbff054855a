"""Queue: what `embeddings_queue` still holds, and what of it was or can be applied."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent
from forensics.checks import queue_ahead, queue_purged, queue_rows, queue_watermarks
from forensics.checks.database_full_text import missing_tables
from forensics.checks.places import examples, in_segment, in_table
from forensics.checks.queue_marks import METADATA, VECTOR, believable_marks, floor, mark_place
from forensics.checks.queue_rows import undecodable_rows
from forensics.checks.registry import check, finding
from forensics.checks.replay import wedged
from forensics.model import Finding, Remedy
from forensics.readers.embeddings_queue import ADD, DELETE, UPDATE, QueueRow
from forensics.readers.id_map import IdMap
from forensics.readers.layout import LEVEL0_FILE
from forensics.readers.watermarks import purges
from forensics.records import Records
from forensics.store import Collection, VectorSegment
from forensics.words import counted

__all__ = ["queue_ahead", "queue_purged", "queue_rows", "queue_watermarks"]


@check("CF201")
def queue_unbounded(collection: Collection) -> Iterator[Finding]:
    """Rows that both segments have applied and that nothing purges."""
    low = floor(collection)
    if low is None:
        return
    sql = "SELECT count(*), total(length(vector)) FROM embeddings_queue WHERE topic = ? AND seq_id < ?"
    found = collection.database.rows(sql, (collection.queue.topic, low))
    if isinstance(found, Absent) or not found[0][0]:
        return
    rows, size = int(found[0][0]), int(found[0][1])
    yield finding(
        "CF201",
        collection,
        count=rows,
        unit="rows",
        expected="rows below both watermarks are purged",
        found={"rows": rows, "vector_bytes": size, "automatically_purge": purges(collection.database)},
        where=(in_table("embeddings_queue", f"{counted(rows, 'rows')} below {low}"),),
        means=f"{counted(rows, 'rows')} of the queue are applied already and take space; they are also a second copy of "
        "these vectors, so keep them until the index is known to be sound.",
        remedy=Remedy(action="purge-queue", safety="safe"),
    )


@check("CF207", needs=("records", "summary", "pending_rows"))
def replay_wedged(collection: Collection) -> Iterator[Finding]:
    """Pending rows of ids whose label is not on a live element: every release refuses them, at every open."""
    ids = wedged(collection)
    if not ids:
        return
    marks = believable_marks(collection)
    pending = collection.pending_rows
    waiting = 0 if isinstance(pending, Absent) else len(pending)
    yield finding(
        "CF207",
        collection,
        count=len(ids),
        unit="records",
        expected="the label of every pending id is on a live element, or it has none",
        found={"examples": examples(ids), "pending": waiting, "watermarks": marks},
        where=(
            in_table(
                "embeddings_queue", f"rows of {counted(len(ids), 'ids')} above {collection.vector_watermark}"
            ),
        ),
        means="Every open replays the pending rows: 'Failed to apply logs to the hnsw segment writer'."
        " None of them is ever persisted.",
        remedy=Remedy(action="add-missing-vectors", safety="safe"),
        lists={"ids": ids},
    )


@check("CF210", needs=("records",))
def vectors_only_in_queue(collection: Collection) -> Iterator[Finding]:
    """Pending records that have no label yet."""
    records = collection.records
    if not isinstance(records, Records):
        return
    alone = records.pending & (records.labels < 0)
    if not alone.any():
        return
    count = int(alone.sum())
    yield finding(
        "CF210",
        collection,
        count=count,
        unit="records",
        expected="healthy; nothing is to be done",
        found={"records": count, "of": len(records)},
        where=(in_table("embeddings_queue", f"rows of {counted(count, 'ids')}"),),
        means=f"The queue holds the only copy of {counted(count, 'vectors')} until the next flush: do not empty it.",
        remedy=Remedy(action="none", safety="safe"),
        lists={"ids": records.ids(alone)},
    )


@check("CF211", needs=("id_map", "pending_rows"))
def replay_noise(collection: Collection) -> Iterator[Finding]:
    """Pending rows that change nothing when they are replayed."""
    rows, id_map = collection.pending_rows, collection.id_map
    if isinstance(rows, Absent) or not isinstance(id_map, IdMap):
        return
    idle = _idle(rows, id_map)
    if not idle:
        return
    yield finding(
        "CF211",
        collection,
        count=len(idle),
        unit="rows",
        expected="healthy; nothing is to be done",
        found={"seq_ids": examples(idle), "pending": len(rows)},
        where=(in_table("embeddings_queue", counted(len(idle), "rows")),),
        means="Each open logs 'Add of existing embedding ID' or 'Delete of nonexisting embedding ID'; "
        "nothing is lost.",
        remedy=Remedy(action="none", safety="safe"),
        lists={"seq_ids": idle},
    )


def _idle(rows: list[QueueRow], id_map: IdMap) -> list[int]:
    """seq_ids of adds of an id that exists by then, and of updates and deletes of one that does not."""
    state: dict[str, bool] = {}
    idle: list[int] = []
    mapped = id_map.labels_among(row.id for row in rows)
    for row in rows:
        there = state.get(row.id, row.id in mapped)
        if (row.operation == ADD and there) or (row.operation in (UPDATE, DELETE) and not there):
            idle.append(row.seq_id)
        state[row.id] = row.operation != DELETE and (there or row.operation != UPDATE)
    return idle


@check("CF213", needs=("rows",))
def deleted_text_kept(collection: Collection) -> Iterator[Finding]:
    """Queue rows with text or vectors, and flagged elements, of ids that are no records any more."""
    rows = collection.rows
    if isinstance(rows, Absent):
        return
    queued, tombstones = _of_the_dead(collection, set(rows.ids)), _tombstones(collection)
    if not queued and not tombstones:
        return
    yield finding(
        "CF213",
        collection,
        count=len(queued) + tombstones,
        unit="remains",
        expected="nothing is left of deleted records",
        found={"queue_rows": len(queued), "elements": tombstones},
        where=(
            *([in_table("embeddings_queue", counted(len(queued), "rows"))] if queued else ()),
            *([in_segment(collection, LEVEL0_FILE)] if tombstones else ()),
        ),
        means="Text or vectors of deleted records can still be read from the files.",
        remedy=Remedy(action="purge-queue" if queued else "compact-segment", safety="safe"),
        lists={"seq_ids": queued},
    )


def _of_the_dead(collection: Collection, known: set[str]) -> list[int]:
    sql = (
        "SELECT seq_id, id FROM embeddings_queue WHERE topic = ? AND seq_id <= ?"
        " AND (vector IS NOT NULL OR length(metadata) > 2) ORDER BY seq_id"
    )
    mark = believable_marks(collection).get(METADATA, 0)
    found = collection.database.rows(sql, (collection.queue.topic, mark))
    return [] if isinstance(found, Absent) else [row[0] for row in found if row[1] not in known]


def _tombstones(collection: Collection) -> int:
    if not isinstance(collection.vector, VectorSegment):
        return 0
    summary = collection.vector.files.summary
    return 0 if isinstance(summary, Absent) else int(summary.deleted.sum())


@check("CF214")
def metadata_replay_wedged(collection: Collection) -> Iterator[Finding]:
    """Rows wait for the metadata segment, and what they wait for will not come by itself."""
    marks = believable_marks(collection)
    if METADATA not in marks:
        return
    waiting = _waiting(collection, marks[METADATA])
    obstacles = _obstacles(collection, marks) if waiting else []
    if not obstacles:
        return
    yield finding(
        "CF214",
        collection,
        count=waiting,
        unit="rows",
        expected={"metadata": "the end of the queue"},
        found={"metadata": marks[METADATA], "vector": marks.get(VECTOR), "obstacles": obstacles},
        where=(
            mark_place(collection, METADATA),
            in_table("embeddings_queue", f"{counted(waiting, 'rows')} above it"),
        ),
        means=f"SQLite lacks {counted(waiting, 'acknowledged writes')}, and every further one fails with "
        "'Failed to apply logs to the metadata segment'.",
        remedy=Remedy(action="rebuild-full-text", safety="safe" if "full-text" in obstacles[0] else "manual"),
    )


def _waiting(collection: Collection, mark: int) -> int:
    sql = "SELECT count(*) FROM embeddings_queue WHERE topic = ? AND seq_id > ? AND operation < 4"
    found = collection.database.rows(sql, (collection.queue.topic, mark))
    return 0 if isinstance(found, Absent) else int(found[0][0])


def _obstacles(collection: Collection, marks: dict[str, int]) -> list[str]:
    """Why the rows cannot be applied; empty where they only have not been yet."""
    found = [f"full-text table {name} is gone" for name in missing_tables(collection.database)]
    bad = undecodable_rows(collection, marks[METADATA])
    found += [f"row {row.seq_id}: {row.problem}" for row in bad[:5]]
    return found
