"""Vectors under the wrong id: records with one and the same document must have one and the same vector."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import examples, in_segment, needed, records_of, segment_of
from forensics.checks.registry import check, finding
from forensics.checks.survivors import remedy_for
from forensics.model import Finding
from forensics.readers.layout import LEVEL0_FILE
from forensics.store import Collection

MOST = 20_000
"""Documents that are read, in the order of their text, so that equal ones stand side by side."""
ENOUGH = 10
"""Groups of equal documents that must agree before one that does not says anything."""
RARE = 0.1
"""Where more than this share of the groups disagrees, vectors do not depend on documents alone."""
ALIKE = 0.99
"""Two vectors with a cosine above this are one vector, computed in different batches."""
_TEXT_INDEX = "embedding_metadata_string_value"


@check("CF505", needs=("records", "summary", "geometry"))
def vector_of_another_record(collection: Collection) -> Iterator[Finding]:
    """Of records with equal documents one has another vector than the rest, in a store where that is rare."""
    groups = list(_equal_documents(collection))
    odd = [_outliers(collection, rows) for rows in groups]
    disagreeing = [found for found in odd if found]
    agreeing = len(groups) - len(disagreeing)
    if not disagreeing or agreeing < ENOUGH or len(disagreeing) > RARE * len(groups):
        return
    records = records_of(collection)
    rows = sorted(row for found in disagreeing for row in found)
    ids = [records.rows.ids[row] for row in rows]
    elements = records.elements[rows]
    yield finding(
        "CF505",
        collection,
        count=len(ids),
        unit="records",
        expected="records with equal documents have equal vectors, as in the other groups",
        found={
            "groups": len(groups),
            "groups_that_agree": agreeing,
            "ids": examples(ids),
            "elements": examples(elements),
        },
        where=(in_segment(collection, LEVEL0_FILE, rows=f"elements {examples(elements)}"),),
        means="The vector under such an id is likely that of another record: searches return it for the "
        "wrong text.",
        remedy=remedy_for(collection, ids, action="replace-vectors"),
        confidence="likely",
        lists={"ids": ids, "elements": elements},
    )


def _equal_documents(collection: Collection) -> Iterator[list[int]]:
    """Positions of the indexed records of each group of two or more with one document, of at most MOST
    documents."""
    rows, database = needed(collection.rows), collection.database
    known = database.rows("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?", (_TEXT_INDEX,))
    if isinstance(known, Absent) or (not known and len(rows) > MOST):
        return
    sql = (
        "SELECT string_value, id FROM embedding_metadata WHERE key = 'chroma:document' AND string_value "
        "IS NOT NULL"
        " ORDER BY string_value LIMIT ?"
    )
    found = database.rows(sql, (MOST,))
    if isinstance(found, Absent):
        return
    indexed = records_of(collection).indexed
    for _, cells in groupby(found, key=lambda cell: cell[0]):
        same = [rowid for _, rowid in cells]
        here = _places(rows.rowids, indexed, same) if len(same) > 1 else []
        if len(here) > 1:
            yield here


def _places(everyone: np.ndarray, indexed: np.ndarray, rowids: list[int]) -> list[int]:
    """Positions in `everyone` (n,) of those rowids that are there and `indexed` (n,)."""
    at = np.minimum(np.searchsorted(everyone, rowids), len(everyone) - 1)
    return at[(everyone[at] == rowids) & indexed[at]].tolist()


def _outliers(collection: Collection, rows: list[int]) -> list[int]:
    """Those of `rows` whose vector is not that of the most of them; the later half where there is no
    majority."""
    vectors = segment_of(collection).files.vectors(records_of(collection).elements[rows]).astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1)
    alike = unit @ unit.T > ALIKE
    best = int(alike.sum(axis=1).argmax())
    return [row for row, same in zip(rows, alike[best].tolist(), strict=True) if not same]
