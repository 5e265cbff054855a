"""Which element of level 0 belongs to which id, where that can be proved; where not, the reason. Never
guessed.

Proofs, in the order in which they are tried: label_to_id still has the id and only id_to_label lacks it
("mirror"); the queue holds the id's vector and one element carries it bit for bit ("queue"); a set-aside or
orphan directory maps the id to a vector that one element carries bit for bit ("other-map"); the intact prefix
of a cut id map names its label ("salvaged"); the user's own source gives the id a vector that one element
carries ("source"); a record with the same document has a known vector, and one nameless element carries its
bits ("same document"); 1.x gave labels in the order of the log, nothing was ever deleted, and every other proof
agrees ("order"); the embedder reproduces one element and no other ("re-embedding"), or before 1.0 only one of
the block of labels that its batch got ("re-embedding in its block"). Records with identical vectors are
interchangeable, so any of their elements will do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.errors import CannotComplete
from forensics.readers.hnsw import HnswFiles
from forensics.readers.id_map import IdMap
from forensics.records import Records, elements_of
from forensics.repair.embedding import Embedder
from forensics.repair.pairing import Pairing
from forensics.repair.proof_blocks import blocks
from forensics.repair.proof_order import SURE, by_order
from forensics.repair.proof_source import by_source
from forensics.repair.vector_index import VectorIndex
from forensics.sources import QUEUE, candidate_segments, documents, fetch, find_sources
from forensics.store import Collection
from forensics.strays import only_mirrored
from forensics.user_source import UserSource
from forensics.witness import norms_agree, seeded_sample

TWINS = 100_000
"""Above so many open ids nobody looks for a record with the same document."""
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
    sources: Sequence[UserSource] = (),
    ordered: bool = True,
) -> Proof:
    """Pairs `ids` with `elements` (e,) internal ids, one to one, each pair with its proof.

    known: id → element of the map that still stands; salvaged: id → label of a cut map's prefix. `ordered` is
    False where elements are known to stand under labels of other records: then their order proves nothing.
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
    work = Pairing(collection, files, summary, tuple(ids), free, element, how, index)
    _by_mirror(work)
    _by_queue(work)
    _by_other_maps(work, also)
    _by_prefix(work, salvaged or {})
    by_source(work, sources, known or {})
    _by_twin(work, known or {})
    if ordered:
        by_order(work, known or {}, embedder)
    if embedder is not None:
        _by_embedding(work, embedder)
    return Proof(work.ids, work.element, work.how, "; ".join(work.notes) if len(work.open()) else "")


def spread_pairs(records: Records) -> dict[str, int]:
    """id → element of up to 4,096 indexed records, spread over the whole."""
    held = np.flatnonzero(records.indexed)
    chosen = held[seeded_sample(len(held), 4096)]
    return {records.rows.ids[i]: int(records.elements[i]) for i in chosen.tolist()}


def _by_mirror(work: Pairing) -> None:
    segment = work.collection.vector
    mirrored = {} if isinstance(segment, Absent) else only_mirrored(segment)
    for position in work.open().tolist() if mirrored else []:
        found = mirrored.get(work.ids[position])
        if found is not None:
            work.pair(position, np.array([found[0]]), "mirror")


def _by_queue(work: Pairing) -> None:
    sources = find_sources(work.collection, work.ids)
    queued = np.flatnonzero(sources.kind == QUEUE)
    if queued.size:
        vectors = fetch(work.collection, sources, queued).stored
        for position, vector in zip(queued.tolist(), vectors, strict=True):
            work.pair(position, work.index.equal_to(vector), "queue")


def _by_other_maps(work: Pairing, also: Sequence[Path]) -> None:
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


def _by_prefix(work: Pairing, salvaged: Mapping[str, int]) -> None:
    left = work.open()
    labels = np.array([salvaged.get(work.ids[i], -1) for i in left], dtype=np.int64)
    elements = elements_of(labels, work.summary)
    for position, element in zip(left[elements >= 0].tolist(), elements[elements >= 0], strict=True):
        work.pair(position, np.array([element]), "salvaged")


def _by_twin(work: Pairing, known: Mapping[str, int]) -> None:
    """Identical documents have identical vectors: that of a record whose element is known names the other's."""
    left = work.open()
    if not known or not left.size or len(left) > TWINS:
        return
    names = list(known)
    place = {
        text: known[name] for name, text in zip(names, documents(work.collection, names), strict=True) if text
    }
    texts = documents(work.collection, [work.ids[i] for i in left.tolist()])
    for position, text in zip(left.tolist(), texts, strict=True):
        element = place.get(text or "")
        if element is not None:
            vector = work.files.vectors(np.array([element]))[0]
            work.pair(position, work.index.identical_to(vector), "same document")


def _by_embedding(work: Pairing, embedder: Embedder) -> None:
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
    several: dict[int, np.ndarray] = {}
    for position, vector in zip(asked.tolist(), made, strict=True):
        near = work.index.near(vector, SURE)
        near = near[work.free[near]]
        if near.size and not work.interchangeable(near):
            several[position] = vector
        elif near.size and _lengths_fit(work, vector, near[:1]):
            work.pair(position, near, "re-embedding")
    ambiguous = len(several) - _by_block(work, several)
    work.notes.append(
        f"{ambiguous} documents fit several elements, the others none" if ambiguous else "no element fits"
    )


def _by_block(work: Pairing, several: Mapping[int, np.ndarray]) -> int:
    """How many of these documents, each of which fits several elements, fit only one of their own block."""
    told = blocks(work) if several else None
    if told is None:
        return 0
    (of_id, of_element), before = told, len(work.open())
    for position, vector in several.items():
        near = work.index.near(vector, SURE)
        mine = near[work.free[near] & (of_element[near] == of_id.get(work.ids[position], -1))]
        if work.interchangeable(mine) and _lengths_fit(work, vector, mine[:1]):
            work.pair(position, mine, "re-embedding in its block")
    return before - len(work.open())


def _lengths_fit(work: Pairing, vector: np.ndarray, element: np.ndarray) -> bool:
    if work.collection.settings.space == "cosine":
        return True
    return bool(norms_agree(vector[None, :], work.files.vectors(element)).all())
