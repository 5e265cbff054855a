"""The b-trees of an SQLite file, walked from their roots as far as pages hold together, and the leaves that no root
reaches any more. What a damaged page takes away is known as a gap: the rowids that its parent gave it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from forensics.readers.pages import (
    INTERIOR_INDEX,
    INTERIOR_TABLE,
    LEAF_INDEX,
    LEAF_TABLE,
    Page,
    PageFile,
    Record,
)

LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
TWICE, OTHER_KIND = "it is met twice", "it belongs to another kind of tree"
KEYS, ROWIDS, ENTRIES = (f"its {what} are not those of its place" for what in ("keys", "rowids", "entries"))
MISPLACED = frozenset({TWICE, OTHER_KIND, KEYS, ROWIDS, ENTRIES})
"""Why a sound page is none of the tree: pages of another database, or of another time, stand among those of this one."""
TABLE_KINDS, INDEX_KINDS = (INTERIOR_TABLE, LEAF_TABLE), (INTERIOR_INDEX, LEAF_INDEX)


@dataclass(frozen=True, slots=True)
class Gap:
    """Rowids `low` < r <= `high` stood on (or below) a page that cannot be read, or in cells of it."""

    low: int
    high: int
    page: int
    why: str

    def holds(self, rowid: int) -> bool:
        return self.low < rowid <= self.high


@dataclass(slots=True)
class Tree:
    """What can be reached from a root: leaves of a table (all pages with entries of an index), in order, and the gaps."""

    root: int
    leaves: list[int] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    pages: set[int] = field(default_factory=set)

    def has_lost(self, rowid: int) -> bool:
        """True where a row of that number may have stood on a page that is gone."""
        return any(gap.holds(rowid) for gap in self.gaps)


def walk(file: PageFile, root: int, *, index: bool = False) -> Tree:
    """The tree below a root; each page is visited once, so that a loop ends as a gap."""
    tree, waiting = Tree(root), [(root, LOWEST, HIGHEST)]
    kinds = INDEX_KINDS if index else TABLE_KINDS
    while waiting:
        number, low, high = waiting.pop()
        page = file.page(number)
        if number in tree.pages or page.kind not in kinds:
            why = page.problem or (TWICE if number in tree.pages else OTHER_KIND)
            tree.gaps.append(Gap(low, high, number, why))
            continue
        tree.pages.add(number)
        if page.kind in (INTERIOR_TABLE, INTERIOR_INDEX):
            waiting.extend(_below(tree, page, low, high))
        if index or page.kind == LEAF_TABLE:
            _take_leaf(tree, page, low, high)
    return tree


def _below(tree: Tree, page: Page, low: int, high: int) -> Iterator[tuple[int, int, int]]:
    """(child, low, high) with the last first, so that the first is taken first; nothing of a page that is damaged."""
    if page.problem is not None:
        tree.gaps.append(Gap(low, high, page.number, page.problem))
        return
    if page.kind == INTERIOR_INDEX:
        yield from ((child, low, high) for child in reversed(page.children))
        return
    bounds = (low, *page.keys, high)
    if any(second < first for first, second in pairwise(bounds)):
        tree.gaps.append(Gap(low, high, page.number, KEYS))
        return
    yield from reversed([(child, *ends) for child, ends in zip(page.children, pairwise(bounds), strict=True)])


def _take_leaf(tree: Tree, page: Page, low: int, high: int) -> None:
    if page.keys and not low < page.keys[0] <= page.keys[-1] <= high:
        tree.gaps.append(Gap(low, high, page.number, ROWIDS))
        return
    tree.leaves.append(page.number)
    if page.problem is not None:
        tree.gaps.append(Gap(low, high, page.number, page.problem))


def entries_of(file: PageFile, tree: Tree) -> Iterator[tuple[int, list[Record]]]:
    """(page, its entries) of an index, where these rise and lie where the pages above put them; other pages are gaps."""
    waiting: list[tuple[int, _Key | None, _Key | None]] = [(tree.root, None, None)]
    left = set(tree.pages)
    while waiting:
        number, low, high = waiting.pop()
        if number not in left:
            continue  # the walk has told it as a gap
        left.discard(number)
        page = file.page(number)
        records = [record for _, record in file.records(page) if record is not None]
        keys = [_key(record) for record in records]
        span = [*(() if low is None else (low,)), *keys, *(() if high is None else (high,))]
        if any(second <= first for first, second in pairwise(span)):
            tree.gaps.append(Gap(LOWEST, HIGHEST, number, ENTRIES))
            continue
        if len(page.children) == len(keys) + 1:
            waiting.extend(reversed(list(zip(page.children, (low, *keys), (*keys, high), strict=True))))
        yield number, records


_Key = tuple[tuple[int, Any], ...]


def _key(record: Record) -> _Key:
    """What SQLite orders entries by: NULL, numbers, texts by their bytes, blobs."""
    return tuple(
        (0, 0)
        if cell is None
        else (2, cell.encode())
        if isinstance(cell, str)
        else (3, cell)
        if isinstance(cell, bytes)
        else (1, cell)
        for cell in record
    )


def rows_of(
    file: PageFile, leaves: Iterable[int], lost: list[Gap] | None = None
) -> Iterator[tuple[int, Record]]:
    """(rowid, record) of every cell of these pages that holds together; what does not goes to `lost`."""
    for number in leaves:
        for rowid, record in file.records(file.page(number)):
            if record is not None:
                yield rowid, record
            elif lost is not None:
                lost.append(Gap(rowid - 1, rowid, number, "its record does not hold together"))


def strays(file: PageFile, known: set[int]) -> Iterator[Page]:
    """Leaves of tables, whole and with rows, that are not among the `known` pages."""
    for number in range(2, file.count + 1):
        if number not in known and file.raw(number)[:1] == b"\x0d":
            page = file.page(number)
            if page.keys and page.problem is None:
                yield page
