"""Stores at size, made as a release would have left them, in minutes instead of hours.

The catalogue, the settings and the first records are written by chromadb itself (in a child). The rest of the rows go
into the same tables, and the index is built by chroma-hnswlib, the code that every release before 1.0 runs and whose
files 1.x reads. What is measured is the reading, so that only shape and size of the files matter.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_CREATE = """
import sys, json, chromadb
from chromadb.config import Settings
path, dim, how = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
client = chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))
collection = client.create_collection(embedding_function=None, **how)
import random
random.seed(0)
n = 60
collection.add(ids=[f"first-{i}" for i in range(n)], documents=["a first record"] * n, metadatas=[{"kind": "first"}] * n,
               embeddings=[[random.gauss(0, 1) for _ in range(dim)] for _ in range(n)])
"""
_BUILD = """
import sys, json, hnswlib, numpy as np
request = json.loads(sys.argv[1])
vectors = np.load(request["vectors"], mmap_mode="r")
index = hnswlib.Index(request["space"], vectors.shape[1])
index.init_index(request["capacity"], M=request["M"], ef_construction=request["ef"], is_persistent_index=True,
                 persistence_location=request["directory"])
for start in range(0, request["count"], 50_000):
    stop = min(start + 50_000, request["count"])
    labels = np.arange(start + 1, stop + 1)
    index.add_items(np.ascontiguousarray(vectors[start:stop]), labels, num_threads=request["threads"])
index.persist_dirty()
index.close_file_handles()
"""


TRUE: dict[str, Any] = {"words": 46, "keys": 5}
"""Records in true proportions: a document of 400 characters and five metadata keys."""


class Graph(NamedTuple):
    """How an index is built."""

    space: str
    M: int
    ef: int
    threads: int


def vectors_of(n: int, dim: int, seed: int = 1) -> np.ndarray:
    """(n, dim) float32, clustered as embeddings are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, n // 500), dim)).astype(np.float32)
    return centres[rng.integers(0, len(centres), n)] + 0.5 * rng.standard_normal((n, dim), dtype=np.float32)


def build_store(
    path: Path,
    n: int,
    dim: int,
    *,
    missing: int = 0,
    space: str = "l2",
    ef: int = 100,
    M: int = 16,
    threads: int = 2,
    words: int = 6,
    keys: int = 1,
) -> Path:
    """A store of `n` records. The newest `missing` are not in the index, though the watermark says so, and the queue was
    purged: their vectors are in a directory that somebody set aside. `words` 0: no documents. Returns `path`."""
    how = Graph(space, M, ef, threads)
    hnsw = {"space": space, "sync_threshold": 50, "batch_size": 10}
    database, segments = created(path, dim, name="bench", configuration={"hnsw": hnsw})
    ids = [f"doc:{i % 97:02d}:https://example.org/records/{i:08d}" for i in range(n)]
    vectors = vectors_of(n, dim)
    fill_rows(database, segments, ids, _plain(words, keys))
    fill_queue(database, ids[-1:], vectors[-1:], n - 1)  # a purge leaves the row at the watermark
    database.close()
    live = path / segments["VECTOR"]
    build_index(live, vectors[: n - missing], how)
    write_map(live / "index_metadata.pickle", ids[: n - missing])
    if missing:
        set_aside(live, ids[n - missing :], vectors[n - missing :], how)
    return path


def created(
    path: Path, dim: int, python: str = sys.executable, **how: Any
) -> tuple[sqlite3.Connection, dict[str, str]]:
    """A new store with one collection, made as chromadb's `create_collection` is told, of 60 records; its database, and
    its segments by scope."""
    command = [python, "-P", "-c", _CREATE, str(path), str(dim), json.dumps(how)]
    subprocess.run(command, check=True, cwd=path.parent)
    database = sqlite3.connect(path / "chroma.sqlite3")
    database.execute("PRAGMA journal_mode = OFF")
    return database, dict(database.execute("SELECT scope, id FROM segments").fetchall())


def set_aside(live: Path, ids: list[str], vectors: np.ndarray, how: Graph) -> None:
    """A directory beside the live one, as somebody moves it away, holds an index of these records."""
    aside = live.with_name(f"{live.name}.drift-20260101-000000")
    build_index(aside, vectors, how)
    write_map(aside / "index_metadata.pickle", ids)


def _plain(words: int, keys: int) -> Callable[[int], dict[str, str]]:
    """What `fill_rows` says of a record: a document of `words` words and `keys` metadata keys."""

    def row(i: int) -> dict[str, str]:
        text = " ".join(f"word{(i * 7 + k * 13) % 5000}" for k in range(words))
        told = {f"kind{key or ''}": f"k{(i + key) % (11 + key)}" for key in range(keys)}
        return ({"chroma:document": text} if words else {}) | told

    return row


def fill_rows(
    database: sqlite3.Connection,
    segments: dict[str, str],
    ids: list[str],
    row: Callable[[int], dict[str, str]],
) -> None:
    """Replaces the first records by `ids`, each with the document and metadata that `row` says of its number, both
    watermarks at the end."""
    n = len(ids)
    for table in ("embedding_fulltext_search", "embedding_metadata", "embeddings"):
        database.execute(f"DELETE FROM {table}")
    metadata = segments["METADATA"]
    database.executemany(
        "INSERT INTO embeddings (id, segment_id, embedding_id, seq_id) VALUES (?, ?, ?, ?)",
        ((i + 1, metadata, name, i + 1) for i, name in enumerate(ids)),
    )
    database.executemany(
        "INSERT INTO embedding_metadata (id, key, string_value) VALUES (?, ?, ?)",
        ((i + 1, key, value) for i in range(n) for key, value in row(i).items()),
    )
    database.execute(
        "INSERT INTO embedding_fulltext_search (rowid, string_value)"
        " SELECT id, string_value FROM embedding_metadata WHERE key = 'chroma:document'"
    )
    database.execute("DELETE FROM embeddings_queue WHERE seq_id < (SELECT max(seq_id) FROM embeddings_queue)")
    database.execute("UPDATE max_seq_id SET seq_id = ?", (n,))
    database.commit()
    database.execute(
        "INSERT INTO max_seq_id SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM max_seq_id WHERE segment_id = ?)",
        (segments["VECTOR"], n, segments["VECTOR"]),
    )
    database.commit()


def fill_queue(database: sqlite3.Connection, ids: list[str], vectors: np.ndarray, below: int) -> None:
    """Queue rows of these records, as `add` left them, at or below both watermarks."""
    topic = database.execute("SELECT topic FROM embeddings_queue").fetchone()[0]
    database.execute("DELETE FROM embeddings_queue")
    database.executemany(
        "INSERT INTO embeddings_queue (seq_id, operation, topic, id, vector, encoding, metadata)"
        " VALUES (?, 0, ?, ?, ?, 'FLOAT32', '{}')",
        ((below + i + 1, topic, name, vectors[i].tobytes()) for i, name in enumerate(ids)),
    )
    database.commit()


def build_index(directory: Path, vectors: np.ndarray, how: Graph) -> None:
    directory.mkdir(exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    count = len(vectors)
    source = directory.parent.parent / f"{directory.name}.npy"
    np.save(source, vectors)
    request = {
        "vectors": str(source),
        "count": count,
        "capacity": count,
        "directory": str(directory),
        **how._asdict(),
    }
    subprocess.run([sys.executable, "-P", "-c", _BUILD, json.dumps(request)], check=True, cwd=directory)
    os.unlink(source)


def write_map(path: Path, ids: list[str]) -> None:
    """Labels from 1 upwards, in the order of `ids`; in the file they stand in the order of nothing, as 1.x leaves them."""
    from forensics.testing.modern_map import modern_map

    path.write_bytes(modern_map({name: index + 1 for index, name in enumerate(ids)}, seed=1))
