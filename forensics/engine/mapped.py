"""The parent's side of what is done on memory maps where hnswlib, which loads an index whole, does not fit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import forensics
from forensics.engine import EF_STAGES, Added, SelfSearch, check_batch, check_written
from forensics.engine.child import run_child, work_folder
from forensics.engine.limits import roomy_folder
from forensics.errors import ChildFailed, NoSpace, Refused
from forensics.memory import available_memory
from forensics.repair.adding import native_memory
from forensics.sources import normalised
from forensics.writers.draft_maps import level0_summary, sound_header

MAPPED = "forensics.engine.mapped_child"
PER_ELEMENT = 0.2
"""Seconds that one element may take, generously: on a slow disk each neighbour is a page of its own."""


def mapped_add(
    directory: Path,
    space: str,
    dim: int,
    vectors: np.ndarray,
    labels: np.ndarray,
    max_elements: int | None = None,
) -> Added:
    """As `native_add`, reading only what the new elements touch: the index need not fit into memory."""
    header = sound_header(directory)
    if header.dim != dim:
        raise Refused(f"{directory.name} holds vectors of {header.dim} dimensions, not {dim}.")
    check_batch(vectors, labels, dim)
    if np.isin(labels, level0_summary(directory).labels).any():
        raise Refused("one of the new labels is in the index already.")
    started, first = time.perf_counter(), header.cur_element_count
    stored, norms = normalised(vectors) if space == "cosine" else (vectors, np.ones(len(vectors), np.float32))
    arrays = {"stored": stored.astype(np.float32), "norms": norms, "labels": np.asarray(labels, np.uint64)}
    request = {"operation": "add", "directory": str(directory), "space": space, "capacity": max_elements or 0}
    _child(request, arrays, 600 + PER_ELEMENT * len(labels))
    check_written(directory, space, vectors, labels, first)
    return Added(first + len(labels), first, {"added_in": time.perf_counter() - started})


def mapped_self_search(
    directory: Path,
    space: str,
    dim: int,
    *,
    elements: np.ndarray | None = None,
    k: int = 10,
    ef: tuple[int, ...] = EF_STAGES,
    threads: int = 1,
) -> SelfSearch:
    """As `native_self_search`, on maps and always with one thread."""
    del dim, threads
    asked = np.arange(sound_header(directory).cur_element_count) if elements is None else elements
    request = {"operation": "query_self", "directory": str(directory), "space": space, "k": k, "ef": list(ef)}
    answer = _child(request, {"elements": np.asarray(asked, np.int64)}, 600 + PER_ELEMENT * len(asked))
    return SelfSearch(answer["asked"], answer["missing"], answer["hopeless"], answer["near"])


def mapped_query(
    directory: Path, space: str, dim: int, vectors: np.ndarray, *, k: int = 10, ef: int = 200
) -> np.ndarray:
    """As `native_query`, on maps."""
    if sound_header(directory).dim != dim:
        raise Refused(f"{directory.name} holds vectors of another dimension than {dim}.")
    queries = normalised(vectors)[0] if space == "cosine" else vectors
    request = {"operation": "query", "directory": str(directory), "space": space, "k": k, "ef": ef}
    return _child(request, {"queries": queries.astype(np.float32)}, 600 + PER_ELEMENT * len(queries))[
        "nearest"
    ]


def fits_natively(directory: Path) -> bool:
    """True where this machine has the memory for hnswlib to load the index of `directory`."""
    header, free = sound_header(directory), available_memory()
    return free is None or native_memory(header, header.dim, 0) <= free


def _child(request: Mapping[str, Any], arrays: Mapping[str, np.ndarray], timeout: float) -> dict[str, Any]:
    """The child's answer, with the arrays that it left behind."""
    place = roomy_folder(sum(each.nbytes for each in arrays.values()))
    if place is None:
        raise NoSpace("No scratch folder has room for the vectors (TMPDIR names one).")
    home = str(Path(forensics.__file__).resolve().parents[1])
    with work_folder(place) as folder:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        try:
            answer = run_child(MAPPED, {**request, "home": home}, timeout=timeout, folder=folder)
        except ChildFailed as error:
            if "SIGBUS" in str(error) or "No space left" in str(error):
                raise NoSpace("The disk became full while vectors were added to the draft.") from error
            raise
        left = {path.stem: np.load(path) for path in folder.glob("*.npy") if path.stem not in arrays}
        return {**answer, **left}
