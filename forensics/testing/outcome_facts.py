"""Plain facts of a store before and after a repair: rows by SQL, vectors by their bytes, hashes. No reader, no check."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from forensics.testing.damage_folder import DATABASE
from forensics.testing.index import Index
from forensics.testing.living_on import Truth
from forensics.testing.packing import data_extents

LARGEST = 1 << 28
DOCUMENT = "chroma:document"
VALUES = "coalesce(string_value, int_value, float_value)"
ONE_STEP = 4e-7
"""What normalising in another order of additions may change in a component of a unit vector."""
Rows = dict[str, tuple[int, str | None, dict[str, Any]]]
"""id → (number of its row, document, metadata)."""


def copied(store: Path, target: Path) -> Path:
    """A copy with its links and pipes as they are."""
    shutil.copytree(store, target, symlinks=True, copy_function=_entry)
    return target


def _entry(source: str, target: str) -> None:
    if stat.S_ISFIFO(os.lstat(source).st_mode):
        os.mkfifo(target)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


@contextmanager
def database_of(store: Path) -> Generator[sqlite3.Connection]:
    """A copy of the database, with its journal rolled back; sqlite3.Error where it is none."""
    with TemporaryDirectory() as folder:
        for name in (DATABASE, f"{DATABASE}-journal"):
            if (store / name).is_file():
                shutil.copyfile(store / name, Path(folder) / name)
        with closing(sqlite3.connect(Path(folder) / DATABASE)) as database:
            yield database


def segments_of(store: Path, name: str) -> dict[str, str]:
    """scope → id, of one collection of a healthy store; `collection` is its own."""
    sql = "SELECT s.scope, s.id, c.id FROM segments s JOIN collections c ON c.id = s.collection WHERE c.name = ?"
    with database_of(store) as database:
        rows = database.execute(sql, (name,)).fetchall()
    return {scope: id for scope, id, _ in rows} | {"collection": rows[0][2]}


def segments_now(store: Path, segments: Mapping[str, str]) -> dict[str, str]:
    """The same of a repaired store, by the vector segment's directory, and the `name` that the collection has there."""
    sql = (
        "SELECT m.id, c.id, c.name FROM segments v JOIN collections c ON c.id = v.collection"
        " JOIN segments m ON m.collection = c.id AND m.scope = 'METADATA' WHERE v.id = ?"
    )
    try:
        with database_of(store) as database:
            found = database.execute(sql, (segments["VECTOR"],)).fetchone()
    except sqlite3.Error:
        found = None
    return (
        dict(segments)
        if found is None
        else {**segments, **dict(zip(("METADATA", "collection", "name"), found, strict=True))}
    )


def rows_of(store: Path, segments: Mapping[str, str]) -> Rows | None:
    """The records of a collection as the METADATA segment will show them; None where SQLite does not give them."""
    try:
        with database_of(store) as database:
            if database.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                return None
            return _pending(database, segments, _rows(database, segments["METADATA"]))
    except sqlite3.Error:
        return None


def _rows(database: sqlite3.Connection, segment: str) -> Rows:
    names = database.execute(
        "SELECT id, embedding_id FROM embeddings WHERE segment_id = ? ORDER BY id", (segment,)
    ).fetchall()
    found: dict[int, dict[str, Any]] = {row: {} for row, _ in names}
    sql = f"SELECT id, key, {VALUES}, bool_value FROM embedding_metadata"
    for row, key, value, flag in database.execute(sql):
        if row in found:
            found[row][key] = bool(flag) if flag is not None else value
    return {name: (row, found[row].pop(DOCUMENT, None), found[row]) for row, name in names}


def _pending(database: sqlite3.Connection, segments: Mapping[str, str], rows: Rows) -> Rows:
    """What the queue will do to them: adds that are not there yet, updates, deletes."""
    sql = "SELECT seq_id FROM max_seq_id WHERE segment_id = ?"
    mark = (database.execute(sql, (segments["METADATA"],)).fetchone() or (0,))[0]
    mark = int.from_bytes(mark, "big") if isinstance(mark, bytes) else mark
    sql = "SELECT operation, id, metadata FROM embeddings_queue WHERE seq_id > ? AND topic LIKE ? ORDER BY seq_id"
    for operation, name, text in database.execute(sql, (mark, f"%{segments['collection']}")):
        if operation == 3:
            rows.pop(name, None)
        elif (name in rows) == (operation == 1) or operation == 2:
            _, document, metadata = rows.get(name, (-1, None, {}))
            given = json.loads(text or "{}")
            rows[name] = (-1, given.pop(DOCUMENT, document), metadata | given)
    return rows


# --- vectors ---


@dataclass(frozen=True, slots=True)
class Held:
    """Where a healthy store has each vector of a collection: id → (file, offset, bytes), in level 0 and in the queue."""

    places: dict[str, list[tuple[Path, int, bytes]]]

    @classmethod
    def of(cls, store: Path, truth: Truth) -> Held:
        """Each found by its bytes in the file: in a cosine index those of the normalised vector that it has."""
        index = Index(store)
        files = {path: path.read_bytes() for path in (index.path("data_level0.bin"), store / DATABASE)}
        level0, queue = index.vectors(), queued(store)
        places: dict[str, list[tuple[Path, int, bytes]]] = {}
        for id in truth.vectors:
            wanted = zip(files, (level0.get(id), queue.get(id)), strict=True)
            found = [(path, vector.tobytes()) for path, vector in wanted if vector is not None]
            places[id] = [(path.relative_to(store), files[path].find(raw), raw) for path, raw in found]
        return cls(places)

    def still(self, struck: Path) -> set[str]:
        """The ids whose vector is still in the struck store, in any file; in a database that can be read, in a row."""
        files = {path.relative_to(struck): _data(path) for path in struck.rglob("*") if path.is_file()}
        rows = _queue(struck)
        if rows is not None:
            files[Path(DATABASE)] = b"".join(raw for _, raw in rows)
        return {id for id, places in self.places.items() if any(_there(files, *place) for place in places)}


def _there(files: Mapping[Path, bytes], path: Path, offset: int, raw: bytes) -> bool:
    if files.get(path, b"")[offset : offset + len(raw)] == raw:
        return True
    return any(
        raw in data for name, data in files.items() if (name.name == DATABASE) == (path.name == DATABASE)
    )


def _data(path: Path) -> bytes:
    """The file without its holes; nothing of what is no file."""
    if path.is_symlink() or not path.is_file():
        return b""
    with path.open("rb") as file:
        return b"".join(os.pread(file.fileno(), min(size, LARGEST), at) for at, size in data_extents(path))


def _queue(store: Path) -> list[tuple[str, bytes]] | None:
    """(id, vector) of every row of the queue that has one, oldest first; None where SQLite does not give them."""
    sql = "SELECT id, vector FROM embeddings_queue WHERE vector IS NOT NULL AND operation < 3 ORDER BY seq_id"
    try:
        with database_of(store) as database:
            return database.execute(sql).fetchall()
    except sqlite3.Error:
        return None


def queued(store: Path) -> dict[str, np.ndarray]:
    """id → the newest vector that the queue has of it, as it was given; empty where there is no queue."""
    return {id: np.frombuffer(raw, dtype="<f4") for id, raw in _queue(store) or () if len(raw) % 4 == 0}


def back(store: Path, truth: Truth, segments: Mapping[str, str]) -> set[str]:
    """The ids that the store gives their true vector: by id map and level 0, or by a queue row."""
    right = {id for id, vector in queued(store).items() if _is(truth, id, vector, "l2")}
    stored = mapped(store, segments)
    return right | {id for id, vector in stored.items() if _is(truth, id, vector, truth.space)}


def mapped(store: Path, segments: Mapping[str, str]) -> dict[str, np.ndarray]:
    """id → its vector in level 0, of every id of the id map; empty where there is no map, or no database."""
    if not (store / DATABASE).is_file():
        return {}
    try:
        index = Index(store)
        index.directory = store / segments["VECTOR"]
        return index.vectors()
    except (ValueError, OSError, KeyError, sqlite3.Error):
        return {}


def norms_of(store: Path, segments: Mapping[str, str]) -> dict[str, float]:
    """id → what length.bin says of it; for an index that has its id map."""
    index = Index(store)
    index.directory = store / segments["VECTOR"]
    norms = np.fromfile(index.path("length.bin"), dtype="<f4")
    with index.id_map() as id_map, index.level0() as level0:
        place = dict(zip(level0["label"].tolist(), range(len(level0)), strict=True))
        return {
            id: float(norms[place[label]]) for id, label in id_map["id_to_label"].items() if label in place
        }


def set_aside(case: Path) -> set[str]:
    """The ids of the records that the case keeps instead of the store."""
    lines = (
        line
        for path in case.glob("evidence/*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    found = (json.loads(line) for line in lines)
    return {str(line["id"]) for line in found if "id" in line}


def _is(truth: Truth, id: str, vector: np.ndarray, space: str) -> bool:
    """Bit for bit the one that was given; in a cosine index its normalised form, to one step of float32."""
    given = truth.vectors.get(id)
    if given is None or given.shape != vector.shape or space != "cosine":
        return given is not None and np.array_equal(vector, given)
    unit = given.astype(np.float64) / max(float(np.linalg.norm(given.astype(np.float64))), 1e-30)
    return bool((np.abs(vector - unit) <= ONE_STEP).all())


# --- hashes ---


def collection_hash(store: Path, segments: Mapping[str, str]) -> str | None:
    """One hash of all that belongs to a collection: its directory's files and its rows; None where rows cannot be read."""
    digest = hashlib.sha256()
    for path in sorted((store / segments["VECTOR"]).glob("*")):
        digest.update(f"{path.name} {path.stat().st_size} {path.stat().st_mode:o}\n".encode() + _data(path))
    try:
        with database_of(store) as database:
            for row in _all_rows(database, segments):
                digest.update(repr(row).encode())
    except sqlite3.Error:
        return None
    return digest.hexdigest()


def _all_rows(database: sqlite3.Connection, segments: Mapping[str, str]) -> Iterator[Any]:
    collection, vector, metadata = (segments[name] for name in ("collection", "VECTOR", "METADATA"))
    of_rows = "id IN (SELECT id FROM embeddings WHERE segment_id = ?)"
    for table, where, value in (
        ("collections", "id = ?", collection),
        ("collection_metadata", "collection_id = ?", collection),
        ("segments", "collection = ?", collection),
        ("segment_metadata", "segment_id = ?", vector),
        ("max_seq_id", "segment_id = ?", vector),
        ("max_seq_id", "segment_id = ?", metadata),
        ("embeddings", "segment_id = ?", metadata),
        ("embedding_metadata", of_rows, metadata),
        ("embeddings_queue", "topic LIKE '%' || ?", collection),
    ):
        yield from sorted(database.execute(f"SELECT * FROM {table} WHERE {where}", (value,)), key=repr)
