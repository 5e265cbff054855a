"""The walk over link_lists.bin: per element a byte length n, then n bytes of upper-level lists.

There is no index and no checksum: one wrong length loses the position of all that follows. The walk therefore
stops at the first length that cannot be, and never reads further than the legal elements need.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from forensics.readers import layout

BLOCK = 1 << 22
"""Words (u32) looked at in one step: 16 MiB, so that a sparse file of terabytes costs nothing."""


@dataclass(frozen=True, slots=True)
class LinkWalk:
    """Where the lists are.

    `levels` (walked,) uint8: upper levels of each element walked; `tall` (t,) internal ids of those with levels > 0,
    and `offsets` (t,) the byte offset of their first list. `end` is the byte after the last walked element; `problem` is
    None where all `count` elements were walked.
    """

    raw: np.ndarray
    M: int
    count: int
    levels: np.ndarray
    tall: np.ndarray
    offsets: np.ndarray
    end: int
    problem: str | None

    @property
    def walked(self) -> int:
        return len(self.levels)

    def level(self, level: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(elements (k,), counts (k,), links (k, M) uint32) of one upper level (1 = the lowest upper level)."""
        mask = self.levels[self.tall] >= level
        elements = self.tall[mask]
        starts = self.offsets[mask] + (level - 1) * layout.list_size(self.M)
        words = self.raw[: self.raw.size // 4 * 4].view("<u4")
        rows = (starts // 4)[:, None] + np.arange(self.M + 1)[None, :]
        lists = words[rows] if len(elements) else np.empty((0, self.M + 1), dtype=np.uint32)
        return elements, (lists[:, 0] & 0xFFFF).astype(np.int64), lists[:, 1:]


def walk_link_lists(raw: np.ndarray, count: int, M: int) -> LinkWalk:
    """Walks at most `count` elements of `raw` (uint8). Every element starts on a multiple of 4 bytes."""
    words = raw[: raw.size // 4 * 4].view("<u4")
    per_list = layout.list_size(M)
    position, element, problem = 0, 0, None
    tall: list[int] = []
    offsets: list[int] = []
    heights: list[int] = []
    while element < count and problem is None:
        block = words[position : position + BLOCK]
        if block.size == 0:
            problem = f"the file ends after {element} of {count} elements"
            break
        element, position, problem = _walk_block(
            block, position, element, count, words.size, per_list, (tall, offsets, heights)
        )
    levels = np.zeros(element, dtype=np.uint8)
    levels[tall] = heights
    return LinkWalk(
        raw, M, count, levels, np.array(tall, np.int64), np.array(offsets, np.int64), 4 * position, problem
    )


def _walk_block(
    block: np.ndarray,
    base: int,
    element: int,
    count: int,
    total: int,
    per_list: int,
    out: tuple[list[int], list[int], list[int]],
) -> tuple[int, int, str | None]:
    """Walks the elements that start inside `block` (words from `base`); returns the next element and word.

    A run of zero words is a run of elements without upper levels, so only the non-zero words are visited.
    """
    tall, offsets, heights = out
    nonzero = np.flatnonzero(block).tolist()
    here, index, size, words = 0, 0, len(block), 0
    while here < size and element < count:
        index = bisect_left(nonzero, here, index, min(index + words, len(nonzero)))
        stop = nonzero[index] if index < len(nonzero) else size
        if stop - here >= count - element or stop == size:
            skipped = min(stop - here, count - element)
            return element + skipped, base + here + skipped, None
        element += stop - here
        length = int(block[stop])
        levels, odd = divmod(length, per_list)
        words = (
            1 + length // 4
        )  # the next length that is not zero stands at most so many non-zero words from here
        here = stop + words
        if odd or levels > layout.MAX_LEVEL or base + here > total:
            return element, base + stop, _length_problem(length, element, base + stop, total, per_list)
        tall.append(element)
        offsets.append(4 * (base + stop + 1))
        heights.append(levels)
        element += 1
    return element, base + here, None


def _length_problem(length: int, element: int, word: int, total: int, per_list: int) -> str | None:
    if length % per_list or length // per_list > layout.MAX_LEVEL:
        return f"element {element}: {length} bytes are not a whole number of lists of {per_list}"
    if word + 1 + length // 4 > total:
        return f"element {element}: its lists run past the end of the file"
    return None
