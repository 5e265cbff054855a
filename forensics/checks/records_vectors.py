"""The vectors of live elements and of pending queue rows: finite, not zero, and of length 1 under cosine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from forensics.absent import Absent
from forensics.checks.graph_reach import ids_of
from forensics.checks.places import examples, geometry_of, in_segment, in_table
from forensics.checks.registry import check, finding
from forensics.model import Finding, Place, Remedy
from forensics.readers.hnsw import HnswFiles
from forensics.readers.layout import LEVEL0_FILE
from forensics.store import Collection

CHUNK = 1 << 14
NORM_TOLERANCE = 1e-3
"""What a norm under cosine may be away from 1; the engine's own rounding leaves about 1e-6."""
BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Odd:
    """Vectors that are not what vectors should be.

    `elements`: internal ids, live and with a label of 1 or more. `queued`: (seq_id, id) of pending queue
    rows.
    """

    elements: np.ndarray
    queued: tuple[tuple[int, str], ...]

    @property
    def count(self) -> int:
        return len(self.elements) + len(self.queued)


_NORMS: WeakKeyDictionary[HnswFiles, np.ndarray] = WeakKeyDictionary()


def squared_norms(collection: Collection) -> np.ndarray:
    """(elements,) float32 squared norms of the stored vectors, measured once; not finite where a component is
    not.

    Empty where there is no level 0.
    """
    segment = collection.vector
    if isinstance(segment, Absent) or isinstance(segment.files.level0, Absent):
        return np.empty(0, dtype=np.float32)
    if segment.files not in _NORMS:
        _NORMS[segment.files] = _squared_norms(segment.files.level0["vector"])
    return _NORMS[segment.files]


def _squared_norms(vectors: np.ndarray) -> np.ndarray:
    norms = np.empty(len(vectors), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(vectors), CHUNK):
            part = vectors[start : start + CHUNK]
            norms[start : start + CHUNK] = np.einsum("ij,ij->i", part, part)
    return norms


def _live(collection: Collection) -> np.ndarray:
    return _labelled(collection, live=True)


def _labelled(collection: Collection, *, live: bool) -> np.ndarray:
    """(elements,) bool: those with a label of 1 or more that are live, or else flagged deleted."""
    segment = collection.vector
    if isinstance(segment, Absent) or isinstance(segment.files.summary, Absent):
        return np.empty(0, dtype=bool)
    return (segment.files.summary.live == live) & (segment.files.summary.labels >= 1)


def not_finite(collection: Collection) -> Odd:
    """NaN or infinite components."""
    suspects = np.flatnonzero(_live(collection) & ~np.isfinite(squared_norms(collection)))
    vectors = _vectors(collection, suspects)
    return Odd(suspects[~np.isfinite(vectors).all(axis=1)], _queued(collection, "not finite"))


def zero(collection: Collection) -> Odd:
    """Vectors all of whose components are 0."""
    return Odd(_all_zeros(collection, _live(collection)), _queued(collection, "zero"))


def _all_zeros(collection: Collection, among: np.ndarray) -> np.ndarray:
    """Internal ids of those `among` (elements,) whose every component is 0."""
    suspects = np.flatnonzero(among & (squared_norms(collection) == 0))
    return suspects[~_vectors(collection, suspects).any(axis=1)]


def _vectors(collection: Collection, elements: np.ndarray) -> np.ndarray:
    segment = collection.vector
    if isinstance(segment, Absent) or not elements.size:
        return np.empty((0, 1), dtype=np.float32)
    return segment.files.vectors(elements)


_QUEUED: WeakKeyDictionary[Collection, dict[str, tuple[tuple[int, str], ...]]] = WeakKeyDictionary()


def _queued(collection: Collection, kind: str) -> tuple[tuple[int, str], ...]:
    if collection not in _QUEUED:
        _QUEUED[collection] = _look_at_queue(collection)
    return _QUEUED[collection][kind]


def _look_at_queue(collection: Collection) -> dict[str, tuple[tuple[int, str], ...]]:
    """Odd vectors in rows above the vector watermark; rows that are no vector at all are left to CF208."""
    found: dict[str, list[tuple[int, str]]] = {"not finite": [], "zero": []}
    for seqs, ids, vectors in _pending_vectors(collection):
        finite = np.isfinite(vectors).all(axis=1)
        for kind, mask in (("not finite", ~finite), ("zero", ~vectors.any(axis=1))):
            found[kind] += [(seqs[row], ids[row]) for row in np.flatnonzero(mask).tolist()]
    return {kind: tuple(rows) for kind, rows in found.items()}


def _pending_vectors(collection: Collection) -> Iterator[tuple[list[int], list[str], np.ndarray]]:
    """(seq_ids, ids, vectors (k, dim)) of pending rows with vectors of one length, BATCH rows at a time."""
    rows = collection.pending_rows
    lengths = {} if isinstance(rows, Absent) else {row.vector_bytes for row in rows}
    sql = (
        "SELECT seq_id, id, vector FROM embeddings_queue WHERE topic = ? AND seq_id > ? AND "
        "length(vector) = ?"
        " ORDER BY seq_id LIMIT ?"
    )
    for length in sorted(size for size in lengths if size and size % 4 == 0):
        last = collection.vector_watermark
        while True:
            cells = collection.database.rows(sql, (collection.queue.topic, last, length, BATCH))
            if isinstance(cells, Absent) or not cells:
                break
            last = cells[-1][0]
            cells = [cell for cell in cells if isinstance(cell[2], bytes)]
            floats = np.frombuffer(b"".join(cell[2] for cell in cells), dtype="<f4")
            yield [cell[0] for cell in cells], [cell[1] for cell in cells], floats.reshape(-1, length // 4)


def _places(collection: Collection, odd: Odd) -> tuple[Place, ...]:
    places: list[Place] = []
    if odd.elements.size:
        first = int(odd.elements[0])
        offset = first * geometry_of(collection).size_data_per_element
        places.append(in_segment(collection, LEVEL0_FILE, offset=offset, rows=f"element {first}"))
    if odd.queued:
        places.append(in_table("embeddings_queue", f"seq_id {[seq for seq, _ in odd.queued[:10]]}"))
    return tuple(places)


def _zero_in_tombstones(collection: Collection) -> Iterator[Finding]:
    """The note on zero vectors of deleted elements alone: a search passes them and returns none of them."""
    elements = _all_zeros(collection, _labelled(collection, live=False))
    if not elements.size:
        return
    yield finding(
        "CF705",
        collection,
        count=elements.size,
        unit="vectors of deleted elements",
        expected="the vectors that they were deleted with",
        found={"elements": examples(elements), "in_deleted_elements": int(elements.size)},
        where=_places(collection, Odd(elements, ())),
        means="No record has these vectors any more. A search only passes them on its way.",
        remedy=Remedy(action="compact-segment", safety="manual"),
        severity="note",
        lists={"elements": elements},
    )


def _lists(collection: Collection, odd: Odd) -> dict[str, list[str] | np.ndarray | list[int]]:
    ids = [*ids_of(collection, odd.elements), *(name for _, name in odd.queued)]
    return {"ids": ids, "elements": odd.elements, "seq_ids": [seq for seq, _ in odd.queued]}


@check("CF704", needs=("segment", "rows"), looks=("summary",))
def vector_not_finite(collection: Collection) -> Iterator[Finding]:
    """NaN or infinite components in live elements or pending queue rows."""
    odd = not_finite(collection)
    if odd.count:
        yield finding(
            "CF704",
            collection,
            count=odd.count,
            unit="vectors",
            expected="finite components",
            found={
                "elements": examples(odd.elements),
                "queue_rows": len(odd.queued),
                "ids": _some_ids(collection, odd),
            },
            where=_places(collection, odd),
            means="Distances to these vectors are no numbers: such a record is never found, or always first.",
            remedy=Remedy(action="replace-vectors", safety="lossy", loses=odd.count),
            lists=_lists(collection, odd),
        )


def _some_ids(collection: Collection, odd: Odd) -> list[str]:
    return examples([*ids_of(collection, odd.elements[:100]), *(name for _, name in odd.queued)])


_ZERO_UNDER_COSINE = (
    "A zero vector has no direction: under cosine its distance to everything is the same, and no search "
    "ranks "
    "the record."
)
_ZERO_ELSEWHERE = "A zero vector is often what an embedder gives for an empty text."


@check("CF705", needs=("segment", "rows"), looks=("summary",))
def vector_zero(collection: Collection) -> Iterator[Finding]:
    """Zero vectors in live elements or pending queue rows; only under cosine do they cost anything."""
    odd, cosine = zero(collection), collection.settings.space == "cosine"
    if not odd.count:
        yield from _zero_in_tombstones(collection)
    if odd.count:
        yield finding(
            "CF705",
            collection,
            count=odd.count,
            unit="vectors",
            expected="vectors with a direction",
            found={
                "space": collection.settings.space,
                "elements": examples(odd.elements),
                "queue_rows": len(odd.queued),
                "ids": _some_ids(collection, odd),
            },
            where=_places(collection, odd),
            means=_ZERO_UNDER_COSINE if cosine else _ZERO_ELSEWHERE,
            remedy=Remedy(action="replace-vectors", safety="lossy", loses=odd.count),
            severity=None if cosine else "note",
            lists=_lists(collection, odd),
        )


@check("CF706", needs=("segment", "rows", "summary"))
def vector_not_normalised(collection: Collection) -> Iterator[Finding]:
    """Live elements of a cosine index whose vector is finite, not zero, and not of length 1."""
    if collection.settings.space != "cosine":
        return
    with np.errstate(invalid="ignore"):
        norms = np.sqrt(squared_norms(collection))
        wrong = np.isfinite(norms) & (norms > 0) & (np.abs(norms - 1) > NORM_TOLERANCE)
    elements = np.flatnonzero(_live(collection) & wrong)
    if elements.size:
        odd = Odd(elements, ())
        yield finding(
            "CF706",
            collection,
            count=elements.size,
            unit="vectors",
            expected={"norm": 1.0, "tolerance": NORM_TOLERANCE},
            found={
                "elements": examples(elements),
                "norms": [round(float(norm), 4) for norm in norms[elements[:10]]],
                "ids": _some_ids(collection, odd),
            },
            where=_places(collection, odd),
            means=(
                "Cosine distances are computed as if every vector had length 1: these records rank too "
                "high or too low."
            ),
            remedy=Remedy(action="replace-vectors", safety="safe"),
            lists=_lists(collection, odd),
        )
