"""The user's own source of ids, vectors and documents: a file, a table of an SQLite file, a collection over HTTP."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from forensics.errors import UsageError
from forensics.user_files import Given, read_jsonl, read_npz, read_parquet, read_sqlite
from forensics.user_http import collection_name, is_address, read_collection

READERS: dict[str, Callable[[Path], Given]] = {
    ".npz": read_npz,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}
DATABASES = (".sqlite", ".sqlite3", ".db")


@dataclass(frozen=True, slots=True)
class UserSource:
    """One source: id → row of `vectors` (n, dim) float32, which is NaN where the id has none, and of `documents`.

    dim is 0 where it holds no vectors; `documents` is empty where it holds none. Of an id that it names twice, the last
    row counts.
    """

    path: str
    rows: dict[str, int] = field(repr=False)
    vectors: np.ndarray = field(repr=False)
    documents: Sequence[str | None] = field(default=(), repr=False)

    @classmethod
    def load(cls, source: str | os.PathLike[str], *, vectors: bool = True) -> UserSource:
        """What a source holds. Raises UsageError where it is none of the known kinds, or holds no ids, or (with
        `vectors`) no vectors."""
        name = os.fspath(source)
        try:
            given = _read(name)
        except (OSError, ValueError, KeyError, TypeError, sqlite3.Error) as error:
            raise UsageError(f"{name} does not hold ids and vectors: {error}.") from error
        if given.vectors.ndim != 2 or len(given.ids) != len(given.vectors):
            raise UsageError(f"{name} has {len(given.ids)} ids and vectors of shape {given.vectors.shape}.")
        if vectors and not given.vectors.shape[1]:
            raise UsageError(f"{name} does not hold ids and vectors: it has no vectors.")
        if given.documents and len(given.documents) != len(given.ids):
            raise UsageError(f"{name} has {len(given.ids)} ids and {len(given.documents)} documents.")
        return cls(name, {each: row for row, each in enumerate(given.ids)}, given.vectors, given.documents)

    def take(self, ids: Sequence[str]) -> np.ndarray:
        """(k, dim) the vectors of these ids, all of which must be there."""
        return self.vectors[[self.rows[name] for name in ids]]


def _read(name: str) -> Given:
    if is_address(name):
        return read_collection(name)
    path, table = split(name)
    if path.suffix.lower() in DATABASES:
        return read_sqlite(path, table)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        kinds = ", ".join([*READERS, f"{DATABASES[0]}#TABLE", "http://HOST:PORT/COLLECTION"])
        raise UsageError(f"{name} is none of {kinds}; vectors cannot be read from it.")
    return reader(path)


def split(name: str) -> tuple[Path, str | None]:
    """(file, table): `records.sqlite#docs` is the table docs of records.sqlite, unless a file is called so."""
    head, mark, table = name.rpartition("#")
    if mark and table and not os.path.lexists(name) and head.lower().endswith(DATABASES):
        return Path(head), table
    return Path(name), None


def check_source(name: str) -> None:
    """Raises UsageError for a file that cannot be read or an address that names no collection. Contacts nobody."""
    if is_address(name):
        try:
            collection_name(name)
        except ValueError as error:
            raise UsageError(f"The source {name} is no collection: {error}.") from error
        return
    path, _ = split(name)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise UsageError(f"The source {name} is no file that can be read.")


def absolute(name: str) -> str:
    """The same source, wherever it is read from."""
    return name if is_address(name) else os.path.abspath(name)
