"""Vectors under the wrong id: those that an embedder makes of another record's document; and without one, those of
records with one and the same document, which must have one and the same vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import ne

import numpy as np

from forensics.absent import Absent
from forensics.checks.doubt import accused, has_doubtful_labels, heard
from forensics.checks.places import examples, in_segment, needed, records_of, segment_of
from forensics.checks.registry import CannotLook, check, finding
from forensics.checks.survivors import remedy_for
from forensics.model import Finding, Remedy
from forensics.readers.layout import LEVEL0_FILE
from forensics.store import Collection
from forensics.witness import QUORUM, Testimony

MOST = 20_000
"""Documents that are read, in the order of their text, so that equal ones stand side by side."""
ENOUGH = 10
"""Groups of equal documents that must agree before one that does not says anything."""
RARE = 0.1
"""Where more than this share of the groups disagrees, vectors do not depend on documents alone."""
ALIKE = 0.99
"""Two vectors with a cosine above this are one vector, computed in different batches."""
_MEANS = "The vector under such an id {} of another record: searches return it for the wrong text."
_TEXT_INDEX = "embedding_metadata_string_value"
_SORTED = (
    "SELECT string_value, id FROM embedding_metadata {} WHERE key = 'chroma:document' AND string_value "
    "IS NOT NULL AND typeof(id) = 'integer' ORDER BY string_value LIMIT ?"
)


@check("CF505", needs=("records", "summary", "geometry"))
def vector_of_another_record(collection: Collection) -> Iterator[Finding]:
    """The vector under an id is the one of another record's document, by the embedder's word; without one: of
    records with equal documents one has another vector than the rest, in a store where that is rare.
    """
    twins = _odd_twins(collection)
    testimony = heard(collection, everything=bool(twins.rows))
    if isinstance(testimony, Absent):
        if twins.rows:
            yield _by_twins(collection, twins)
        return
    foreign = accused(testimony, doubtful=has_doubtful_labels(collection)).foreign
    if foreign.any():
        yield _by_embedder(collection, testimony, foreign)


def _by_embedder(collection: Collection, testimony: Testimony, foreign: np.ndarray) -> Finding:
    """The finding on those of the k compared that are `foreign` (k,)."""
    records = records_of(collection)
    rows, owner, cosine = testimony.rows[foreign], testimony.owner[foreign], testimony.cosine[foreign]
    ids, elements = [records.rows.ids[row] for row in rows.tolist()], records.elements[rows]
    owners = [records.rows.ids[row] if row >= 0 else "" for row in owner.tolist()]
    sure = testimony.share >= QUORUM
    return finding(
        "CF505",
        collection,
        count=len(ids),
        unit="records",
        expected="the embedder makes of each document the vector that is stored for it",
        found={
            **testimony.counts,
            "of_another_document": int((owner >= 0).sum()),
            "of_no_document": int((owner < 0).sum()),
            "ids": examples(ids),
            "owners": examples(owners),
            "elements": examples(elements),
            "cosine": [round(value, 6) for value in examples(cosine)],
        },
        where=(in_segment(collection, LEVEL0_FILE, rows=f"elements {examples(elements)}"),),
        means=_MEANS.format("is that"),
        remedy=Remedy(action="unmap-foreign-vectors", safety="safe" if sure else "manual"),
        lists={"ids": ids, "owners": owners, "elements": elements, "cosine": cosine},
    )


def _by_twins(collection: Collection, twins: Twins) -> Finding:
    """The finding on the records that have another vector than others with their document."""
    records = records_of(collection)
    ids, elements = [records.rows.ids[row] for row in twins.rows], records.elements[twins.rows]
    return finding(
        "CF505",
        collection,
        count=len(ids),
        unit="records",
        expected="records with equal documents have equal vectors, as in the other groups",
        found={
            "groups": twins.groups,
            "groups_that_agree": twins.agreeing,
            "ids": examples(ids),
            "elements": examples(elements),
        },
        where=(in_segment(collection, LEVEL0_FILE, rows=f"elements {examples(elements)}"),),
        means=_MEANS.format("is likely that"),
        remedy=remedy_for(collection, ids, action="replace-vectors"),
        confidence="likely",
        lists={"ids": ids, "elements": elements},
    )


@dataclass(frozen=True, slots=True)
class Twins:
    """How many groups of equal documents there are and agree; rows: positions of the records that do not. Where there
    are none of these, `agreeing` says nothing."""

    groups: int
    agreeing: int
    rows: list[int]


def _odd_twins(collection: Collection) -> Twins:
    """None of them where too few groups agree, or too many do not."""
    groups = list(_equal_documents(collection))
    most = min(RARE * len(groups), len(groups) - ENOUGH)
    disagreeing: list[list[int]] = []
    for rows in groups:
        found = _outliers(collection, rows)
        disagreeing += [found] if found else []
        if len(disagreeing) > most:
            return Twins(len(groups), 0, [])
    agreeing = len(groups) - len(disagreeing)
    return Twins(len(groups), agreeing, sorted(row for found in disagreeing for row in found))


def _equal_documents(collection: Collection) -> Iterator[list[int]]:
    """Positions of the indexed records of each group of two or more with one document, of at most MOST
    documents."""
    rows = needed(collection.rows)
    found = _sorted_documents(collection)
    if not found or not len(rows):
        return
    at, there = _places(rows.rowids, np.array([rowid for _, rowid in found], dtype=np.int64))
    there &= records_of(collection).indexed[at]
    texts = [text for text, _ in found]
    other = np.fromiter(map(ne, texts[1:], texts), dtype=bool, count=len(texts) - 1)
    edges = np.concatenate([[0], np.flatnonzero(other) + 1, [len(texts)]])
    for group in np.flatnonzero(np.diff(edges) > 1).tolist():
        part = slice(edges[group], edges[group + 1])
        here = at[part][there[part]].tolist()
        if len(here) > 1:
            yield here


def _sorted_documents(collection: Collection) -> list[tuple[str, int]]:
    """(document, rowid) by document, MOST at most; none where a big table has no index to sort by.

    Raises CannotLook where the index cannot be read and the table is too big to be sorted without.
    """
    database, small = collection.database, len(needed(collection.rows)) <= MOST
    known = database.rows("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?", (_TEXT_INDEX,))
    if not known and not small:
        return []
    found = database.rows(_SORTED.format(""), (MOST,))
    if isinstance(found, Absent) and small:
        found = database.rows(_SORTED.format("NOT INDEXED"), (MOST,))
    if isinstance(found, Absent):
        raise CannotLook(found.reason)
    return found


def _places(everyone: np.ndarray, rowids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(positions in `everyone` (n,) of these rowids (k,), whether they are there)."""
    at = np.minimum(np.searchsorted(everyone, rowids), len(everyone) - 1)
    return at, everyone[at] == rowids


def _outliers(collection: Collection, rows: list[int]) -> list[int]:
    """Those of `rows` whose vector is not that of the most of them; the later half where there is no
    majority."""
    vectors = segment_of(collection).files.vectors(records_of(collection).elements[rows]).astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1)
    if (unit @ unit[0] > ALIKE).all():
        return []
    alike = unit @ unit.T > ALIKE
    best = int(alike.sum(axis=1).argmax())
    return [row for row, same in zip(rows, alike[best].tolist(), strict=True) if not same]
