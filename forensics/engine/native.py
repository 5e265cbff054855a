"""hnswlib in a child: add to an index, build one, let every vector search itself. Knows nothing of this
package.

Nothing here checks a file: hnswlib follows every number in it. The parent has validated the directory before.
"""

from __future__ import annotations

import os
import time
from typing import Any

import hnswlib as _hnswlib
import numpy as np

hnswlib: Any = _hnswlib
"""Untyped: type checkers know the other package of this name, which cannot persist."""
BATCH = 1000
PIVOTS = 64
FIELDS = ["version", "offset_level0", "max_elements", "count", "size", "label_offset", "offset_data"]
HEADER = np.dtype([(name, "<i4" if name == "version" else "<u8") for name in FIELDS])
"""The start of header.bin."""


def run(request: dict[str, Any], folder: str) -> dict[str, Any]:
    """Does `request["operation"]`: load, add, build, query or query_self."""
    if not hasattr(hnswlib.Index, "persist_dirty"):
        raise RuntimeError("the module hnswlib is not that of chroma-hnswlib, it cannot persist")
    return OPERATIONS[request["operation"]](request, folder)


def opened(request: dict[str, Any], max_elements: int = 0) -> Any:
    """The index of a directory, with its files open for writing; `max_elements` 0 keeps the header's."""
    index = hnswlib.Index(space=request["space"], dim=request["dim"])
    index.load_index(request["directory"], max_elements=max_elements, is_persistent_index=True)
    return index


def load(request: dict[str, Any], folder: str) -> dict[str, Any]:
    index = opened(request)
    index.close_file_handles()
    return {"count": index.element_count, "max_elements": index.max_elements}


def add(request: dict[str, Any], folder: str) -> dict[str, Any]:
    """vectors.npy (n, dim) are elements with the labels of labels.npy (n,); written to the four files."""
    started = time.perf_counter()
    index = opened(request, request["max_elements"])
    loaded = time.perf_counter()
    return _fill(index, request, folder) | {"loaded_in": loaded - started}


def build(request: dict[str, Any], folder: str) -> dict[str, Any]:
    """A new index in the existing, empty directory."""
    index = hnswlib.Index(space=request["space"], dim=request["dim"])
    index.init_index(
        max_elements=request["max_elements"],
        M=request["M"],
        ef_construction=request["ef_construction"],
        random_seed=request["seed"],
        is_persistent_index=True,
        persistence_location=request["directory"],
    )
    return _fill(index, request, folder)


def _fill(index: Any, request: dict[str, Any], folder: str) -> dict[str, Any]:
    vectors = np.load(os.path.join(folder, "vectors.npy"), mmap_mode="r")
    labels = np.load(os.path.join(folder, "labels.npy"))
    started = time.perf_counter()
    index.add_items(vectors, labels, num_threads=request["threads"])
    added = time.perf_counter()
    index.persist_dirty()
    index.close_file_handles()
    done = time.perf_counter()
    return {"count": index.element_count, "added_in": added - started, "persisted_in": done - added}


def query_self(request: dict[str, Any], folder: str) -> dict[str, Any]:
    """Which live elements do not find themselves among their k nearest; the internal ids go to missing.npy.

    Asked with a small ef first and only those that miss with larger ones: a search with a larger ef visits
    all that one with a smaller ef visits. An element counts as found where an identical vector is found, or
    where k others are as near (inner product). elements.npy, where it exists, limits the question.
    """
    index, level0 = opened(request), elements_of(request["directory"])
    chosen = os.path.join(folder, "elements.npy")
    asked = np.load(chosen) if os.path.exists(chosen) else np.arange(len(level0))
    asked = asked[(level0["flags"][asked] & 1) == 0]
    live = int(((level0["flags"] & 1) == 0).sum())
    left, hopeless = _near_together(level0, asked), []
    for ef in request["ef"]:
        # a vector that is among the first ef is among the first k; by inner product others may come before it
        k = min(request["k"], live) if request["space"] == "ip" else min(request["k"], live, ef)
        index.set_ef(max(ef, k))
        left, never = _ask(index, level0, left, k, request)
        hopeless.append(never)
    left = np.sort(left)
    np.save(os.path.join(folder, "near.npy"), _near(index, level0, left, min(request["k"], live)))
    index.close_file_handles()
    np.save(os.path.join(folder, "missing.npy"), left)
    np.save(os.path.join(folder, "hopeless.npy"), np.concatenate(hopeless))
    return {"asked": len(asked), "missing": len(left)}


def query(request: dict[str, Any], folder: str) -> dict[str, Any]:
    """The labels of the k nearest of each of vectors.npy (n, dim) go to nearest.npy (n, k); -1 where there are fewer."""
    index, vectors = opened(request), np.load(os.path.join(folder, "vectors.npy"))
    index.set_ef(max(request["ef"], request["k"]))
    nearest = np.full((len(vectors), request["k"]), -1, dtype=np.int64)
    for row in range(len(vectors)):
        labels = _reached(index, vectors[[row]], min(request["k"], index.element_count))
        nearest[row, : len(labels)] = labels
    index.close_file_handles()
    np.save(os.path.join(folder, "nearest.npy"), nearest)
    return {"asked": len(vectors)}


def _near(index: Any, level0: np.ndarray, missing: np.ndarray, k: int) -> np.ndarray:
    """(m, k) int64: the elements that a search for each missing one ends at, nearest first; -1 where there are fewer."""
    near = np.full((len(missing), max(k, 1)), -1, dtype=np.int64)
    held = np.ascontiguousarray(level0["label"])
    order = np.argsort(held, kind="stable")
    for row, element in enumerate(missing.tolist()):
        labels = _reached(index, level0["vector"][[element]], k)
        at = order[np.minimum(np.searchsorted(held[order], labels), len(held) - 1)]
        near[row, : len(at)] = at
    return near


def _reached(index: Any, vector: np.ndarray, k: int) -> np.ndarray:
    """The labels of up to `k` nearest; hnswlib raises where it reaches fewer, so then half as many are asked for."""
    while k:
        try:
            return index.knn_query(vector, k=k, num_threads=1)[0][0]
        except RuntimeError:
            k //= 2
    return np.empty(0, dtype=np.uint64)


def _near_together(level0: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """`elements` in an order in which neighbours follow one another, so that their searches share the cache."""
    if len(elements) < 20 * PIVOTS:
        return elements
    pivots = np.ascontiguousarray(level0["vector"][elements[:: len(elements) // PIVOTS][:PIVOTS]])
    nearest = np.empty((len(elements), 3), dtype=np.uint8)
    for start in range(0, len(elements), 10 * BATCH):
        part = np.ascontiguousarray(level0["vector"][elements[start : start + 10 * BATCH]])
        nearest[start : start + 10 * BATCH] = np.argsort(-(part @ pivots.T), axis=1)[:, :3]
    return elements[np.lexsort((nearest[:, 2], nearest[:, 1], nearest[:, 0]))]


def elements_of(directory: str) -> np.ndarray:
    """(count,) records flags, vector, label over the map of data_level0.bin."""
    header = np.fromfile(os.path.join(directory, "header.bin"), dtype=HEADER, count=1)[0]
    dim = int(header["label_offset"] - header["offset_data"]) // 4
    dtype = np.dtype(
        {
            "names": ["flags", "vector", "label"],
            "formats": ["u1", ("<f4", (dim,)), "<u8"],
            "offsets": [2, int(header["offset_data"]), int(header["label_offset"])],
            "itemsize": int(header["size"]),
        }
    )
    count = int(header["count"])
    path = os.path.join(directory, "data_level0.bin")
    return np.memmap(path, dtype=dtype, mode="r", shape=(count,)) if count else np.empty(0, dtype=dtype)


def _ask(
    index: Any, level0: np.ndarray, elements: np.ndarray, k: int, request: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """(missing, hopeless) of `elements`; hopeless: the vector is not finite, so nothing finds it."""
    missing, hopeless = [elements[:0]], [elements[:0]]
    for start in range(0, len(elements), BATCH):
        part = elements[start : start + BATCH]
        vectors = np.ascontiguousarray(level0["vector"][part])
        finite = np.isfinite(vectors).all(axis=1)
        hopeless.append(part[~finite])
        missing.append(_missing(index, level0, part[finite], vectors[finite], k, request))
    return np.concatenate(missing), np.concatenate(hopeless)


def _missing(
    index: Any, level0: np.ndarray, elements: np.ndarray, vectors: np.ndarray, k: int, request: dict[str, Any]
) -> np.ndarray:
    """Those of `elements` that do not find themselves. hnswlib raises where it reaches fewer than k, so such
    a batch is halved until single rows remain, and those are asked for less.
    """
    if len(elements) == 0:
        return elements
    try:
        labels, away = index.knn_query(vectors, k=k, num_threads=request["threads"])
    except RuntimeError:
        if len(elements) == 1:
            return elements if k == 1 else _missing(index, level0, elements, vectors, k // 2, request)
        half = len(elements) // 2
        first = _missing(index, level0, elements[:half], vectors[:half], k, request)
        return np.concatenate([first, _missing(index, level0, elements[half:], vectors[half:], k, request)])
    left = np.flatnonzero(~(labels == level0["label"][elements][:, None]).any(axis=1))
    if left.size == 0:
        return elements[left]
    if request["space"] == "ip":
        excused = _outranked(vectors[left], away[left])
    else:
        excused = _twins(level0, labels[left], vectors[left])
    return elements[left[~excused]]


def _outranked(vectors: np.ndarray, away: np.ndarray) -> np.ndarray:
    """(n,) bool: all k that were found are at least as near as the vector is to itself."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    return away.max(axis=1) <= 1 - squares + 1e-6 * np.maximum(squares, 1)


def _twins(level0: np.ndarray, labels: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(n,) bool: one of the labels (n, k) that were found carries the very same vector."""
    held = np.ascontiguousarray(level0["label"])
    order = np.argsort(held, kind="stable")
    at = order[np.minimum(np.searchsorted(held[order], labels), len(held) - 1)]
    return (level0["vector"][at] == vectors[:, None, :]).all(axis=2).any(axis=1)


OPERATIONS = {"load": load, "add": add, "build": build, "query": query, "query_self": query_self}
