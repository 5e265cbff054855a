"""The four binary files of a draft segment directory: written whole, or changed in place where little is
wrong.

Every function works on a *draft*; none is ever given the evidence. Afterwards the bytes are on the disk.
The link repair lives in `link_surgery` and `relink` and is offered here too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.readers import layout
from forensics.readers.hnsw import map_file
from forensics.readers.link_walk import LinkWalk, walk_link_lists
from forensics.writers.atomic import replacing, write_bytes
from forensics.writers.draft_maps import (
    level0_for_writing,
    level0_summary,
    sound_header,
    sound_walk,
    well_connected,
)
from forensics.writers.link_surgery import drop_bad_neighbours
from forensics.writers.relink import relink

__all__ = [
    "drop_bad_neighbours",
    "flatten_links",
    "leading_elements",
    "make_header",
    "rebuild_header",
    "relink",
    "rewrite_link_lists",
    "set_deleted",
    "settle_entry",
    "write_header",
    "write_lengths",
]


def write_header(path: Path, header: layout.Header) -> None:
    """`path` holds the 100 bytes of `header`. Raises ValueError for a header that contradicts itself."""
    problems = header.problems()
    if problems:
        raise ValueError("the header contradicts itself: " + "; ".join(problems))
    write_bytes(path, header.to_bytes())


def write_lengths(path: Path, lengths: np.ndarray) -> None:
    """`path` holds `lengths` (n,) as float32: for cosine the original norms, else without meaning."""
    write_bytes(path, np.ascontiguousarray(lengths, dtype="<f4").tobytes())


def make_header(
    *,
    dim: int,
    M: int,
    ef_construction: int,
    count: int,
    maxlevel: int,
    enterpoint: int,
    max_elements: int = 0,
) -> layout.Header:
    """The header of an index of `count` elements; everything else in it follows from `dim` and `M`."""
    label_offset = 4 + 8 * M + 4 * dim
    return layout.Header(
        persistence_version=layout.PERSISTENCE_VERSION,
        offset_level0=0,
        max_elements=max(count, max_elements, 1),
        cur_element_count=count,
        size_data_per_element=label_offset + 8,
        label_offset=label_offset,
        offset_data=4 + 8 * M,
        maxlevel=maxlevel if count else -1,
        enterpoint=enterpoint if count else layout.EMPTY_ENTERPOINT,
        maxM=M,
        maxM0=2 * M,
        M=M,
        mult=1 / math.log(M),
        ef_construction=ef_construction,
    )


def flatten_links(directory: Path) -> int:
    """No element has upper levels any more; the header starts every search at level 0. Returns the new
    enterpoint.

    Needs a sound header and level 0 in `directory`. Search still reaches what level 0 reaches, a little
    slower.
    """
    header, summary = sound_header(directory), level0_summary(directory)
    with replacing(directory / layout.LINKS_FILE) as handle:
        handle.truncate(4 * header.cur_element_count)
    enterpoint = well_connected(summary)
    _set_entry(directory, header, 0, enterpoint)
    return enterpoint


def rewrite_link_lists(directory: Path, walk: LinkWalk) -> int:
    """link_lists.bin holds what `walk` accepted, the elements behind a break have no upper levels, and no
    tail follows.

    Levels and enterpoint of the header agree with it. `walk` may lie over another file than the draft's, so
    that a bloated original need not be copied first. Returns how many elements lost their upper levels to a
    break.
    """
    header = sound_header(directory)
    if walk.count != header.cur_element_count or walk.M != header.M:
        raise Refused("the walk over link_lists.bin belongs to another header than the draft's.")
    lost = walk.count - walk.walked
    with replacing(directory / layout.LINKS_FILE) as handle:
        for start in range(0, walk.end, 1 << 24):
            handle.write(walk.raw[start : min(start + (1 << 24), walk.end)].tobytes())
        handle.truncate(walk.end + 4 * lost)
    settle_entry(directory)
    return lost


def settle_entry(directory: Path) -> int:
    """maxlevel and enterpoint of the header are what the lists say; kept where they agree already. Returns
    the enterpoint.
    """
    header, summary, walk = sound_header(directory), level0_summary(directory), sound_walk(directory)
    levels = walk.levels
    top = int(levels.max(initial=0))
    enterpoint = header.enterpoint
    if header.maxlevel != top or enterpoint >= len(levels) or levels[enterpoint] != top:
        enterpoint = well_connected(summary, np.flatnonzero(levels == top))
        _set_entry(directory, header, top, enterpoint)
    return enterpoint


def rebuild_header(directory: Path, dim: int, M: int, ef_construction: int, count: int) -> layout.Header:
    """header.bin describes the first `count` elements of level 0; levels and enterpoint come from
    link_lists.bin.

    Where those lists do not walk, the caller flattens them next: the header then says maxlevel 0.
    Raises Refused where level 0 has fewer elements.
    """
    size = layout.element_size(dim, M)
    room = (directory / layout.LEVEL0_FILE).stat().st_size // size
    if room < count:
        raise Refused(f"data_level0.bin holds {room} elements of {size} bytes, not {count}.")
    flat = make_header(dim=dim, M=M, ef_construction=ef_construction, count=count, maxlevel=0, enterpoint=0)
    write_header(directory / layout.HEADER_FILE, flat)
    walk = _walk(directory, flat)
    if count and isinstance(walk, LinkWalk) and walk.problem is None:
        settle_entry(directory)
    elif count:
        _set_entry(directory, flat, 0, well_connected(level0_summary(directory)))
    return sound_header(directory)


def leading_elements(path: Path, dim: int, M: int, highest_label: int) -> int:
    """How many elements at the start of a data_level0.bin carry distinct labels in 1..`highest_label`."""
    raw = map_file(path)
    if isinstance(raw, Absent):
        raise Refused(raw.reason)
    dtype = layout.level0_dtype(dim, M)
    labels = np.ascontiguousarray(raw[: raw.size // dtype.itemsize * dtype.itemsize].view(dtype)["label"])
    legal = (labels >= 1) & (labels <= highest_label)
    _, first = np.unique(labels, return_index=True)
    repeated = np.ones(len(labels), dtype=bool)
    repeated[first] = False
    stops = np.flatnonzero(~legal | repeated)
    return int(stops[0]) if stops.size else len(labels)


def set_deleted(directory: Path, elements: np.ndarray, flag: bool) -> int:
    """The deleted flag of these internal ids is `flag`. Returns how many flags changed."""
    with level0_for_writing(directory) as level0:
        chosen = np.unique(np.asarray(elements, dtype=np.int64))
        old = level0["flags"][chosen]
        new = old | layout.DELETED_FLAG if flag else old & ~np.uint8(layout.DELETED_FLAG)
        level0["flags"][chosen] = new
        return int((old != new).sum())


def _walk(directory: Path, header: layout.Header) -> LinkWalk | Absent:
    raw = map_file(directory / layout.LINKS_FILE)
    return raw if isinstance(raw, Absent) else walk_link_lists(raw, header.cur_element_count, header.M)


def _set_entry(directory: Path, header: layout.Header, maxlevel: int, enterpoint: int) -> None:
    count = header.cur_element_count
    new = replace(
        header,
        max_elements=max(count, header.max_elements, 1),
        maxlevel=maxlevel if count else -1,
        enterpoint=enterpoint if count else layout.EMPTY_ENTERPOINT,
    )
    write_header(directory / layout.HEADER_FILE, new)
