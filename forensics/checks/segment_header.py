"""header.bin against itself and against the other files; capacity and the counter of elements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent, Unparsable, present
from forensics.checks.places import geometry_of, id_map_of, in_segment, records_of, segment_of
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Remedy
from forensics.readers.hnsw import HnswFiles, map_file
from forensics.readers.id_map import IdMap
from forensics.readers.layout import HEADER_FILE, ID_MAP_FILE, LEVEL0_FILE, Header, level0_dtype
from forensics.store import Collection, VectorSegment
from forensics.words import counted

RUNAWAY = 10_000
"""A counter that is further ahead of the elements than they are many, and by more than this, has run away."""


@check("CF303", needs=("segment",))
def header_invalid(collection: Collection) -> Iterator[Finding]:
    """header.bin has another length than 100 bytes, contradicts itself, or contradicts level 0 and the id
    map."""
    segment = segment_of(collection)
    if segment.state != "persisted" or not present(segment.facts[HEADER_FILE]):
        return
    problems = header_problems(segment)
    if not problems:
        return
    header = segment.files.header
    count = {} if isinstance(header, Absent) else {"cur_element_count": header.cur_element_count}
    yield finding(
        "CF303",
        collection,
        count=len(problems),
        unit="contradictions",
        expected="100 bytes whose fields agree with one another and with the files",
        found={"problems": list(problems), **count, **_evidence(segment)},
        where=(in_segment(collection, HEADER_FILE, offset=0),),
        means="The engine believes header.bin without a check: it fails to load the index, or reads and "
        "writes past the end of its elements.",
        remedy=Remedy(action="rebuild-header", safety="safe"),
        causes=_header_causes(segment),
    )


def header_problems(segment: VectorSegment) -> tuple[str, ...]:
    """Each contradiction in words; empty for a sound header."""
    header = segment.files.header
    if isinstance(header, Absent):
        return (header.reason,) if isinstance(header, Unparsable) else ()
    problems = header.problems()
    return problems or tuple(text for text in (_count_too_high(segment), _count_too_low(segment)) if text)


def _evidence(segment: VectorSegment) -> dict[str, int]:
    id_map = segment.id_map
    given = id_map.total_elements_added if isinstance(id_map, IdMap) else None
    known = {"elements_on_disk": segment.files.capacity_on_disk, "labels_given": given}
    return {name: value for name, value in known.items() if value is not None}


def _count_too_high(segment: VectorSegment) -> str | None:
    """More elements than the file holds, although the file holds one for every label ever given."""
    header, id_map, held = segment.files.geometry, segment.id_map, segment.files.capacity_on_disk
    if isinstance(header, Absent) or not isinstance(id_map, IdMap) or not id_map.total_elements_added:
        return None
    if not present(segment.facts[LEVEL0_FILE]) or header.cur_element_count <= held:
        return None
    given = id_map.total_elements_added
    if has_run_away(given, header.cur_element_count):
        given = id_map.highest_label
    if not given or held < given:
        return None
    return (
        f"it counts {counted(header.cur_element_count, 'elements')}, but only {counted(given, 'labels')} "
        f"were ever given and data_level0.bin holds {counted(held, 'elements')}"
    )


def _count_too_low(segment: VectorSegment) -> str | None:
    """Elements behind the last counted one carry labels that the id map knows and that the counted ones
    lack."""
    header, id_map, summary = segment.files.geometry, segment.id_map, segment.files.summary
    if isinstance(header, Absent) or isinstance(summary, Absent) or not isinstance(id_map, IdMap):
        return None
    labels = id_map.labels()
    lost = labels[~np.isin(labels, summary.labels.astype(np.int64))]
    if not lost.size:
        return None
    reach = int(lost.max()) - header.cur_element_count  # labels are given in the order of the elements
    behind = _labels_behind(segment.files, header, max(reach, int(lost.size)))
    found = int(np.isin(behind, lost).sum())
    return (
        None
        if not found
        else f"it counts {counted(header.cur_element_count, 'elements')}, but {found} that ids need stand behind them"
    )


def _labels_behind(files: HnswFiles, header: Header, wanted: int) -> np.ndarray:
    """Labels of at most `wanted` whole elements behind the last counted one, (k,) int64."""
    raw = map_file(files.path(LEVEL0_FILE))
    dtype = level0_dtype(header.dim, header.M)
    first, last = files.elements, min(files.elements + wanted, files.capacity_on_disk)
    if isinstance(raw, Absent) or last <= first:
        return np.empty(0, dtype=np.int64)
    return raw[first * dtype.itemsize : last * dtype.itemsize].view(dtype)["label"].astype(np.int64)


def _header_causes(segment: VectorSegment) -> tuple[Cause, ...]:
    text = None if isinstance(segment.files.header, Absent) else _count_too_high(segment)
    if text is None:
        return ()
    evidence = f"header.bin is written first in a flush and is ahead of the files that follow it: {text}"
    return (Cause(name="flush-cut", confidence="likely", evidence=evidence),)


FROZEN = 5
"""Rows that wait are many where they are a fifth of the capacity: fewer also wait where a watermark was just set back."""


@check("CF308", needs=("geometry", "records"))
def capacity_frozen(collection: Collection) -> Iterator[Finding]:
    """The index is full to its last slot, lacks records, and rows for it pile up in the queue."""
    header, records = geometry_of(collection), records_of(collection)
    waiting = collection.pending_rows
    if isinstance(waiting, Absent) or header.cur_element_count < header.max_elements:
        return
    lacking = int((~records.indexed).sum())
    if not lacking or len(waiting) < max(
        2 * collection.settings.sync_threshold, header.max_elements // FROZEN
    ):
        return
    yield finding(
        "CF308",
        collection,
        count=lacking,
        unit="records",
        expected={"max_elements": f"at least {len(records)}"},
        found={
            "max_elements": header.max_elements,
            "cur_element_count": header.cur_element_count,
            "pending_rows": len(waiting),
        },
        where=(in_segment(collection, HEADER_FILE, offset=12),),
        means="The index is full and has not grown although many writes wait for it: no search finds them.",
        remedy=Remedy(action="rebuild-header", safety="safe"),
        confidence="likely",
    )


@check("CF310", needs=("geometry", "id_map"))
def counter_runaway(collection: Collection) -> Iterator[Finding]:
    """total_elements_added is more than twice the elements that exist, and by more than RUNAWAY."""
    header, total = geometry_of(collection), id_map_of(collection).total_elements_added
    if total is None or not has_run_away(total, header.cur_element_count):
        return
    yield finding(
        "CF310",
        collection,
        count=total - header.cur_element_count,
        unit="labels",
        expected={"total_elements_added": header.cur_element_count},
        found={"total_elements_added": total, "elements": header.cur_element_count},
        where=(in_segment(collection, ID_MAP_FILE),),
        means="Some releases reserve room for as many elements as this counter says, so loading the index "
        "asks for memory that it does not need.",
        remedy=Remedy(action="mend-id-map", safety="safe"),
    )


def has_run_away(total: int, elements: int) -> bool:
    """True where the counter of labels is further ahead of the elements than any use of the index brings it."""
    return total > elements + max(RUNAWAY, elements)
