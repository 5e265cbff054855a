"""Vectors in a collection's own level 0 that its id map gives to no id, but that can be proved to be an
id's."""

from __future__ import annotations

import numpy as np

from forensics.absent import Absent
from forensics.records import elements_of
from forensics.store import Collection, VectorSegment


def only_mirrored(segment: VectorSegment) -> dict[str, tuple[int, bool]]:
    """id → (its live element, True) where label_to_id has an id that id_to_label lacks."""
    id_map, summary = segment.id_map, segment.files.summary
    if isinstance(id_map, Absent) or isinstance(summary, Absent):
        return {}
    pairs = [(name, label) for label, name in id_map.label_to_id.items() if name not in id_map.id_to_label]
    elements = elements_of(np.array([label for _, label in pairs], dtype=np.int64), summary)
    at = zip(pairs, elements.tolist(), strict=True)
    return {
        name: (element, True) for (name, _), element in at if element >= 0 and not summary.deleted[element]
    }


def left_behind(collection: Collection) -> dict[str, tuple[int, bool]]:
    """id → (element, is current): vectors that a newer flush left behind the last counted element of level 0.

    An older index was flushed over a newer one: header and id map went back, the end of data_level0.bin did
    not. 1.x gives labels in the order of the log. So where the labels behind follow on the counter without a
    gap, none is flagged, and they are as many as the records without a label, the order of insertion says
    which is whose. Else {}. A record whose seq_id is above that of a later one was written again since.
    """
    segment, records = collection.vector, collection.records
    if isinstance(segment, Absent) or isinstance(records, Absent) or not collection.store.is_modern:
        return {}
    elements = elements_behind(segment)
    without = (records.labels < 0) & ~records.pending
    if not elements.size or elements.size != int(without.sum()):
        return {}
    ids, everything = records.ids(without), collection.seq_ids
    seqs = np.zeros(len(ids), np.int64) if isinstance(everything, Absent) else everything[without]
    current = seqs <= np.minimum.accumulate(seqs[::-1])[::-1]
    return dict(zip(ids, zip(elements.tolist(), current.tolist(), strict=True), strict=True))


def elements_behind(segment: VectorSegment) -> np.ndarray:
    """(k,) int64 elements behind the last counted one, in the order of their labels, which follow on the
    counter.

    Empty where a label is missing between, or one is flagged deleted. Memory that was never used has no such
    labels.
    """
    whole, id_map, counted = segment.files.level0_whole, segment.id_map, segment.files.elements
    given = None if isinstance(id_map, Absent) else id_map.total_elements_added
    if isinstance(whole, Absent) or given is None or len(whole) == counted:
        return np.empty(0, dtype=np.int64)
    labels, flags = whole["label"][counted:].astype(np.int64), whole["flags"][counted:]
    follow = np.flatnonzero((labels > given) & (labels <= given + len(labels)) & (flags & 1 == 0))
    order = follow[np.argsort(labels[follow], kind="stable")]
    gapless = np.array_equal(labels[order], np.arange(given + 1, given + 1 + len(order)))
    return counted + order if gapless else np.empty(0, dtype=np.int64)
