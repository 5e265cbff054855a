"""Where the vectors of records that the index has lost still exist, and the vectors themselves.

The order is that of Chroma's own replay first (the newest effective queue row), then set-aside and orphan directories
of this store, then other copies, of each its queue before its directories. A vector from another directory is current
only if the record was not written again after the watermark up to which that directory was written; else it is possibly
older, marked so, and gives way to a current one that is found later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Ids
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.elsewhere import (
    ALSO,
    OTHER,
    candidate_segments,
    foreign_segments,
    is_current,
    segment_at,
    seq_ids_of,
)
from forensics.other_copies import as_effective, newest_queued, queued_vectors, segments_of
from forensics.readers.embeddings_queue import effects
from forensics.readers.hnsw import map_file
from forensics.readers.id_map import IdMap
from forensics.readers.layout import LENGTH_FILE
from forensics.records import elements_of
from forensics.store import Collection, VectorSegment
from forensics.strays import left_behind, only_mirrored

QUEUE, STRAY, NOWHERE, COPY_QUEUE = "queue", "stray", "none", "also-queue"
QUEUED = frozenset({QUEUE, COPY_QUEUE})
"""Kinds whose `ref` is a seq_id, and whose vectors are as the user gave them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Columns over k ids.

    kind (k,) object: queue, stray, set-aside, orphan, also, also-queue, other-collection or none; stray is an element of
    the collection's own level 0 that id_to_label does not give to the id. origin: the directory (relative to the store,
    or a path) or the copy, "" for the queue. ref (k,) int64: the seq_id of the queue row, or the number of the element.
    current (k,) bool. has_document (k,) bool: SQLite holds a document that could be embedded again.
    """

    ids: tuple[str, ...] = field(repr=False)
    kind: np.ndarray = field(repr=False)
    origin: np.ndarray = field(repr=False)
    ref: np.ndarray = field(repr=False)
    current: np.ndarray = field(repr=False)
    has_document: np.ndarray = field(repr=False)

    def counts(self) -> dict[str, int]:
        """How many ids have each kind of source."""
        return dict(sorted(Counter(self.kind.tolist()).items()))

    @property
    def found(self) -> np.ndarray:
        """(k,) bool: the vector still exists somewhere."""
        return self.kind != NOWHERE

    @property
    def open(self) -> np.ndarray:
        """(j,) positions for which something better may still be found: nowhere yet, or possibly older."""
        return np.flatnonzero(~self.found | ~self.current)

    def put(self, at: np.ndarray, kind: str, origin: str, ref: np.ndarray, current: np.ndarray) -> None:
        """The vectors of the positions `at` are there."""
        self.kind[at], self.origin[at], self.ref[at], self.current[at] = kind, origin, ref, current


@dataclass(frozen=True, slots=True)
class Vectors:
    """raw (k, dim) float32 as the user gave them; stored (k, dim) as level 0 holds them; norms (k,) float32.

    exact (k,) bool: `stored` was copied from another level 0 and must come back bit for bit.
    """

    raw: np.ndarray
    stored: np.ndarray
    norms: np.ndarray
    exact: np.ndarray


def find_sources(collection: Collection, ids: Sequence[str], *, also: Sequence[Path] = ()) -> Sources:
    """For each id, the best place where its vector still exists. Ids are records of this collection.

    `also`: other copies of the store, besides those that the store itself knows of.
    """
    count = len(ids)
    sources = Sources(
        ids=tuple(ids),
        kind=np.full(count, NOWHERE, dtype=object),
        origin=np.full(count, "", dtype=object),
        ref=np.full(count, -1, dtype=np.int64),
        current=np.ones(count, dtype=bool),
        has_document=np.fromiter(
            (text is not None for text in documents(collection, ids)), dtype=bool, count=count
        ),
    )
    _from_queue(collection, sources)
    _from_strays(collection, sources)
    for kind, origin, segment in candidate_segments(collection):
        _from_segment(collection, sources, kind, origin, segment)
    for path in dict.fromkeys([*collection.store.also, *also]):
        _from_copy(collection, sources, path)
    _from_other_collections(collection, sources)
    return sources


def _from_copy(collection: Collection, sources: Sources, path: Path) -> None:
    """What the queue of another copy holds, and what its segment directories do."""
    at = sources.open
    wanted = [sources.ids[i] for i in at.tolist()]
    written = zip(wanted, seq_ids_of(collection, wanted).tolist(), strict=True)
    queued = newest_queued(collection, path, {name: number for name, number in written if number >= 0})
    found = np.array([queued.get(name, (-1, False)) for name in wanted], dtype=np.int64).reshape(-1, 2)
    better = (found[:, 0] >= 0) & ((found[:, 1] == 1) | ~sources.found[at])
    sources.put(at[better], COPY_QUEUE, str(path), found[better, 0], found[better, 1] == 1)
    for segment in segments_of(path):
        _from_segment(collection, sources, ALSO, str(segment.directory), segment)


def _from_other_collections(collection: Collection, sources: Sources) -> None:
    """Directories that were mixed up: ids of this collection in that of another one, which has no such records."""
    lacking = {sources.ids[index] for index in np.flatnonzero(~sources.found).tolist()}
    for segment, ids in foreign_segments(collection, lacking):
        _from_segment(collection, sources, OTHER, segment.relative, segment, only=ids)


def _from_queue(collection: Collection, sources: Sources) -> None:
    rows = collection.queue.rows(ids=sources.ids)
    if isinstance(rows, Absent) or not rows:
        return
    dim = dimension_of(collection)
    whole = [row for row in rows if row.vector_bytes is None or dim is None or row.vector_bytes == 4 * dim]
    left = effects(as_effective(whole), lambda _: False)
    for index, name in enumerate(sources.ids):
        effect = left.get(name)
        if effect is not None and effect.exists and effect.vector_seq is not None:
            sources.kind[index], sources.ref[index] = QUEUE, effect.vector_seq


def _from_strays(collection: Collection, sources: Sources) -> None:
    """Elements of the collection's own level 0: those of ids that only label_to_id has, and those of `left_behind`."""
    segment = collection.vector
    if isinstance(segment, Absent):
        return
    known = {**left_behind(collection), **only_mirrored(segment)}
    for index in np.flatnonzero(~sources.found).tolist() if known else []:
        found = known.get(sources.ids[index])
        if found is not None:
            sources.kind[index], sources.origin[index] = STRAY, segment.relative
            sources.ref[index], sources.current[index] = found


def _from_segment(
    collection: Collection,
    sources: Sources,
    kind: str,
    origin: str,
    segment: VectorSegment,
    only: Ids[str] | None = None,
) -> None:
    summary, id_map = segment.files.summary, segment.id_map
    if isinstance(summary, Absent) or not isinstance(id_map, IdMap) or not _fits(collection, segment):
        return
    open_ones = sources.open
    wanted = open_ones if only is None else open_ones[[sources.ids[i] in only for i in open_ones.tolist()]]
    labels = np.fromiter(
        (id_map.id_to_label.get(sources.ids[i], -1) for i in wanted), dtype=np.int64, count=len(wanted)
    )
    elements = elements_of(labels, summary)
    good = (
        (elements >= 0) & ~summary.deleted[np.maximum(elements, 0)] if len(summary.labels) else elements >= 0
    )
    if not good.any():
        return
    hit = wanted[good]
    current = is_current(collection, [sources.ids[i] for i in hit], id_map)
    better = current | ~sources.found[hit]
    sources.put(hit[better], kind, origin, elements[good][better], current[better])


def _fits(collection: Collection, segment: VectorSegment) -> bool:
    geometry, dim = segment.files.geometry, dimension_of(collection)
    return not isinstance(geometry, Absent) and (dim is None or geometry.dim == dim)


def fetch(collection: Collection, sources: Sources, index: np.ndarray) -> Vectors:
    """The vectors of `sources` at the positions `index` (j,), all of which must have a source.

    Raises ValueError for a position without one, or where the dimension of the collection is unknown.
    """
    dim = dimension_of(collection)
    if dim is None or not sources.found[index].all():
        raise ValueError("a vector was asked for that exists nowhere, or the dimension is unknown")
    out = Vectors(
        np.empty((len(index), dim), np.float32),
        np.empty((len(index), dim), np.float32),
        np.ones(len(index), np.float32),
        np.zeros(len(index), bool),
    )
    _fill_from_queues(collection, sources, index, out, dim)
    origins = {
        o for o, kind in zip(sources.origin[index], sources.kind[index], strict=True) if kind not in QUEUED
    }
    for origin in sorted(origins):
        _fill_from_segment(collection, sources, index, out, origin)
    return out


def _fill_from_queues(
    collection: Collection, sources: Sources, index: np.ndarray, out: Vectors, dim: int
) -> None:
    """Rows of the queue, and of the queues of other copies (by their path)."""
    queued = np.isin(sources.kind[index].astype(str), sorted(QUEUED))
    for copy in sorted(set(sources.origin[index[queued]])):
        mine = np.flatnonzero(queued & (sources.origin[index] == copy))
        seq_ids = sources.ref[index[mine]]
        raw = (
            queued_vectors(collection, Path(copy), seq_ids, dim)
            if copy
            else collection.queue.vectors(seq_ids, dim)
        )
        cosine = collection.settings.space == "cosine"
        out.stored[mine], out.norms[mine] = normalised(raw) if cosine else (raw, np.float32(1))
        out.raw[mine] = raw


def _fill_from_segment(
    collection: Collection, sources: Sources, index: np.ndarray, out: Vectors, origin: str
) -> None:
    mine = np.flatnonzero(sources.origin[index] == origin)
    segment = segment_at(collection, origin)
    elements = sources.ref[index[mine]]
    whole, lengths = segment.files.level0_whole, map_file(segment.files.path(LENGTH_FILE))
    if isinstance(whole, Absent):
        raise ValueError(whole.reason)
    stored = np.ascontiguousarray(whole["vector"][elements])
    norms = np.ones(len(stored), np.float32)
    if (
        collection.settings.space == "cosine"
        and not isinstance(lengths, Absent)
        and lengths.size >= 4 * int(elements.max() + 1)
    ):
        norms = lengths[: lengths.size // 4 * 4].view("<f4")[elements].astype(np.float32)
    out.stored[mine], out.norms[mine], out.exact[mine] = stored, norms, True
    out.raw[mine] = stored * norms[:, None]


def normalised(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(stored, norms): what the engine makes of raw cosine vectors, in float32 as it does (norm + 1e-30)."""
    norms = np.sqrt(np.einsum("ij,ij->i", raw, raw, dtype=np.float32)).astype(np.float32)
    return (raw / (norms + np.float32(1e-30))[:, None]).astype(np.float32), norms


def dimension_of(collection: Collection) -> int | None:
    """The dimension that the index was built with, else the one that SQLite records."""
    segment = collection.vector
    if (
        not isinstance(segment, Absent)
        and not isinstance(segment.files.geometry, Absent)
        and segment.state == "persisted"
    ):
        return segment.files.geometry.dim
    return collection.dimension


def documents(collection: Collection, ids: Sequence[str]) -> list[str | None]:
    """The document of each id, None where SQLite holds none."""
    rows = collection.rows
    if isinstance(rows, Absent):
        return [None] * len(ids)
    places = ((name, collection.row_of.get(name)) for name in ids)
    rowids = {int(rows.rowids[at]): name for name, at in places if at is not None}
    texts: dict[str, str] = {}
    for part in _batches(sorted(rowids), 900):
        marks = ",".join("?" * len(part))
        sql = f"SELECT id, string_value FROM embedding_metadata WHERE key = 'chroma:document' AND id IN ({marks})"
        found = collection.database.rows(sql, part)
        for rowid, text in [] if isinstance(found, Absent) else found:
            if isinstance(text, str):
                texts[rowids[rowid]] = text
    return [texts.get(name) for name in ids]


def _batches(items: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
