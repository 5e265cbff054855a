"""Palaces at size: stores in the shape that mempalace gives them, whose newest drawers are in SQLite alone.

The vectors are those that `embedder.py` makes of the documents, so that they can be embedded again. One index serves
stores with any number of missing vectors, since it is built of the first drawers only.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.embedder import DIMENSION, document, embed
from benchmarks.stores import Graph, build_index, created, fill_rows, set_aside, write_map

HOW = Graph("cosine", 16, 100, 2)
COLLECTION: dict[str, Any] = {
    "name": "mempalace_drawers",
    "metadata": {
        "hnsw:space": "cosine",
        "hnsw:num_threads": 1,
        "hnsw:batch_size": 100,
        "hnsw:sync_threshold": 1000,
    },
}
"""As mempalace creates it."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index of the first `count` drawers, and where it lies."""

    directory: Path
    count: int


def drawer(i: int) -> str:
    """The id of drawer `i`."""
    return f"drawer_bench_room{i % 20}_{blake2b(str(i).encode(), digest_size=12).hexdigest()}"


def row(i: int) -> dict[str, str]:
    """The document and the metadata of drawer `i`."""
    place = {"wing": "bench", "room": f"room{i % 20}", "source_file": f"/notes/{i // 50:06d}.md"}
    return {"chroma:document": document(i), **place, "added_by": "mempalace"}


def vectors_of(start: int, stop: int) -> np.ndarray:
    """(stop - start, 384) float32, as the embedder gives them."""
    return embed([document(i) for i in range(start, stop)])


def index_of(folder: Path, count: int, threads: int = 2) -> Index:
    """The index of the first `count` drawers in `folder`, which is built where it is not there."""
    directory = folder / f"index-{count}" / "segment"
    if not (directory / "header.bin").exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        build_index(directory, vectors_of(0, count), HOW._replace(threads=threads))
    return Index(directory, count)


def palace(
    path: Path, index: Index, missing: int, *, aside: bool = True, python: str = sys.executable
) -> Path:
    """A store of `index.count + missing` drawers at `path`, of which that index holds the first, by the release of
    `python`. The vectors of the others lie in a directory that was set aside; without `aside` only in their documents."""
    n = index.count + missing
    database, segments = created(path, DIMENSION, python, **COLLECTION)
    ids = [drawer(i) for i in range(n)]
    fill_rows(database, segments, ids, row)
    _delete_last(database, n + 1)
    database.close()
    live = path / segments["VECTOR"]
    shutil.rmtree(live, ignore_errors=True)
    shutil.copytree(index.directory, live)
    write_map(live / "index_metadata.pickle", ids[: index.count])
    if missing and aside:
        set_aside(live, ids[index.count :], vectors_of(index.count, n), HOW)
    return path


def _delete_last(database: sqlite3.Connection, seq_id: int) -> None:
    """The last write was a delete, which is applied; a purge has left its row in the queue, and no other."""
    gone = drawer(-1)
    database.execute("DELETE FROM embeddings_queue WHERE seq_id < (SELECT max(seq_id) FROM embeddings_queue)")
    told = "seq_id = ?, operation = 3, id = ?, vector = NULL, encoding = NULL, metadata = NULL"
    database.execute(f"UPDATE embeddings_queue SET {told}", (seq_id, gone))
    database.execute("UPDATE max_seq_id SET seq_id = ?", (seq_id,))
    database.commit()
