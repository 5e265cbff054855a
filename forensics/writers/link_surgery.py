"""Neighbour lists cleaned in place: what no graph may hold goes, everything else stays where it is.

A neighbour may not be an element that does not exist, the element itself, one that is in the list already, or
(on an upper level) one that has no list there. hnswlib follows such a number without looking and dies.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forensics.readers import layout
from forensics.readers.link_walk import LinkWalk, walk_link_lists
from forensics.writers.draft_maps import CHUNK, file_for_writing, level0_for_writing, sound_header, sound_walk


def drop_bad_neighbours(directory: Path) -> np.ndarray:
    """No list of the draft in `directory` names a neighbour that it may not. Returns the sorted internal ids
    changed.

    A count above the room of its list is taken as a full list. Needs a sound header and link_lists.bin that
    walks to its end; raises Refused otherwise. The elements returned have fewer links than before: see
    `relink`.
    """
    changed = [_clean_level0(directory), _clean_upper(directory)]
    return np.unique(np.concatenate(changed))


def bad_neighbours(links: np.ndarray, counts: np.ndarray, elements: np.ndarray, total: int) -> np.ndarray:
    """(k, width) bool over the first `counts` (k,) of each list in `links` (k, width): what may not be there.

    Of a repeated neighbour the first stays. `elements` (k,) are the owners, `total` the number of elements.
    """
    width = links.shape[1]
    used = np.arange(width)[None, :] < counts[:, None]
    bad = used & ((links >= total) | (links == elements[:, None]))
    masked = np.where(used, links.astype(np.int64), -1 - np.arange(width)[None, :])
    suspects = np.flatnonzero((np.diff(np.sort(masked, axis=1), axis=1) == 0).any(axis=1))
    for row in suspects.tolist():
        _, first = np.unique(masked[row], return_index=True)
        repeated = np.ones(width, dtype=bool)
        repeated[first] = False
        bad[row] |= repeated & used[row]
    return bad


def compacted(links: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(counts (k,), links (k, width)): what `keep` marks, in the old order, zeros behind it."""
    order = np.argsort(~keep, axis=1, kind="stable")
    counts = keep.sum(axis=1)
    packed = np.take_along_axis(links, order, axis=1)
    return counts, np.where(np.arange(links.shape[1])[None, :] < counts[:, None], packed, 0)


def _clean_level0(directory: Path) -> np.ndarray:
    changed: list[np.ndarray] = []
    with level0_for_writing(directory) as level0:
        for start in range(0, len(level0), CHUNK):
            part = level0[start : start + CHUNK]
            changed.append(start + _clean_chunk(part, start, len(level0)))
    return np.concatenate(changed) if changed else np.empty(0, dtype=np.int64)


def _clean_chunk(part: np.ndarray, start: int, total: int) -> np.ndarray:
    """Cleans the lists of one run of elements; returns the positions in it that changed."""
    links = part["links"]
    width = links.shape[1]
    counts = part["count"].astype(np.int64)
    owners = np.arange(start, start + len(part))
    bad = bad_neighbours(links, np.minimum(counts, width), owners, total)
    rows = np.flatnonzero(bad.any(axis=1) | (counts > width))
    if rows.size:
        keep = (np.arange(width)[None, :] < np.minimum(counts[rows], width)[:, None]) & ~bad[rows]
        part["count"][rows], part["links"][rows] = compacted(links[rows], keep)
    return rows


def _clean_upper(directory: Path) -> np.ndarray:
    header = sound_header(directory)
    sound_walk(directory)
    changed = [np.empty(0, dtype=np.int64)]
    with file_for_writing(directory / layout.LINKS_FILE) as raw:
        walk = walk_link_lists(raw, header.cur_element_count, header.M)
        for level in range(1, int(walk.levels.max(initial=0)) + 1):
            changed.append(_clean_upper_level(walk, raw, level))
    return np.concatenate(changed)


def _clean_upper_level(walk: LinkWalk, raw: np.ndarray, level: int) -> np.ndarray:
    elements, counts, links = walk.level(level)
    held = np.minimum(counts, walk.M)
    bad = bad_neighbours(links, held, elements, walk.count)
    used = np.arange(walk.M)[None, :] < held[:, None]
    reachable = np.minimum(links, max(walk.count - 1, 0))
    bad |= used & (walk.levels[reachable] < level)
    rows = np.flatnonzero(bad.any(axis=1) | (counts > walk.M))
    if rows.size:
        new_counts, new_links = compacted(links[rows], used[rows] & ~bad[rows])
        write_lists(walk, raw, level, elements[rows], new_counts, new_links)
    return elements[rows]


def write_lists(
    walk: LinkWalk, raw: np.ndarray, level: int, elements: np.ndarray, counts: np.ndarray, links: np.ndarray
) -> None:
    """The lists of `elements` on upper level `level` are `links` (k, M) with `counts` (k,), in the writable
    map `raw`.
    """
    words = raw[: raw.size // 4 * 4].view("<u4")
    starts = walk.offsets[np.searchsorted(walk.tall, elements)] + (level - 1) * layout.list_size(walk.M)
    rows = (starts // 4)[:, None] + np.arange(walk.M + 1)[None, :]
    words[rows] = np.concatenate([counts[:, None], links], axis=1).astype("<u4")
