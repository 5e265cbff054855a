"""Ids against the vectors themselves: elements that are too few, and vectors that the queue contradicts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import examples, geometry_of, in_segment, needed, records_of, segment_of
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Remedy
from forensics.readers.database import SeqId
from forensics.readers.layout import LEVEL0_FILE
from forensics.sources import normalised
from forensics.store import Collection

NEWEST = 20_000
"""Queue rows at or below the watermark that are compared; a purged queue has one."""
TOLERANCE = 1e-5


def shortfall(collection: Collection) -> int:
    """By how many the live elements are fewer than the records that need one (those not pending). 0 where
    unknown."""
    segment, records = collection.vector, collection.records
    if (
        isinstance(segment, Absent)
        or isinstance(records, Absent)
        or isinstance(segment.files.summary, Absent)
    ):
        return 0
    summary = segment.files.summary
    live = int((summary.live & (summary.labels >= 1)).sum())
    return max(0, int((~records.pending).sum()) - live)


def behind_the_count(collection: Collection) -> np.ndarray:
    """(n,) bool over the records: the element with the record's label stands behind the last counted one."""
    records, segment = records_of(collection), collection.vector
    homeless = (records.labels >= 0) & (records.elements < 0)
    if isinstance(segment, Absent) or not homeless.any() or isinstance(segment.files.level0_whole, Absent):
        return np.zeros(len(records), dtype=bool)
    behind = segment.files.level0_whole["label"][segment.files.elements :].astype(np.int64)
    return homeless & np.isin(records.labels, behind)


@check("CF504", needs=("records", "summary", "geometry"))
def vector_differs_from_queue(collection: Collection) -> Iterator[Finding]:
    """The newest effective queue row of a record is one that the index has applied, and says another vector.

    Of the rows at or below the watermark the NEWEST are compared, and only those that SQLite names as the
    last write of their record and above which no row for that record is pending.
    """
    rows, elements, queued = _applied(collection)
    if not rows.size:
        return
    stored = segment_of(collection).files.vectors(elements)
    expected = normalised(queued)[0] if collection.settings.space == "cosine" else queued
    differs = ~np.isclose(stored, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True).all(axis=1)
    if not differs.any():
        return
    ids = [records_of(collection).rows.ids[row] for row in rows[differs].tolist()]
    yield finding(
        "CF504",
        collection,
        count=len(ids),
        unit="records",
        expected="the stored vector is that of the newest queue row that the index has applied",
        found={"compared": int(rows.size), "ids": examples(ids), "elements": examples(elements[differs])},
        where=(in_segment(collection, LEVEL0_FILE, rows=f"elements {examples(elements[differs])}"),),
        means="Searches use an older vector than the one that was last written for these records.",
        remedy=Remedy(action="replace-vectors", safety="safe"),
        causes=_causes(collection),
        lists={"ids": ids, "elements": elements[differs]},
    )


def _applied(collection: Collection) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(positions among the records (k,), elements (k,), vectors as queued (k, dim)) of what can be
    compared."""
    records, dim = records_of(collection), geometry_of(collection).dim
    cells = {(name, seq): raw for seq, name, raw in _cells(collection, dim) if name not in collection.pending}
    written = _last_writes(collection, sorted({name for name, _ in cells}))
    found = ((written.get(key, -1), raw) for key, raw in cells.items())
    pairs = [(at, raw) for at, raw in found if at >= 0 and records.indexed[at]]
    positions = np.array([at for at, _ in pairs], dtype=np.int64)
    vectors = np.frombuffer(b"".join(raw for _, raw in pairs), dtype="<f4").reshape(len(pairs), dim)
    return positions, records.elements[positions], vectors


def _last_writes(collection: Collection, ids: list[str]) -> dict[tuple[str, int], int]:
    """(id, seq_id of its last write as SQLite has it) → position among the records, for these ids."""
    sql = (
        "SELECT id, embedding_id, seq_id FROM embeddings WHERE segment_id = ?"
        " AND embedding_id IN (SELECT value FROM json_each(?))"
    )
    rows = needed(collection.rows)
    found = collection.database.rows(sql, (collection.metadata_segment_id, json.dumps(ids))) if ids else []
    if isinstance(found, Absent):
        return {}
    places = np.searchsorted(rows.rowids, np.array([row[0] for row in found], dtype=np.int64)).tolist()
    keys = [(name, SeqId.decode(seq).value or -1) for _, name, seq in found]
    return dict(zip(keys, places, strict=True))


def _cells(collection: Collection, dim: int) -> list[tuple[int, str, bytes]]:
    """(seq_id, id, vector) of the newest rows at or below the watermark that hold a vector of the right
    length."""
    sql = (
        "SELECT seq_id, id, vector FROM embeddings_queue WHERE topic = ? AND seq_id <= ? AND "
        "length(vector) = ?"
        " ORDER BY seq_id DESC LIMIT ?"
    )
    found = collection.database.rows(
        sql, (collection.queue.topic, collection.vector_watermark, 4 * dim, NEWEST)
    )
    return [] if isinstance(found, Absent) else [row for row in found if isinstance(row[2], bytes)]


def _causes(collection: Collection) -> tuple[Cause, ...]:
    if geometry_of(collection).cur_element_count != 1:
        return ()
    evidence = "the index has one element; in such an index an update in place is not written by the flush"
    return (Cause(name="stale-single-element", confidence="likely", evidence=evidence),)
