"""Do two stores hold the same? Their entries byte by byte; a database whose bytes differ by its schema and its rows."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from forensics.readers.database import DATABASE
from forensics.seal import Entry, seal

NOT_ROWS = ("integrity_check", "freelist_count", "page_count", "user_version")
"""What a database tells beside its rows."""


def content(store: Path) -> dict[str, tuple[Any, ...]]:
    """path → kind, mode, length, SHA-256 and target of every entry; a target inside the store is relative to it."""
    root = os.path.realpath(store)
    return {entry.path: _facts(entry, root) for entry in seal(store).entries}


def _facts(entry: Entry, root: str) -> tuple[Any, ...]:
    target = (entry.target or "").replace(root, "").replace(str(Path(root)), "")
    size = 0 if entry.kind == "directory" else entry.size
    return entry.kind, entry.mode, size, entry.sha256, target


def holds_the_same(one: Path, other: Path) -> bool:
    """True where nothing on disk tells the stores apart; what SQLite has given up and not overwritten is not looked at."""
    left, right = content(one), content(other)
    if left.keys() != right.keys():
        return False
    differing = [path for path in left if left[path] != right[path]]
    if differing != [DATABASE]:
        return not differing
    told = _told(one / DATABASE)
    return told is not None and told == _told(other / DATABASE)


def _told(path: Path) -> list[Any] | None:
    """Schema, rows and free pages of a database; None where SQLite cannot read it to its end."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
            database.text_factory = bytes
            return [*_rows(database), *(database.execute(f"PRAGMA {name}").fetchall() for name in NOT_ROWS)]
    except sqlite3.Error:
        return None


def _rows(database: sqlite3.Connection) -> list[Any]:
    schema = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
    plain = [
        row[1].decode() for row in schema if row[0] == b"table" and not row[3].startswith(b"CREATE VIRTUAL")
    ]
    return [schema, *(database.execute(f'SELECT * FROM "{name}"').fetchall() for name in plain)]
