"""A watermark that passed over rows of the queue which its segment does not hold."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent
from forensics.checks.places import id_map_of
from forensics.checks.queue_marks import (
    VECTOR,
    believable_marks,
    is_uninitialised,
    mark_place,
    purge_means,
    purged_at_open,
    stored_marks,
)
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.readers.record_rows import SeqId
from forensics.readers.watermarks import newest_record
from forensics.store import Collection
from forensics.words import counted


@check("CF204", needs=("records",))
def watermark_ahead(collection: Collection) -> Iterator[Finding]:
    """The newest rows of the queue are at or below a watermark and were never applied to its segment."""
    skipped = {scope: rows for scope in stored_marks(collection) if (rows := passed_over(collection, scope))}
    marks = believable_marks(collection)
    if not skipped:
        return
    ids = sorted({name for rows in skipped.values() for name in rows})
    purged = purged_at_open(collection)
    yield finding(
        "CF204",
        collection,
        count=len(ids),
        unit="records",
        expected={scope: min(rows.values()) - 1 for scope, rows in skipped.items()},
        found={**{scope: marks[scope] for scope in skipped}, "opening_destroys": purged},
        where=tuple(mark_place(collection, scope) for scope in skipped),
        means=f"The queue holds {counted(len(ids), 'acknowledged writes')} that will never be applied, and that the "
        f"next purge deletes.{purge_means(purged)}",
        remedy=Remedy(action="restore-watermark", safety="safe"),
        lists={"ids": ids},
    )


def passed_over(collection: Collection, scope: str) -> dict[str, int]:
    """id → seq_id of rows up to the watermark, newer than all that was applied, whose id is not there."""
    mark = believable_marks(collection).get(scope)
    rows, records = collection.rows, collection.records
    if mark is None or isinstance(rows, Absent) or isinstance(records, Absent):
        return {}
    vector = scope == VECTOR
    if vector and (is_uninitialised(collection) or not records.missing.any()):
        return {}
    lacking = set(records.ids(records.missing)) if vector else None
    found = _brought(collection, mark, lacking, vector)
    if not vector and _were_applied(collection, len(found)):
        return {}
    if not vector:
        found = {name: seq for name, seq in found.items() if not is_record(collection, name)}
    return found if found and min(found.values()) > _applied(collection, found, vector) else {}


def _were_applied(collection: Collection, writes: int) -> bool:
    """True where metadata of as many newer rows as there are `writes` is left: they were applied, and deleted by hand
    since.
    """
    if not collection.database.tables >= {"embedding_metadata", "embeddings"}:
        return False
    left = collection.database.rows(
        "SELECT count(DISTINCT id) FROM embedding_metadata WHERE id > (SELECT coalesce(max(id), -1) FROM embeddings)"
    )
    return not isinstance(left, Absent) and left[0][0] >= max(1, writes)


def is_record(collection: Collection, name: str) -> bool:
    """True where SQLite holds a record of that id; a look into an index, since few are asked for."""
    if not isinstance(name, str) or not name.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance]
        return _is_listed(collection, name)
    sql = "SELECT 1 FROM embeddings WHERE segment_id = ? AND embedding_id = ?"
    found = collection.database.rows(sql, (collection.metadata_segment_id, name))
    return isinstance(found, Absent) or bool(found)


def _is_listed(collection: Collection, name: object) -> bool:
    """The same for a cell that is no sound text: SQLite may not be asked for it."""
    rows = collection.rows
    return isinstance(rows, Absent) or name in rows.ids


def _brought(collection: Collection, mark: int, only: set[str] | None, vector: bool) -> dict[str, int]:
    """id → seq_id of its last row up to the mark, where that row makes it (with a vector, if asked)."""
    sql = (
        "SELECT id, operation, seq_id, vector IS NOT NULL FROM embeddings_queue"
        " WHERE topic = ? AND seq_id <= ? ORDER BY seq_id"
    )
    found = collection.database.rows(sql, (collection.queue.topic, mark))
    if isinstance(found, Absent):
        return {}
    last = {row[0]: row for row in found if only is None or row[0] in only}
    kinds = (0, 2)  # an add or an upsert makes its id; an update alone proves nothing
    return {name: row[2] for name, row in last.items() if row[1] in kinds and (row[3] or not vector)}


def _applied(collection: Collection, lacking: dict[str, int], vector: bool) -> int:
    """The highest seq_id that was surely applied to the segment."""
    segment = collection.metadata_segment_id or ""
    if not vector:
        return newest_record(collection.database, segment)
    mapped = id_map_of(collection).id_to_label
    made = _made_by_add(collection, min(lacking.values()))
    settled = sorted(
        ((seq, name) for name, seq in made.items() if name in mapped and name not in lacking), reverse=True
    )
    return next((seq for seq, name in settled if _made_the_record(collection, name, seq)), 0)


def _made_the_record(collection: Collection, name: str, seq: int) -> bool:
    """False where the record is older than this `add` of it, which then changed nothing and proves nothing."""
    if not name.isprintable():
        return True
    sql = "SELECT seq_id FROM embeddings WHERE segment_id = ? AND embedding_id = ?"
    found = collection.database.rows(sql, (collection.metadata_segment_id, name))
    stored = None if isinstance(found, Absent) or not found else SeqId.decode(found[0][0]).value
    return stored is None or stored >= seq


def _made_by_add(collection: Collection, above: int) -> dict[str, int]:
    """id → seq_id of the `add` rows above a number: what they name was not there before."""
    sql = "SELECT id, seq_id FROM embeddings_queue WHERE topic = ? AND seq_id > ? AND operation = 0"
    mark = believable_marks(collection).get(VECTOR, 0)
    found = collection.database.rows(sql + " AND seq_id <= ?", (collection.queue.topic, above, mark))
    return {} if isinstance(found, Absent) else dict(found)  # pyright: ignore[reportArgumentType]
