"""The header that describes what level 0 really holds: the stored one corrected, or one made from the
settings.
"""

from __future__ import annotations

import math
from collections.abc import Collection as Collected
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from forensics.absent import Absent
from forensics.checks.database_catalogue import candidate
from forensics.elsewhere import true_home
from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles, map_file
from forensics.readers.id_map import IdMap
from forensics.readers.layout import Header
from forensics.readers.link_walk import walk_link_lists
from forensics.readers.shelf import once
from forensics.store import Collection, VectorSegment


def prospective_header(collection: Collection, segment: VectorSegment) -> Header | None:
    """None where no whole element is left, or neither header nor SQLite tells the dimension."""
    sound = segment.files.geometry
    if not isinstance(sound, Absent) and _fits(collection, segment, sound):
        return sound
    guessed = isinstance(sound, Absent)
    header = _made_from_settings(collection, segment) if isinstance(sound, Absent) else sound
    labels = None if header is None else _labels_on_disk(segment, header)
    if header is None or labels is None or not len(labels):
        return None
    given = collection.id_map if isinstance(collection.id_map, IdMap) else None
    linked = _linked(segment, header.M, len(labels))
    if guessed:
        count = _count_of(labels, given, linked)
    else:
        count = min(header.cur_element_count, len(labels))
        count = (
            linked
            if _is_whole(labels[:count], given, linked)
            else max(count, _mapped_beyond(labels, count, given))
        )
    return replace(header, cur_element_count=count, max_elements=max(header.max_elements, count, 1))


def _fits(collection: Collection, segment: VectorSegment, header: Header) -> bool:
    """True where header, level 0 and id map agree: then nothing behind the counted elements needs to be read."""
    summary, id_map = segment.files.summary, collection.id_map
    if (
        isinstance(summary, Absent)
        or isinstance(id_map, Absent)
        or header.max_elements < header.cur_element_count
    ):
        return False
    labels = summary.labels.astype(np.int64)
    if not len(labels) or len(labels) != header.cur_element_count or _repeats(labels).any():
        return False
    lawful = labels.min() >= 1 and labels.max() <= _highest(id_map)
    return bool(lawful) and bool(np.isin(id_map.labels(), labels).all())


def _labels_on_disk(segment: VectorSegment, header: Header) -> np.ndarray | None:
    """(room,) int64 labels of every slot that data_level0.bin has bytes for."""
    files = HnswFiles(segment.directory, segment.path)
    files.header = header
    whole = files.level0_whole
    return None if isinstance(whole, Absent) else whole["label"].astype(np.int64)


def _count_of(labels: np.ndarray, id_map: IdMap | None, linked: int) -> int:
    """Elements of which the header says nothing: as many as link_lists.bin has (`linked`), where these hold all that
    the map needs; else the lawful ones at the start, and up to the last that the map needs.

    Slots that were reserved and never used can hold whatever was in memory, old elements included.
    """
    if _is_whole(labels, id_map, linked):
        return linked
    mapped = np.empty(0, np.int64) if id_map is None else id_map.labels()
    highest = len(labels) if id_map is None else _highest(id_map)
    start = _lawful(labels, 0, highest)
    needed = mapped[~np.isin(mapped, labels[:start])]
    behind = np.flatnonzero(np.isin(labels, needed) & ~_repeats(labels))
    end = int(behind[-1]) + 1 if behind.size else start
    return end + _lawful(labels, end, highest)


def _is_whole(labels: np.ndarray, id_map: IdMap | None, linked: int) -> bool:
    """True where link_lists.bin ends with `linked` elements, these hold all that the map needs, and none of the slots
    behind them is lawful: whatever counts them, they are not elements.
    """
    mapped = np.empty(0, np.int64) if id_map is None else id_map.labels()
    if not linked or linked >= len(labels) or not np.isin(mapped, labels[:linked]).all():
        return False
    highest = len(labels) if id_map is None else _highest(id_map)
    legal = (labels >= 1) & (labels <= highest) & ~_repeats(labels)
    return not legal[linked:].any()


def _linked(segment: VectorSegment, M: int, room: int) -> int:
    """How many elements link_lists.bin has lists for, where it can be walked to its very end; else 0."""
    path = segment.path(layout.LINKS_FILE)
    raw = map_file(path)
    if isinstance(raw, Absent):
        return 0
    walk = once(("links", room, M), path, lambda: walk_link_lists(raw, room, M))
    return walk.walked if walk.end == raw.size else 0


def _lawful(labels: np.ndarray, start: int, highest: int) -> int:
    """How many slots from `start` on carry labels of 1 to `highest` that no slot before them carries."""
    legal = (labels >= 1) & (labels <= highest) & ~_repeats(labels)
    stops = np.flatnonzero(~legal[start:])
    return int(stops[0]) if stops.size else len(labels) - start


def _mapped_beyond(labels: np.ndarray, count: int, id_map: IdMap | None) -> int:
    """One past the last slot behind `count` that the map needs, where all between are lawful; else 0.

    The header counts too few elements: the map names labels that only stand behind the last counted one.
    """
    if id_map is None or count >= len(labels):
        return 0
    mapped = id_map.labels()
    needed = mapped[~np.isin(mapped, labels[:count])]
    behind = np.flatnonzero(np.isin(labels[count:], needed))
    if not behind.size:
        return 0
    end = count + int(behind[-1]) + 1
    return end if _lawful(labels[:end], count, _highest(id_map)) == end - count else 0


def _highest(id_map: IdMap) -> int:
    return max(id_map.total_elements_added or 0, max(id_map.id_to_label.values(), default=0))


def _repeats(labels: np.ndarray) -> np.ndarray:
    """(n,) bool: an earlier slot carries the same label."""
    _, first = np.unique(labels, return_index=True)
    out = np.ones(len(labels), dtype=bool)
    out[first] = False
    return out


def superseded(labels: np.ndarray) -> np.ndarray:
    """(n,) bool: a later element carries the same label."""
    return _repeats(labels[::-1])[::-1]


def _made_from_settings(collection: Collection, segment: VectorSegment) -> Header | None:
    """From the dimension and M that SQLite records, or from an M of the broken header that fits the file."""
    settings, dim, broken = collection.settings, collection.dimension, segment.files.header
    facts = segment.facts[layout.LEVEL0_FILE]
    if dim is None or isinstance(facts, Absent):
        return None
    told = 0 if isinstance(broken, Absent) else broken.M
    fits = 1 < told <= 10_000 and facts.size % layout.element_size(dim, told) == 0
    M = told if fits else settings.M
    return made_header(dim, M, settings.ef_construction, facts.size // layout.element_size(dim, M))


def made_header(dim: int, M: int, ef_construction: int, count: int) -> Header:
    """A header for a flat graph of `count` elements; where searches start is found when it is written."""
    return Header(
        persistence_version=layout.PERSISTENCE_VERSION,
        offset_level0=0,
        max_elements=max(count, 1),
        cur_element_count=count,
        size_data_per_element=layout.element_size(dim, M),
        label_offset=4 + 8 * M + 4 * dim,
        offset_data=4 + 8 * M,
        maxlevel=0,
        enterpoint=0,
        maxM=M,
        maxM0=2 * M,
        M=M,
        mult=1 / math.log(M),
        ef_construction=ef_construction,
    )


MISPLACED = frozenset(
    {"CF204", "CF207", "CF211", "CF212", "CF305", "CF312", "CF501", "CF503", "CF504", "CF505"}
    | {"CF706", "CF808", "CF809", "CF810"}
)
"""What is found where the directory of one collection holds the index of another."""


def home_of(collection: Collection, codes: Collected[str]) -> VectorSegment | None:
    """Where its index stands, if in the directory of another collection; looked for only where ids are both missing
    and too many.
    """
    return true_home(collection) if {"CF501", "CF503"} <= set(codes) else None


def at_home(collection: Collection, home: VectorSegment) -> Collection:
    """The collection as it will be once its index, which stands at `home`, is in its own directory again."""
    mended = Collection(collection.store, collection.row)
    own = mended.vector_segment_id or home.id
    mended.__dict__["vector"] = VectorSegment(own, home.tree, home.relative)
    return mended


def with_segments(collection: Collection) -> Collection:
    """The collection as it will be once the rows of `segments` that it lacks are there, where one fits."""
    mended = Collection(collection.store, collection.row)
    for scope, name in (("METADATA", "metadata_segment_id"), ("VECTOR", "vector_segment_id")):
        fitting = None if collection.segment_rows(scope) else candidate(mended, scope)
        if fitting is not None:
            mended.__dict__[name] = str(fitting["id"])
    return mended


def shared_labels(labels: Mapping[str, int]) -> set[int]:
    """The labels that more than one id has."""
    given = np.fromiter(labels.values(), dtype=np.int64, count=len(labels))
    values, counts = np.unique(given, return_counts=True)
    return set(values[counts > 1].tolist())
