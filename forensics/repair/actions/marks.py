"""Watermarks and the queue: every position true, none above what the queue can still count to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import count

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.database import SeqId
from forensics.readers.embeddings_queue import DELETE, topic_of
from forensics.readers.id_map import IdMap
from forensics.repair.actions.work import Work
from forensics.repair.site import Site
from forensics.repair.watermarks import Target
from forensics.store import Collection, Store

Report = dict[str, Json]
FLOOR_ID = "chroma-forensics-queue-floor"


def stored_form(store: Store, value: int) -> int | bytes:
    """A seq_id as the migrations of this store say: an integer after metadb 5, else 8 bytes big-endian."""
    return value if store.is_modern else value.to_bytes(8, "big")


def set_watermark(work: Work, site: Site, segment_id: str, value: int) -> None:
    """max_seq_id has one row for that segment, with that value in the store's own form. Never 0."""
    if value < 1:
        raise Refused("a watermark of 0 is taken for none; it is never written.")
    with work.database() as connection:
        connection.execute("DELETE FROM max_seq_id WHERE segment_id = ?", (segment_id,))
        cell = stored_form(site.collection.store, value)
        connection.execute("INSERT INTO max_seq_id (segment_id, seq_id) VALUES (?, ?)", (segment_id, cell))


def restore_watermark(work: Work) -> Report:
    """The watermark of the segment that the action names is its true position."""
    site, scope = work.site(), str(work.action.parameters["segment"])
    target = site.watermarks.metadata if scope == "metadata" else site.watermarks.vector
    segment_id = (
        site.collection.metadata_segment_id if scope == "metadata" else site.collection.vector_segment_id
    )
    if target.change != "restore" or target.value is None or segment_id is None:
        raise Refused(f"the {scope} watermark of {site.collection.name} is not what the plan found.")
    set_watermark(work, site, segment_id, target.value)
    return {"segment": scope, "to": target.value, "why": target.why}


def insert_watermark(work: Work) -> Report:
    """max_seq_id also has the watermark that only the id map held."""
    site = work.site()
    target: Target = site.watermarks.vector
    if target.change != "insert" or target.value is None or site.collection.vector_segment_id is None:
        raise Refused(f"{site.collection.name} has no watermark that only its id map holds.")
    set_watermark(work, site, site.collection.vector_segment_id, target.value)
    return {"to": target.value}


def remove_watermark(work: Work) -> Report:
    """max_seq_id has no row for a vector segment that holds nothing."""
    site = work.site()
    if site.has_vectors and isinstance(site.id_map, IdMap):
        raise Refused("the segment holds an index; its watermark stays.")
    with work.database() as connection:
        done = connection.execute(
            "DELETE FROM max_seq_id WHERE segment_id = ?", (site.collection.vector_segment_id,)
        )
        return {"removed": done.rowcount}


def put_queue_floor(work: Work) -> Report:
    """The highest seq_id of the queue is at or above every watermark: one delete of an id that nobody has."""
    highest = highest_watermark(work.store)
    owner = _owner_of_highest(work.store, highest)
    if owner is None:
        raise Refused("no watermark is above the queue.")
    with work.database() as connection:
        top = connection.execute("SELECT coalesce(max(seq_id), 0) FROM embeddings_queue").fetchone()[0]
        if top >= highest:
            return {"rows": 0}
        name = _unused_id(connection, owner)
        connection.execute(
            "INSERT INTO embeddings_queue"
            " (seq_id, created_at, operation, topic, id, vector, encoding, metadata)"
            " VALUES (?, ?, ?, ?, ?, NULL, NULL, ?)",
            (
                highest,
                _created_at(work),
                DELETE,
                topic_of(owner.id),
                name,
                "{}" if work.store.is_modern else None,
            ),
        )
    return {"seq_id": highest, "id": name}


def _created_at(work: Work) -> str:
    """The case's own time, in the form of SQLite's CURRENT_TIMESTAMP."""
    return work.context.case.created[:19].replace("T", " ")


def highest_watermark(store: Store) -> int:
    """The highest value that can be decoded of all watermarks of collections; 0 without any."""
    values = [cell.value for collection in store.collections for cell in _marks(collection)]
    return max((value for value in values if value is not None), default=0)


def _marks(collection: Collection) -> Iterator[SeqId]:
    for cell in (collection.metadata_watermark, collection.vector_watermark_row):
        if not isinstance(cell, Absent):
            yield cell


def _owner_of_highest(store: Store, highest: int) -> Collection | None:
    for collection in store.collections:
        if any(cell.value == highest for cell in _marks(collection)):
            return collection
    return None


def _unused_id(connection: sqlite3.Connection, owner: Collection) -> str:
    """An id that neither the collection nor the queue has."""
    known = set() if isinstance(owner.rows, Absent) else set(owner.rows.ids)
    known |= {row[0] for row in connection.execute("SELECT DISTINCT id FROM embeddings_queue")}
    return next(name for n in count() if (name := FLOOR_ID if n == 0 else f"{FLOOR_ID}-{n}") not in known)


def quarantine_queue_rows(work: Work) -> Report:
    """No pending row is left that no release can apply; they are in the case as JSON lines."""
    site = work.site()
    work.keep_records("quarantined", take_out(work, site.collection, site.blocking))
    return {"rows": len(site.blocking)}


def take_out(work: Work, owner: Collection, seq_ids: Iterable[int]) -> list[dict[str, Json]]:
    """The draft's queue is without these rows, and counts on as if they were there; returned, to be kept."""
    bad = [(seq_id,) for seq_id in sorted(seq_ids)]
    if not bad:
        return []
    with work.database() as connection:
        connection.row_factory = sqlite3.Row
        sql = "SELECT * FROM embeddings_queue WHERE seq_id = ?"
        rows = [dict(row) for each in bad for row in connection.execute(sql, each)]
        top = connection.execute("SELECT max(seq_id) FROM embeddings_queue").fetchone()[0]
        connection.executemany("DELETE FROM embeddings_queue WHERE seq_id = ?", bad)
        if (top,) in bad:
            _keep_counting(connection, work, owner, top)
    return [{"table": "embeddings_queue", "row": row} for row in rows]


def _keep_counting(connection: sqlite3.Connection, work: Work, owner: Collection, top: int) -> None:
    """The next row gets a number above `top`, as if its row were there: none is given twice."""
    name = _unused_id(connection, owner)
    connection.execute(
        "INSERT INTO embeddings_queue (seq_id, created_at, operation, topic, id, vector, encoding, metadata)"
        " VALUES (?, ?, ?, ?, ?, NULL, NULL, ?)",
        (top, _created_at(work), DELETE, topic_of(owner.id), name, "{}" if work.store.is_modern else None),
    )


def watermark_problems(store: Store) -> list[str]:
    """What of the rules for watermarks does not hold in a repaired store, in words; empty where all do."""
    found = (
        Absent("")
        if isinstance(store.database, Absent)
        else store.database.rows("SELECT max(seq_id) FROM embeddings_queue")
    )
    top = 0 if isinstance(found, Absent) or found[0][0] is None else int(found[0][0])
    out: list[str] = []
    for collection in store.collections:
        out += [f"{collection.name}: {problem}" for problem in _problems_of(collection, top)]
    return out


def skipping_problems(store: Store) -> list[str]:
    """Those of `watermark_problems` that no repair may leave: a 0 before 1.0, after which the queue is passed over."""
    if store.is_modern:
        return []
    return [text for text in watermark_problems(store) if text.endswith(" watermark is 0")]


def assert_watermarks(store: Store) -> None:
    """Raises Refused, with every reason, where a watermark of a repaired store breaks a rule."""
    problems = watermark_problems(store)
    if problems:
        raise Refused("the watermarks of the draft are not right: " + "; ".join(problems) + ".")


def _problems_of(collection: Collection, top: int) -> Iterator[str]:
    wanted = "integer" if collection.store.is_modern else "blob"
    for scope, cell in (
        ("metadata", collection.metadata_watermark),
        ("vector", collection.vector_watermark_row),
    ):
        if isinstance(cell, Absent):
            continue
        if not cell.value:
            yield f"the {scope} watermark is {cell.value}"
        elif cell.value > top:
            yield f"the {scope} watermark {cell.value} is above the queue's highest row {top}"
        if cell.stored != wanted:
            yield f"the {scope} watermark is stored as {cell.stored}, the migrations say {wanted}"
    if (
        isinstance(collection.id_map, IdMap)
        and isinstance(collection.vector_watermark_row, Absent)
        and not collection.id_map.max_seq_id
    ):
        yield "the id map has no watermark and max_seq_id has no row for it"


def purges_automatically(store: Store) -> bool | None:
    """What embeddings_queue_config says; None where it says nothing."""
    rows = (
        Absent("")
        if isinstance(store.database, Absent)
        else store.database.rows("SELECT config_json_str FROM embeddings_queue_config")
    )
    try:
        return (
            None
            if isinstance(rows, Absent) or not rows
            else bool(json.loads(rows[0][0]).get("automatically_purge"))
        )
    except (ValueError, AttributeError):
        return None


MARKS: dict[str, Callable[[Work], Report]] = {
    "restore-watermark": restore_watermark,
    "insert-watermark": insert_watermark,
    "remove-watermark": remove_watermark,
    "put-queue-floor": put_queue_floor,
    "quarantine-queue-rows": quarantine_queue_rows,
}
