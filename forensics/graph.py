"""Measurements of the stored graph: what its lists hold that none may, and which elements a search can reach.

A search starts at the entry point on the top level, walks down greedily, and spreads over level 0. An element
can be found only if a path leads to it: on level 0 from any element that the level above reaches, and so on
up to the entry point. Deleted elements are walked through like all others. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np

from forensics.absent import Absent, NotAvailable
from forensics.readers.hnsw import HnswFiles
from forensics.readers.layout import Header
from forensics.readers.link_walk import LinkWalk

CHUNK = 1 << 14
"""Lists looked at in one step: with M = 16 two megabytes, so that a chunk stays in the cache."""
KEY = 4
"""Components by which vectors are told apart before they are compared as a whole."""

RowsOf = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFaults:
    """The owners (internal ids, ascending) of lists of one level that hold what no list may.

    too_long: a count above the room of the list. out_of_range: a neighbour at or past the number of elements.
    to_self, repeated: a neighbour that is the owner, or that is there twice. absent_level: a neighbour that
    has no list on this level. empty: no neighbour at all.
    """

    level: int
    too_long: np.ndarray
    out_of_range: np.ndarray
    to_self: np.ndarray
    repeated: np.ndarray
    absent_level: np.ndarray
    empty: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What one look at every list of a segment gives.

    `elements` is how many level 0 holds. `faults` has one entry per level, level 0 first. `levels`
    (elements,) uint8 is the top level of each element, 0 where link_lists.bin could not be walked that far.
    `entry_problem` says why searches cannot start where the header says. `reached` (elements,) bool: a path
    from the entry point leads there; all False where there is no usable entry point. `reached_on`: level → how many
    elements a path leads to on that level.
    """

    elements: int
    M: int
    levels: np.ndarray = field(repr=False)
    faults: tuple[ListFaults, ...]
    entry_problem: str | None
    reached: np.ndarray = field(repr=False)
    reached_on: dict[int, int] = field(repr=False)

    def owners(self, kind: str) -> dict[int, np.ndarray]:
        """level → owners of lists with that fault, for the levels that have any."""
        found = {faults.level: getattr(faults, kind) for faults in self.faults}
        return {level: owners for level, owners in found.items() if owners.size}


@dataclass(slots=True)
class _Lists:
    """The lists of one level, cleaned for walking: what does not lead to an element points past the last one.

    `owners` (k,) ascending, or None where row i belongs to element i; `links` (k, width) uint32.
    """

    owners: np.ndarray | None
    links: np.ndarray

    def rows(self, elements: np.ndarray) -> np.ndarray:
        """The neighbours of `elements`; those that have no list here have none."""
        if self.owners is None:
            return self.links[elements[elements < len(self.links)]]
        at = np.minimum(np.searchsorted(self.owners, elements), max(len(self.owners) - 1, 0))
        return self.links[at[self.owners[at] == elements]] if len(self.owners) else self.links


_MEASURED: WeakKeyDictionary[HnswFiles, Graph | Absent] = WeakKeyDictionary()


def measure(files: HnswFiles) -> Graph | Absent:
    """The graph of a segment, looked at once and remembered while `files` lives.

    Needs about 8 * M bytes an element while it runs. Absent where level 0 or link_lists.bin cannot be cut.
    """
    if files not in _MEASURED:
        _MEASURED[files] = _measure(files)
    return _MEASURED[files]


def _measure(files: HnswFiles) -> Graph | Absent:
    header, summary, level0, walk = files.geometry, files.summary, files.level0, files.links
    if isinstance(header, Absent) or isinstance(summary, Absent):
        return NotAvailable("the graph cannot be cut without a sound header and level 0")
    if isinstance(level0, Absent) or isinstance(walk, Absent):
        return NotAvailable("the graph cannot be cut without level 0 and link_lists.bin")
    total = header.cur_element_count
    lists, faults = _level0(level0, summary.counts, total)
    levels = np.zeros(len(level0), dtype=np.uint8)
    levels[: min(walk.walked, len(level0))] = walk.levels[: len(level0)]
    upper = {level: _upper(walk, level, total) for level in range(1, int(walk.levels.max(initial=0)) + 1)}
    problem = entry_problem(header, walk)
    reached, reached_on = np.zeros(len(level0), dtype=bool), dict[int, int]()
    if problem is None and len(level0):
        walkable = {0: lists, **{level: pair[0] for level, pair in upper.items()}}
        there = np.empty(0, dtype=np.int64)
        for level, there in descent(header.enterpoint, header.maxlevel, walkable, total):
            reached_on[level] = len(there)
        reached[there[there < len(level0)]] = True
    return Graph(
        elements=len(level0),
        M=header.M,
        levels=levels,
        faults=(faults, *(pair[1] for pair in upper.values())),
        entry_problem=problem,
        reached=reached,
        reached_on=reached_on,
    )


def entry_problem(header: Header, walk: LinkWalk) -> str | None:
    """Why no search can start at the entry point, or None. An empty index needs no entry point."""
    count, entry, top = header.cur_element_count, header.enterpoint, header.maxlevel
    if count == 0:
        return None
    if entry >= count:
        return f"the entry point is {entry}, past the last of {count} elements"
    if top < 0:
        return f"maxlevel is {top} although there are {count} elements"
    if entry < walk.walked and walk.levels[entry] < top:
        return f"maxlevel is {top}, but the entry point {entry} has lists up to level {walk.levels[entry]}"
    return None


def _level0(level0: np.ndarray, counts: np.ndarray, total: int) -> tuple[_Lists, ListFaults]:
    """The lists of level 0 cleaned, and their faults, in one pass from front to back."""
    width = level0.dtype["links"].shape[0]
    links = np.empty((len(level0), width), dtype=np.uint32)
    found: list[list[np.ndarray]] = []
    for start in range(0, len(level0), CHUNK):
        part = slice(start, start + CHUNK)
        owners = np.arange(start, min(start + CHUNK, len(level0)), dtype=np.uint32)
        clean, faults = _inspect(level0["links"][part].copy(), counts[part], owners, total)
        links[part] = clean
        found.append(faults)
    return _Lists(None, links), _joined(0, found, np.empty(0, dtype=np.int64))


def _upper(walk: LinkWalk, level: int, total: int) -> tuple[_Lists, ListFaults]:
    """The same for one upper level; here a neighbour must have a list on this level, too."""
    owners, counts, links = walk.level(level)
    clean, faults = _inspect(links.astype(np.uint32), counts, owners.astype(np.uint32), total)
    heights = np.concatenate([walk.levels, np.full(total + links.shape[1] + 1 - walk.walked, 255, np.uint8)])
    absent = owners[(heights[clean] < level).any(axis=1)]
    return _Lists(owners, clean), _joined(level, [faults], absent)


def _inspect(
    links: np.ndarray, counts: np.ndarray, owners: np.ndarray, total: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The lists sorted, unused slots and bad neighbours numbered from `total` on; and the owners of bad
    lists.

    `links` (k, width) uint32 is overwritten. The order of the faults is that of the fields of ListFaults.
    """
    slots = np.arange(links.shape[1], dtype=np.uint32)
    sound = counts <= links.shape[1]
    unused = slots[None, :] >= np.where(sound, counts, 0).astype(np.uint32)[:, None]
    out_of_range = np.zeros(len(links), dtype=bool)
    if links.max(initial=0) >= total:
        beyond = (links >= total) & ~unused
        out_of_range, unused = beyond.any(axis=1), unused | beyond
    np.copyto(links, total + slots[None, :], where=unused)
    to_self = _any_in_row(links == owners[:, None])
    links.sort(axis=1)
    repeated = _repeated(links)
    kinds = (~sound, out_of_range, to_self, repeated, counts == 0)
    return links, [owners[kind].astype(np.int64) for kind in kinds]


def _any_in_row(cells: np.ndarray) -> np.ndarray:
    """`cells.any(axis=1)`, in a tenth of the time where no cell holds."""
    return np.asarray(cells.any(axis=1)) if cells.any() else np.zeros(len(cells), dtype=bool)


def _repeated(links: np.ndarray) -> np.ndarray:
    """(k,) bool: a sorted row holds a number twice. One look over all rows as one says mostly that none does."""
    whole = links.ravel()
    if not (whole[1:] == whole[:-1]).any():
        return np.zeros(len(links), dtype=bool)
    return _any_in_row(links[:, 1:] == links[:, :-1])


def _joined(level: int, found: list[list[np.ndarray]], absent_level: np.ndarray) -> ListFaults:
    none = np.empty(0, dtype=np.int64)
    too_long, out_of_range, to_self, repeated, empty = (
        np.concatenate([none, *(faults[kind] for faults in found)]) for kind in range(5)
    )
    return ListFaults(
        level=level,
        too_long=too_long,
        out_of_range=out_of_range,
        to_self=to_self,
        repeated=repeated,
        absent_level=absent_level,
        empty=empty,
    )


def descent(
    entry: int, maxlevel: int, lists: dict[int, _Lists], total: int
) -> Iterator[tuple[int, np.ndarray]]:
    """(level, the elements that a path from `entry` leads to there), from `maxlevel` down to 0."""
    reached = np.array([entry], dtype=np.int64)
    for level in range(maxlevel, -1, -1):
        if level in lists:
            width = lists[level].links.shape[1]
            reached = np.flatnonzero(_spread(reached, lists[level].rows, total, width))
        yield level, reached


def _spread(start: np.ndarray, rows: RowsOf, total: int, width: int) -> np.ndarray:
    """(total,) bool: `start` and all that its lists lead to, in breadth-first order."""
    seen = np.zeros(total + width + 1, dtype=bool)
    seen[total:] = True
    seen[start] = True
    frontier = start
    while frontier.size:
        frontier = _next(frontier, rows, seen)
    return seen[:total]


def _next(frontier: np.ndarray, rows: RowsOf, seen: np.ndarray) -> np.ndarray:
    """The elements that `frontier` leads to and that were not seen before; they are seen now.

    A long frontier is marked in an array over all elements, a short one sorted, so that a graph of one long
    chain costs no more than its links.
    """
    if frontier.size < len(seen) // 64:
        near = rows(frontier).ravel()
        fresh = np.unique(near[~seen[near]]).astype(np.int64)
    else:
        marks = np.zeros(len(seen), dtype=bool)
        for part in _chunks(frontier):
            marks[rows(part)] = True
        fresh = np.flatnonzero(marks & ~seen)
    seen[fresh] = True
    return fresh


def _chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def without_twin(files: HnswFiles, elements: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Those of `elements` whose vector is not, bit for bit, that of an element marked in `among`
    (elements,)."""
    level0 = files.level0
    if isinstance(level0, Absent):
        return elements
    vectors, everyone = level0["vector"], np.flatnonzero(among)
    alike = np.isin(_words(vectors[:, :KEY], everyone), _words(vectors[:, :KEY], elements))
    return elements[~np.isin(_words(vectors, elements), _words(vectors, everyone[alike]))]


def _words(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(k,) uint64 of these rows, equal for what is equal bit for bit, and for hardly anything else."""
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 2**63, size=vectors.shape[1], dtype=np.uint64) | np.uint64(1)
    hashes = np.empty(len(rows), dtype=np.uint64)
    for start in range(0, len(rows), CHUNK):
        words = np.ascontiguousarray(vectors[rows[start : start + CHUNK]]).view(np.uint32).astype(np.uint64)
        hashes[start : start + CHUNK] = (words * weights).sum(axis=1, dtype=np.uint64)
    return hashes
