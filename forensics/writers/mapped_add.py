"""Elements added to an index that need not fit into memory: hnswlib's insertion on maps of the draft's files.

Level by a seeded generator, a greedy way down, a search with ef_construction on each level of the element, its
neighbours by hnswlib's heuristic, links back that the same heuristic shrinks. Internal ids are appended, so are
the records of link_lists.bin; lists of older elements are changed where they stand, and the header comes last.
The same files and vectors give the same bytes.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forensics.errors import Refused
from forensics.readers import layout
from forensics.readers.link_walk import LinkWalk
from forensics.writers.draft_maps import sound_header, sound_walk
from forensics.writers.mapped_graph import MappedGraph, mapped
from forensics.writers.segment_files import write_header

SEED = 100
"""That of hnswlib's own level generator."""
CHUNK = 1 << 12


@dataclass(slots=True)
class Growing:
    """An index while elements are linked into it."""

    graph: MappedGraph
    ef: int
    enterpoint: int
    maxlevel: int

    def link(self, element: int) -> None:
        """`element`, whose record is written, is linked on every one of its levels."""
        graph, level = self.graph, int(self.graph.levels[element])
        if self.maxlevel >= 0:
            query = graph.vectors(np.array([element]))[0]
            here = graph.descend(query, self.enterpoint, self.maxlevel, level + 1)
            for each in range(min(level, self.maxlevel), -1, -1):
                here = self._link_on(element, query, here, each)
        if level > self.maxlevel:
            self.enterpoint, self.maxlevel = element, level

    def _link_on(self, element: int, query: np.ndarray, start: int, level: int) -> int:
        """Links on one level, both ways; returns where the search of the level below begins."""
        graph = self.graph
        near, away = graph.search(query, start, self.ef, level)
        if not near.size:  # all that were met are flagged deleted: hnswlib takes the start then
            near, away = np.array([start], dtype=np.int64), graph.away(query, np.array([start]))
        chosen = near[selected(graph.space, query, graph.vectors(near)[None], away[None], graph.M)[0]]
        graph.store(element, level, chosen)
        self._link_back(element, chosen, level)
        return int(chosen[0])

    def _link_back(self, element: int, owners: np.ndarray, level: int) -> None:
        """Each of `owners` links to `element`; a full list is shrunk to what the heuristic keeps of it."""
        graph = self.graph
        room = 2 * graph.M if level == 0 else graph.M
        full: list[tuple[int, np.ndarray]] = []
        for owner in owners.tolist():
            old = graph.links(owner, level)
            if len(old) < room:
                graph.store(owner, level, np.append(old, element))
            else:
                full.append((owner, np.append(old, element)))
        if full:
            self._shrink(full, level, room)

    def _shrink(self, full: list[tuple[int, np.ndarray]], level: int, room: int) -> None:
        graph = self.graph
        owners, lists = np.array([owner for owner, _ in full]), np.stack([links for _, links in full])
        own = graph.vectors(owners)
        vectors = graph.vectors(lists.ravel()).reshape(*lists.shape, -1)
        away = distances_of(graph.space, own, vectors)
        order = np.argsort(away, axis=1, kind="stable")
        away, lists = np.take_along_axis(away, order, axis=1), np.take_along_axis(lists, order, axis=1)
        vectors = np.take_along_axis(vectors, order[:, :, None], axis=1)
        for owner, links, keep in zip(
            owners.tolist(), lists, selected(graph.space, own, vectors, away, room), strict=True
        ):
            graph.store(owner, level, links[keep])


def distances_of(space: str, own: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(q, k) float32 distances of `own` (q, dim) from each of `vectors` (q, k, dim)."""
    if space != "l2":
        return np.float32(1) - np.einsum("qd,qkd->qk", own, vectors)
    apart = vectors - own[:, None, :]
    return np.einsum("qkd,qkd->qk", apart, apart)


def selected(space: str, own: np.ndarray, vectors: np.ndarray, away: np.ndarray, room: int) -> np.ndarray:
    """(q, k) bool: hnswlib's heuristic (getNeighborsByHeuristic2) over candidates (q, k, dim), nearest first.

    Of each row those that are nearer to their owner (`own`, (q, dim) or (dim,); distances `away`) than to one
    chosen before, at most `room`; all where there are fewer than `room`.
    """
    if away.shape[1] < room:
        return np.ones(away.shape, dtype=bool)
    between = _between(space, np.atleast_2d(own), vectors)
    good, chosen = np.ones(away.shape, dtype=bool), np.zeros(away.shape, dtype=bool)
    for at in range(away.shape[1]):
        takes = good[:, at] & (chosen.sum(axis=1) < room)
        chosen[:, at] = takes
        good &= ~(takes[:, None] & (between[:, at, :] < away))
    return chosen


def _between(space: str, own: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(q, k, k) distances among the candidates of a row; for l2 seen from their owner, where float32 is fine."""
    if space == "l2":
        vectors = vectors - own[:, None, :]
    products = vectors @ vectors.transpose(0, 2, 1)
    if space != "l2":
        return np.float32(1) - products
    squares = np.einsum("qkd,qkd->qk", vectors, vectors)
    return squares[:, :, None] + squares[:, None, :] - 2 * products


def add_on_maps(
    directory: Path, space: str, stored: np.ndarray, norms: np.ndarray, labels: np.ndarray, capacity: int = 0
) -> layout.Header:
    """The draft index in `directory` also holds `stored` (n, dim), as level 0 has it, with `norms` (n,) under `labels`.

    Vectors may be a map themselves. Needs a sound header, level 0 and link_lists.bin that walks to its end;
    raises Refused otherwise, OSError where the disk is full. Returns the new header.
    """
    header, walk = sound_header(directory), sound_walk(directory)
    first, total = header.cur_element_count, header.cur_element_count + len(labels)
    levels = drawn_levels(header, len(labels))
    with ExitStack() as held:
        size = layout.element_size(header.dim, header.M)
        if (directory / layout.LEVEL0_FILE).stat().st_size < first * size:
            raise Refused(f"data_level0.bin is too short for {first} elements.")
        end = walk.end + int((4 + levels.astype(np.int64) * layout.list_size(header.M)).sum())
        level0 = held.enter_context(mapped(directory / layout.LEVEL0_FILE, total * size))
        lengths = held.enter_context(mapped(directory / layout.LENGTH_FILE, 4 * total))
        links = held.enter_context(mapped(directory / layout.LINKS_FILE, end, exact=True))
        graph = MappedGraph.of(space, header, level0, links, with_levels(walk, levels, header.M))
        lengths.raw.view("<f4")[first:] = norms
        _write_lengths(graph, walk, levels)
        growing = Growing(graph, header.ef_construction, header.enterpoint, header.maxlevel if first else -1)
        for start in range(0, len(labels), CHUNK):
            _write_records(graph, first + start, stored[start : start + CHUNK], labels[start : start + CHUNK])
            for element in range(first + start, min(first + start + CHUNK, total)):
                growing.link(element)
    new = replace(
        header,
        cur_element_count=total,
        max_elements=max(total, header.max_elements, capacity),
        maxlevel=growing.maxlevel,
        enterpoint=growing.enterpoint,
    )
    write_header(directory / layout.HEADER_FILE, new)
    return new


def drawn_levels(header: layout.Header, count: int) -> np.ndarray:
    """(count,) uint8 upper levels, as hnswlib draws them: -ln(U) · mult. Another count of elements, other levels."""
    rng = np.random.default_rng([SEED, header.cur_element_count])
    drawn = -np.log(1 - rng.random(count)) * header.mult
    return np.minimum(drawn, layout.MAX_LEVEL).astype(np.uint8)


def with_levels(walk: LinkWalk, levels: np.ndarray, M: int) -> LinkWalk:
    """The walk as it will be with records for new elements of these `levels` behind its end."""
    sizes = 4 + levels.astype(np.int64) * layout.list_size(M)
    starts = walk.end + np.cumsum(sizes) - sizes
    new = np.flatnonzero(levels)
    return replace(
        walk,
        count=walk.count + len(levels),
        levels=np.concatenate([walk.levels, levels]),
        tall=np.concatenate([walk.tall, walk.count + new]),
        offsets=np.concatenate([walk.offsets, starts[new] + 4]),
        end=walk.end + int(sizes.sum()),
    )


def _write_lengths(graph: MappedGraph, walk: LinkWalk, levels: np.ndarray) -> None:
    """Behind the walk's end stands the byte length of each new element's lists, the lists themselves empty."""
    graph.words[walk.end // 4 :] = 0
    new = walk.count + np.flatnonzero(levels)
    starts = graph.offsets[np.searchsorted(graph.tall, new)] // 4 - 1
    graph.words[starts] = levels[levels > 0].astype(np.uint32) * layout.list_size(graph.M)


def _write_records(graph: MappedGraph, first: int, stored: np.ndarray, labels: np.ndarray) -> None:
    """Records without links at the internal ids from `first` on."""
    part = graph.level0[first : first + len(labels)]
    part["count"], part["flags"], part["unused"], part["links"] = 0, 0, 0, 0
    part["vector"], part["label"] = stored, labels
