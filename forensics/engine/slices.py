"""A slice: a real store of some records of a large one, for where a copy or the engine's memory would not
fit.

It holds one collection's rows, queue and settings, and the piece of the graph around its enterpoint: the same
elements with the same labels and vectors, links that lead out of the piece cut off. What the engine says of
it is said of the formats, the maps, the rows and those records; the rest is proved by our own checks.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.engine.slice_database import write_slice_database
from forensics.engine.truth import expected_of
from forensics.engine.verify import verify_with_engine
from forensics.errors import Refused
from forensics.model import Test
from forensics.readers import layout
from forensics.readers.database import DATABASE
from forensics.readers.hnsw import HnswFiles
from forensics.readers.id_map import IdMap
from forensics.readers.link_walk import LinkWalk
from forensics.records import Records
from forensics.store import Collection, Store, VectorSegment
from forensics.writers.atomic import replacing, write_bytes
from forensics.writers.id_map import write_id_map
from forensics.writers.link_surgery import compacted
from forensics.writers.relink import in_degrees, relink
from forensics.writers.segment_files import write_header, write_lengths

MOST = 50_000


@dataclass(frozen=True, slots=True)
class Slice:
    """The store at `path` holds `records` of the `of` records of `collection`, `indexed` of them in its
    index.
    """

    path: Path
    collection: str
    records: int
    indexed: int
    of: int


def cut_slice(collection: Collection, dest: Path, *, ids: Sequence[str] = (), most: int = MOST) -> Slice:
    """A store of at most `most` records at `dest`, which must not exist: `ids` first, then what is near the
    enterpoint.

    Records without a live element (pending ones) fill what room is left. Raises Refused where the
    collection's rows, map or files cannot be read, or its graph does not hold together.
    """
    records = collection.records
    if isinstance(records, Absent):
        raise Refused(f"no slice can be cut: {records.reason}.")
    if not records.known:
        raise Refused(f"no slice can be cut: {records.unknown_reason}.")
    chosen = _choose(collection, records, set(ids), most)
    dest.mkdir(parents=True)
    indexed = records.indexed[chosen]
    if indexed.any():
        _write_segment(collection, dest, records, chosen[indexed])
    names = [records.rows.ids[row] for row in chosen.tolist()]
    write_slice_database(collection, dest / DATABASE, records.rows.rowids[chosen].tolist(), names)
    return Slice(dest, collection.name, len(chosen), int(indexed.sum()), len(records))


def verify_with_slices(
    store: Store,
    folder: Path,
    version: str | None = None,
    *,
    ids: Mapping[str, Sequence[str]] | None = None,
    most: int = MOST,
) -> list[Test]:
    """The engine's word on a slice of every collection, cut into `folder` one after the other and thrown
    away.

    `ids` names, by collection, the records that should be in it (those that the repair brought). Each test
    says which part of the collection it speaks of.
    """
    tests: list[Test] = []
    for number, collection in enumerate(store.collections):
        place = folder / f"slice-{number}"
        try:
            made = cut_slice(collection, place, ids=(ids or {}).get(collection.name, ()), most=most)
            with Store(place) as small:
                found = verify_with_engine(place, expected_of(small), version)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        part = f"on a slice of {made.records:,} of {made.of:,} records"
        tests += [replace(test, detail=f"{test.detail} ({part})") for test in found]
    return tests


# --- which records ---


def _choose(collection: Collection, records: Records, wanted: set[str], most: int) -> np.ndarray:
    """(k,) ascending positions of the records in the slice."""
    if len(records) <= most:
        return np.arange(len(records))
    named = np.fromiter((name in wanted for name in records.rows.ids), dtype=bool, count=len(records))
    row_of = np.full(_elements(collection), -1, dtype=np.int64)
    inside = np.flatnonzero(records.indexed)
    row_of[records.elements[inside]] = inside
    first = np.flatnonzero(named)[:most]
    near = row_of[_around(collection, records.elements[first], most)]
    others = np.flatnonzero(~records.indexed)
    order = np.concatenate([first, near[near >= 0], others])
    _, at = np.unique(order, return_index=True)
    return np.sort(order[np.sort(at)[:most]])


def _elements(collection: Collection) -> int:
    return 0 if isinstance(collection.vector, Absent) else collection.vector.files.elements


def _around(collection: Collection, elements: np.ndarray, most: int) -> np.ndarray:
    """Internal ids in the order in which a walk over level 0 meets them, from the enterpoint and from
    `elements`.
    """
    if _elements(collection) == 0:
        return np.empty(0, dtype=np.int64)
    files, level0 = _files(collection)
    seen = np.zeros(len(level0), dtype=bool)
    frontier = np.unique(np.append(elements[elements >= 0], _header(files).enterpoint))
    met: list[np.ndarray] = []
    while frontier.size and sum(map(len, met)) < 2 * most:
        seen[frontier] = True
        met.append(frontier)
        links = level0["links"][frontier]
        used = np.arange(links.shape[1])[None, :] < level0["count"][frontier][:, None]
        reached = np.unique(links[used & (links < len(level0))])
        frontier = reached[~seen[reached]].astype(np.int64)
    return np.concatenate(met)


# --- the segment ---


def _write_segment(collection: Collection, dest: Path, records: Records, rows: np.ndarray) -> None:
    """The five files of the piece of the index that holds these records, all of which are indexed."""
    vector, id_map = collection.vector, collection.id_map
    if not isinstance(vector, VectorSegment) or not isinstance(id_map, IdMap):
        raise Refused("no slice can be cut: there is no id map.")
    directory = dest / vector.id
    directory.mkdir()
    elements = np.sort(records.elements[rows])
    new_of = np.full(_elements(collection), -1, dtype=np.int64)
    new_of[elements] = np.arange(len(elements))
    _write_binaries(collection, directory, elements, new_of)
    names = {records.rows.ids[row]: int(records.labels[row]) for row in rows.tolist()}
    seqs = {name: seq for name, seq in id_map.id_to_seq_id.items() if name in names}
    mirrored = {label: name for name, label in names.items()}
    small = replace(id_map, id_to_label=names, label_to_id=mirrored, id_to_seq_id=seqs)
    write_id_map(directory / layout.ID_MAP_FILE, small)
    lone = np.flatnonzero(in_degrees(HnswFiles(directory).level0) == 0)  # pyright: ignore[reportArgumentType]
    if 0 < lone.size < len(elements):
        relink(directory, lone, collection.settings.space)


def _write_binaries(
    collection: Collection, directory: Path, elements: np.ndarray, new_of: np.ndarray
) -> None:
    files, level0 = _files(collection)
    header, lengths = _header(files), files.lengths
    piece = np.array(level0[elements])
    used = np.arange(2 * header.M)[None, :] < piece["count"][:, None]
    links = _renumbered(piece["links"], new_of)
    piece["count"], piece["links"] = compacted(np.maximum(links, 0), used & (links >= 0))
    write_bytes(directory / layout.LEVEL0_FILE, piece.tobytes())
    write_lengths(
        directory / layout.LENGTH_FILE,
        np.ones(len(elements)) if isinstance(lengths, Absent) else lengths[elements],
    )
    levels = _write_links(files, directory, elements, new_of)
    top = int(levels.max(initial=0))
    enterpoint = int(new_of[header.enterpoint])
    if enterpoint < 0 or levels[enterpoint] != top:
        enterpoint = int(np.flatnonzero(levels == top)[0])
    count = len(elements)
    small = replace(header, max_elements=count, cur_element_count=count, maxlevel=top, enterpoint=enterpoint)
    write_header(directory / layout.HEADER_FILE, small)


def _renumbered(links: np.ndarray, new_of: np.ndarray) -> np.ndarray:
    """The same lists with the internal ids of the slice, -1 for what is not in it."""
    inside = links < len(new_of)
    return np.where(inside, new_of[np.minimum(links, len(new_of) - 1)], -1)


def _write_links(files: HnswFiles, directory: Path, elements: np.ndarray, new_of: np.ndarray) -> np.ndarray:
    """link_lists.bin of the slice; returns the level of each of its elements."""
    walk = files.links
    if not isinstance(walk, LinkWalk) or walk.problem is not None:
        raise Refused("no slice can be cut: link_lists.bin does not walk to its end.")
    levels = walk.levels[elements].astype(np.int64)
    per_list = layout.list_size(walk.M) // 4
    starts = np.concatenate([[0], np.cumsum(1 + levels * per_list)])
    words = np.zeros(starts[-1], dtype="<u4")
    words[starts[:-1]] = 4 * per_list * levels
    for level in range(1, int(levels.max(initial=0)) + 1):
        owners, counts, lists = walk.level(level)
        mine = new_of[owners] >= 0
        links = _renumbered(lists[mine], new_of)
        used = np.arange(walk.M)[None, :] < counts[mine][:, None]
        kept, packed = compacted(np.maximum(links, 0), used & (links >= 0))
        at = starts[new_of[owners[mine]]] + 1 + (level - 1) * per_list
        words[at[:, None] + np.arange(per_list)[None, :]] = np.concatenate([kept[:, None], packed], axis=1)
    with replacing(directory / layout.LINKS_FILE) as handle:
        handle.write(words.tobytes())
    return levels


def _files(collection: Collection) -> tuple[HnswFiles, np.ndarray]:
    assert isinstance(collection.vector, VectorSegment)
    level0 = collection.vector.files.level0
    if isinstance(level0, Absent):
        raise Refused(f"no slice can be cut: {level0.reason}.")
    return collection.vector.files, level0


def _header(files: HnswFiles) -> layout.Header:
    if isinstance(files.geometry, Absent):
        raise Refused(f"no slice can be cut: {files.geometry.reason}.")
    return files.geometry
