"""What the engine should answer, by our own readers alone: ids from SQLite, vectors from level 0 and the
queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from forensics.absent import Absent, present
from forensics.foretell.filters import Filter, a_filter
from forensics.readers.embeddings_queue import effects
from forensics.records import Records
from forensics.store import Collection, Store

MOST_BYTES = 2 << 30
"""Vectors of one collection that are held at a time; of larger ones an even sample is compared."""
LARGE = 50_000
"""Records up to which a repaired collection is compared embedding by embedding."""
SAMPLE = 2000
FIRST = 10
"""What `peek` returns; always compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One collection as the engine should show it.

    `ids` (n) in the order of their rows. `rows` (m,) are the positions whose vectors are compared: all, or an
    even sample; `vectors` (m, dim) float32 as the API returns them (cosine: stored × norm), where `known`
    (m,) bool; the others have no vector in the index and no queue row that brings one. `reachable` counts the
    ids that have either. `chosen` says in words which records `rows` are; empty: all of them.
    """

    name: str
    space: str
    dimension: int | None
    ids: tuple[str, ...] = field(repr=False)
    rows: np.ndarray = field(repr=False)
    vectors: np.ndarray = field(repr=False)
    known: np.ndarray = field(repr=False)
    reachable: int
    sync_threshold: int = 1000
    batch_size: int = 100
    tenant: str = "default_tenant"
    database: str = "default_database"
    filter: Filter | None = None
    chosen: str = ""

    @property
    def address(self) -> dict[str, str]:
        """What an operation needs to name this collection."""
        return {"collection": self.name, "tenant": self.tenant, "database": self.database}

    def only(self, positions: np.ndarray) -> Expected:
        """The same with the vectors of these positions of `rows` alone."""
        return replace(
            self, rows=self.rows[positions], vectors=self.vectors[positions], known=self.known[positions]
        )


def expected_of(
    store: Store, collection: str | None = None, brought: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Expected]:
    """Collection name → what the engine should show; collections whose rows cannot be read are left out.

    With `brought` (collection name → ids that a repair brought back) the vectors of collections of more than 50,000
    records are those of these ids and of an even sample.
    """
    chosen = store.collections if collection is None else (store.collection(collection),)
    wanted = {one.name: None if brought is None else brought.get(one.name, ()) for one in chosen}
    found = ((one.name, expected_collection(one, brought=wanted[one.name])) for one in chosen)
    return {name: expected for name, expected in found if expected is not None}


def expected_collection(
    collection: Collection, most_bytes: int = MOST_BYTES, brought: Sequence[str] | None = None
) -> Expected | None:
    """The truth of one collection, or None where SQLite does not give its rows."""
    records = collection.records
    if isinstance(records, Absent):
        return None
    dim = dimension_of(collection)
    most = max(1, most_bytes // (4 * (dim or 1)))
    rows, chosen = _even(len(records), most), ""
    if brought is not None and len(records) > LARGE:
        rows, chosen = _brought_and_sample(records, brought, most)
    vectors, known = truth_vectors(collection, records, rows, dim)
    tenant, database = home_of(collection)
    settings = collection.settings
    added, removed = awaited(collection, records)
    shown = Expected(
        name=collection.name,
        space=settings.space,
        dimension=dim,
        ids=tuple(records.rows.ids),
        rows=rows,
        vectors=vectors,
        known=known,
        reachable=int((records.indexed | records.pending).sum()),
        sync_threshold=settings.sync_threshold,
        batch_size=settings.batch_size,
        tenant=tenant,
        database=database,
        filter=None if added or removed else a_filter(collection, records.rows),
        chosen=chosen,
    )
    return _once_applied(shown, added, removed) if added or removed else shown


def awaited(collection: Collection, records: Records) -> tuple[list[str], set[str]]:
    """(ids that SQLite gets, ids that it loses) when the METADATA segment applies what the queue still holds for it."""
    mark = collection.metadata_watermark
    above = 0 if isinstance(mark, Absent) else mark.value
    found = Absent("") if above is None else collection.queue.rows(above=above)
    if isinstance(found, Absent) or not found:
        return [], set()
    there = set(records.rows.ids)
    left = effects(found, there.__contains__)
    added = [name for name, effect in left.items() if effect.exists and name not in there]
    return added, {name for name, effect in left.items() if not effect.exists and name in there}


def _once_applied(shown: Expected, added: Sequence[str], removed: set[str]) -> Expected:
    """The same with these ids and without those; vectors are compared of records that SQLite holds already."""
    stays = np.fromiter((name not in removed for name in shown.ids), dtype=bool, count=len(shown.ids))
    place = np.cumsum(stays) - 1
    compared = stays[shown.rows]
    return replace(
        shown,
        ids=(*(name for name in shown.ids if name not in removed), *added),
        rows=place[shown.rows[compared]],
        vectors=shown.vectors[compared],
        known=shown.known[compared],
        reachable=shown.reachable + len(added) - int((~stays).sum()),
    )


def _brought_and_sample(records: Records, brought: Sequence[str], most: int) -> tuple[np.ndarray, str]:
    """Ascending positions of the records that were brought back (at most `most`), of the first ones and of an even
    sample; and these in words.
    """
    total, wanted = len(records), set(brought)
    named = np.fromiter(map(wanted.__contains__, records.rows.ids), dtype=bool, count=total)
    mine, others = np.flatnonzero(named), np.flatnonzero(~named)
    asked, sample = mine[_even(len(mine), most)], others[_even(len(others), SAMPLE)]
    rows = np.union1d(np.union1d(asked, sample), np.arange(min(FIRST, total)))
    part = "all" if len(asked) == len(mine) else f"{len(asked):,} of the"
    text = (
        f"{part} {len(mine):,} that were brought back, the first {FIRST} and an even sample of {len(sample):,}"
        f" of the other {len(others):,}"
    )
    return rows, text


def _even(count: int, most: int) -> np.ndarray:
    """All of 0..count, or `most` of them spread evenly, ascending."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def dimension_of(collection: Collection) -> int | None:
    """The width of the vectors: as the files have it, else as SQLite says; None before the first add."""
    vector = collection.vector
    if present(vector) and present(vector.files.geometry) and vector.files.elements:
        return vector.files.geometry.dim
    return collection.dimension


def truth_vectors(
    collection: Collection, records: Records, rows: np.ndarray, dim: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """(vectors (m, dim), known (m,)) of these records: the newest effective queue row above the watermark,
    else level 0.
    """
    vectors = np.full((len(rows), dim or 0), np.nan, dtype=np.float32)
    known = np.zeros(len(rows), dtype=bool)
    if dim is None:
        return vectors, known
    inside = np.flatnonzero(records.indexed[rows])
    if inside.size:
        vectors[inside] = _stored(collection, records.elements[rows[inside]])
        known[inside] = True
    ids = records.rows.ids
    brought = (
        {at: collection.pending.get(ids[row]) for at, row in enumerate(rows.tolist())}
        if collection.pending
        else {}
    )
    queued = {
        at: e.vector_seq
        for at, e in brought.items()
        if e is not None and e.exists and e.vector_seq is not None
    }
    if queued:
        at = np.fromiter(queued, dtype=np.int64, count=len(queued))
        seqs = np.fromiter(queued.values(), dtype=np.int64, count=len(queued))
        vectors[at], known[at] = collection.queue.vectors(seqs, dim), True
    return vectors, known


def _stored(collection: Collection, elements: np.ndarray) -> np.ndarray:
    """(k, dim) float32 as the API gives elements of level 0: for cosine each times its norm of length.bin."""
    vector = collection.vector
    assert not isinstance(vector, Absent)
    stored = vector.files.vectors(elements)
    lengths = vector.files.lengths
    if collection.settings.space == "cosine" and present(lengths) and len(lengths) > int(elements.max()):
        return stored * lengths[elements][:, None]
    return stored


def home_of(collection: Collection) -> tuple[str, str]:
    """(tenant, database) names; the defaults where SQLite does not say."""
    sql = "SELECT tenant_id, name FROM databases WHERE id = ?"
    found = collection.database.rows(sql, (collection.row.database_id,))
    return ("default_tenant", "default_database") if isinstance(found, Absent) or not found else found[0]
