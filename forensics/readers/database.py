"""chroma.sqlite3 as typed rows and numpy columns, for every schema from 0.4 to 1.5.

Opened so that nothing is written: immutable where nobody has it open, read-only (locks honoured) where somebody has,
and as a copy in scratch where a journal is left beside it or a client of this very process has it open. A damaged
table is an `Absent`, never an exception.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import numpy as np

from forensics.absent import Absent, NotApplicable, NotAvailable, Unparsable, Unreadable
from forensics.handles import is_written_here
from forensics.outside import in_child
from forensics.readers.bulk import collector_paused
from forensics.readers.record_rows import MetadataRows, SeqId, read_rows, read_seq_ids
from forensics.readers.shelf import once

DATABASE = "chroma.sqlite3"
SIDE_FILES = ("-journal", "-wal", "-shm")
MAGIC = b"SQLite format 3\x00"
Value = TypeVar("Value")
How = Literal["immutable", "read-only", "copy"]


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A row of `collections`; columns that this schema does not have are None."""

    id: str
    name: str
    dimension: int | None
    database_id: str | None
    topic: str | None
    config_json_str: str | None
    schema_str: str | None


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A row of `segments`."""

    id: str
    type: str
    scope: str
    collection: str | None


@dataclass(frozen=True, slots=True)
class Migration:
    """A row of `migrations` without its SQL text."""

    dir: str
    version: int
    filename: str
    hash: str


def read_header(path: Path) -> bytes | Absent:
    """The first 100 bytes of the database file."""
    try:
        with open(path, "rb") as handle:
            return handle.read(100)
    except OSError as error:
        return Unreadable(f"{path.name}: {error.strerror}")


def has_journal(path: Path) -> bool:
    """True where a non-empty -journal or -wal stands beside the database."""
    sides = (path.with_name(path.name + suffix) for suffix in ("-journal", "-wal"))
    return any(side.is_file() and not side.is_symlink() and side.stat().st_size > 0 for side in sides)


class Database:
    """A read-only view of chroma.sqlite3. `how` says how it was opened, `opened` which file. Close it when done."""

    def __init__(self, path: Path, how: How, connection: sqlite3.Connection, opened: Path) -> None:
        self.path, self.how, self.connection, self.opened = path, how, connection, opened
        self._columns: dict[str, np.ndarray | Absent] = {}

    @classmethod
    def open(cls, path: Path, *, in_use: bool, scratch: Path, held_here: bool = False) -> Database | Absent:
        """Opens `path` without writing beside it. `scratch` takes a copy where a journal is left.

        `held_here`: a client of this process has it open; then a child makes the copy, or its locks would be lost.
        """
        if not path.is_file() or path.is_symlink():
            return NotAvailable(
                f"{path.name} is not a regular file" if path.exists() else f"{path.name} does not exist"
            )
        if path.stat().st_size == 0:
            return NotAvailable(f"{path.name} has 0 bytes")
        if held_here:
            return cls._of_child(path, scratch)
        if not in_use and not has_journal(path):
            return cls._connect(path, path, "immutable")
        found = cls._connect(path, path, "read-only") if in_use else None
        if found is None or (isinstance(found, Absent) and "readonly" in found.reason):  # a hot journal
            return cls._connect(path, _copied(path, scratch), "copy")
        return found

    @classmethod
    def _of_child(cls, path: Path, scratch: Path) -> Database | Absent:
        scratch.mkdir(parents=True, exist_ok=True)
        target = scratch / path.name
        target.unlink(missing_ok=True)
        failed = in_child("readers.backup", "backup", str(path), str(target))
        return _not_opened(path, failed) if failed else cls._connect(path, target, "copy")

    @classmethod
    def _connect(cls, path: Path, target: Path, how: How) -> Database | Absent:
        mode = {"immutable": "mode=ro&immutable=1", "read-only": "mode=ro", "copy": "mode=rw"}[how]
        try:
            connection = sqlite3.connect(f"file:{quote(os.fsencode(target))}?{mode}", uri=True, timeout=5)
            connection.execute("PRAGMA cell_size_check=ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            return _not_opened(path, str(error))
        return cls(path, how, connection, target)

    def close(self) -> None:
        """Closes it, unless a client of this process has opened it since: its locks would be lost. Then it stays."""
        if self.how != "copy" and is_written_here(self.path):
            _LEFT_OPEN.append(self.connection)
        else:
            self.connection.close()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]] | Absent:
        """All rows of a query, or why there are none. Text that is not UTF-8 comes back with surrogate escapes."""
        try:
            return self.connection.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if "UTF-8" not in str(error):
                return _sql_absent(error)
        except sqlite3.Error as error:
            return _sql_absent(error)
        return self._tolerant_rows(sql, parameters)

    def column(self, sql: str) -> np.ndarray | Absent:
        """(n,) int64: the integers in the first column of a query; asked of the database once."""
        if sql not in self._columns:
            found = self.rows(sql)
            self._columns[sql] = (
                found
                if isinstance(found, Absent)
                else np.fromiter((row[0] for row in found if isinstance(row[0], int)), dtype=np.int64)
            )
        return self._columns[sql]

    def _tolerant_rows(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | Absent:
        self.connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            return self.connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            return _sql_absent(error)
        finally:
            self.connection.text_factory = str

    def _once(self, kind: Hashable, read: Callable[[], Value]) -> Value:
        """What was read of this very file before, where nobody can write to it."""
        sides = (Path(f"{self.opened}{side}") for side in ("-journal", "-wal"))
        return read() if self.how != "immutable" else once(kind, self.opened, read, *sides)

    @cached_property
    def tables(self) -> frozenset[str]:
        """The names of all tables; empty where the schema cannot be read."""
        found = self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        return frozenset() if isinstance(found, Absent) else frozenset(row[0] for row in found)

    def columns(self, table: str) -> frozenset[str]:
        """The column names of a table of Chroma's; empty where there is no such table."""
        found = self.rows(f"PRAGMA table_info({table})") if table in self.tables else []
        return frozenset() if isinstance(found, Absent) else frozenset(row[1] for row in found)

    def _select(self, table: str, wanted: Sequence[str], order: str) -> list[tuple[Any, ...]] | Absent:
        """Rows of `wanted` columns, NULL for those that this schema lacks."""
        if table not in self.tables:
            return NotAvailable(f"table {table} does not exist")
        have = self.columns(table)
        return self.rows(
            f"SELECT {', '.join(c if c in have else 'NULL' for c in wanted)} FROM {table} ORDER BY {order}"
        )

    @cached_property
    def collections(self) -> tuple[CollectionRow, ...] | Absent:
        wanted = ("id", "name", "dimension", "database_id", "topic", "config_json_str", "schema_str")
        found = self._select("collections", wanted, "name, id")
        return found if isinstance(found, Absent) else tuple(CollectionRow(*row) for row in found)

    @cached_property
    def segments(self) -> tuple[SegmentRow, ...] | Absent:
        found = self._select("segments", ("id", "type", "scope", "collection"), "id")
        return found if isinstance(found, Absent) else tuple(SegmentRow(*row) for row in found)

    @cached_property
    def migrations(self) -> tuple[Migration, ...] | Absent:
        found = self._select("migrations", ("dir", "version", "filename", "hash"), "dir, version")
        return found if isinstance(found, Absent) else tuple(Migration(*row) for row in found)

    @cached_property
    def max_seq_ids(self) -> dict[str, SeqId] | Absent:
        """segment id → its watermark as stored."""
        found = self._select("max_seq_id", ("segment_id", "seq_id"), "segment_id")
        return found if isinstance(found, Absent) else {str(row[0]): SeqId.decode(row[1]) for row in found}

    def metadata_of(self, table: str, key: str, owner: str) -> dict[str, Any]:
        """The key/value rows of one collection or segment (`collection_metadata`, `segment_metadata`)."""
        columns = self.columns(table)
        kinds = [c for c in ("bool_value", "int_value", "float_value", "str_value") if c in columns]
        if not kinds:
            return {}
        found = self.rows(f"SELECT key, {', '.join(kinds)} FROM {table} WHERE {key} = ?", (owner,))
        if isinstance(found, Absent):
            return {}
        return {row[0]: next((value for value in row[1:] if value is not None), None) for row in found}

    def metadata_rows(self, segment: str) -> MetadataRows | Absent:
        """All ids of a METADATA segment with their rowids, in rowid order."""
        if "embeddings" not in self.tables:
            return NotAvailable("table embeddings does not exist")
        with collector_paused():
            return self._once(("rows", segment), lambda: read_rows(self, segment))

    def seq_ids(self, segment: str) -> np.ndarray | Absent:
        """(n,) int64 `embeddings.seq_id` in rowid order, decoded by the type of each cell; -1 = undecodable."""
        with collector_paused():
            return read_seq_ids(self, segment)

    def sequence_of(self, table: str) -> int | None:
        """SQLite's own last rowid of an AUTOINCREMENT table; None for Chroma's tables, which have none."""
        found = self.rows("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return None if isinstance(found, Absent) or not found else int(found[0][0])


_LEFT_OPEN: list[sqlite3.Connection] = []
"""Connections that must not be closed as long as this process lives."""


def _not_opened(path: Path, text: str) -> Absent:
    kind = Unreadable if "locked" in text else Unparsable
    return kind(f"{path.name}: {text}")


def _sql_absent(error: sqlite3.Error) -> Absent:
    text = str(error)
    return NotApplicable(text) if "no such column" in text else Unreadable(text)


def _copied(path: Path, scratch: Path) -> Path:
    """The database and its journal files, copied into `scratch`; there SQLite may roll back as it likes."""
    scratch.mkdir(parents=True, exist_ok=True)
    for suffix in ("", "-journal", "-wal"):
        side = path.with_name(path.name + suffix)
        if side.is_file() and not side.is_symlink():
            shutil.copyfile(side, scratch / side.name)
    return scratch / path.name
