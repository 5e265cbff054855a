"""Readers of the user's own files: ids, and vectors and documents where a file has them. Nothing in them is executed.

.npz: arrays `ids` (n,), `vectors` (n, dim), `documents` (n,). .jsonl: an object per line. .parquet: columns. A table of
an SQLite file: columns, vectors as BLOBs of little-endian float32 or as JSON. `embedding` serves for `vector`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from forensics.errors import MissingPackage

ID_NAMES = ("id", "ids", "embedding_id")
VECTOR_NAMES = ("vector", "embedding", "vectors", "embeddings")
DOCUMENT_NAMES = ("document", "documents", "text")


@dataclass(frozen=True, slots=True)
class Given:
    """ids (n); vectors (n, dim) float32, rows of NaN where an id has none, dim 0 where no id has; documents (n) or ()."""

    ids: list[str]
    vectors: np.ndarray
    documents: Sequence[str | None]


def read_npz(path: Path) -> Given:
    """Raises KeyError without `ids`, ValueError for objects."""
    with np.load(path, allow_pickle=False) as arrays:
        ids = [str(name) for name in arrays[_named(arrays, ID_NAMES)].tolist()]
        vectors = next((arrays[name] for name in VECTOR_NAMES if name in arrays), None)
        texts = next((arrays[name].tolist() for name in DOCUMENT_NAMES if name in arrays), ())
    wide = np.empty((len(ids), 0)) if vectors is None else vectors
    return Given(ids, wide.astype(np.float32), [str(text) for text in texts])


def read_jsonl(path: Path) -> Given:
    """Raises KeyError for a line without an id."""
    with open(path, encoding="utf-8") as handle:
        return of_rows(json.loads(line) for line in handle if line.strip())


def read_parquet(path: Path) -> Given:
    """Raises KeyError without a column `id`."""
    try:
        import pandas as pd

        table = pd.read_parquet(path)
    except ImportError as error:
        raise MissingPackage("pyarrow", "reading Parquet") from error
    columns = [
        _named(table.columns, ID_NAMES),
        _find(table.columns, VECTOR_NAMES),
        _find(table.columns, DOCUMENT_NAMES),
    ]
    cells: list[list[Any]] = [
        [None] * len(table) if name is None else table[name].tolist() for name in columns
    ]
    ids, vectors, texts = cells
    named = (
        {"id": name, "vector": vector, "document": text if isinstance(text, str) else None}
        for name, vector, text in zip(ids, vectors, texts, strict=True)
    )
    return of_rows(named)


def read_sqlite(path: Path, table: str | None) -> Given:
    """A table of an SQLite file, opened for reading; the only one with ids where none is named. Raises ValueError."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
        names = [
            str(row[0])
            for row in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        ]
        tables = {name: _columns(database, name) for name in names}
        fitting = [name for name, columns in tables.items() if _find(columns, ID_NAMES)]
        if table is not None and table not in fitting:
            raise ValueError(f"it has no table {table!r} with a column id")
        if table is None and len(fitting) != 1:
            raise ValueError(f"{len(fitting)} of its tables have a column id; say which as {path.name}#TABLE")
        chosen = table or fitting[0]
        wanted = [
            _named(tables[chosen], ID_NAMES),
            *(_find(tables[chosen], n) for n in (VECTOR_NAMES, DOCUMENT_NAMES)),
        ]
        sql = ", ".join("NULL" if name is None else _quoted(name) for name in wanted)
        rows = database.execute(f"SELECT {sql} FROM {_quoted(chosen)}").fetchall()
    return of_rows({"id": row[0], "vector": _cell(row[1]), "document": row[2]} for row in rows)


def of_rows(rows: Iterable[Mapping[str, Any]]) -> Given:
    """Rows with an id, perhaps a vector, perhaps a document. Raises ValueError for vectors of several lengths."""
    ids, vectors, texts = list[str](), list[Any](), list[str | None]()
    for row in rows:
        ids.append(str(row[_named(row, ID_NAMES)]))
        vectors.append(row.get(_find(row, VECTOR_NAMES) or ""))
        text = row.get(_find(row, DOCUMENT_NAMES) or "")
        texts.append(text if isinstance(text, str) else None)
    return Given(ids, _stacked(vectors), texts)


def _stacked(vectors: Sequence[Any]) -> np.ndarray:
    """(n, dim) float32; NaN where there is none."""
    first = next((vector for vector in vectors if vector is not None), ())
    out = np.full((len(vectors), len(first)), np.nan, dtype=np.float32)
    for row, vector in enumerate(vectors):
        if vector is not None:
            if len(vector) != out.shape[1]:
                raise ValueError(f"vectors of {out.shape[1]} and of {len(vector)} components")
            out[row] = vector
    return out


def _cell(value: object) -> Any:
    if isinstance(value, bytes):
        return np.frombuffer(value, dtype="<f4")
    return json.loads(value) if isinstance(value, str) else None


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in database.execute(f"PRAGMA table_info({_quoted(table)})")]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _find(there: Iterable[str], names: Sequence[str]) -> str | None:
    known = set(there)
    return next((name for name in names if name in known), None)


def _named(there: Iterable[str], names: Sequence[str]) -> str:
    found = _find(there, names)
    if found is None:
        raise KeyError(names[0])
    return found
