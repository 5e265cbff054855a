"""Queue rows that both segments have applied, taken out of the queue; what the repaired index does not hold stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.embeddings_queue import DELETE, QueueRow
from forensics.repair.actions.work import Work
from forensics.repair.site import Site
from forensics.repair.watermarks import applied_by_both
from forensics.sources import QUEUE, fetch, find_sources

Report = dict[str, Json]
ROUNDED = 4e-7
"""How far a vector that was normalised again may be from the stored one."""
NO_RECORD = "SQLite has no such record"


def purge_queue(work: Work) -> Report:
    """The queue is without rows below both watermarks whose effect is in both segments, vectors bit for bit.

    The rows of any other id stay, as does the last row of the queue, which keeps numbers rising; the case lists the
    ids that stay, each with its reason.
    """
    site = work.site()
    low = applied_by_both(site.collection)
    found = site.collection.queue.rows()
    if isinstance(found, Absent):
        raise Refused(found.reason)
    rows = [row for row in found if row.seq_id < low]
    kept = dict(_not_held(site, rows, [row for row in found if row.seq_id >= low], low))
    if "CF213" in work.action.codes:  # what is left of deleted records is to go
        kept = {name: why for name, why in kept.items() if why != NO_RECORD or name in site.mapping}
    work.keep_rows("queue-rows-kept", ("id", "reason"), sorted(kept.items()))
    with work.database() as connection:
        deleted = _deleted(connection, site.collection.queue.topic, low, kept)
    return {"rows": deleted, "below": low, "kept": sum(row.id in kept for row in rows), "ids_kept": len(kept)}


def _deleted(connection: sqlite3.Connection, topic: str, low: int, kept: Iterable[str]) -> int:
    connection.execute("CREATE TEMP TABLE kept (id TEXT PRIMARY KEY)")
    connection.executemany("INSERT INTO kept VALUES (?)", [(name,) for name in kept])
    sql = (
        "DELETE FROM embeddings_queue WHERE topic = ? AND seq_id < ? AND id NOT IN (SELECT id FROM temp.kept)"
        " AND seq_id < (SELECT max(seq_id) FROM embeddings_queue)"
    )
    return connection.execute(sql, (topic, low)).rowcount


def _not_held(site: Site, rows: list[QueueRow], later: list[QueueRow], low: int) -> Iterator[tuple[str, str]]:
    """(id, why) of each id of `rows` whose newest state the two segments do not both hold; `later` rows stay anyway."""
    newest = {row.id: row for row in rows}
    records = site.records
    if records is None:
        yield from ((name, "the records cannot be read") for name in newest)
        return
    there = {name: i for i, name in enumerate(records.rows.ids)}
    superseded = {row.id for row in later if row.vector_bytes is not None or row.operation == DELETE}
    said_again = {row.id for row in later}
    for name in newest.keys() - said_again:
        reason = _of_metadata(site, there, name, newest[name])
        if reason:
            yield name, reason
    yield from _of_vectors(site, [name for name in newest if name in there and name not in superseded], low)


def _of_metadata(site: Site, there: dict[str, int], name: str, row: QueueRow) -> str:
    """Why the METADATA segment does not hold what the row says; empty where it does."""
    if name not in there:
        if row.operation == DELETE:
            return "the id map still has it" if name in site.mapping else ""
        return NO_RECORD
    return "" if row.operation != DELETE else "SQLite still has the record"


def _of_vectors(site: Site, ids: list[str], low: int) -> Iterator[tuple[str, str]]:
    """(id, why) of records whose newest effective vector is in a row below `low` and not in level 0."""
    records, files = site.records, site.files
    sources = find_sources(site.collection, ids)
    queued = np.flatnonzero((sources.kind == QUEUE) & (sources.ref < low))
    if not queued.size or records is None:
        return
    place = {name: i for i, name in enumerate(records.rows.ids)}
    at = np.array([place[ids[i]] for i in queued.tolist()], dtype=np.int64)
    elements = np.where(records.indexed, records.elements, -1)[at]
    held = elements >= 0 if files is not None else np.zeros(len(elements), dtype=bool)
    for i in queued[~held].tolist():
        yield ids[i], "the index has no vector of it"
    if files is None or not held.any():
        return
    wanted = fetch(site.collection, sources, queued[held]).stored
    tolerance = ROUNDED if site.collection.settings.space == "cosine" else 0.0
    away = np.abs(files.vectors(elements[held]) - wanted).max(axis=1, initial=0.0)
    for i in queued[held][~(away <= tolerance)].tolist():
        yield ids[i], "the index has another vector"


PURGING: dict[str, Callable[[Work], Report]] = {"purge-queue": purge_queue}
