"""The database of a slice: the same schema, one collection, some of its records, and a queue that goes on
where it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from forensics.errors import Refused
from forensics.readers.embeddings_queue import DELETE
from forensics.store import Collection

FULLTEXT = "embedding_fulltext_search"
PLACEHOLDER = "forensics-slice-floor"
"""Id of the delete row that keeps the queue's highest seq_id where that row belonged to a record outside of
the slice.
"""
BATCH = 500
Row = tuple[Any, ...]


def write_slice_database(
    collection: Collection, path: Path, rowids: Sequence[int], ids: Sequence[str]
) -> None:
    """`path` is a new database that holds `collection` with the records of `rowids`, whose ids are `ids`.

    Watermarks stay as they are, and so does the highest seq_id of the queue, or later writes would vanish.
    """
    made = sqlite3.connect(path)
    try:
        _make_schema(collection, made)
        for table in _tables(collection):
            _copy_table(collection, made, table, rowids, ids)
        _fill_fulltext(made)
        made.commit()
    finally:
        made.close()


def _make_schema(collection: Collection, made: sqlite3.Connection) -> None:
    """Tables, the full-text table (which brings its own shadow tables), then indexes and triggers."""
    sql = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'table' DESC"
    for _, name, statement in _rows(collection, sql):
        if not name.startswith((f"{FULLTEXT}_", "sqlite_")):
            made.execute(statement)


def _tables(collection: Collection) -> list[str]:
    return sorted(name for name in collection.database.tables if not name.startswith((FULLTEXT, "sqlite_")))


def _copy_table(
    collection: Collection, made: sqlite3.Connection, table: str, rowids: Sequence[int], ids: Sequence[str]
) -> None:
    columns = sorted(collection.database.columns(table))
    names = ", ".join(f'"{name}"' for name in columns)
    rows = _chosen(collection, table, names, rowids, ids)
    made.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(columns))})', rows)


def _chosen(
    collection: Collection, table: str, names: str, rowids: Sequence[int], ids: Sequence[str]
) -> Iterator[Row]:
    """The rows of a table that belong into the slice."""
    segments = [row.id for scope in ("VECTOR", "METADATA") for row in collection.segment_rows(scope)]
    select = f'SELECT {names} FROM "{table}"'
    rules: dict[str, Callable[[], Iterator[Row]]] = {
        "collections": lambda: _among(collection, f"{select} WHERE id", [collection.id]),
        "collection_metadata": lambda: _among(collection, f"{select} WHERE collection_id", [collection.id]),
        "segments": lambda: _among(collection, f"{select} WHERE id", segments),
        "segment_metadata": lambda: _among(collection, f"{select} WHERE segment_id", segments),
        "max_seq_id": lambda: _among(collection, f"{select} WHERE segment_id", segments),
        "embeddings": lambda: _among(collection, f"{select} WHERE id", rowids),
        "embedding_metadata": lambda: _among(collection, f"{select} WHERE id", rowids),
        "embedding_metadata_array": lambda: _among(collection, f"{select} WHERE id", rowids),
        "embeddings_queue": lambda: _queue(collection, names, ids),
    }
    return rules[table]() if table in rules else iter(_rows(collection, select))


def _among(collection: Collection, head: str, values: Sequence[object]) -> Iterator[Row]:
    for start in range(0, len(values), BATCH):
        part = values[start : start + BATCH]
        yield from _rows(collection, f"{head} IN ({', '.join('?' * len(part))})", tuple(part))


def _queue(collection: Collection, names: str, ids: Sequence[str]) -> Iterator[Row]:
    """The rows of the collection and these ids in order; the highest seq_id of all stands at the end in any
    case.
    """
    topic, known = collection.queue.topic, set(ids)
    columns = [name.strip('"') for name in names.split(", ")]
    at = columns.index("id")
    sql = f"SELECT {names} FROM embeddings_queue WHERE topic = ? ORDER BY seq_id"
    kept = [row for row in _rows(collection, sql, (topic,)) if row[at] in known]
    yield from kept
    highest = _rows(collection, "SELECT max(seq_id) FROM embeddings_queue")[0][0]
    if isinstance(highest, int) and highest not in {row[columns.index("seq_id")] for row in kept}:
        floor = {"seq_id": highest, "operation": DELETE, "topic": topic, "id": PLACEHOLDER}
        floor["created_at"] = "2000-01-01 00:00:00"
        yield tuple(floor.get(name) for name in columns)


def _fill_fulltext(made: sqlite3.Connection) -> None:
    tables = {row[0] for row in made.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if FULLTEXT in tables:
        made.execute(
            f"INSERT INTO {FULLTEXT} (rowid, string_value) SELECT id, string_value FROM embedding_metadata"
            " WHERE key = 'chroma:document' AND string_value IS NOT NULL"
        )


def _rows(collection: Collection, sql: str, parameters: Row = ()) -> list[Row]:
    found = collection.database.rows(sql, parameters)
    if not isinstance(found, list):
        raise Refused(f"no slice can be cut: {found.reason}.")
    return found
