"""The database as a file: its header and its length, read without SQLite."""

from __future__ import annotations

from pathlib import Path

from forensics.absent import Absent
from forensics.outside import in_child
from forensics.readers.database import DATABASE, has_journal
from forensics.readers.sqlite_header import SqliteHeader
from forensics.seal import header_of
from forensics.store import Store


def database_file(store: Store) -> Path | None:
    """The file to look at (the copy in scratch if a journal was rolled back); None without a database."""
    path = store.tree.resolve(DATABASE)
    if path.is_symlink() or not path.is_file() or not path.stat().st_size:
        return None
    rolled = store.scratch / "database" / DATABASE
    if not isinstance(store.database, Absent) and store.database.how == "copy":
        return rolled
    return rolled if has_journal(path) and rolled.is_file() else path


def raw_header(store: Store) -> bytes | None:
    """The first 100 bytes (fewer in a shorter file); None where there is no database or it cannot be read.

    Where a client of this very process has the database open a child reads them, or its locks would be lost.
    """
    path = database_file(store)
    if path is None:
        return None
    live = store.held_here and path == store.tree.resolve(DATABASE)
    try:
        text = in_child("seal", "header_of", str(path)) if live else header_of(str(path))
    except OSError:
        return None
    return bytes.fromhex(text)


def header(store: Store) -> SqliteHeader | None:
    """The header where it is one; None otherwise."""
    raw = raw_header(store)
    found = None if raw is None else SqliteHeader.from_bytes(raw)
    return None if found is None or found.problems() else found


def pages_lacking(store: Store) -> tuple[int, int, int] | None:
    """(pages lacking, pages needed, size in bytes) where the file is too short for its header; else None."""
    found, path = header(store), database_file(store)
    if found is None or path is None or found.pages_needed is None:
        return None
    size = path.stat().st_size
    lacking = found.pages_needed - size // found.page_size
    return (lacking, found.pages_needed, size) if lacking > 0 else None
