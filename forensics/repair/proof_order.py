"""The order of the log as a proof: 1.x gave labels in it, so where nothing was ever deleted and everything that is
known otherwise agrees, the rows of SQLite and the labels go up together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from forensics.absent import Absent
from forensics.errors import CannotComplete
from forensics.readers.embeddings_queue import DELETE
from forensics.repair.embedding import Embedder
from forensics.repair.pairing import Pairing
from forensics.sources import documents
from forensics.witness import cosine_of_rows, seeded_sample

SURE = 0.9999
"""Cosine at and above which a re-embedded document names its element, if it names only one."""
CONFIRMATIONS = 8
"""Pairs known from elsewhere that must agree with the order of the log before the order is believed."""


def by_order(work: Pairing, known: Mapping[str, int], embedder: Embedder | None) -> None:
    """The order of the log, where the release gives labels in it and where everything known agrees."""
    refusal = _order_refusal(work)
    expected = None if refusal else _in_order(work, known)
    if expected is None:
        work.notes.append(refusal or "the count of records does not fit that of the elements")
        return
    agreed, contradicted = _confirmed(work, expected, known)
    if not contradicted and agreed < CONFIRMATIONS and embedder is not None:
        more, contradicted = _confirmed_by_embedding(work, expected, embedder)
        agreed += more
    wanted = min(CONFIRMATIONS, len(expected))
    if contradicted or agreed < wanted:
        work.notes.append(
            f"the order of the log is contradicted by {contradicted} records"
            if contradicted
            else f"only {agreed} of {wanted} records confirm the order of the log (an embedder could)"
        )
        return
    for position in work.open().tolist():
        element = expected.get(work.ids[position])
        if element is not None:
            work.pair(position, np.array([element]), "order")


def _order_refusal(work: Pairing) -> str:
    if not work.collection.store.is_modern:
        return "releases before 1.0 give labels in no order"
    if work.summary.deleted.any():
        return "elements were deleted, so the order of labels proves nothing"
    rows = work.collection.queue.rows()
    if not isinstance(rows, Absent) and any(row.operation == DELETE for row in rows):
        return "the queue holds deletes, so the order of labels proves nothing"
    return ""


def _in_order(work: Pairing, known: Mapping[str, int]) -> dict[str, int] | None:
    """id → element if labels went up with the rows of SQLite; None where the counts do not fit.

    The elements are the first rows; the rows after them must all be pending.
    """
    rows = work.collection.rows
    named = np.flatnonzero(work.summary.labels >= 1)
    if isinstance(rows, Absent) or len(named) > len(rows):
        return None
    ordered = named[np.argsort(work.summary.labels[named], kind="stable")]
    rest = rows.ids[len(ordered) :]
    pending = work.collection.queue.rows(above=-1, ids=rest) if rest else []
    queued = set() if isinstance(pending, Absent) else {row.id for row in pending if row.vector_bytes}
    if not queued.issuperset(rest) or not known.keys() <= set(rows.ids):
        return None
    return dict(zip(rows.ids, ordered.tolist(), strict=False))


def _confirmed(work: Pairing, expected: Mapping[str, int], known: Mapping[str, int]) -> tuple[int, int]:
    """(agreeing, contradicting) pairs that are known without the order. Equal vectors under other elements
    agree.
    """
    pairs = {work.ids[i]: int(work.element[i]) for i in np.flatnonzero(work.element >= 0)} | dict(known)
    pairs = {name: element for name, element in pairs.items() if name in expected}
    if not pairs:
        return 0, 0
    here = np.fromiter(pairs.values(), dtype=np.int64, count=len(pairs))
    there = np.fromiter((expected[name] for name in pairs), dtype=np.int64, count=len(pairs))
    wrong = np.flatnonzero(here != there)
    same = (work.files.vectors(here[wrong]) == work.files.vectors(there[wrong])).all(axis=1)
    contradicted = int((~same).sum())
    return len(pairs) - contradicted, contradicted


def _confirmed_by_embedding(
    work: Pairing, expected: Mapping[str, int], embedder: Embedder
) -> tuple[int, int]:
    left = [work.ids[i] for i in work.open().tolist() if work.ids[i] in expected]
    texts = documents(work.collection, left)
    usable = [(name, text) for name, text in zip(left, texts, strict=True) if text]
    chosen = [usable[i] for i in seeded_sample(len(usable)).tolist()] if usable else []
    if not chosen:
        return 0, 0
    elements = np.array([expected[name] for name, _ in chosen], dtype=np.int64)
    try:
        made = embedder([text for _, text in chosen], work.index.dim)
    except CannotComplete as error:
        work.notes.append(str(error))
        return 0, 0
    agree = cosine_of_rows(made, work.files.vectors(elements)) >= SURE
    return int(agree.sum()), int((~agree).sum())
