"""Every record that can be recovered, streamed to a file: id, document, metadata, vector and where the vector comes from.

What a repair would do about the vectors is what an export does: the same proofs and places, but nothing is embedded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.durable import room
from forensics.export_files import WRITERS, Appearing, Item, require
from forensics.export_rest import ANONYMOUS, GHOST, RECORD, anonymous, ghosts
from forensics.export_rows import Spans, readable_rows
from forensics.records import Records
from forensics.repair.embedding import Embedder
from forensics.repair.holdings import CLAIMED, FLAGGED, LOST, PROVED, Holdings
from forensics.repair.options import RepairOptions
from forensics.repair.prospect import home_of
from forensics.repair.site import Site
from forensics.sources import QUEUE, fetch
from forensics.store import Collection, Store

BATCH = 5_000
DOCUMENT = "chroma:document"
ONLY_TEXT = "its vector exists nowhere; its document can be embedded again"


def export(
    store: Store,
    form: str,
    target: Path,
    *,
    also: Sequence[Path] = (),
    collection: str | None = None,
    findings: Iterable[tuple[str, str | None]] = (),
    embedder: Embedder | None = None,
    with_anonymous: bool = False,
) -> dict[str, Any]:
    """All recoverable records of `store`, or of one collection, stand in `target`, which must not exist yet.

    After them the vectors that the index holds under ids without a row, and on request those under no id (`state`).

    `also`: other copies of the store; `findings`: (code, collection) of a diagnosis, which says where to look further;
    `embedder` helps to prove which vector is whose.
    Returns the counts: by origin, without a vector, of what is no record; the collections whose records cannot be read,
    and what is missing of those that can be read in part.
    """
    require(form)
    chosen = store.collections if collection is None else (store.collection(collection),)
    known = list(findings)
    options = RepairOptions(also=tuple(str(path) for path in also))
    found = [(one, frozenset(c for c, name in known if name == one.name)) for one in chosen]
    sites = [Site(one, options, embedder, codes, home=home_of(one, codes)) for one, codes in found]
    damaged = {site.found_as.name: reason for site in sites if (reason := _in_part(site.collection))}
    unread = _nothing_named(store) | {
        site.found_as.name: _unread(site.collection) for site in sites if site.records is None
    }
    tally = _Tally()
    with room("the export was written"), Appearing(target) as partial:
        items = (item for site in sites for item in _all_of(site, tally, with_anonymous))
        WRITERS[form](tally.of(items), partial)
    missing = {name: reason for name, reason in damaged.items() if name not in unread}
    return {"schema": 1, "file": str(target), **tally.to_json(), "unreadable": unread, "incomplete": missing}


def _nothing_named(store: Store) -> dict[str, str]:
    """Why no collection is known, where the database does not say so itself."""
    named = store.database if isinstance(store.database, Absent) else store.database.collections
    return {"": named.reason} if isinstance(named, Absent) else {}


def _in_part(collection: Collection) -> str | None:
    """Why only a part of the rows can be read, which the collection then has; None where they are whole or lost."""
    segment = collection.metadata_segment_id
    if not isinstance(collection.rows, Absent) or segment is None:
        return None
    found = readable_rows(collection.database, segment)
    if not len(found):
        return None
    reason, collection.rows = collection.rows.reason, found
    return reason


def _unread(collection: Collection) -> str:
    return collection.rows.reason if isinstance(collection.rows, Absent) else "its records cannot be read"


def _all_of(site: Site, tally: _Tally, with_anonymous: bool) -> Iterator[Item]:
    yield from records_of(site, tally.lost)
    yield from ghosts(site)
    if with_anonymous:
        yield from anonymous(site, _owned(site))


def _owned(site: Site) -> np.ndarray:
    """(k,) internal ids of the elements that were exported with a record."""
    if site.records is None or site.holdings is None:
        return np.empty(0, dtype=np.int64)
    held = _places(site, site.records, site.holdings).element
    return held[held >= 0]


@dataclass(slots=True)
class _Tally:
    """How many records there were, and where their vectors came from."""

    origins: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=lambda: dict.fromkeys((RECORD, GHOST, ANONYMOUS), 0))
    lost: list[int] = field(default_factory=list)

    def of(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items, counted as they pass."""
        for item in items:
            self.states[item["state"]] += 1
            if item["state"] == RECORD:
                origin = item["source"] or "none"
                self.origins[origin] = self.origins.get(origin, 0) + 1
            yield item

    def to_json(self) -> dict[str, Any]:
        return {
            "records": self.states[RECORD],
            "ghosts": self.states[GHOST],
            "anonymous": self.states[ANONYMOUS],
            "without_vector": self.origins.get("none", 0),
            "without_content": len(set(self.lost)),
            "origins": dict(sorted(self.origins.items())),
        }


# --- the records ---


def records_of(site: Site, lost: list[int] | None = None) -> Iterator[Item]:
    """One dict per record in rowid order: collection, id, document, metadata; `vector` (dim,) float32 as the user gave
    it, or None; `source`: its origin; `current`: False where a newer one may have been lost; `reason` why there is none.
    `lost` gets the rowids whose document or metadata cannot be read.
    """
    records, holdings = site.records, site.holdings
    if records is None or holdings is None:
        return
    places = _places(site, records, holdings)
    for start in range(0, len(records), BATCH):
        rows = np.arange(start, min(start + BATCH, len(records)))
        vectors = places.vectors(site, rows)
        contents = _contents(site.collection, records.rows.rowids[rows], [] if lost is None else lost)
        for offset, row in enumerate(rows.tolist()):
            document, metadata = contents.get(int(records.rows.rowids[row]), (None, {}))
            origin = places.origin[row] or None
            yield {
                "collection": site.found_as.name,
                "id": records.rows.ids[row],
                "document": document,
                "metadata": metadata,
                "vector": vectors[offset] if origin else None,
                "source": origin,
                "current": bool(places.current[row]) if origin else None,
                "reason": None if origin else holdings.why[row] or ONLY_TEXT,
                "state": RECORD,
            }


@dataclass(frozen=True, slots=True)
class _Places:
    """Columns over the n records: where the vector of each stands. At most one of the three numbers is not -1.

    element: in the collection's own level 0; seq: of its queue row; at: its position in `holdings.sources`.
    """

    element: np.ndarray
    seq: np.ndarray
    at: np.ndarray
    origin: np.ndarray
    current: np.ndarray
    holdings: Holdings

    def vectors(self, site: Site, rows: np.ndarray) -> np.ndarray:
        """(len(rows), dim) float32 as the user gave them; rows of NaN where there is none."""
        out = np.full((len(rows), site.dim or 0), np.nan, np.float32)
        held, queued, found = (
            np.flatnonzero(column[rows] >= 0) for column in (self.element, self.seq, self.at)
        )
        if len(held):
            out[held] = site.raw_vectors(self.element[rows[held]])
        if len(queued) and site.dim is not None:
            out[queued] = site.collection.queue.vectors(self.seq[rows[queued]], site.dim)
        if len(found) and self.holdings.sources is not None:
            out[found] = fetch(site.collection, self.holdings.sources, self.at[rows[found]]).raw
        return out


_OWN = {FLAGGED: "index, under a deleted flag", PROVED: "index, id proved", CLAIMED: "index, id claimed"}


def _places(site: Site, records: Records, holdings: Holdings) -> _Places:
    count = len(records)
    places = _Places(
        element=np.where(records.elements >= 0, records.elements, -1),
        seq=np.full(count, -1, np.int64),
        at=np.full(count, -1, np.int64),
        origin=np.full(count, "", object),
        current=np.ones(count, bool),
        holdings=holdings,
    )
    places.origin[records.indexed] = "index"
    position = {name: row for row, name in enumerate(records.rows.ids)}
    _place_own(places, position, site)
    _place_elsewhere(places, position)
    _place_queued(places, position, site)
    return places


def _place_own(places: _Places, position: Mapping[str, int], site: Site) -> None:
    """Level 0 of the collection itself, the id map's word or a proof."""
    for proof in (site.proof, site.claims):
        for name, element in ({} if proof is None else proof.pairs()).items():
            places.element[position[name]] = element
    for state, words in _OWN.items():
        places.origin[places.holdings.mask(state)] = words
    places.element[places.holdings.mask(LOST)] = -1


def _place_elsewhere(places: _Places, position: Mapping[str, int]) -> None:
    """The queue's older rows, set-aside and orphan directories, other copies."""
    sources = places.holdings.sources
    for at in [] if sources is None else np.flatnonzero(sources.found).tolist():
        row = position[sources.ids[at]]  # pyright: ignore[reportOptionalMemberAccess]
        kind, origin = str(sources.kind[at]), str(sources.origin[at])  # pyright: ignore[reportOptionalMemberAccess]
        places.element[row], places.at[row] = -1, at
        places.origin[row] = f"{kind}: {origin}" if origin else kind
        places.current[row] = sources.current[at]  # pyright: ignore[reportOptionalMemberAccess]


def _place_queued(places: _Places, position: Mapping[str, int], site: Site) -> None:
    """What the queue has not brought into the index yet is newer than what stands there."""
    for name, effect in site.pending.items():
        row = position.get(name)
        if row is not None and effect.exists and effect.vector_seq is not None:
            places.element[row], places.at[row], places.seq[row] = -1, -1, effect.vector_seq
            places.origin[row], places.current[row] = QUEUE, True


def _contents(
    collection: Collection, rowids: np.ndarray, lost: list[int]
) -> dict[int, tuple[Any, dict[str, Any]]]:
    """rowid → document and metadata; values that are lists (1.5) as lists."""
    out: dict[int, tuple[Any, dict[str, Any]]] = {}
    for rowid, key, value in _values(collection, "embedding_metadata", rowids, lost):
        document, metadata = out.get(rowid, (None, {}))
        out[rowid] = (value, metadata) if key == DOCUMENT else (document, {**metadata, key: value})
    for rowid, key, value in _values(collection, "embedding_metadata_array", rowids, lost):
        document, metadata = out.get(rowid, (None, {}))
        out[rowid] = document, {**metadata, key: [*metadata.get(key, ()), value]}
    return out


def _values(
    collection: Collection, table: str, rowids: np.ndarray, lost: list[int]
) -> Iterator[tuple[int, str, Any]]:
    """(rowid, key, value) of these records, in the order of the table; nothing where the schema has no such table.

    Of a damaged table what can be read; `lost` gets the rowids of the rest.
    """
    have, wanted = collection.database.columns(table), set(rowids.tolist())
    kinds = [name for name in ("bool_value", "string_value", "int_value", "float_value") if name in have]
    if not kinds:
        return
    sql = f"SELECT id, key, {', '.join(kinds)} FROM {table} WHERE id BETWEEN ? AND ? ORDER BY rowid"
    spans = Spans(lambda low, high: collection.database.rows(sql, (low, high)))
    found = list(spans.read(int(rowids.min()), int(rowids.max())))
    lost.extend(wanted.intersection(spans.lost))
    for rowid, key, *cells in found:
        if rowid in wanted:
            name, value = next(
                ((k, v) for k, v in zip(kinds, cells, strict=True) if v is not None), ("", None)
            )
            yield rowid, key, bool(value) if name == "bool_value" else value
