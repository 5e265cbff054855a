"""A store against the user's own source: what only one of them has, and what differs. Reads; judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.sources import dimension_of, documents, normalised
from forensics.store import Collection, Store
from forensics.user_source import UserSource

TOLERANCE = 1e-4
"""How far a component may be off; of vectors longer than 1, per unit of their length."""
CHUNK = 1 << 14
EXAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """One source against the collection with which it shares the most ids.

    `collection` is None where the store has none that can be read. `compared`: how vectors were: "as given", or in cosine
    space "direction", since a length means nothing there. `farthest`: the largest difference of a component.
    """

    source: str
    collection: str | None
    in_source: int
    in_store: int
    shared: int
    compared: str
    vectors_compared: int
    farthest: float | None
    documents_compared: int
    only_in_source: tuple[str, ...] = field(repr=False)
    only_in_store: tuple[str, ...] = field(repr=False)
    other_vector: tuple[str, ...] = field(repr=False)
    other_document: tuple[str, ...] = field(repr=False)
    not_compared: str = ""

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """The full lists, which go to files of the case."""
        names = ("only_in_source", "only_in_store", "other_vector", "other_document")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, Any]:
        names = ("source", "collection", "in_source", "in_store", "shared")
        counts = ("compared", "vectors_compared", "farthest", "documents_compared", "not_compared")
        return {
            **{name: getattr(self, name) for name in names},
            **{
                name: {"count": len(ids), "examples": list(ids[:EXAMPLES])}
                for name, ids in self.lists.items()
            },
            "tolerance": TOLERANCE,
            **{name: getattr(self, name) for name in counts},
        }


def against(store: Store, source: UserSource, collection: str | None = None) -> Against:
    """The source against one collection: the one that is named, else the one that shares the most ids with it."""
    chosen = store.collections if collection is None else (store.collection(collection),)
    readable = [one for one in chosen if not isinstance(one.rows, Absent)]
    if not readable:
        return _nothing(source, "no collection of the store has records that can be read")
    best = max(readable, key=lambda one: (sum(map(one.row_of.__contains__, source.rows)), -chosen.index(one)))
    return _compared(best, source)


def _nothing(source: UserSource, why: str) -> Against:
    return Against(
        source=source.path,
        collection=None,
        in_source=len(source.rows),
        in_store=0,
        shared=0,
        compared="as given",
        vectors_compared=0,
        farthest=None,
        documents_compared=0,
        only_in_source=(),
        only_in_store=(),
        other_vector=(),
        other_document=(),
        not_compared=why,
    )


def _compared(collection: Collection, source: UserSource) -> Against:
    there = collection.row_of
    shared = [name for name in source.rows if name in there]
    direction = collection.settings.space == "cosine"
    vectors, why = _vectors(collection, source, shared, direction=direction)
    texts = _documents(collection, source, shared)
    return Against(
        source=source.path,
        collection=collection.name,
        in_source=len(source.rows),
        in_store=len(there),
        shared=len(shared),
        compared="direction" if direction else "as given",
        vectors_compared=len(vectors),
        farthest=max(vectors.values(), default=None),
        documents_compared=len(texts),
        only_in_source=tuple(name for name in source.rows if name not in there),
        only_in_store=tuple(name for name in there if name not in source.rows),
        other_vector=tuple(name for name, off in vectors.items() if not off <= TOLERANCE),
        other_document=tuple(name for name, same in texts.items() if not same),
        not_compared=why,
    )


def _vectors(
    collection: Collection, source: UserSource, shared: Sequence[str], *, direction: bool
) -> tuple[dict[str, float], str]:
    """(id → how far its vector is off, for those that both have; why none could be compared)."""
    dim, given = dimension_of(collection), source.vectors.shape[1]
    if not given:
        return {}, "the source has no vectors"
    if dim is None or dim != given:
        return (
            {},
            f"the source has vectors of {given} components, the collection of {dim or 'no known number'}",
        )
    found: dict[str, float] = {}
    for part in _chunks(shared):
        theirs, ours = source.take(part), current_vectors(collection, part, dim)
        both = np.flatnonzero(np.isfinite(theirs).all(axis=1) & ~np.isnan(ours).any(axis=1))
        off = _distance(theirs[both], ours[both], direction=direction)
        found.update(zip([part[at] for at in both.tolist()], off.tolist(), strict=True))
    return found, ""


def _distance(theirs: np.ndarray, ours: np.ndarray, *, direction: bool) -> np.ndarray:
    """(k,) the largest difference of a component; where lengths count, per unit of the length of `ours` above 1."""
    if direction:
        theirs, ours = normalised(theirs)[0], normalised(ours)[0]
    length = np.maximum(1.0, np.linalg.norm(ours.astype(np.float64), axis=1))
    return np.abs(theirs.astype(np.float64) - ours).max(axis=1, initial=0.0) / length


def current_vectors(collection: Collection, ids: Sequence[str], dim: int) -> np.ndarray:
    """(k, dim) float32 what a search would compare for these records; NaN rows where the store has none for them.

    In cosine space those of the index have length 1. The newest row of the queue that is still to come counts before
    the element of the index.
    """
    out = np.full((len(ids), dim), np.nan, dtype=np.float32)
    _from_index(collection, ids, out)
    waiting = [(at, collection.pending.get(name)) for at, name in enumerate(ids)]
    queued = [
        (at, effect.vector_seq)
        for at, effect in waiting
        if effect is not None and effect.vector_seq is not None
    ]
    if queued:
        seqs = np.array([seq for _, seq in queued], dtype=np.int64)
        out[[at for at, _ in queued]] = collection.queue.vectors(seqs, dim)
    return out


def _from_index(collection: Collection, ids: Sequence[str], out: np.ndarray) -> None:
    records, segment = collection.records, collection.vector
    if isinstance(records, Absent) or isinstance(segment, Absent) or isinstance(segment.files.level0, Absent):
        return
    rows = np.fromiter(map(collection.row_of.get, ids, repeat(-1)), dtype=np.int64, count=len(ids))
    there = np.flatnonzero((rows >= 0) & records.indexed[rows])
    elements = records.elements[rows[there]]
    out[there] = segment.files.vectors(elements)


def _documents(collection: Collection, source: UserSource, shared: Sequence[str]) -> dict[str, bool]:
    """id → whether both have the same text, for those of which the source has one."""
    if not source.documents:
        return {}
    texts = [(name, source.documents[source.rows[name]]) for name in shared]
    given = [(name, text) for name, text in texts if text is not None]
    stored = documents(collection, [name for name, _ in given])
    return {name: text == own for (name, text), own in zip(given, stored, strict=True)}


def _chunks(names: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), CHUNK):
        yield list(names[start : start + CHUNK])
