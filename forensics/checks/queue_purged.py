"""Rows that left the queue before the index had them: records without a vector, and vectors that may be older."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import examples, in_table
from forensics.checks.queue_marks import is_uninitialised, stored_marks
from forensics.checks.registry import check, finding
from forensics.checks.releases import was_purged_by_python
from forensics.model import Cause, Finding, Remedy
from forensics.readers.watermarks import reach
from forensics.records import Records
from forensics.store import Collection
from forensics.words import counted


@dataclass(frozen=True, slots=True)
class Purged:
    """The ids of purged rows: `lost` have no vector, of `older` the index holds the vector of before the row.

    `older` is no proof of a wrong vector: an update of the metadata alone is a row without one.
    """

    lost: list[str]
    older: list[str]
    newest: int


@check("CF212", needs=("id_map", "records"))
def purged_unapplied(collection: Collection) -> Iterator[Finding]:
    """Records changed after the vector watermark whose row the queue no longer has."""
    purged = _purged(collection)
    if purged is None or not (purged.lost or purged.older):
        return
    lost, older, mark = purged.lost, purged.older, collection.vector_watermark
    yield finding(
        "CF212",
        collection,
        count=len(lost) or len(older),
        unit="records",
        expected=f"a queue row for every record changed after {mark}",
        found={
            "watermark": mark,
            "newest": purged.newest,
            "without_vector": len(lost),
            "possibly_older_vector": len(older),
            "examples": examples(lost or older),
            **({"older_examples": examples(older)} if lost and older else {}),
        },
        where=(in_table("embeddings_queue", f"no rows of {counted(len(lost + older), 'ids')} above {mark}"),),
        means=" ".join(_means(len(lost), len(older), mark)),
        remedy=_remedy(len(lost)),
        confidence="certain" if lost else "possible",
        causes=_causes(collection, len(lost + older)),
        lists={"ids": lost, "older": older},
    )


def _purged(collection: Collection) -> Purged | None:
    records, mark = collection.records, collection.vector_watermark
    if not isinstance(records, Records) or is_uninitialised(collection) or _all_up_to(collection, mark):
        return None
    seqs = collection.seq_ids
    if isinstance(seqs, Absent) or len(seqs) != len(records) or not (seqs > mark).any():
        return None
    gone = (seqs > mark) & ~np.isin(seqs, _queued(collection, mark))
    lost = [name for name in records.ids(records.missing & gone) if name not in collection.pending]
    older = records.indexed & gone & _known_at(seqs, mark)
    newest = seqs[(records.missing | older) & gone]
    return Purged(lost, records.ids(older), int(newest.max()) if newest.size else mark)


def _all_up_to(collection: Collection, mark: int) -> bool:
    """True where every record has a number of at most `mark`; a question to SQLite, where the rows came without numbers."""
    if not isinstance(collection.rows, Absent) and collection.rows.highest_seq is not None:
        return collection.rows.highest_seq <= mark
    above = (
        "SELECT 1 FROM embeddings NOT INDEXED WHERE segment_id = ?"
        " AND (typeof(seq_id) <> 'integer' OR seq_id > ?) LIMIT 1"
    )
    return collection.database.rows(above, (collection.metadata_segment_id, mark)) == []


def _queued(collection: Collection, mark: int) -> np.ndarray:
    """(k,) int64 seq_ids of the rows above `mark`, whatever id they name."""
    rows = collection.pending_rows
    return np.array([] if isinstance(rows, Absent) else [row.seq_id for row in rows], dtype=np.int64)


def _known_at(seqs: np.ndarray, mark: int) -> np.ndarray:
    """(n,) bool: rows made before the last one that is no newer than `mark`, so the index had them at `mark`.

    Rows come in the order of insertion, whatever changed them later. What was made after the watermark and is
    in the index all the same was put there since, by a repair; it is no older than its record.
    """
    settled = np.flatnonzero((seqs >= 0) & (seqs <= mark))
    return np.arange(len(seqs)) < (settled[-1] if settled.size else 0)


def _means(lost: int, older: int, mark: int) -> Iterator[str]:
    if lost:
        yield f"The vectors of {counted(lost, 'records')} left the queue before the index had them."
    if older:
        yield (
            f"{counted(older, 'more records' if lost else 'records')} changed after the index was last written "
            f"({mark}), and the rows of the change are gone: where it brought a new vector, searches still find "
            "the old one. A change of metadata alone leaves the vector right; an embedder tells which is which."
        )


def _remedy(lost: int) -> Remedy:
    if lost:
        return Remedy(action="add-missing-vectors", safety="lossy", loses=lost)
    return Remedy(action="compare-with-an-embedder", safety="manual")


def _causes(collection: Collection, count: int) -> tuple[Cause, ...]:
    """Deleted by hand where the engine cannot have done it; the wrong purge only where a release of it wrote."""
    top, rows = reach(collection.database).top, collection.queue.extent()
    emptied = not isinstance(rows, Absent) and not rows.rows
    wrong_purge = was_purged_by_python(collection.store)
    why = "no release that wrote this store deletes rows above a watermark"
    if emptied:
        why = "the queue has no row of this collection, and Chroma keeps the one at the watermark"
    if max(stored_marks(collection).values(), default=0) > top:
        why = f"the queue ends at {top}, below a watermark, and Chroma keeps the row there"
    by_hand = Cause(
        name="rows of the queue were deleted by hand",
        confidence="possible" if wrong_purge and not emptied else "likely",
        evidence=f"{counted(count, 'rows')} above the vector watermark are gone; {why}",
    )
    if not wrong_purge:
        return (by_hand,)
    several = len(collection.store.collections) > 1
    by_purge = Cause(
        name="the purge of 0.5.7 to 0.5.12 with several collections",
        confidence="likely" if several and not emptied else "possible",
        evidence="it used the progress of one collection for the rows of another; 0.5.6 to 0.6 made the "
        "configuration of this queue",
    )
    return (by_hand, by_purge) if emptied else (by_purge, by_hand)
