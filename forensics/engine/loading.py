"""What must hold before hnswlib may load a directory: it follows every number in the files blindly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.readers import layout
from forensics.readers.hnsw import FileFacts, HnswFiles
from forensics.readers.link_walk import LinkWalk

CHUNK = 1 << 16


def validate(directory: Path, dim: int) -> layout.Header:
    """The header of a directory that hnswlib can load without reading or writing outside of its memory.

    Raises Refused, with every reason, where it cannot.
    """
    files = HnswFiles(directory)
    problems = tuple(loading_problems(files, dim))
    if problems:
        raise Refused(f"hnswlib must not load {directory.name}: " + "; ".join(problems) + ".")
    assert isinstance(files.header, layout.Header)
    return files.header


def loading_problems(files: HnswFiles, dim: int) -> Iterator[str]:
    """Each reason why loading these files would be unsafe, in words."""
    header = files.header
    if isinstance(header, Absent):
        yield header.reason
        return
    yield from (f"header.bin: {text}" for text in header.problems())
    if header.problems():
        return
    if header.dim != dim:
        yield f"it holds vectors of {header.dim} dimensions, not {dim}"
    yield from _size_problems(files, header)
    yield from _link_problems(files, header)


def _size_problems(files: HnswFiles, header: layout.Header) -> Iterator[str]:
    needed = {layout.LEVEL0_FILE: header.size_data_per_element, layout.LENGTH_FILE: 4, layout.LINKS_FILE: 4}
    for name, per_element in needed.items():
        facts = files.files[name]
        if not isinstance(facts, FileFacts) or facts.kind != "file":
            yield f"{name} is not there"
        elif facts.size < per_element * header.cur_element_count:
            yield f"{name} has {facts.size} bytes, too few for {header.cur_element_count} elements"


def _link_problems(files: HnswFiles, header: layout.Header) -> Iterator[str]:
    walk, level0 = files.links, files.level0
    if isinstance(walk, Absent) or isinstance(level0, Absent):
        return
    if walk.problem is not None:
        yield f"link_lists.bin: {walk.problem}"
        return
    if header.cur_element_count == 0:
        return
    if header.enterpoint >= header.cur_element_count:
        yield "the enterpoint does not exist"
    elif int(walk.levels[header.enterpoint]) < header.maxlevel:
        yield f"the enterpoint has no list on level {header.maxlevel}"
    bad = _bad_level0(level0)
    if bad:
        yield f"{bad} elements have a neighbour or a count on level 0 that cannot be"
    for level in range(1, int(walk.levels.max(initial=0)) + 1):
        if bad := _bad_upper(walk, level):
            yield f"{bad} elements have a neighbour or a count on level {level} that cannot be"


def _bad_level0(level0: np.ndarray) -> int:
    total, bad = len(level0), 0
    for start in range(0, total, CHUNK):
        part = level0[start : start + CHUNK]
        links, counts = part["links"], part["count"]
        used = np.arange(links.shape[1])[None, :] < counts[:, None]
        bad += int(((links >= total) & used).any(axis=1).sum()) + int((counts > links.shape[1]).sum())
    return bad


def _bad_upper(walk: LinkWalk, level: int) -> int:
    _, counts, links = walk.level(level)
    used = np.arange(walk.M)[None, :] < counts[:, None]
    short = walk.levels[np.minimum(links, walk.count - 1)] < level
    return int((((links >= walk.count) | short) & used).any(axis=1).sum()) + int((counts > walk.M).sum())
