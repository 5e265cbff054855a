"""Which element of level 0 belongs to which id, where that can be proved; where not, the reason. Never
guessed.

Proofs, in the order in which they are tried: label_to_id still has the id and only id_to_label lacks it
("mirror"); the queue holds the id's vector and one element carries it bit for bit ("queue"); a set-aside or
orphan directory maps the id to a vector that one element carries bit for bit ("other-map"); the intact prefix
of a cut id map names its label ("salvaged"); 1.x gave labels in the order of the log, nothing was ever
deleted, and every other proof agrees ("order"); the embedder reproduces one element and no other
("re-embedding"). Records with identical vectors are interchangeable, so any of their elements will do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.errors import CannotComplete
from forensics.readers.embeddings_queue import DELETE
from forensics.readers.hnsw import HnswFiles, Level0Summary
from forensics.readers.id_map import IdMap
from forensics.records import elements_of
from forensics.repair.embedding import Embedder, cosine_of_rows, norms_agree, seeded_sample
from forensics.repair.vector_index import VectorIndex
from forensics.sources import QUEUE, candidate_segments, documents, fetch, find_sources
from forensics.store import Collection
from forensics.strays import only_mirrored

SURE = 0.9999
"""Cosine at and above which a re-embedded document names its element, if it names only one."""
CONFIRMATIONS = 8
"""Pairs known from elsewhere that must agree with the order of the log before the order is believed."""
EXACT, ROUNDED = 0.0, 4e-7


@dataclass(frozen=True, slots=True)
class Proof:
    """element (k,) int64 of each id, -1 where refused; how (k,) object: the kind of proof, or "" where
    refused.

    `refused` says why the rest was refused, in one sentence.
    """

    ids: tuple[str, ...] = field(repr=False)
    element: np.ndarray = field(repr=False)
    how: np.ndarray = field(repr=False)
    refused: str = ""

    @property
    def proved(self) -> np.ndarray:
        """(k,) bool."""
        return self.element >= 0

    def pairs(self) -> dict[str, int]:
        """id → element of each proved pair."""
        return {self.ids[i]: int(self.element[i]) for i in np.flatnonzero(self.proved).tolist()}

    def counts(self) -> dict[str, int]:
        """kind of proof → how many ids have it; "" counts the refused."""
        return dict(sorted(Counter(self.how.tolist()).items()))


@dataclass(slots=True)
class _Work:
    """The pairing so far: `element` and `how` over the ids, `free` over all elements."""

    collection: Collection
    files: HnswFiles
    summary: Level0Summary
    ids: tuple[str, ...]
    free: np.ndarray
    element: np.ndarray
    how: np.ndarray
    index: VectorIndex
    notes: list[str] = field(default_factory=list)

    def open(self) -> np.ndarray:
        """(j,) positions of the ids that have no proof yet."""
        return np.flatnonzero(self.element < 0)

    def pair(self, position: int, elements: np.ndarray, how: str) -> None:
        """The id at `position` gets the first of `elements` that is free, if any."""
        left = elements[self.free[elements]]
        if left.size:
            self.element[position], self.how[position] = left[0], how
            self.free[left[0]] = False


def prove(
    collection: Collection,
    files: HnswFiles,
    ids: Sequence[str],
    elements: np.ndarray,
    *,
    known: Mapping[str, int] | None = None,
    salvaged: Mapping[str, int] | None = None,
    embedder: Embedder | None = None,
    also: Sequence[Path] = (),
) -> Proof:
    """Pairs `ids` with `elements` (e,) internal ids, one to one, each pair with its proof.

    known: id → element of the map that still stands; salvaged: id → label of a cut map's prefix.
    """
    summary = files.summary
    count = len(ids)
    element, how = np.full(count, -1, dtype=np.int64), np.full(count, "", dtype=object)
    if isinstance(summary, Absent) or not len(elements) or not count:
        return Proof(tuple(ids), element, how, "there is no element to map to")
    free = np.zeros(len(summary.labels), dtype=bool)
    free[elements] = True
    tolerance = ROUNDED if collection.settings.space == "cosine" else EXACT
    index = VectorIndex(files, np.flatnonzero(free), tolerance)
    work = _Work(collection, files, summary, tuple(ids), free, element, how, index)
    _by_mirror(work)
    _by_queue(work)
    _by_other_maps(work, also)
    _by_prefix(work, salvaged or {})
    _by_order(work, known or {}, embedder)
    if embedder is not None:
        _by_embedding(work, embedder)
    return Proof(work.ids, work.element, work.how, "; ".join(work.notes) if len(work.open()) else "")


def _by_mirror(work: _Work) -> None:
    segment = work.collection.vector
    mirrored = {} if isinstance(segment, Absent) else only_mirrored(segment)
    for position in work.open().tolist() if mirrored else []:
        found = mirrored.get(work.ids[position])
        if found is not None:
            work.pair(position, np.array([found[0]]), "mirror")


def _by_queue(work: _Work) -> None:
    sources = find_sources(work.collection, work.ids)
    queued = np.flatnonzero(sources.kind == QUEUE)
    if queued.size:
        vectors = fetch(work.collection, sources, queued).stored
        for position, vector in zip(queued.tolist(), vectors, strict=True):
            work.pair(position, work.index.equal_to(vector), "queue")


def _by_other_maps(work: _Work, also: Sequence[Path]) -> None:
    for _, _, segment in candidate_segments(work.collection, also):
        summary, id_map = segment.files.summary, segment.id_map
        if isinstance(summary, Absent) or not isinstance(id_map, IdMap) or not work.index.fits(segment.files):
            continue
        left = work.open()
        labels = np.array([id_map.id_to_label.get(work.ids[i], -1) for i in left], dtype=np.int64)
        there = elements_of(labels, summary)
        vectors = segment.files.vectors(there[there >= 0])
        for position, vector in zip(left[there >= 0].tolist(), vectors, strict=True):
            work.pair(position, work.index.identical_to(vector), "other-map")


def _by_prefix(work: _Work, salvaged: Mapping[str, int]) -> None:
    left = work.open()
    labels = np.array([salvaged.get(work.ids[i], -1) for i in left], dtype=np.int64)
    elements = elements_of(labels, work.summary)
    for position, element in zip(left[elements >= 0].tolist(), elements[elements >= 0], strict=True):
        work.pair(position, np.array([element]), "salvaged")


def _by_order(work: _Work, known: Mapping[str, int], embedder: Embedder | None) -> None:
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


def _order_refusal(work: _Work) -> str:
    if not work.collection.store.is_modern:
        return "releases before 1.0 give labels in no order"
    if work.summary.deleted.any():
        return "elements were deleted, so the order of labels proves nothing"
    rows = work.collection.queue.rows()
    if not isinstance(rows, Absent) and any(row.operation == DELETE for row in rows):
        return "the queue holds deletes, so the order of labels proves nothing"
    return ""


def _in_order(work: _Work, known: Mapping[str, int]) -> dict[str, int] | None:
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


def _confirmed(work: _Work, expected: Mapping[str, int], known: Mapping[str, int]) -> tuple[int, int]:
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


def _confirmed_by_embedding(work: _Work, expected: Mapping[str, int], embedder: Embedder) -> tuple[int, int]:
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


def _by_embedding(work: _Work, embedder: Embedder) -> None:
    """Every document that has no proof yet, against every element that is free."""
    left = work.open()
    texts = documents(work.collection, [work.ids[i] for i in left.tolist()])
    asked = np.array([i for i, text in zip(left.tolist(), texts, strict=True) if text], dtype=np.int64)
    free = np.flatnonzero(work.free)
    if not asked.size or not free.size:
        return
    try:
        made = embedder([text for text in texts if text], work.index.dim)
    except CannotComplete as error:
        work.notes.append(str(error))
        return
    ambiguous = 0
    for position, vector in zip(asked.tolist(), made, strict=True):
        near = work.index.near(vector, SURE)
        near = near[work.free[near]]
        if near.size and not _interchangeable(work, near):
            ambiguous += 1
        elif near.size and _lengths_fit(work, vector, near[:1]):
            work.pair(position, near, "re-embedding")
    work.notes.append(
        f"{ambiguous} documents fit several elements, the others none" if ambiguous else "no element fits"
    )


def _interchangeable(work: _Work, elements: np.ndarray) -> bool:
    vectors = work.files.vectors(elements)
    return bool((vectors == vectors[0]).all())


def _lengths_fit(work: _Work, vector: np.ndarray, element: np.ndarray) -> bool:
    if work.collection.settings.space == "cosine":
        return True
    return bool(norms_agree(vector[None, :], work.files.vectors(element)).all())
