"""New links for elements that lost theirs, or that no search reaches, without touching the rest of the graph.

Each gets links to its nearest neighbours, chosen by hnswlib's own heuristic (`getNeighborsByHeuristic2`), and
those get links back to it, shrunk by the same heuristic where their lists are full. Unlike hnswlib it sees to
it that nobody loses the last link that leads to him.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forensics.errors import Refused
from forensics.readers import layout
from forensics.writers.draft_maps import CHUNK, level0_for_writing, sound_header

SPACES = ("l2", "ip", "cosine")
BLOCK_BYTES = 1 << 22
"""Vectors that are held as a copy at one time while neighbours are sought."""
QUERIES = 1024


def relink(
    directory: Path,
    elements: np.ndarray,
    space: str,
    *,
    candidates: np.ndarray | None = None,
    incoming: int = 1,
) -> np.ndarray:
    """Each live one of `elements` (k,) has links on level 0 and at least `incoming` links that lead to it.

    Neighbours are the exact nearest live elements, or come from `candidates` (k, c), internal ids that a
    search does reach (-1 where there are fewer). Returns the sorted internal ids whose lists changed. Raises
    Refused for a space that is none, or where nothing is left to link to; a rebuild is the remedy then.
    """
    return relink_traced(directory, elements, space, candidates=candidates, incoming=incoming).changed


@dataclass(frozen=True, slots=True)
class Relinked:
    """Sorted internal ids: `changed` have other lists than before, `bereft` lost a link that led to them."""

    changed: np.ndarray
    bereft: np.ndarray


def relink_traced(
    directory: Path,
    elements: np.ndarray,
    space: str,
    *,
    candidates: np.ndarray | None = None,
    incoming: int = 1,
) -> Relinked:
    """As `relink`, and says whom it cost a link."""
    if space not in SPACES:
        raise Refused(f"{space!r} is not a space of hnswlib ({', '.join(SPACES)}).")
    header = sound_header(directory)
    wanted = np.unique(np.asarray(elements, dtype=np.int64))
    with level0_for_writing(directory) as level0:
        targets, lists = _targets(level0, wanted, elements, candidates, header.enterpoint)
        graph = _Graph(level0, space, header.M, in_degrees(level0), set(), set())
        for element, near in zip(targets.tolist(), _neighbours(graph, targets, lists), strict=True):
            graph.connect(element, near, incoming)
        return Relinked(_sorted(graph.changed), _sorted(graph.bereft))


def _sorted(elements: set[int]) -> np.ndarray:
    return np.array(sorted(elements), dtype=np.int64)


def in_degrees(level0: np.ndarray) -> np.ndarray:
    """(n,) int64: how many level-0 links lead to each element. Links that cannot be are not counted."""
    total, degrees = len(level0), np.zeros(len(level0), dtype=np.int64)
    for start in range(0, total, CHUNK):
        part = level0[start : start + CHUNK]
        links = part["links"]
        used = np.arange(links.shape[1])[None, :] < part["count"][:, None]
        degrees += np.bincount(links[used & (links < total)], minlength=total)
    return degrees


def distances(space: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(a, b) float32 distances of `left` (a, dim) and `right` (b, dim) in that space."""
    products = left @ right.T
    if space != "l2":
        return 1.0 - products
    squares = np.einsum("ij,ij->i", left, left)[:, None] + np.einsum("ij,ij->i", right, right)[None, :]
    return squares - 2.0 * products


def nearest(level0: np.ndarray, space: str, queries: np.ndarray, allowed: np.ndarray, k: int) -> np.ndarray:
    """(q, k) int64 internal ids of the nearest elements where `allowed` (n,) bool, nearest first; -1 where
    there are fewer.

    Exact. Reads every vector once per 1,024 queries, in blocks.
    """
    rows = [
        _nearest_block(level0, space, queries[at : at + QUERIES], allowed, k)
        for at in range(0, len(queries), QUERIES)
    ]
    return np.concatenate(rows) if rows else np.empty((0, k), dtype=np.int64)


def _nearest_block(
    level0: np.ndarray, space: str, queries: np.ndarray, allowed: np.ndarray, k: int
) -> np.ndarray:
    best = np.full((len(queries), k), np.inf, dtype=np.float32)
    ids = np.full((len(queries), k), -1, dtype=np.int64)
    for members, vectors in _blocks(level0, allowed):
        found = np.concatenate([best, distances(space, queries, vectors)], axis=1)
        named = np.concatenate([ids, np.broadcast_to(members, (len(queries), len(members)))], axis=1)
        top = np.argpartition(found, k - 1, axis=1)[:, :k] if found.shape[1] > k else np.arange(k)[None, :]
        best, ids = np.take_along_axis(found, top, axis=1), np.take_along_axis(named, top, axis=1)
    order = np.argsort(best, axis=1, kind="stable")
    return np.take_along_axis(ids, order, axis=1)


def _blocks(level0: np.ndarray, allowed: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    step = max(1, BLOCK_BYTES // max(1, level0.dtype["vector"].itemsize))
    for start in range(0, len(level0), step):
        members = start + np.flatnonzero(allowed[start : start + step])
        whole = len(members) == len(level0[start : start + step])
        if members.size:
            rows = slice(start, start + step) if whole else members
            yield members, np.ascontiguousarray(level0["vector"][rows])


def _targets(
    level0: np.ndarray, wanted: np.ndarray, given: np.ndarray, candidates: np.ndarray | None, enterpoint: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The elements to link (live, or the enterpoint) and the candidates of each, in the same order."""
    if wanted.size and (wanted[0] < 0 or wanted[-1] >= len(level0)):
        raise Refused(f"the draft has {len(level0)} elements; {int(wanted[-1])} is not one of them.")
    keep = ((level0["flags"][wanted] & layout.DELETED_FLAG) == 0) | (wanted == enterpoint)
    targets = wanted[keep]
    if candidates is None:
        return targets, None
    first = {element: row for row, element in reversed(list(enumerate(np.asarray(given).tolist())))}
    return targets, candidates[[first[element] for element in targets.tolist()]]


def _neighbours(graph: _Graph, targets: np.ndarray, lists: np.ndarray | None) -> Iterator[np.ndarray]:
    """Per target the internal ids worth linking to, nearest first; first those that are well linked
    themselves.
    """
    level0, k = graph.level0, 2 * graph.M
    others = (level0["flags"] & layout.DELETED_FLAG) == 0
    others[targets] = False
    if targets.size and not others.any() and lists is None:
        raise Refused(
            "no live element keeps its links, so nothing is left to link to; the index must be rebuilt."
        )
    for start in range(0, len(targets), QUERIES):
        part = targets[start : start + QUERIES]
        vectors = np.ascontiguousarray(level0["vector"][part])
        near = (
            nearest(level0, graph.space, vectors, others, k)
            if lists is None
            else lists[start : start + QUERIES]
        )
        for row, element in zip(near, part.tolist(), strict=True):
            yield row[(row >= 0) & (row != element)]


@dataclass(slots=True)
class _Graph:
    """Level 0 of a draft while links are added; `degrees` (n,) counts the links that lead to each element."""

    level0: np.ndarray
    space: str
    M: int
    degrees: np.ndarray
    changed: set[int]
    bereft: set[int]

    def neighbours(self, element: int) -> np.ndarray:
        record = self.level0[element]
        return record["links"][: int(record["count"])].astype(np.int64)

    def connect(self, element: int, near: np.ndarray, incoming: int) -> None:
        """Links `element` with the best of `near` (nearest first), both ways."""
        chosen = self.select(element, near, self.M)
        old = self.neighbours(element)
        self.store(element, np.concatenate([chosen, old[~np.isin(old, chosen)]])[: 2 * self.M])
        for other in chosen.tolist():
            self.link_back(other, element)
        linked = 0  # links from elements of the same island do not count: no search reaches those either
        for other in near.tolist():
            if linked >= incoming:
                break
            linked += self.force(other, element)

    def select(self, element: int, near: np.ndarray, room: int) -> np.ndarray:
        """hnswlib's heuristic: of `near`, nearest first, those that are nearer to `element` than to one
        chosen before.
        """
        if len(near) < room:
            return near
        vectors = self.level0["vector"][near]
        own = distances(self.space, self.level0["vector"][[element]], vectors)[0]
        order = np.argsort(own, kind="stable")
        between = distances(self.space, vectors, vectors)
        chosen: list[int] = []
        for index in order.tolist():
            if len(chosen) < room and not (between[index, chosen] < own[index]).any():
                chosen.append(index)
        return near[chosen]

    def link_back(self, owner: int, element: int) -> None:
        """`owner` links to `element` where its list has room or the heuristic prefers that link to others."""
        old = self.neighbours(owner)
        if element in old:
            return
        if len(old) < 2 * self.M:
            self.store(owner, np.append(old, element))
            return
        kept = self.select(owner, np.append(old, element), 2 * self.M)
        last = [other for other in old[~np.isin(old, kept)].tolist() if self.degrees[other] <= 1]
        if len(kept) + len(last) <= 2 * self.M:
            self.store(owner, np.append(kept, np.array(last, dtype=np.int64)))

    def force(self, owner: int, element: int) -> bool:
        """`owner` links to `element`; of a full list the farthest link goes that others make up for. False: it cannot."""
        old = self.neighbours(owner)
        if element in old:
            return True
        if len(old) >= 2 * self.M:
            away = distances(self.space, self.level0["vector"][[owner]], self.level0["vector"][old])[0]
            spare = np.flatnonzero(self.degrees[old] > 1)
            if spare.size == 0:
                return False
            old = np.delete(old, spare[away[spare].argmax()])
        self.store(owner, np.append(old, element))
        return True

    def store(self, owner: int, links: np.ndarray) -> None:
        """The list of `owner` is `links`; degrees follow."""
        old = self.neighbours(owner)
        np.subtract.at(self.degrees, old, 1)
        np.add.at(self.degrees, links, 1)
        self.bereft.update(old[~np.isin(old, links)].tolist())
        self.level0["links"][owner] = 0
        self.level0["links"][owner, : len(links)] = links
        self.level0["count"][owner] = len(links)
        self.changed.add(owner)
