"""A draft segment directory as writable maps, and what its writers need to know of it before they write."""

from __future__ import annotations

import mmap
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles, Level0Summary
from forensics.readers.link_walk import LinkWalk

CHUNK = 1 << 16
"""Elements that are looked at in one step."""


@contextmanager
def file_for_writing(path: Path) -> Generator[np.ndarray]:
    """The bytes of a draft file as a writable uint8 map; on the disk, with a new mtime, after the block."""
    if os.stat(path).st_size == 0:
        yield np.empty(0, dtype=np.uint8)
        return
    with open(os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)), "r+b") as handle:
        mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_WRITE)
        yield np.frombuffer(mapped, dtype=np.uint8)
        mapped.flush()
        os.utime(path)  # tmpfs does not do it for what is written through a map
        os.fsync(handle.fileno())


@contextmanager
def level0_for_writing(directory: Path) -> Generator[np.ndarray]:
    """(cur_element_count,) writable records of `layout.level0_dtype` over the draft's data_level0.bin."""
    header = sound_header(directory)
    dtype = layout.level0_dtype(header.dim, header.M)
    with file_for_writing(directory / layout.LEVEL0_FILE) as raw:
        wanted = header.cur_element_count * dtype.itemsize
        if raw.size < wanted:
            raise Refused(
                f"data_level0.bin has {raw.size} bytes, too few for {header.cur_element_count} elements."
            )
        yield raw[:wanted].view(dtype)


def zero_unused(directory: Path, space: str, first: int) -> None:
    """Where hnswlib wrote what its memory held by chance, zeros stand: behind the last element, and (but for cosine) as
    the norms of the elements from `first` on.
    """
    header = sound_header(directory)
    count = header.cur_element_count
    norms = 4 * (count if space == "cosine" else min(first, count))
    used = {layout.LEVEL0_FILE: count * header.size_data_per_element, layout.LENGTH_FILE: norms}
    for name, end in used.items():
        if (directory / name).stat().st_size > end:
            with file_for_writing(directory / name) as raw:
                raw[end:] = 0


def sound_header(directory: Path) -> layout.Header:
    """The header of a draft. Raises Refused where it contradicts itself."""
    geometry = HnswFiles(directory).geometry
    if isinstance(geometry, Absent):
        raise Refused(f"{geometry.reason}; it must be rebuilt first.")
    return geometry


def level0_summary(directory: Path) -> Level0Summary:
    """Labels, flags and counts of every element of a draft. Raises Refused without level 0."""
    summary = HnswFiles(directory).summary
    if isinstance(summary, Absent):
        raise Refused(summary.reason)
    return summary


def sound_walk(directory: Path) -> LinkWalk:
    """The walk over a draft's link_lists.bin. Raises Refused where it does not reach the last element."""
    walk = HnswFiles(directory).links
    if isinstance(walk, Absent):
        raise Refused(walk.reason)
    if walk.problem is not None:
        raise Refused(f"link_lists.bin must be rewritten first: {walk.problem}.")
    return walk


def well_connected(summary: Level0Summary, among: np.ndarray | None = None) -> int:
    """An internal id to start searches at: live if any is, and of those the first with the most links."""
    pool = np.arange(len(summary.labels)) if among is None else among
    if pool.size == 0:
        return layout.EMPTY_ENTERPOINT
    worth = summary.counts[pool].astype(np.int64) + 100_000 * summary.live[pool]
    return int(pool[worth.argmax()])
