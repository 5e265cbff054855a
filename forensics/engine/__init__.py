"""Children, the only place where chromadb and hnswlib run for a repair; here are the parent's sides of
hnswlib.

Files are validated before hnswlib loads them, and read again after it wrote them: it reports no failed write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from forensics.durable import sync_directory, sync_file
from forensics.engine.child import run_child, work_folder
from forensics.engine.installed import version_of
from forensics.engine.limits import roomy_folder
from forensics.engine.loading import validate
from forensics.errors import CannotComplete, MissingPackage, NoSpace, Refused
from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles
from forensics.writers.draft_maps import level0_summary
from forensics.writers.relink import relink_traced

NATIVE = "forensics.engine.native"
EF_STAGES = (4, 20, 200)
ROUNDS = (("nearest", 1), ("nearest", 4), ("ends", 2), ("ends", 4), ("ends", 8))
"""Links that lead to an element, demanded one round after the other until a search reaches it."""


@dataclass(frozen=True, slots=True)
class Added:
    """What hnswlib wrote: `count` elements in the index now, the internal id of the first new one, and
    seconds.
    """

    count: int
    first: int
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SelfSearch:
    """`asked` live elements were searched by their own vector; internal ids of those not found, and of those
    whose vector is not finite, which nothing finds. near (missing, k): where the search for each ended.
    `left` were not found either, and nobody was to link them again.
    """

    asked: int
    missing: np.ndarray
    hopeless: np.ndarray
    near: np.ndarray
    left: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def without(self, spared: np.ndarray) -> SelfSearch:
        """The same, those of `spared` that were missing counted as `left`."""
        ours = ~np.isin(self.missing, spared)
        left = np.union1d(self.left, self.missing[~ours])
        return replace(self, missing=self.missing[ours], near=self.near[ours], left=left)


def native_add(
    directory: Path,
    space: str,
    dim: int,
    vectors: np.ndarray,
    labels: np.ndarray,
    max_elements: int | None = None,
    *,
    timeout: float | None = None,
    memory: int | None = None,
) -> Added:
    """The draft index in `directory` also holds `vectors` (n, dim) under `labels` (n,), on the disk, read
    back and equal.

    Vectors as the user gave them: for cosine hnswlib normalises and keeps the norm. One thread, so the result
    is the same each time. Raises Refused for labels or files that cannot be, ChildFailed, and CannotComplete
    where a write was lost.
    """
    header = validate(directory, dim)
    check_batch(vectors, labels, dim)
    if np.isin(labels, level0_summary(directory).labels).any():
        raise Refused("one of the new labels is in the index already.")
    total = header.cur_element_count + len(labels)
    room = max(total, header.max_elements, max_elements or 0)
    request = {"operation": "add", "max_elements": room, "threads": 1}
    answer = _native(directory, space, dim, request, vectors, labels, _limit(timeout, total), memory)
    check_written(directory, space, vectors, labels, header.cur_element_count)
    return Added(total, header.cur_element_count, _seconds(answer))


def native_build(
    directory: Path,
    space: str,
    vectors: np.ndarray,
    labels: np.ndarray,
    *,
    M: int,
    ef_construction: int,
    max_elements: int | None = None,
    threads: int = 1,
    timeout: float | None = None,
    memory: int | None = None,
) -> Added:
    """A new index of `vectors` (n, dim) under `labels` (n,) in the empty folder `directory` (made if need
    be).

    More than one thread is faster, but internal ids and links then differ from run to run. Raises as
    `native_add`.
    """
    dim = vectors.shape[1]
    check_batch(vectors, labels, dim)
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise Refused(f"{directory.name} is not empty, so no index is built there.")
    room = max(len(labels), max_elements or 0)
    request = {"operation": "build", "M": M, "ef_construction": ef_construction, "max_elements": room}
    request |= {"threads": threads, "seed": 100}
    answer = _native(directory, space, dim, request, vectors, labels, _limit(timeout, len(labels)), memory)
    check_written(directory, space, vectors, labels, 0)
    return Added(len(labels), 0, _seconds(answer))


def native_load(directory: Path, space: str, dim: int, *, timeout: float = 600) -> int:
    """How many elements hnswlib sees when it loads the directory. Raises Refused or ChildFailed where it
    cannot.
    """
    validate(directory, dim)
    _need_hnswlib("loading an index")
    request = {"operation": "load", "directory": str(directory), "space": space, "dim": dim}
    return run_child(NATIVE, request, timeout=timeout)["count"]


def native_self_search(
    directory: Path,
    space: str,
    dim: int,
    *,
    elements: np.ndarray | None = None,
    k: int = 10,
    ef: tuple[int, ...] = EF_STAGES,
    threads: int = 1,
    timeout: float | None = None,
    memory: int | None = None,
) -> SelfSearch:
    """Every live element (or those of `elements`, internal ids) is searched by its own vector with the
    engine's own code.

    `ef` are the stages: an element that a small ef finds, a larger one finds too. The files are only read.
    """
    header = validate(directory, dim)
    _need_hnswlib("searching an index")
    request = {"operation": "query_self", "directory": str(directory), "space": space, "dim": dim}
    request |= {"k": k, "ef": list(ef), "threads": threads}
    with work_folder() as folder:
        if elements is not None:
            np.save(folder / "elements.npy", np.asarray(elements, dtype=np.int64))
        limit = _limit(timeout, header.cur_element_count)
        answer = run_child(NATIVE, request, timeout=limit, memory=memory, folder=folder)
        missing, hopeless, near = (
            np.load(folder / f"{name}.npy") for name in ("missing", "hopeless", "near")
        )
        return SelfSearch(answer["asked"], missing, hopeless, near)


def native_query(
    directory: Path, space: str, dim: int, vectors: np.ndarray, *, k: int = 10, ef: int = 200
) -> np.ndarray:
    """(n, k) int64 labels that the engine's own code finds nearest to each of `vectors` (n, dim); -1 where there
    are fewer. The files are only read.
    """
    header = validate(directory, dim)
    _need_hnswlib("searching an index")
    request = {
        "operation": "query",
        "directory": str(directory),
        "space": space,
        "dim": dim,
        "k": k,
        "ef": ef,
    }
    with work_folder() as folder:
        np.save(folder / "vectors.npy", np.ascontiguousarray(vectors, dtype=np.float32))
        run_child(NATIVE, request, timeout=_limit(None, header.cur_element_count), folder=folder)
        return np.load(folder / "nearest.npy")


def make_searchable(
    directory: Path,
    space: str,
    dim: int,
    *,
    elements: np.ndarray | None = None,
    spared: np.ndarray | None = None,
    threads: int = 1,
    search: Callable[..., SelfSearch] = native_self_search,
) -> SelfSearch:
    """Relinks what no search reaches, and asks again, for a few rounds; what is left is `missing`.

    Asked are all live elements, or those of `elements`; of `spared` ones that are missed, none is linked again, they
    are `left`. After a round only those are asked again that missed or whose lists changed, and those that lost a
    link. First an element is linked with its nearest; one that is still missed then, because the search ends on
    another island, also with where the search ended. `search` says who asks: hnswlib, or `mapped_self_search`.
    """
    first = search(directory, space, dim, elements=elements, threads=threads)
    first = latest = first if spared is None else first.without(spared)
    for candidates, incoming in ROUNDS:
        if latest.missing.size == 0:
            break
        ends = latest.near if candidates == "ends" else None
        done = relink_traced(directory, latest.missing, space, candidates=ends, incoming=incoming)
        again = np.union1d(np.union1d(latest.missing, done.changed), done.bereft)
        again = np.setdiff1d(again, first.left)
        latest = search(directory, space, dim, elements=again, threads=threads)
    return replace(latest, asked=first.asked, hopeless=first.hopeless, left=first.left)


def _native(
    directory: Path,
    space: str,
    dim: int,
    request: Mapping[str, Any],
    vectors: np.ndarray,
    labels: np.ndarray,
    timeout: float,
    memory: int | None,
) -> dict[str, Any]:
    _need_hnswlib("adding vectors to an index")
    full = {**request, "directory": str(directory), "space": space, "dim": dim}
    place = roomy_folder(vectors.nbytes)
    if place is None:
        raise NoSpace(
            f"No scratch folder has room for {vectors.nbytes:,} bytes of vectors (TMPDIR names one)."
        )
    with work_folder(place) as folder:
        np.save(folder / "vectors.npy", np.ascontiguousarray(vectors, dtype=np.float32))
        np.save(folder / "labels.npy", np.asarray(labels, dtype=np.uint64))
        answer = run_child(NATIVE, full, timeout=timeout, memory=memory, folder=folder)
    for name in layout.BINARY_FILES:
        sync_file(directory / name)
    sync_directory(directory)
    return answer


def _need_hnswlib(purpose: str) -> None:
    if version_of("chroma-hnswlib") is None:
        raise MissingPackage("chroma-hnswlib", purpose)


def check_batch(vectors: np.ndarray, labels: np.ndarray, dim: int) -> None:
    if vectors.ndim != 2 or vectors.shape != (len(labels), dim) or len(labels) == 0:
        raise Refused(
            f"vectors of shape {vectors.shape} do not go with {len(labels)} labels and dimension {dim}."
        )
    if len(np.unique(labels)) != len(labels) or labels.min() < 1:
        raise Refused("labels must be distinct and at least 1.")


def check_written(directory: Path, space: str, vectors: np.ndarray, labels: np.ndarray, first: int) -> None:
    """The new elements are in the files with their labels and, but for cosine, the very same vectors."""
    files = HnswFiles(directory)
    level0 = files.level0
    if not isinstance(level0, np.ndarray) or files.elements != first + len(labels):
        raise CannotComplete(f"hnswlib wrote {files.elements} elements instead of {first + len(labels)}.")
    new = level0[first:]
    order = np.argsort(new["label"], kind="stable")
    same = np.array_equal(new["label"][order], np.sort(np.asarray(labels, dtype=np.uint64)))
    if same and space != "cosine":
        given = np.asarray(vectors, dtype=np.float32)[np.argsort(labels, kind="stable")]
        same = np.array_equal(new["vector"][order].view(np.uint32), given.view(np.uint32))
    if not same:
        raise CannotComplete("what hnswlib wrote is not what it was given; a write to the draft was lost.")


def _limit(timeout: float | None, elements: int) -> float:
    return timeout if timeout is not None else 600 + 0.1 * elements


def _seconds(answer: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in answer.items() if name.endswith("_in")}
