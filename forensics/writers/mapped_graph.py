"""The graph of a draft on memory maps: hnswlib's search of one level, reading only the elements that it visits.

Several of the nearest open elements are followed in one step (hnswlib: one), so that numpy has something to do. A
search therefore visits a little more than hnswlib's with the same ef, never less.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from forensics.readers import layout
from forensics.readers.link_walk import LinkWalk

FOLLOWED = 6
"""Open elements whose neighbours are looked at in one step while links are sought."""
RESIDENT = 64 << 20
"""Bytes of the maps that may be read before their pages are given back: what stays of them in this process."""
AROUND = 1 << 16
"""Bytes that Linux maps around a page that is touched."""
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)


@dataclass(slots=True)
class FileMap:
    """A file of a draft as a shared map that may be written."""

    raw: np.ndarray
    pages: mmap.mmap

    def let_go(self) -> None:
        """The pages do not count for this process any more; what was written to them stays in the file."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.pages.madvise(mmap.MADV_DONTNEED)


@contextmanager
def mapped(path: Path, size: int, *, exact: bool = False, write: bool = True) -> Generator[FileMap]:
    """The first `size` bytes of a draft file, which has them afterwards (zeros where it was shorter), on the disk.

    Room for what it gains is taken first, since a write to a map cannot say that the disk is full: OSError then.
    `exact`: what stands behind is cut off. Without `write` nothing is changed, and the file has them already.
    """
    with open(os.open(path, _FLAGS if write else _FLAGS & ~os.O_RDWR), "r+b" if write else "rb") as handle:
        if write:
            _take_room(handle.fileno(), size, exact)
        pages = mmap.mmap(handle.fileno(), size, access=mmap.ACCESS_WRITE if write else mmap.ACCESS_READ)
        if hasattr(mmap, "MADV_RANDOM"):
            pages.madvise(mmap.MADV_RANDOM)
        yield FileMap(np.frombuffer(pages, dtype=np.uint8), pages)
        if not write:
            return
        pages.flush()
        os.utime(path)
        os.fsync(handle.fileno())


def _take_room(descriptor: int, size: int, exact: bool) -> None:
    have = os.fstat(descriptor).st_size
    if have > size and exact:
        os.ftruncate(descriptor, size)
    if have < size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, have, size - have)
    elif have < size:
        os.ftruncate(descriptor, size)


@dataclass(slots=True)
class MappedGraph:
    """Level 0 and the upper lists of an index of `total` elements, of which some may not be linked yet.

    tall (t,): the sorted internal ids with upper levels; offsets (t,): the byte of the first list of each;
    levels (total,) uint8.
    """

    space: str
    M: int
    level0: np.ndarray
    words: np.ndarray
    tall: np.ndarray
    offsets: np.ndarray
    levels: np.ndarray
    maps: tuple[FileMap, ...]
    followed: int = FOLLOWED
    seen: np.ndarray = field(init=False)
    round: int = 0
    touched: int = 0

    def __post_init__(self) -> None:
        self.seen = np.zeros(len(self.level0), dtype=np.uint32)

    @classmethod
    def of(
        cls,
        space: str,
        header: layout.Header,
        level0: FileMap,
        links: FileMap,
        walk: LinkWalk,
        followed: int = FOLLOWED,
    ) -> MappedGraph:
        """The graph as the walk found it; a FileMap may be longer than what is linked."""
        records = level0.raw.view(layout.level0_dtype(header.dim, header.M))
        words = links.raw[: links.raw.size // 4 * 4].view("<u4")
        where = (walk.tall, walk.offsets, walk.levels)
        return cls(space, header.M, records, words, *where, (level0, links), followed)

    # --- lists ----------------------------------------------------------------------------------------------

    def row(self, element: int, level: int) -> np.ndarray:
        """(M + 1,) words of an upper list: the count, then the links; a view that may be written."""
        at = int(np.searchsorted(self.tall, element))
        start = (int(self.offsets[at]) + (level - 1) * layout.list_size(self.M)) // 4
        return self.words[start : start + self.M + 1]

    def links(self, element: int, level: int) -> np.ndarray:
        """(k,) int64: the neighbours of one element on that level; numbers that cannot be are left out."""
        if level == 0:
            return self.around(np.array([element]))
        row = self.row(element, level)
        found = row[1 : 1 + min(int(row[0] & 0xFFFF), self.M)].astype(np.int64)
        found = found[found < len(self.level0)]
        return found[self.levels[found] >= level]

    def around(self, elements: np.ndarray) -> np.ndarray:
        """(k,) int64: all neighbours of these elements on level 0, as often as they are named."""
        lists = self.level0["links"][elements]
        used = np.arange(lists.shape[1])[None, :] < self.level0["count"][elements][:, None]
        found = lists[used].astype(np.int64)
        return found[found < len(self.level0)]

    def store(self, element: int, level: int, links: np.ndarray) -> None:
        """The list of that element on that level is `links`, zeros behind."""
        if level == 0:
            record = self.level0[element]
            record["links"][:] = 0
            record["links"][: len(links)] = links
            self.level0["count"][element] = len(links)
            return
        row = self.row(element, level)
        row[:] = 0
        row[0], row[1 : 1 + len(links)] = len(links), links

    # --- searching ------------------------------------------------------------------------------------------

    def vectors(self, elements: np.ndarray) -> np.ndarray:
        """(k, dim) float32, copied; gives pages back when enough were read."""
        size = self.level0.itemsize
        self.touched += len(elements) * max(size, AROUND)
        if self.touched > RESIDENT:
            self.touched = 0
            for each in self.maps:
                each.let_go()
        return self.level0["vector"][elements]

    def away(self, query: np.ndarray, elements: np.ndarray) -> np.ndarray:
        """(k,) float32 distances from a stored vector (dim,)."""
        vectors = self.vectors(elements)
        if self.space != "l2":
            return np.float32(1) - vectors @ query
        vectors -= query
        return np.einsum("ij,ij->i", vectors, vectors)

    def live(self, elements: np.ndarray) -> np.ndarray:
        """(k,) bool: not flagged deleted."""
        return (self.level0["flags"][elements] & layout.DELETED_FLAG) == 0

    def descend(self, query: np.ndarray, start: int, top: int, bottom: int) -> int:
        """The element at which a greedy search from level `top` down to level `bottom` (above 0) ends."""
        here = start
        best = float(self.away(query, np.array([here]))[0])
        for level in range(top, bottom - 1, -1):
            while (near := self.links(here, level)).size:
                away = self.away(query, near)
                if not away.min() < best:
                    break
                here, best = int(near[away.argmin()]), float(away.min())
        return here

    def search(self, query: np.ndarray, start: int, ef: int, level: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """(elements (k,), distances (k,)): up to `ef` live ones that a search of one level finds, nearest first.

        Elements flagged deleted are followed but not among them.
        """
        self.round += 1
        elements = np.array([start], dtype=np.int64)
        self.seen[elements] = self.round
        away, live, shut = self.away(query, elements), self.live(elements), np.zeros(1, dtype=bool)
        while (todo := np.flatnonzero(~shut)[: self.followed]).size:
            shut[todo] = True
            near = self._unseen(elements[todo], level)
            if not near.size:
                continue
            elements, away = np.append(elements, near), np.append(away, self.away(query, near))
            live, shut = np.append(live, self.live(near)), np.append(shut, np.zeros(len(near), dtype=bool))
            order = np.argsort(away, kind="stable")
            held = int(np.searchsorted(np.cumsum(live[order]), ef)) + 1
            elements, away, live, shut = (each[order[:held]] for each in (elements, away, live, shut))
        return elements[live], away[live]

    def _unseen(self, elements: np.ndarray, level: int) -> np.ndarray:
        """The neighbours that this search has not met, once each; they are met now."""
        if level == 0:
            near = self.around(elements)
        else:
            near = np.concatenate([self.links(each, level) for each in elements.tolist()])
        near = np.unique(near[self.seen[near] != self.round])
        self.seen[near] = self.round
        return near
