"""Ids of SQLite, of the id map, of level 0 and of the queue against one another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import examples, in_table
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.records import Records
from forensics.store import Collection


@check("CF501", needs=("records",))
def ids_missing_from_index(collection: Collection) -> Iterator[Finding]:
    """Records that SQLite holds and that neither the index nor the queue can bring a vector for."""
    records = collection.records
    if isinstance(records, Absent):
        return
    missing = records.missing & ~_flagged(records)
    if not missing.any():
        return
    ids = records.ids(missing)
    yield finding(
        "CF501",
        collection,
        count=len(ids),
        unit="records",
        expected={"indexed or pending": len(records)},
        found={
            "indexed": int(records.indexed.sum()),
            "pending": int(records.pending.sum()),
            "missing": len(ids),
            "examples": examples(ids),
        },
        where=(in_table("embeddings", f"{len(ids)} rows whose ids the index lacks"),),
        means="No search finds these records, and every call that asks for one of their vectors (peek, get with "
        "embeddings, a filtered query) fails as a whole with 'Error finding id'.",
        remedy=Remedy(action="add-missing-vectors", safety="lossy", loses=len(ids)),
        lists={"ids": ids},
    )


def _flagged(records: Records) -> np.ndarray:
    """(n,) bool: mapped to an element that is flagged deleted; CF411 names these."""
    return (records.elements >= 0) & ~records.live & ~records.pending
