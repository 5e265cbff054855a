"""The vectors that a store holds, wherever they lie, and which of them another state of it does not hold any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.foretell.reading import files_of
from forensics.readers.embeddings_queue import DELETE, QueueRow
from forensics.readers.id_map import IdMap
from forensics.records import elements_of
from forensics.store import Collection, open_store

SAME = 1e-5
"""Largest difference of a component between a vector and itself after normalising."""


def held_vectors(path: Path, *, everything: bool = False) -> dict[str, np.ndarray]:
    """Collection name → (n, dim) float32 vectors, for cosine of length 1; those that count, or `everything`.

    What counts: each live element of level 0 that no pending row replaces or removes, and of each id the last row of
    the queue, unless that deletes it.
    """
    with open_store(path) as store:
        return {one.name: held(one, everything=everything) for one in store.collections}


def held(collection: Collection, *, everything: bool = False) -> np.ndarray:
    """The same of one collection."""
    dim = _dimension(collection)
    if dim is None:
        return np.empty((0, 0), dtype=np.float32)
    parts = [*_of_level0(collection, dim, everything), _of_queue(collection, dim, everything)]
    vectors = np.concatenate(parts) if parts else np.empty((0, dim), dtype=np.float32)
    return unit(vectors) if collection.settings.space == "cosine" else vectors


def _dimension(collection: Collection) -> int | None:
    vector = collection.vector
    geometry = Absent("") if isinstance(vector, Absent) else files_of(vector).geometry
    return collection.dimension if isinstance(geometry, Absent) else geometry.dim


def _of_level0(collection: Collection, dim: int, everything: bool) -> Iterator[np.ndarray]:
    vector = collection.vector
    files = None if isinstance(vector, Absent) else files_of(vector)
    if files is None or isinstance(files.summary, Absent) or not files.elements:
        return
    summary = files.summary
    chosen = summary.live & (summary.labels.astype(np.int64) >= 1)
    if not everything:
        chosen &= ~np.isin(summary.labels.astype(np.int64), _replaced(collection))
    wanted = np.arange(files.elements) if everything else np.flatnonzero(chosen)
    found = files.vectors(wanted)
    if found.shape[1] == dim:
        yield found


def _replaced(collection: Collection) -> list[int]:
    """Labels of ids that a pending row gives another vector or removes."""
    if not isinstance(collection.id_map, IdMap):
        return []
    labels = collection.id_map.id_to_label
    gone = (name for name, effect in collection.pending.items() if not effect.exists or effect.vector_seq)
    return [labels[name] for name in gone if name in labels]


def _of_queue(collection: Collection, dim: int, everything: bool) -> np.ndarray:
    rows = collection.queue.rows()
    if isinstance(rows, Absent):
        return np.empty((0, dim), dtype=np.float32)
    if everything:
        carrying = [row for row in rows if row.vector_bytes == 4 * dim]
        return _queued(collection, carrying, dim)
    last = {row.id: row for row in rows if row.vector_bytes or row.operation == DELETE}
    carrying = [row for row in last.values() if row.operation != DELETE and row.vector_bytes == 4 * dim]
    vectors = _queued(collection, carrying, dim)
    return vectors[~_in_index(collection, [row.id for row in carrying], vectors)]


def _queued(collection: Collection, rows: list[QueueRow], dim: int) -> np.ndarray:
    return collection.queue.vectors(np.array([row.seq_id for row in rows], dtype=np.int64), dim)


def _in_index(collection: Collection, ids: list[str], vectors: np.ndarray) -> np.ndarray:
    """(n,) bool: the element of that id has this vector, so it is counted already."""
    same = np.zeros(len(ids), dtype=bool)
    vector = collection.vector
    if isinstance(vector, Absent) or not isinstance(collection.id_map, IdMap):
        return same
    files = files_of(vector)
    if isinstance(files.summary, Absent) or not files.elements:
        return same
    labels = np.array([collection.id_map.id_to_label.get(name, -1) for name in ids], dtype=np.int64)
    elements = elements_of(labels, files.summary)
    there = np.flatnonzero(elements >= 0)
    stored, queued = files.vectors(elements[there]), vectors[there]
    if collection.settings.space == "cosine":
        stored, queued = unit(stored), unit(queued)
    if stored.shape == queued.shape:
        same[there] = (np.abs(stored - queued) <= SAME).all(axis=1)
    return same


def unit(vectors: np.ndarray) -> np.ndarray:
    """Each vector with length 1; zeros stay zeros."""
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(norms > 0, norms, 1)


def lost_vectors(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> int:
    """How many vectors of `before` are not in `after`, to one step of normalising."""
    return sum(_absent(vectors, after.get(name)) for name, vectors in before.items())


def _absent(vectors: np.ndarray, among: np.ndarray | None) -> int:
    if among is None or among.shape[1:] != vectors.shape[1:] or not len(among):
        return len(vectors)
    held = {row.tobytes() for row in among}
    left = [row for row in vectors if row.tobytes() not in held]
    return sum(not (np.abs(among - row).max(axis=1) <= SAME).any() for row in left)
