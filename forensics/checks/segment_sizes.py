"""The sizes of the binary files against the header, and what must be true of norms and of link_lists.bin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import (
    examples,
    geometry_of,
    in_segment,
    needed,
    segment_of,
    summary_of,
)
from forensics.checks.registry import check, finding
from forensics.model import Finding, Place, Remedy
from forensics.readers.hnsw import FileFacts
from forensics.readers.id_map import IdMap
from forensics.readers.layout import ID_MAP_FILE, LENGTH_FILE, LEVEL0_FILE, LINKS_FILE, expected_sizes
from forensics.readers.link_walk import LinkWalk, walk_link_lists
from forensics.store import Collection
from forensics.strays import elements_behind
from forensics.words import counted

SLACK = 1 << 20
"""Bytes behind the last list that are a tail (CF311); more than this, and than the lists themselves, is
bloat."""


@check("CF304", needs=("geometry", "level0"))
def level0_truncated(collection: Collection) -> Iterator[Finding]:
    """data_level0.bin has fewer bytes than the elements that the header counts."""
    header, files = geometry_of(collection), segment_of(collection).files
    size, needs = _size(collection, LEVEL0_FILE), header.cur_element_count * header.size_data_per_element
    if size >= needs:
        return
    lost = header.cur_element_count - files.capacity_on_disk
    loses = _records_without_vector(collection)
    yield finding(
        "CF304",
        collection,
        count=lost,
        unit="elements",
        expected={"bytes": needs, "elements": header.cur_element_count},
        found={"bytes": size, "elements": files.capacity_on_disk, "records_without_vector": loses},
        where=(
            in_segment(collection, LEVEL0_FILE, offset=files.capacity_on_disk * header.size_data_per_element),
        ),
        means=f"The vectors and links of the last {counted(lost, 'elements')} are cut off. The engine loads the rest "
        "without a check and reads past its end, or dies.",
        remedy=Remedy(
            action="rebuild-segment", safety="lossy" if loses is None or loses else "safe", loses=loses or 0
        ),
    )


def _records_without_vector(collection: Collection) -> int | None:
    records = collection.records
    return None if isinstance(records, Absent) or not records.known else int(records.missing.sum())


def _size(collection: Collection, name: str) -> int:
    return _facts(collection, name).size


def _facts(collection: Collection, name: str) -> FileFacts:
    return needed(segment_of(collection).facts[name])


@check("CF305", needs=("geometry", "lengths"))
def lengths_truncated(collection: Collection) -> Iterator[Finding]:
    """length.bin has fewer than four bytes per element."""
    header, size = geometry_of(collection), _size(collection, LENGTH_FILE)
    lost = header.cur_element_count - size // 4
    if lost <= 0:
        return
    cosine = collection.settings.space == "cosine"
    yield finding(
        "CF305",
        collection,
        count=lost,
        unit="elements",
        expected={"bytes": 4 * header.cur_element_count},
        found={"bytes": size, "space": collection.settings.space},
        where=(in_segment(collection, LENGTH_FILE, offset=size // 4 * 4),),
        means="The norms of these vectors are lost: search is as before, but the vectors that are handed out "
        "have length 1."
        if cosine
        else "Nothing: without cosine this file holds no information.",
        remedy=Remedy(
            action="restore-lengths", safety="lossy" if cosine else "safe", loses=lost if cosine else 0
        ),
        severity=None if cosine else "note",
    )


@check("CF306", needs=("links",))
def link_lists_invalid(collection: Collection) -> Iterator[Finding]:
    """The walk over link_lists.bin stops before the last element."""
    walk = links_of(collection)
    if walk.problem is None:
        return
    yield finding(
        "CF306",
        collection,
        count=walk.count - walk.walked,
        unit="elements",
        expected={"elements": walk.count},
        found={"elements": walk.walked, "problem": walk.problem, "bytes": _size(collection, LINKS_FILE)},
        where=(in_segment(collection, LINKS_FILE, offset=walk.end),),
        means="Reading still works, but replaying queued writes fails for ever or the process dies, and the "
        "next flush can blow this file up to gigabytes. The vectors are not touched by it.",
        remedy=Remedy(action="rewrite-link-lists", safety="safe"),
    )


def links_of(collection: Collection) -> LinkWalk:
    """The walk over link_lists.bin; for checks that need "links"."""
    return needed(segment_of(collection).files.links)


def _legal_end(walk: LinkWalk) -> int:
    """The bytes that the lists need: those walked, or the most that so many elements can need."""
    if walk.problem is None:
        return walk.end
    return max(walk.end, expected_sizes(walk.count, 1, walk.M).link_lists_high)


@check("CF307", needs=("links",))
def link_lists_bloated(collection: Collection) -> Iterator[Finding]:
    """link_lists.bin is larger than its elements can need, by more than the need itself and more than
    SLACK."""
    walk, facts = links_of(collection), _facts(collection, LINKS_FILE)
    needs = _legal_end(walk)
    if not _is_bloat(walk, facts.size):
        return
    yield finding(
        "CF307",
        collection,
        count=facts.size - needs,
        unit="bytes",
        expected={"bytes": needs},
        found={"bytes": facts.size, "allocated": facts.allocated, "elements": walk.count},
        where=(in_segment(collection, LINKS_FILE, offset=walk.end),),
        means="The file grows with each flush and can fill the disk; a copy that does not keep holes does so "
        "at once. The vectors are not touched by it.",
        remedy=Remedy(action="rewrite-link-lists", safety="safe"),
    )


@check("CF311", needs=("geometry", "links"))
def trailing_bytes(collection: Collection) -> Iterator[Finding]:
    """link_lists.bin goes on behind the last list, the id map behind its pickle, or another file ends within an element.

    Whole elements behind the last one are reserved room, which old releases leave large.
    """
    tails = _tails(collection)
    if not tails:
        return
    yield finding(
        "CF311",
        collection,
        count=len(tails),
        unit="files",
        expected={name: {"bytes": legal} for name, (legal, _) in tails.items()},
        found={name: {"bytes": size} for name, (_, size) in tails.items()},
        where=tuple(in_segment(collection, name, offset=legal) for name, (legal, _) in tails.items()),
        means=_REFUSED if ID_MAP_FILE in tails else _UNREAD,
        remedy=Remedy(action="cut-trailing-bytes", safety="safe"),
        severity="error" if ID_MAP_FILE in tails else None,
    )


_UNREAD = "The engine never reads these bytes; they are left over from something else."
_REFUSED = (
    "0.4 to 0.6 stop reading where the pickle ends. 1.x refuses the file: every call that needs the index fails with "
    "'trailing bytes found'."
)


def _tails(collection: Collection) -> dict[str, tuple[int, int]]:
    """file → (bytes it can need, bytes it has), for those that are larger."""
    header, walk, facts = geometry_of(collection), links_of(collection), segment_of(collection).facts
    units = {LEVEL0_FILE: header.size_data_per_element, LENGTH_FILE: 4}
    sizes = {name: found.size for name in (*units, LINKS_FILE) if isinstance(found := facts[name], FileFacts)}
    legal = {name: sizes[name] // unit * unit for name, unit in units.items() if name in sizes}
    legal = {name: size for name, size in legal.items() if size >= units[name] * header.cur_element_count}
    if walk.problem is None and LINKS_FILE in sizes:
        legal[LINKS_FILE] = walk.end
    tails = {name: (size, sizes[name]) for name, size in legal.items() if sizes[name] > size}
    if LINKS_FILE in tails and (
        _is_bloat(walk, tails[LINKS_FILE][1]) or _is_of_elements_behind(collection, walk)
    ):
        del tails[LINKS_FILE]
    return tails | _behind_the_map(collection)


def _behind_the_map(collection: Collection) -> dict[str, tuple[int, int]]:
    id_map, facts = collection.id_map, segment_of(collection).facts[ID_MAP_FILE]
    if not isinstance(id_map, IdMap) or isinstance(facts, Absent) or not id_map.trailing:
        return {}
    return {ID_MAP_FILE: (facts.size - id_map.trailing, facts.size)}


def _is_bloat(walk: LinkWalk, size: int) -> bool:
    needs = _legal_end(walk)
    return size - needs > max(SLACK, needs)


def _is_of_elements_behind(collection: Collection, walk: LinkWalk) -> bool:
    """The tail is the lists of the elements that a newer flush left behind the last counted one (CF501 names
    them)."""
    behind = len(elements_behind(segment_of(collection)))
    further = walk_link_lists(walk.raw, walk.count + behind, walk.M) if behind else walk
    return further.problem is None and further.end == walk.raw.size


@check("CF312", needs=("geometry", "summary", "lengths"))
def norm_invalid(collection: Collection) -> Iterator[Finding]:
    """In a cosine index a live element has a norm that is not finite and positive."""
    if collection.settings.space != "cosine":
        return
    bad = _bad_norms(collection)
    if not bad.size:
        return
    yield finding(
        "CF312",
        collection,
        count=bad.size,
        unit="elements",
        expected="a finite norm above 0",
        found={"elements": examples(bad), "norms": [str(value) for value in _norms(collection)[bad[:10]]]},
        where=(Place(file=in_segment(collection, LENGTH_FILE).file, offset=4 * int(bad[0])),),
        means=(
            "Search is as before, but the vectors that are handed out for these records are wrong in length."
        ),
        remedy=Remedy(action="restore-lengths", safety="lossy", loses=int(bad.size)),
        lists={"elements": bad},
    )


def _norms(collection: Collection) -> np.ndarray:
    return np.asarray(needed(segment_of(collection).files.lengths))


def _bad_norms(collection: Collection) -> np.ndarray:
    """Live elements with an invalid norm beside a vector that is neither zero nor broken (CF705, CF704 name
    those)."""
    files, summary, norms = segment_of(collection).files, summary_of(collection), _norms(collection)
    used = summary.live[: len(norms)] & (summary.labels[: len(norms)] >= 1)
    with np.errstate(invalid="ignore"):
        suspects = np.flatnonzero(used & ~((norms > 0) & np.isfinite(norms)))
    if not suspects.size:
        return suspects
    vectors = files.vectors(suspects)
    return suspects[np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)]
