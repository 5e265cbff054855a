"""How many of the true nearest neighbours a search through the stored graph finds, on a seeded sample.

The search is hnswlib's: greedy down to level 1, then a beam of `ef` over level 0 that walks through deleted
elements and returns live ones. The truth is exact, by looking at every live vector. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from heapq import heappop, heappush, heappushpop

import numpy as np

from forensics.absent import Absent, NotAvailable
from forensics.readers.hnsw import HnswFiles, Level0Summary
from forensics.readers.layout import Header
from forensics.readers.link_walk import LinkWalk

K, QUERIES, CHUNK = 10, 100, 1 << 15
Z = 1.96
Distances = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the K nearest that was found: the mean over `queries`, and its 95 % confidence
    interval."""

    mean: float
    low: float
    high: float
    queries: int
    ef: int

    @property
    def interval(self) -> str:
        return f"{self.low:.3f} – {self.high:.3f}"

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}–{self.high:.2f}]"

    def judged(self, fresh: Recall) -> str:
        """Whether it is worse or better than that of a fresh graph: where the intervals do not meet."""
        if self.high < fresh.low:
            return "significantly worse"
        return "significantly better" if self.low > fresh.high else "not significantly different"

    def beside(self, fresh: Recall) -> str:
        """Both with their intervals, and the judgement."""
        return f"{self} against {fresh} of a fresh graph: {self.judged(fresh)}"


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a fresh graph of a sample of a segment's vectors does: the share that it leaves unreached, its
    recall, of how many vectors it is."""

    share: float
    recall: Recall | None
    vectors: int


Control = Callable[[HnswFiles, str, int], Fresh | Absent]
CONTROL: ContextVar[Control | None] = ContextVar("CONTROL", default=None)
"""Builds a Fresh of a segment, in that space and with its settings, searched with that ef. Set by who may
start the engine; without it figures decide."""


@dataclass(frozen=True, slots=True)
class Searchable:
    """What a search needs; made by `searchable`, which sees that every link leads to an element."""

    header: Header
    level0: np.ndarray
    summary: Level0Summary
    lists: dict[int, dict[int, np.ndarray]]
    distances: Distances


def measure_recall(files: HnswFiles, space: str, ef: int) -> Recall | Absent:
    """The recall of stored vectors that are asked for their own neighbours. Absent where links lead
    nowhere."""
    graph = searchable(files, space)
    if isinstance(graph, Absent):
        return graph
    live = np.flatnonzero(graph.summary.live & (graph.summary.labels >= 1))
    if len(live) <= K:
        return NotAvailable(f"{len(live)} live elements are too few to ask for {K}")
    asked = np.sort(np.random.default_rng(0).choice(live, min(QUERIES, len(live)), replace=False))
    queries = files.vectors(asked)
    queries = queries[np.isfinite(queries).all(axis=1)]
    if not len(queries):
        return NotAvailable("no vector that was asked for is finite")
    limits = _true_limits(graph, live, queries)
    ef = max(ef, K)
    shares = np.array([_found(graph, query, limit, ef) for query, limit in zip(queries, limits, strict=True)])
    return Recall(float(shares.mean()), *interval(shares), len(shares), ef)


def interval(shares: np.ndarray) -> tuple[float, float]:
    """The 95 % confidence interval (Wilson's) of the mean of `shares`, each of K neighbours of one query.

    Neighbours of one query are found or missed together: what counts is the number of independent draws that
    vary as the queries do, at least one a query and at most K. Where all queries agree, one a query.
    """
    mean, spread, least = float(shares.mean()), float(shares.var(ddof=min(1, len(shares) - 1))), len(shares)
    draws = min(max(mean * (1 - mean) * least / spread, least), K * least) if spread else least
    middle = (mean + Z * Z / (2 * draws)) / (1 + Z * Z / draws)
    half = Z / (1 + Z * Z / draws) * (mean * (1 - mean) / draws + Z * Z / (4 * draws * draws)) ** 0.5
    return max(0.0, min(middle - half, mean)), min(1.0, max(middle + half, mean))


def searchable(files: HnswFiles, space: str) -> Searchable | Absent:
    """The parts of a segment that a search walks, with the lists of upper levels by element."""
    header, level0, summary, walk = files.geometry, files.level0, files.summary, files.links
    if isinstance(header, Absent) or isinstance(level0, Absent) or isinstance(summary, Absent):
        return NotAvailable("a search needs a sound header and level 0")
    if isinstance(walk, Absent) or walk.problem is not None or header.enterpoint >= len(level0):
        return NotAvailable("a search needs link_lists.bin and an entry point")
    lists = {level: _by_element(walk, level, len(level0)) for level in range(1, header.maxlevel + 1)}
    return Searchable(header, level0, summary, lists, _l2 if space == "l2" else _inner)


def _by_element(walk: LinkWalk, level: int, total: int) -> dict[int, np.ndarray]:
    elements, counts, links = walk.level(level)
    rows = zip(elements.tolist(), np.minimum(counts, walk.M).tolist(), links, strict=True)
    return {element: row[:count][row[:count] < total].astype(np.int64) for element, count, row in rows}


def _l2(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    apart = vectors - query
    return _or_far(np.einsum("ij,ij->i", apart, apart))


def _inner(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    return _or_far(1 - vectors @ query)


def _or_far(distances: np.ndarray) -> np.ndarray:
    """A distance that is no number is further than any: no walk would end on one."""
    return np.where(np.isnan(distances), np.inf, distances)


def _true_limits(graph: Searchable, live: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(q,) the distance of the K-th nearest live vector of each query."""
    nearest = np.full((len(queries), K), np.inf)
    for start in range(0, len(live), CHUNK):
        vectors = np.ascontiguousarray(graph.level0["vector"][live[start : start + CHUNK]])
        for row, query in enumerate(queries):
            both = np.concatenate([nearest[row], graph.distances(vectors, query)])
            nearest[row] = np.partition(both, K - 1)[:K]
    return nearest.max(axis=1)


def _found(graph: Searchable, query: np.ndarray, limit: float, ef: int) -> float:
    distances = np.array(sorted(search(graph, query, ef)))[:K]
    return float((distances <= limit * (1 + 1e-6) + 1e-9).sum()) / K


def search(graph: Searchable, query: np.ndarray, ef: int) -> list[float]:
    """The distances of the at most `ef` live elements that a search for `query` returns, in any order."""
    start = _descended(graph, query)
    links, counts, deleted = graph.level0["links"], graph.summary.counts, graph.summary.deleted
    first = _distance(graph, start, query)
    found: list[float] = [] if deleted[start] else [-first]
    candidates, seen = [(first, start)], {start}
    while candidates:
        nearest, element = heappop(candidates)
        if len(found) >= ef and nearest > -found[0]:
            break
        count = min(int(counts[element]), 2 * graph.header.M)
        fresh = [n for n in links[element][:count].tolist() if n not in seen and n < len(graph.level0)]
        seen.update(fresh)
        apart = graph.distances(graph.level0["vector"][fresh], query).tolist() if fresh else []
        for distance, neighbour in zip(apart, fresh, strict=True):
            if len(found) < ef or distance < -found[0]:
                heappush(candidates, (distance, neighbour))
                if not deleted[neighbour]:
                    _keep(found, distance, ef)
    return [-distance for distance in found]


def _keep(found: list[float], distance: float, ef: int) -> None:
    if len(found) < ef:
        heappush(found, -distance)
    else:
        heappushpop(found, -distance)


def _descended(graph: Searchable, query: np.ndarray) -> int:
    """The element of level 0 at which the greedy walk from the entry point arrives."""
    here = graph.header.enterpoint
    nearest = _distance(graph, here, query)
    for level in range(graph.header.maxlevel, 0, -1):
        while True:
            around = graph.lists[level].get(here, np.empty(0, dtype=np.int64))
            apart = graph.distances(graph.level0["vector"][around], query)
            if not apart.size or float(apart.min()) >= nearest:
                break
            here, nearest = int(around[apart.argmin()]), float(apart.min())
    return here


def _distance(graph: Searchable, element: int, query: np.ndarray) -> float:
    return float(graph.distances(graph.level0["vector"][element : element + 1], query)[0])
