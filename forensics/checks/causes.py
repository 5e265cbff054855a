"""How records came to be missing from the index: ranked hypotheses, each with the figures that speak for it.

Where the missing records lie in the order of insertion says most. The oldest block: the index was removed
after the queue had been purged, and rebuilt from the rest. The newest block: an older index was flushed over
a newer one. A gap in the middle: two processes, each of which flushed what it knew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from forensics.absent import Absent
from forensics.checks.causes_elements import lost_pages
from forensics.checks.causes_ids import ids_renamed, index_of_another, queue_rows_deleted
from forensics.checks.places import records_of, segment_of
from forensics.checks.releases import was_purged_by_python
from forensics.model import Cause, Json
from forensics.readers.id_map import IdMap
from forensics.store import Collection
from forensics.strays import elements_behind
from forensics.words import counted

BLOCK = 0.9
"""The share of the missing that must lie at one end for them to be called the oldest or the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the missing records lie among those that the index should hold (the pending ones left out).

    name: all, oldest, newest, middle (few gaps) or scattered. `leading` and `trailing` are the shares of the
    missing that lie at the ends; `runs` counts unbroken gaps. seq_ids are those of `embeddings`; -1 =
    unknown.
    """

    name: str
    missing: int
    settled: int
    runs: int
    leading: float
    trailing: float
    first_row: int
    last_row: int
    lowest_seq: int
    highest_seq: int
    indexed_later: int

    def to_json(self) -> Json:
        return {name: getattr(self, name) for name in self.__slots__}


def position_of(collection: Collection, missing: np.ndarray) -> Position:
    """Where the records marked in `missing` (n,) lie; at least one is."""
    records = records_of(collection)
    settled = missing | records.indexed
    gaps, rowids = missing[settled], records.rows.rowids[missing]
    seqs = _seq_ids(collection, len(records))
    count, highest = int(gaps.sum()), int(seqs[missing].max())
    leading, trailing = float(gaps[:count].mean()), float(gaps[-count:].mean())
    runs = int(np.count_nonzero(np.diff(gaps.astype(np.int8)) == 1)) + int(gaps[0])
    return Position(
        name=_named(count, len(gaps), runs, leading, trailing),
        missing=count,
        settled=len(gaps),
        runs=runs,
        leading=round(leading, 4),
        trailing=round(trailing, 4),
        first_row=int(rowids.min()),
        last_row=int(rowids.max()),
        lowest_seq=int(seqs[missing].min()),
        highest_seq=highest,
        indexed_later=int((records.indexed & (seqs > highest)).sum()) if highest >= 0 else 0,
    )


def _seq_ids(collection: Collection, count: int) -> np.ndarray:
    seqs = collection.seq_ids
    return np.full(count, -1, dtype=np.int64) if isinstance(seqs, Absent) or len(seqs) != count else seqs


def _named(count: int, settled: int, runs: int, leading: float, trailing: float) -> str:
    if count == settled:
        return "all"
    if leading >= BLOCK:
        return "oldest"
    if trailing >= BLOCK:
        return "newest"
    return "middle" if runs <= max(3, count // 10) else "scattered"


def explain(collection: Collection, missing: np.ndarray, position: Position) -> tuple[Cause, ...]:
    """The hypotheses that the figures allow, the likeliest first; "unknown" where they allow none."""
    hypotheses = (
        _index_removed,
        _still_queued,
        _older_index_flushed,
        _two_writers,
        _foreign_purge,
        _map_behind,
        _not_written,
    )
    ids = records_of(collection).ids(missing)
    elsewhere = (*ids_renamed(collection, missing), *index_of_another(collection, ids))
    if elsewhere:
        return elsewhere  # the records are in an index: nothing was lost, and no course of a loss explains it
    found = [*queue_rows_deleted(collection, missing)]
    found += [cause for ask in hypotheses for cause in ask(collection, missing, position)]
    if not found:
        evidence = (
            f"{counted(position.missing, 'records')} missing in {counted(position.runs, 'gaps')}: that fits no known "
            "course of events"
        )
        found = [Cause(name="unknown", confidence="possible", evidence=evidence)]
    order = ("certain", "likely", "possible")
    return tuple(sorted(found, key=lambda cause: order.index(cause.confidence)))


def _index_removed(collection: Collection, missing: np.ndarray, position: Position) -> Iterator[Cause]:
    """X5: all that the queue no longer held is gone, and the index has given fewer labels than there are
    records."""
    if position.name not in ("oldest", "all"):
        return
    extent, given = collection.queue.extent(), _labels_given(collection)
    lowest = None if isinstance(extent, Absent) else extent.lowest
    seqs = _seq_ids(collection, len(missing))[missing]
    purged = (
        lowest is None or float((seqs <= lowest).mean()) >= BLOCK
    )  # the purge keeps the row at the watermark
    if not purged or (given is not None and given >= position.settled):
        return
    queue = (
        "the queue is empty" if lowest is None else f"the oldest row left in the queue has seq_id {lowest}"
    )
    labels = (
        "there is no index"
        if given is None
        else f"the index has given {counted(given, 'labels')}, for {counted(position.settled, 'records')}"
    )
    evidence = (
        f"the {counted(position.missing, 'missing records')}: the oldest (seq_id {position.lowest_seq} to "
        f"{position.highest_seq}); "
        f"{queue}; {labels}, so it was started anew from what was left"
    )
    yield Cause(name="index-removed-after-purge", confidence="likely", evidence=evidence)


def _labels_given(collection: Collection) -> int | None:
    id_map = collection.id_map
    return id_map.total_elements_added if isinstance(id_map, IdMap) else None


def _still_queued(collection: Collection, missing: np.ndarray, position: Position) -> Iterator[Cause]:
    """The queue still holds rows of the missing ids, but the watermark is past them: they are never
    applied."""
    ids = records_of(collection).ids(missing)
    rows = collection.queue.rows(ids=ids)
    if isinstance(rows, Absent):
        return
    queued = {
        row.id for row in rows if row.vector_bytes is not None and row.seq_id <= collection.vector_watermark
    }
    if 2 * len(queued) >= len(ids):
        evidence = (
            f"the queue still holds vectors of {len(queued)} of the {len(ids)}, at or below the watermark "
            f"{collection.vector_watermark}: the index counts them as applied and does not have them"
        )
        yield Cause(name="watermark-ahead", confidence="likely", evidence=evidence)


def _older_index_flushed(collection: Collection, missing: np.ndarray, position: Position) -> Iterator[Cause]:
    """X4: the newest are missing although the watermark says that they were flushed."""
    if 2 * int((records_of(collection).labels[missing] >= 0).sum()) >= position.missing:
        return
    behind = 0 if isinstance(collection.vector, Absent) else len(elements_behind(collection.vector))
    if position.name != "newest" and not behind:
        return
    given, watermark = _labels_given(collection), collection.vector_watermark
    if position.highest_seq > watermark and not behind:
        return  # what the index never had cannot have been flushed over
    where = "the newest by insertion" if position.name == "newest" else f"in {counted(position.runs, 'gaps')}"
    evidence = (
        f"the {counted(position.missing, 'missing records')}: {where}; the watermark {watermark} says that all up to "
        f"it were flushed; the index knows {counted(given or 0, 'labels')}: a process that held an older one "
        "flushed it, or it was put back from a copy"
    )
    if behind:
        evidence += (
            f"; data_level0.bin goes on behind the last counted element with {counted(behind, 'elements')} of labels "
            "above that"
        )
    yield Cause(
        name="older-index-flushed-over", confidence="certain" if behind else "likely", evidence=evidence
    )


def _two_writers(collection: Collection, missing: np.ndarray, position: Position) -> Iterator[Cause]:
    """Somebody who did not know the missing records wrote and flushed after them, or gave the same labels again."""
    yield from _labels_given_twice(collection)
    if 2 * int((records_of(collection).labels[missing] >= 0).sum()) >= position.missing:
        return  # the map knows them
    if position.name not in ("middle", "newest") or not position.indexed_later:
        return
    evidence = (
        f"{counted(position.indexed_later, 'records')} of the index were written after the missing ones (above seq_id "
        f"{position.highest_seq}): their writer did not know the missing ones, so two had the store open"
    )
    yield Cause(name="two-writers", confidence="likely", evidence=evidence)


def _labels_given_twice(collection: Collection) -> Iterator[Cause]:
    """One process never puts a label on two elements."""
    summary = None if isinstance(collection.vector, Absent) else collection.vector.files.summary
    if summary is None or isinstance(summary, Absent):
        return
    _, counts = np.unique(summary.labels[summary.labels >= 1], return_counts=True)
    doubled = int((counts > 1).sum())
    if doubled:
        evidence = (
            f"{counted(doubled, 'labels')} of level 0 stand on two elements: two processes, each with its own counter, "
            "gave them and wrote to the same files"
        )
        yield Cause(name="two-writers", confidence="likely", evidence=evidence)


def _foreign_purge(collection: Collection, missing: np.ndarray, position: Position) -> Iterator[Cause]:
    """W2, 0.5.7 to 0.5.12: the progress of another collection purged rows that this index had not applied."""
    threshold, indexed = collection.settings.sync_threshold, position.settled - position.missing
    several = len(collection.store.collections) > 1
    if (
        position.name != "newest"
        or not was_purged_by_python(collection.store)
        or threshold <= 0
        or indexed % threshold
        or not indexed
    ):
        return
    evidence = (
        f"the index holds {counted(indexed, 'records')}, a multiple of the sync threshold {threshold}; the newest "
        f"{position.missing} "
        "are missing and the queue has no rows for "
        f"them{'; the store has several collections' if several else ''}"
    )
    yield Cause(
        name="purged-by-another-collection", confidence="likely" if several else "possible", evidence=evidence
    )


def _map_behind(collection: Collection, missing: np.ndarray, position: Position) -> Iterator[Cause]:
    """M4: the vectors are there, and it is the id map that does not know them."""
    stray = len(records_of(collection).stray)
    if stray and 10 * stray >= 9 * position.missing:
        evidence = (
            f"no id maps to the labels of {counted(stray, 'live elements')}, and "
            f"{counted(position.missing, 'records')} without a label"
        )
        yield Cause(name="id-map-behind-index", confidence="likely", evidence=evidence)


def _not_written(collection: Collection, missing: np.ndarray, position: Position) -> Iterator[Cause]:
    """Ids that have a label, but no element: the map of a flush was written and its vectors were not."""
    mapped = int((records_of(collection).labels[missing] >= 0).sum())
    if 2 * mapped < position.missing:
        return
    files = segment_of(collection).files
    if not isinstance(files.geometry, Absent) and files.elements < files.geometry.cur_element_count:
        evidence = f"data_level0.bin holds {files.elements} of the {counted(files.geometry.cur_element_count, 'elements')}"
        yield Cause(name="level0-truncated", confidence="certain", evidence=evidence)
    elif torn := tuple(lost_pages(collection)):
        yield from torn
    else:
        evidence = (
            f"{mapped} of the {position.missing} have a label, but data_level0.bin holds no element with it"
        )
        yield Cause(name="flush-without-vectors", confidence="likely", evidence=evidence)
