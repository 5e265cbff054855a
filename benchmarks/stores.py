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
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_CREATE = """
import sys, chromadb
from chromadb.config import Settings
path, dim, space = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))
client.create_collection("bench", embedding_function=None,
    configuration={"hnsw": {"space": space, "sync_threshold": 50, "batch_size": 10}})
collection = client.get_collection("bench", embedding_function=None)
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
    subprocess.run(
        [sys.executable, "-P", "-c", _CREATE, str(path), str(dim), space], check=True, cwd=path.parent
    )
    database = sqlite3.connect(path / "chroma.sqlite3")
    database.execute("PRAGMA journal_mode = OFF")
    segments = dict(database.execute("SELECT scope, id FROM segments").fetchall())
    ids = [f"doc:{i % 97:02d}:https://example.org/records/{i:08d}" for i in range(n)]
    vectors = vectors_of(n, dim)
    _fill_rows(database, segments, ids, words, keys)
    _queue(database, ids[-1:], vectors[-1:], n - 1)  # a purge leaves the row at the watermark
    database.close()
    live = path / segments["VECTOR"]
    _build_index(live, vectors[: n - missing], how)
    _write_map(live / "index_metadata.pickle", ids[: n - missing])
    if missing:
        aside = path / f"{live.name}.drift-20260101-000000"
        _build_index(aside, vectors[n - missing :], how)
        _write_map(aside / "index_metadata.pickle", ids[n - missing :])
    return path


def _fill_rows(
    database: sqlite3.Connection, segments: dict[str, str], ids: list[str], words: int, keys: int
) -> None:
    """Replaces the first records by `ids`, each with a document of `words` words and `keys` metadata keys besides it, both
    watermarks at the end."""
    n = len(ids)
    for table in ("embedding_fulltext_search", "embedding_metadata", "embeddings"):
        database.execute(f"DELETE FROM {table}")
    metadata = segments["METADATA"]
    database.executemany(
        "INSERT INTO embeddings (id, segment_id, embedding_id, seq_id) VALUES (?, ?, ?, ?)",
        ((i + 1, metadata, name, i + 1) for i, name in enumerate(ids)),
    )

    def document(i: int) -> str:
        return " ".join(f"word{(i * 7 + k * 13) % 5000}" for k in range(words))

    database.executemany(
        "INSERT INTO embedding_metadata (id, key, string_value) VALUES (?, ?, ?)",
        (
            (i + 1, key, value)
            for i in range(n)
            for key, value in (
                *((("chroma:document", document(i)),) if words else ()),
                *((f"kind{key or ''}", f"k{(i + key) % (11 + key)}") for key in range(keys)),
            )
        ),
    )
    database.executemany(
        "INSERT INTO embedding_fulltext_search (rowid, string_value) VALUES (?, ?)",
        ((i + 1, document(i)) for i in range(n if words else 0)),
    )
    database.execute("DELETE FROM embeddings_queue WHERE seq_id < (SELECT max(seq_id) FROM embeddings_queue)")
    database.execute("UPDATE max_seq_id SET seq_id = ?", (n,))
    database.commit()
    database.execute(
        "INSERT INTO max_seq_id SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM max_seq_id WHERE segment_id = ?)",
        (segments["VECTOR"], n, segments["VECTOR"]),
    )
    database.commit()


def _queue(database: sqlite3.Connection, ids: list[str], vectors: np.ndarray, below: int) -> None:
    """Queue rows of these records, as `add` left them, at or below both watermarks."""
    topic = database.execute("SELECT topic FROM embeddings_queue").fetchone()[0]
    database.execute("DELETE FROM embeddings_queue")
    database.executemany(
        "INSERT INTO embeddings_queue (seq_id, operation, topic, id, vector, encoding, metadata)"
        " VALUES (?, 0, ?, ?, ?, 'FLOAT32', '{}')",
        ((below + i + 1, topic, name, vectors[i].tobytes()) for i, name in enumerate(ids)),
    )
    database.commit()


def _build_index(directory: Path, vectors: np.ndarray, how: Graph) -> None:
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


def _write_map(path: Path, ids: list[str]) -> None:
    """Labels from 1 upwards, in the order of `ids`; in the file they stand in the order of nothing, as 1.x leaves them."""
    from forensics.testing.modern_map import modern_map

    path.write_bytes(modern_map({name: index + 1 for index, name in enumerate(ids)}, seed=1))
