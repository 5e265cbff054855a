"""Rows that belong to nothing: what deleted collections leave behind, and list metadata without a record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.checks.database_catalogue import claimed
from forensics.checks.lost_catalogue import is_catalogue_lost
from forensics.checks.places import examples, in_table
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Remedy
from forensics.readers.database import Database
from forensics.readers.distinct import embedding_segments, ids_without, rows_of
from forensics.store import Store
from forensics.words import counted

ARRAY = "embedding_metadata_array"


@check("CF108", scope="store", needs=("database",))
def orphan_rows(store: Store) -> Iterator[Finding]:
    """Rows of embeddings, embedding_metadata, max_seq_id or segment_metadata that belong to no segment."""
    database = _database(store)
    if is_catalogue_lost(store):
        return
    orphans = _orphan_segments(store)
    metadata = ids_without(database, "embedding_metadata", all_rowids(store))
    found = {
        "embeddings": sum(len(rows_of(database, segment)) for segment in orphans),
        "embedding_metadata": 0 if isinstance(metadata, Absent) else len(metadata),
        "max_seq_id": len(_unknown(store, "max_seq_id")),
        "segment_metadata": len(_unknown(store, "segment_metadata")),
    }
    if not any(found.values()):
        return
    heavy = found["embeddings"] or found["embedding_metadata"]
    lost = [] if isinstance(metadata, Absent) else metadata
    yield finding(
        "CF108",
        store,
        count=sum(found.values()),
        unit="rows",
        expected="every row belongs to a segment that segments names",
        found={**found, "segments": orphans[:20], "ids": examples(lost)},
        where=tuple(in_table(table, counted(rows, "rows")) for table, rows in found.items() if rows),
        means=(
            "They make the file larger and searches slower, and no call ever shows or removes them."
            if heavy
            else "A few numbers of deleted collections are left; they do no harm."
        ),
        remedy=Remedy(action="quarantine-orphan-rows", safety="safe"),
        severity="warning" if heavy else "note",
        causes=_why_orphaned(found),
        lists={"segments": orphans, "rowids": examples(lost, len(lost))},
    )


def _why_orphaned(found: dict[str, int]) -> tuple[Cause, ...]:
    if found["embedding_metadata"]:
        evidence = (
            f"{counted(found['embedding_metadata'], 'ids')} of embedding_metadata have no row in embeddings"
        )
        return (
            Cause(name="rows of embeddings were deleted by hand", confidence="possible", evidence=evidence),
        )
    evidence = "0.4, 0.5 and 0.6 leave rows of a deleted collection behind"
    return (Cause(name="a collection was deleted", confidence="likely", evidence=evidence),)


def _database(store: Store) -> Database:
    assert isinstance(store.database, Database)
    return store.database


def _segment_ids(store: Store) -> set[str]:
    """The ids in `segments`, and those that only lack their row there (CF110)."""
    rows = _database(store).segments
    return set() if isinstance(rows, Absent) else {row.id for row in rows} | claimed(store)


def _orphan_segments(store: Store) -> list[str]:
    known = _segment_ids(store)
    return [segment for segment in embedding_segments(_database(store)) if segment not in known]


def _unknown(store: Store, table: str) -> list[str]:
    """The segment ids of a small table that `segments` does not name."""
    if table not in _database(store).tables:
        return []
    found = _database(store).rows(f"SELECT DISTINCT segment_id FROM {table} ORDER BY 1")
    known = _segment_ids(store)
    return [] if isinstance(found, Absent) else [str(row[0]) for row in found if row[0] not in known]


def all_rowids(store: Store) -> np.ndarray:
    """(n,) int64 `embeddings.id` of every segment, orphaned ones included, sorted."""
    parts: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    known = {c.metadata_segment_id: c for c in store.collections}
    for segment in embedding_segments(_database(store)):
        rows = known[segment].rows if segment in known else Absent("no collection")
        parts.append(rows_of(_database(store), segment) if isinstance(rows, Absent) else rows.rowids)
    return np.sort(np.concatenate(parts))


@check("CF109", scope="store", needs=("database",))
def ghost_list_metadata(store: Store) -> Iterator[Finding]:
    """Rows of embedding_metadata_array whose id is that of no record."""
    database = _database(store)
    ids = ids_without(database, ARRAY, all_rowids(store))
    if isinstance(ids, Absent) or not len(ids):
        return
    yield finding(
        "CF109",
        store,
        count=len(ids),
        unit="ids",
        expected="every id of embedding_metadata_array is one of embeddings",
        found={"ids": examples(ids), "keys": _keys(database, ids)},
        where=(in_table(ARRAY, counted(len(ids), "ids")),),
        means="SQLite reuses the numbers of deleted rows: the next record that gets one of them "
        "inherits these values, and filters on them find the wrong record.",
        remedy=Remedy(action="quarantine-orphan-rows", safety="safe"),
        causes=(
            Cause(
                name="delete_collection of 1.5",
                confidence="likely",
                evidence="up to 1.5.9 it leaves the rows of embedding_metadata_array behind",
            ),
        ),
        lists={"rowids": ids.tolist()},
    )


def _keys(database: Database, ids: Sequence[int] | np.ndarray) -> list[Any]:
    """The metadata keys of the first of these ids."""
    some = [int(value) for value in ids[:100]]
    marks = ", ".join("?" * len(some))
    found = database.rows(f"SELECT DISTINCT key FROM {ARRAY} WHERE id IN ({marks}) ORDER BY key", some)
    return [] if isinstance(found, Absent) else [row[0] for row in found[:20]]
