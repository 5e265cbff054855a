"""Repairs of the database file itself: journal, types, dimensions, rows that belong to
nothing.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.database import DATABASE, SeqId
from forensics.repair.actions.full_text import FULL_TEXT
from forensics.repair.actions.work import Work
from forensics.repair.recovery.build import recover
from forensics.repair.recovery.ground import dialect_of

Report = dict[str, Json]


def settle_journal(work: Work) -> Report:
    """The unfinished transaction is rolled back in the draft's copy, and no journal stands beside it."""
    with work.database() as connection:
        return {"tables": connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]}


def rebuild_indexes(work: Work) -> Report:
    """Every index b-tree is built anew from the rows; where one is too damaged even for that, the whole file
    is.
    """
    try:
        with work.database() as connection:
            connection.execute("REINDEX")
        return {"how": "REINDEX"}
    except Refused:
        path, fresh = work.draft.copy_in(DATABASE), work.draft.scratch / "by-rows.sqlite3"
        fresh.unlink(missing_ok=True)
        recover(path, fresh, dialect_of(work.store))
        shutil.copyfile(fresh, path)
        fresh.unlink()
        return {"how": "rows copied"}


def convert_sequence_ids(work: Work) -> Report:
    """Every max_seq_id is stored as the migrations say: an integer after metadb 5, before it 8 bytes
    big-endian.
    """
    modern = work.store.is_modern
    with work.database() as connection:
        sql = "SELECT segment_id, seq_id FROM max_seq_id WHERE typeof(seq_id) != ?"
        rows = connection.execute(sql, ("integer" if modern else "blob",)).fetchall()
        values = {segment: SeqId.decode(cell).value for segment, cell in rows}
        if None in values.values():
            raise Refused("a max_seq_id cannot be decoded.")
        cells = [
            (value if modern else (value or 0).to_bytes(8, "big"), segment)
            for segment, value in values.items()
        ]
        connection.executemany("UPDATE max_seq_id SET seq_id = ? WHERE segment_id = ?", cells)
    return {"rows": len(values)}


def set_dimension(work: Work) -> Report:
    """collections.dimension is that of the index, or where there is none of all queued vectors."""
    site = work.site()
    dim = site.header.dim if site.header is not None else _queued_dimension(work)
    with work.database() as connection:
        connection.execute("UPDATE collections SET dimension = ? WHERE id = ?", (dim, site.collection.id))
    return {"from": site.collection.dimension, "to": dim}


def _queued_dimension(work: Work) -> int:
    rows = work.collection().queue.rows()
    sizes = set() if isinstance(rows, Absent) else {row.vector_bytes for row in rows if row.vector_bytes}
    if len(sizes) != 1:
        raise Refused("without a sound header the dimension is not known.")
    return sizes.pop() // 4


def quarantine_orphan_rows(work: Work) -> Report:
    """No row of `embeddings`, its metadata or max_seq_id belongs to nothing; they are in the case as JSON
    lines.
    """
    with work.database() as connection:
        connection.row_factory = sqlite3.Row
        queries = orphan_queries(connection)
        work.keep_records("quarantined", _orphans(connection, queries))
        return {
            table: connection.execute(f"DELETE FROM {table} {where}").rowcount for table, where in queries
        }


def orphan_queries(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(table, WHERE clause) of rows that belong to no segment or no record, children first."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    no_segment = "WHERE segment_id NOT IN (SELECT id FROM segments)"
    of_orphan = f"IN (SELECT id FROM embeddings {no_segment})"
    queries = [
        ("embedding_metadata_array", f"WHERE id {of_orphan} OR id NOT IN (SELECT id FROM embeddings)"),
        ("embedding_metadata", f"WHERE id {of_orphan} OR id NOT IN (SELECT id FROM embeddings)"),
        (FULL_TEXT, f"WHERE rowid {of_orphan} OR rowid NOT IN (SELECT id FROM embeddings)"),
        ("embeddings", no_segment),
        ("max_seq_id", no_segment),
    ]
    return [(table, where) for table, where in queries if table in tables]


def _orphans(connection: sqlite3.Connection, queries: list[tuple[str, str]]) -> Iterator[dict[str, Json]]:
    for table, where in queries:
        for row in connection.execute(f"SELECT rowid AS rowid_, * FROM {table} {where}"):
            yield {"table": table, "row": dict(row)}


def remove_directories(work: Work) -> Report:
    """Segment directories that no row names are gone from the store; the originals are kept."""
    removed = [segment.relative for segment in work.store.unreferenced]
    for relative in removed:
        work.draft.remove(relative)
    return {"removed": removed}


def vacuum(work: Work) -> Report:
    """The database file has no free pages and nothing of deleted rows in it."""
    connection = sqlite3.connect(work.draft.copy_in(DATABASE), isolation_level=None)
    try:
        connection.execute("VACUUM")
        return {"pages": connection.execute("PRAGMA page_count").fetchone()[0]}
    finally:
        connection.close()


DATABASE_ACTIONS: dict[str, Callable[[Work], Report]] = {
    "settle-journal": settle_journal,
    "rebuild-indexes": rebuild_indexes,
    "convert-sequence-ids": convert_sequence_ids,
    "set-dimension": set_dimension,
    "quarantine-orphan-rows": quarantine_orphan_rows,
    "remove-directories": remove_directories,
    "vacuum": vacuum,
}
