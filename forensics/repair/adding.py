"""How missing vectors are added: by hnswlib, which loads the index whole, or on the memory-mapped files where that does
not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forensics.memory import available_memory
from forensics.readers.layout import Header
from forensics.repair.site import Site

How = Literal["native", "mapped"]
NATIVE: How = "native"
MAPPED: How = "mapped"
BESIDE = 180
"""Bytes that hnswlib takes per element beside level 0: locks, a map of labels, a pointer to its lists, marks of visits."""
STARTED = 64 << 20
"""Bytes of a child with numpy before it has loaded anything."""
PER_MAPPED = 40
"""Bytes per element of the index that the addition on maps keeps: marks of visits, levels, labels that are compared."""
PAGES = 96 << 20
"""Bytes of the maps that it has in memory at one time."""


@dataclass(frozen=True, slots=True)
class Adding:
    """The way that is taken, and the bytes of memory that either way needs; why, where it is not the usual one."""

    how: How
    native: int
    mapped: int
    why: str


def adding(site: Site, count: int) -> Adding:
    """How `count` vectors of a collection will be added: as chosen, else by hnswlib where its memory is there."""
    header, dim = site.header, site.dim or 0
    native = native_memory(header, dim, count, site.options.max_elements or 0) + _links(site)
    mapped = mapped_memory(header, dim, count)
    chosen, free = site.options.add, available_memory()
    if chosen is not None:
        return Adding(chosen, native, mapped, f"--add {chosen} was chosen" if chosen == MAPPED else "")
    if free is None or native <= free:
        return Adding(NATIVE, native, mapped, "")
    return Adding(MAPPED, native, mapped, _too_much(native, mapped, free))


def native_memory(header: Header | None, dim: int, count: int, capacity: int = 0) -> int:
    """Bytes that hnswlib needs to load an index with room for `count` more, `capacity` at least, and the vectors that
    are given to it.
    """
    held = 0 if header is None else header.cur_element_count
    room = max(held + count, capacity, 0 if header is None else header.max_elements)
    each = 4 * dim + 140 if header is None else header.size_data_per_element
    return STARTED + room * (each + BESIDE) + 8 * dim * count


def mapped_memory(header: Header | None, dim: int, count: int) -> int:
    """Bytes that the addition on maps needs, whatever the size of the vectors in the index."""
    held = 0 if header is None else header.cur_element_count
    return STARTED + PAGES + PER_MAPPED * (held + count) + 4 * dim * min(count, 4096)


def _links(site: Site) -> int:
    walk = None if site.files is None else site.files.links
    return int(getattr(walk, "end", 0) or 0)


def _too_much(native: int, mapped: int, free: int) -> str:
    return (
        f"on the memory-mapped files: hnswlib loads the index whole and would need about {_mb(native)} of memory, of"
        f" which {_mb(free)} are free; this needs about {_mb(mapped)} and more time (--add native: hnswlib nevertheless)"
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
