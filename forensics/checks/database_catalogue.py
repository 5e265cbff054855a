"""The catalogue: each collection has its two segments, and each name stands for one collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from forensics.absent import Absent
from forensics.checks.folders import is_orphan
from forensics.checks.places import in_table
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.readers.database import Database
from forensics.readers.distinct import embedding_segments
from forensics.readers.id_map import IdMap
from forensics.store import Collection, Store

SCOPES = ("METADATA", "VECTOR")


@check("CF110")
def segments_incomplete(collection: Collection) -> Iterator[Finding]:
    """A collection whose rows of `segments` are not one METADATA and one VECTOR segment."""
    counts = {scope: len(collection.segment_rows(scope)) for scope in SCOPES}
    if all(count == 1 for count in counts.values()) or stand_in(collection, counts):
        return
    lacking = [scope for scope, count in counts.items() if not count]
    candidates = {scope: candidate(collection, scope) for scope in lacking}
    refused = [_refusal(scope, collection) for scope, found in candidates.items() if found is None]
    yield finding(
        "CF110",
        collection,
        count=sum(abs(count - 1) for count in counts.values()),
        unit="segments",
        expected=dict.fromkeys(SCOPES, 1),
        found={**counts, "candidates": candidates, **({"refused": "; ".join(refused)} if refused else {})},
        where=(in_table("segments", f"collection = {collection.id}"),),
        means="Every call on this collection fails: 'Missing field: [Missing vector segment]' or alike.",
        remedy=_remedy(collection, counts, candidates),
    )


def stand_in(collection: Collection, counts: dict[str, int]) -> bool:
    """True where segments of a scope that Chroma does not know (CF812) are as many as those that are lacking."""
    rows = collection.database.segments
    if isinstance(rows, Absent) or max(counts.values()) > 1:
        return False
    strange = [row for row in rows if row.collection == collection.id and row.scope not in SCOPES]
    return len(strange) >= sum(not count for count in counts.values())


def _remedy(collection: Collection, counts: dict[str, int], candidates: dict[str, Any]) -> Remedy:
    if any(count > 1 for count in counts.values()):
        return Remedy(action="choose-the-right-segment", safety="manual")
    if "METADATA" in candidates and candidates["METADATA"] is None and _has_index(collection):
        return Remedy(action="restore-the-database", safety="manual")
    rows = collection.rows
    lost = 0 if isinstance(rows, Absent) or candidates.get("VECTOR") else len(rows) - _queued(collection)
    if "VECTOR" in candidates and lost > 0:
        return Remedy(action="mend-segment-rows", safety="lossy", loses=lost)
    return Remedy(action="mend-segment-rows", safety="safe")


def _has_index(collection: Collection) -> bool:
    return isinstance(collection.id_map, IdMap) and bool(collection.id_map.id_to_label)


def _queued(collection: Collection) -> int:
    """Records whose vector the queue still brings."""
    records = collection.records
    return 0 if isinstance(records, Absent) else int(records.pending.sum())


def candidate(collection: Collection, scope: str) -> dict[str, Any] | None:
    """The id that the missing row should have: at least half of the index's ids are its own, and of no other segment
    are as many; None where that is of none.
    """
    fits = _directories(collection) if scope == "VECTOR" else _metadata_segments(collection)
    ranked = sorted(fits, key=lambda row: (row["shared"], row["id"]), reverse=True)
    rival = ranked[1]["shared"] if len(ranked) > 1 else 0
    proved = bool(ranked) and ranked[0]["shared"] > rival and 2 * ranked[0]["shared"] >= ranked[0]["of"]
    return ranked[0] if proved else None


def _refusal(scope: str, collection: Collection) -> str:
    """Why no row of that scope is inserted, in one sentence."""
    fits = _directories(collection) if scope == "VECTOR" else _metadata_segments(collection)
    shares = [f"{row['shared']} of {row['of']} ids are those of {row['id']}" for row in fits if row["shared"]]
    told = "; ".join(sorted(shares)) or f"no {scope} segment shares an id with it"
    return f"nothing proves which {scope} segment {collection.name} had: {told}"


def claimed(store: Store) -> frozenset[str]:
    """The segment ids that a collection with a missing row of `segments` has a claim to."""
    lacking = ((c, scope) for c in store.collections for scope in SCOPES if not c.segment_rows(scope))
    found = (candidate(collection, scope) for collection, scope in lacking)
    return frozenset(str(row["id"]) for row in found if row is not None)


def _directories(collection: Collection) -> Iterator[dict[str, Any]]:
    """Orphan directories, and how many of their ids are records of this collection."""
    rows = collection.rows
    ids = set() if isinstance(rows, Absent) else set(rows.ids)
    for segment in collection.store.unreferenced:
        if is_orphan(segment) and isinstance(segment.id_map, IdMap):
            shared = len(ids & segment.id_map.id_to_label.keys())
            held = len(segment.id_map.id_to_label)
            yield {"id": segment.relative, "ids": held, "shared": shared, "of": held}


def _metadata_segments(collection: Collection) -> Iterator[dict[str, Any]]:
    """Segments that `embeddings` names and `segments` does not, and how many of their ids the index maps."""
    mapped = _own_ids(collection)
    known = collection.database.segments
    named = set() if isinstance(known, Absent) else {row.id for row in known}
    for segment in embedding_segments(collection.database):
        rows = (
            collection.database.metadata_rows(segment) if segment not in named else Absent("it has its row")
        )
        if not isinstance(rows, Absent):
            yield {"id": segment, "ids": len(rows), "shared": len(mapped & set(rows.ids)), "of": len(mapped)}


def _own_ids(collection: Collection) -> set[str]:
    """The ids that the index maps; of an index that was never persisted those that its queue brings."""
    if isinstance(collection.id_map, IdMap) and collection.id_map.id_to_label:
        return set(collection.id_map.id_to_label)
    rows = collection.queue.rows()
    return set() if isinstance(rows, Absent) else {row.id for row in rows if row.vector_bytes is not None}


@check("CF111", scope="store", needs=("database",))
def collection_duplicated(store: Store) -> Iterator[Finding]:
    """Two rows of `collections` with one name in one database."""
    assert isinstance(store.database, Database)
    rows = store.database.collections
    if isinstance(rows, Absent):
        return
    counts = Counter((row.name, row.database_id) for row in rows)
    twice = [row for row in rows if counts[row.name, row.database_id] > 1]
    if not twice:
        return
    yield finding(
        "CF111",
        store,
        count=len({(row.name, row.database_id) for row in twice}),
        unit="names",
        expected="one collection of each name in a database",
        found={"collections": [{"name": r.name, "id": r.id, "database": r.database_id} for r in twice]},
        where=(in_table("collections", ", ".join(row.id for row in twice[:5])),),
        means="Clients reach one of them by its name and never the other; which one is left to chance.",
        remedy=Remedy(action="rename-one-of-them", safety="manual"),
    )
