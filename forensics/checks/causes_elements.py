"""How elements that belong to no id came to be in level 0."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import geometry_of, id_map_of, needed, segment_of, summary_of
from forensics.model import Cause
from forensics.readers.layout import LEVEL0_FILE
from forensics.store import Collection
from forensics.words import counted

PAGE = 4096
"""Bytes that file systems and disks lose at once."""


def causes_of(collection: Collection, nameless: np.ndarray) -> tuple[Cause, ...]:
    """Of the elements `nameless` (k,), ascending: what their places and bytes say."""
    return (*_left_by_a_cut(collection, nameless), *lost_pages(collection))


def labels_without_element(collection: Collection) -> int:
    """How many ids of the map have a label that no element holds."""
    return int((~np.isin(id_map_of(collection).labels(), summary_of(collection).labels)).sum())


def _left_by_a_cut(collection: Collection, nameless: np.ndarray) -> Iterator[Cause]:
    """They are the last elements, all in a row: a flush was cut after the header."""
    count = len(summary_of(collection).labels)
    if int(nameless[0]) + nameless.size != count:
        return
    facts = segment_of(collection).facts[LEVEL0_FILE]
    size = "?" if isinstance(facts, Absent) else facts.size
    evidence = (
        f"they are the last {nameless.size} of {counted(count, 'elements')}: header.bin counts them, data_level0.bin "
        f"({size} bytes) was not written that far when the flush was cut"
    )
    yield Cause(name="flush-cut", confidence="likely", evidence=evidence)


def lost_pages(collection: Collection) -> Iterator[Cause]:
    """Whole pages of level 0 are zeros, and elements that were written stand behind them."""
    summary = segment_of(collection).files.summary
    if isinstance(summary, Absent):
        return
    empty = np.flatnonzero(summary.labels == 0)
    if not empty.size or int(empty[-1]) + 1 == len(summary.labels):
        return
    zero = _zero_pages(collection, int(empty[0]), int(empty[-1]))
    if not zero:
        return
    evidence = (
        f"{counted(len(zero), 'whole pages')} of {PAGE} bytes of data_level0.bin, from byte {zero[0]} on, hold zeros alone, "
        "and elements that were written stand behind"
    )
    yield Cause(name="pages-of-zeros", confidence="likely", evidence=evidence)


def _zero_pages(collection: Collection, first: int, last: int) -> list[int]:
    """The bytes at which whole pages of zeros begin, from the element before `first` to the one after `last`."""
    size = geometry_of(collection).size_data_per_element
    raw = needed(segment_of(collection).files.level0).view(np.uint8).reshape(-1)
    begin, end = max(0, first - 1) * size, min(len(raw), (last + 2) * size)
    pages = range(-(-begin // PAGE) * PAGE, end - PAGE + 1, PAGE)
    return [page for page in pages if not raw[page : page + PAGE].any()]
