"""The full-text index and the documents: each made whole again from the other, and nothing lost between them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.full_text import CREATE, UNDOCUMENTED
from forensics.readers.full_text import NAME as FULL_TEXT
from forensics.repair.actions.work import Work

Report = dict[str, Json]
FILL_FULL_TEXT = (
    f"INSERT INTO main.{FULL_TEXT} (rowid, string_value) SELECT id, string_value FROM main.embedding_metadata"
    " WHERE key = 'chroma:document' AND string_value IS NOT NULL"
)


def restore_documents(work: Work) -> Report:
    """Each record of the collection whose text only the full-text index holds has its document again."""
    segment = work.site().collection.metadata_segment_id
    with work.database() as connection:
        done = connection.execute(
            "INSERT INTO embedding_metadata (id, key, string_value)"
            f" SELECT c.id, 'chroma:document', c.c0 FROM {UNDOCUMENTED}"
            " AND typeof(c.c0) = 'text' AND c.id IN (SELECT id FROM embeddings WHERE segment_id = ?)",
            (segment,),
        )
    if not done.rowcount:
        raise Refused("the full-text index holds no document that a record lacks.")
    return {"documents": done.rowcount}


def rebuild_full_text(work: Work) -> Report:
    """The full-text table holds exactly the documents of `embedding_metadata`, and its index agrees with
    them.
    """
    with work.database() as connection:
        kept = _keep_undocumented(work, connection)
        _drop_full_text(connection)
        connection.execute(CREATE)
        done = connection.execute(FILL_FULL_TEXT)
        return {"documents": done.rowcount, **kept}


def _keep_undocumented(work: Work, connection: sqlite3.Connection) -> Report:
    """The case has every text that only the full-text table holds, as JSON lines, up to the first page that cannot be
    read.
    """
    rows: list[tuple[int, str]] = []
    problem = None
    try:
        for row in connection.execute(f"SELECT c.id, c.c0 FROM {UNDOCUMENTED}"):
            rows.append(row)
    except sqlite3.Error as error:
        problem = str(error)
    if rows:
        work.keep_records("full-text-only", ({"rowid": row, "text": text} for row, text in rows))
    return {"kept_in_the_case": len(rows), "unread": problem}


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


FULL_TEXT_ACTIONS: dict[str, Callable[[Work], Report]] = {
    "rebuild-full-text": rebuild_full_text,
    "restore-documents": restore_documents,
}
