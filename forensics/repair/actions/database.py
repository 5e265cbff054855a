"""Repairs of the database file itself: journal, full-text index, types, dimensions, rows that belong to
nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.database import DATABASE, SeqId
from forensics.repair.actions.work import Work

Report = dict[str, Json]
FULL_TEXT = "embedding_fulltext_search"
CREATE_FULL_TEXT = f"CREATE VIRTUAL TABLE {FULL_TEXT} USING fts5(string_value, tokenize='trigram')"
"""As metadb migration 3 makes it."""


def settle_journal(work: Work) -> Report:
    """The unfinished transaction is rolled back in the draft's copy, and no journal stands beside it."""
    with work.database() as connection:
        return {"tables": connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]}


def rebuild_indexes(work: Work) -> Report:
    """Every index b-tree is built anew from the rows."""
    with work.database() as connection:
        connection.execute("REINDEX")
    return {}


def rebuild_full_text(work: Work) -> Report:
    """The full-text table holds exactly the documents of `embedding_metadata`, and its index agrees with
    them.
    """
    with work.database() as connection:
        _drop_full_text(connection)
        connection.execute(CREATE_FULL_TEXT)
        done = connection.execute(
            f"INSERT INTO {FULL_TEXT} (rowid, string_value) SELECT id, string_value FROM embedding_metadata"
            " WHERE key = 'chroma:document' AND string_value IS NOT NULL"
        )
        return {"documents": done.rowcount}


def _drop_full_text(connection: sqlite3.Connection) -> None:
    """Without the table and whatever shadow tables are left of it, sound or not."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if FULL_TEXT in names:
        try:
            connection.execute(f"DROP TABLE {FULL_TEXT}")
            return
        except sqlite3.Error:
            _forget(connection, FULL_TEXT)
    for name in names:
        if name.startswith(f"{FULL_TEXT}_"):
            connection.execute(f"DROP TABLE IF EXISTS {name}")


def _forget(connection: sqlite3.Connection, table: str) -> None:
    """The schema no longer names a virtual table whose shadow tables are too damaged for DROP."""
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("DELETE FROM sqlite_master WHERE name = ?", (table,))
    connection.execute("PRAGMA writable_schema = RESET")


def convert_sequence_ids(work: Work) -> Report:
    """Every max_seq_id is an integer, as metadb migration 5 makes it."""
    if not work.store.is_modern:
        raise Refused("the migrations of this store keep max_seq_id as BLOBs.")
    with work.database() as connection:
        rows = connection.execute(
            "SELECT segment_id, seq_id FROM max_seq_id WHERE typeof(seq_id) != 'integer'"
        ).fetchall()
        values = [(SeqId.decode(cell).value, segment) for segment, cell in rows]
        if any(value is None for value, _ in values):
            raise Refused("a max_seq_id cannot be decoded.")
        connection.executemany("UPDATE max_seq_id SET seq_id = ? WHERE segment_id = ?", values)
    return {"rows": len(values)}


def set_dimension(work: Work) -> Report:
    """collections.dimension is that of the index."""
    site = work.site()
    if site.header is None:
        raise Refused("without a sound header the dimension is not known.")
    with work.database() as connection:
        connection.execute(
            "UPDATE collections SET dimension = ? WHERE id = ?", (site.header.dim, site.collection.id)
        )
    return {"from": site.collection.dimension, "to": site.header.dim}


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
    "rebuild-full-text": rebuild_full_text,
    "convert-sequence-ids": convert_sequence_ids,
    "set-dimension": set_dimension,
    "quarantine-orphan-rows": quarantine_orphan_rows,
    "remove-directories": remove_directories,
    "vacuum": vacuum,
}
