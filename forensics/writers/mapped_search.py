"""Every vector searched by itself on the maps of a draft: hnswlib's own search, one element followed at a time."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forensics.readers import layout
from forensics.writers.draft_maps import sound_header, sound_walk
from forensics.writers.mapped_graph import MappedGraph, mapped


@dataclass(frozen=True, slots=True)
class Searched:
    """`asked` live elements; those not found, those whose vector is not finite, and near (missing, k): where the search
    for each ended, -1 where it found fewer.
    """

    asked: int
    missing: np.ndarray
    hopeless: np.ndarray
    near: np.ndarray


def search_themselves(
    directory: Path, space: str, elements: np.ndarray, k: int, stages: tuple[int, ...]
) -> Searched:
    """Which live ones of `elements` a search for their own vector does not find among the `k` nearest.

    Asked with each ef of `stages` in turn, those that miss alone. An identical vector counts, and for the inner
    product k others that are as near. The files are not changed.
    """
    header, walk = sound_header(directory), sound_walk(directory)
    size = header.cur_element_count * layout.element_size(header.dim, header.M)
    with ExitStack() as held:
        level0 = held.enter_context(mapped(directory / layout.LEVEL0_FILE, size, write=False))
        links = held.enter_context(mapped(directory / layout.LINKS_FILE, walk.end, write=False))
        graph = MappedGraph.of(space, header, level0, links, walk, followed=1)
        asked = np.asarray(elements, dtype=np.int64)
        asked = asked[graph.live(asked)]
        finite = np.array(
            [np.isfinite(graph.vectors(asked[[i]])).all() for i in range(len(asked))], dtype=bool
        )
        left, near = asked[finite], np.empty((0, k), dtype=np.int64)
        for ef in stages:
            ends = [_ends(graph, header, int(each), max(ef, k)) for each in left.tolist()]
            lost = np.array(
                [not _is_found(graph, e, at, k) for e, at in zip(left.tolist(), ends, strict=True)], bool
            )
            near = np.array([_padded(at, k) for at, gone in zip(ends, lost, strict=True) if gone], np.int64)
            left = left[lost]
    order = np.argsort(left)
    return Searched(len(asked), left[order], asked[~finite], near.reshape(-1, k)[order])


def search_for(directory: Path, space: str, queries: np.ndarray, k: int, ef: int) -> np.ndarray:
    """(n, k) int64 labels found nearest to each of `queries` (n, dim; cosine: of length 1); -1 where there are fewer."""
    header, walk = sound_header(directory), sound_walk(directory)
    size = header.cur_element_count * layout.element_size(header.dim, header.M)
    with ExitStack() as held:
        level0 = held.enter_context(mapped(directory / layout.LEVEL0_FILE, size, write=False))
        links = held.enter_context(mapped(directory / layout.LINKS_FILE, walk.end, write=False))
        graph = MappedGraph.of(space, header, level0, links, walk, followed=1)
        found = [_reached(graph, header, np.asarray(each), max(ef, k))[:k] for each in queries]
        return np.array([_padded(graph.level0["label"][at].astype(np.int64), k) for at in found]).reshape(
            -1, k
        )


def _ends(graph: MappedGraph, header: layout.Header, element: int, ef: int) -> np.ndarray:
    """Where a search for the vector of `element` ends, nearest first."""
    return _reached(graph, header, graph.vectors(np.array([element]))[0], ef)


def _reached(graph: MappedGraph, header: layout.Header, query: np.ndarray, ef: int) -> np.ndarray:
    """The elements that a search for `query` (dim,) ends at, nearest first."""
    start = graph.descend(query, header.enterpoint, header.maxlevel, 1)
    return graph.search(query, start, ef)[0]


def _padded(found: np.ndarray, k: int) -> np.ndarray:
    return np.append(found[:k], np.full(max(0, k - len(found)), -1))


def _is_found(graph: MappedGraph, element: int, found: np.ndarray, k: int) -> bool:
    """True where it is among the first k, or an equal vector is, or (inner product) k others are as near."""
    first = found[:k]
    if element in first:
        return True
    own, vectors = graph.vectors(np.array([element]))[0], graph.vectors(first)
    if (vectors == own).all(axis=1).any():
        return True
    square = float(own @ own)
    as_near = vectors @ own >= square - 1e-6 * max(square, 1.0)
    return graph.space == "ip" and len(first) == k and bool(as_near.all())
