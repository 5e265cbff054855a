"""Segment directories that no row of `segments` names: orphans, set-aside ones, or a whole lost catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from forensics.absent import Absent
from forensics.checks.database_catalogue import claimed
from forensics.checks.folders import folder_rows, is_orphan, rescues
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Place, Remedy
from forensics.readers.database import DATABASE, Database
from forensics.readers.id_map import IdMap
from forensics.store import Store, VectorSegment

RECORD_BYTES = 40
"""Less than a record needs in embeddings and embedding_metadata: what its deletion leaves free at least."""


@check("CF006", scope="store", needs=("database",))
def orphan_directory(store: Store) -> Iterator[Finding]:
    """Directories with a segment's name that no row of `segments` names."""
    if is_catalogue_lost(store):
        return
    taken = claimed(store)
    orphans = [s for s in store.unreferenced if is_orphan(s) and s.relative not in taken]
    yield from _unreferenced("CF006", store, orphans, "orphan directories")


@check("CF007", scope="store", needs=("database",))
def set_aside_directory(store: Store) -> Iterator[Finding]:
    """Segment directories under a name that Chroma does not give."""
    aside = [segment for segment in store.unreferenced if not is_orphan(segment)]
    yield from _unreferenced("CF007", store, aside, "directories set aside")


def _unreferenced(code: str, store: Store, segments: Sequence[VectorSegment], what: str) -> Iterator[Finding]:
    if not segments:
        return
    rows = folder_rows(store, segments)
    only_here = _totals(store, segments)
    unique = sum(len(ids) for ids in only_here.values())
    yield finding(
        code,
        store,
        count=len(rows),
        unit="directories",
        expected="every segment directory is named by a row of segments",
        found={"directories": rows, "only_here": {name: len(ids) for name, ids in only_here.items()}},
        where=tuple(Place(file=row["directory"]) for row in rows[:5]),
        means=_means(what, rows, unique),
        remedy=Remedy(action="add-missing-vectors" if unique else "remove-directories", safety="safe"),
        causes=_causes(code, unique),
        lists={"ids": [name for ids in only_here.values() for name in ids]},
    )


def _totals(store: Store, segments: Sequence[VectorSegment]) -> dict[str, list[str]]:
    """collection → the distinct ids that its index lacks and that any of these directories has."""
    found: dict[str, dict[str, None]] = {}
    for segment in segments:
        for name, ids in rescues(store, segment).items():
            found.setdefault(name, {}).update(dict.fromkeys(ids))
    return {name: list(ids) for name, ids in sorted(found.items())}


def _means(what: str, rows: Sequence[dict[str, Any]], unique: int) -> str:
    held = sum(row["ids"] or 0 for row in rows)
    if unique:
        return (
            f"Nothing reads the {what}, but {unique} records have their vector only there: "
            "do not delete them before these are added to the index."
        )
    return f"Nothing reads the {what}; they hold {held} ids, none of which a live index lacks."


def _causes(code: str, unique: int) -> tuple[Cause, ...]:
    if code == "CF007":
        name, evidence = "somebody moved an index away", "the name is not one that Chroma gives"
        return (Cause(name=name, confidence="likely", evidence=evidence),)
    deleted = Cause(
        name="its collection was deleted",
        confidence="possible" if unique else "likely",
        evidence="0.5, 0.6 and 1.x leave the directory of a deleted collection behind",
    )
    replaced = Cause(
        name="its row in segments was lost or replaced",
        confidence="likely",
        evidence=f"{unique} of its ids are records of a living collection and not in its index",
    )
    return (replaced, deleted) if unique else (deleted,)


@check("CF008", scope="store", needs=("database",))
def catalogue_lost(store: Store) -> Iterator[Finding]:
    """Full segment directories, and a database that names no collection and never deleted their records."""
    if not is_catalogue_lost(store):
        return
    rows = folder_rows(store, full_directories(store))
    ids = sum(row["ids"] or 0 for row in rows)
    yield finding(
        "CF008",
        store,
        count=len(rows),
        unit="directories",
        expected={"collections": len(rows)},
        found={"collections": 0, "directories": rows, "ids": ids, "rows": _remains(store)},
        where=(Place(file=DATABASE, rows="collections"), *(Place(file=row["directory"]) for row in rows[:5])),
        means=f"Clients see no collection. {ids} ids with their vectors are still in the directories; their "
        "documents and metadata are not in this database.",
        remedy=Remedy(action="restore-the-database", safety="manual"),
        confidence="likely",
        causes=_why_lost(store),
    )


def full_directories(store: Store) -> list[VectorSegment]:
    """Segment directories under Chroma's own names whose id map names records."""
    found = (segment for segment in store.unreferenced if is_orphan(segment))
    return [s for s in found if isinstance(s.id_map, IdMap) and s.id_map.id_to_label]


def is_catalogue_lost(store: Store) -> bool:
    """True where no collection is named, directories hold records, and no API call explains both.

    `delete_collection` leaves the directory too; then the database keeps rows (0.5, 0.6) or free pages (1.x).
    """
    database = store.database
    if isinstance(database, Absent) or isinstance(database.collections, Absent) or database.collections:
        return False
    ids = sum(len(s.id_map.id_to_label) for s in full_directories(store) if isinstance(s.id_map, IdMap))
    if not ids:
        return False
    remains = _remains(store)
    if remains["embeddings_queue"] or (remains["embeddings"] and store.is_modern):
        return True  # deleting a collection takes these rows away
    return not remains["embeddings"] and not _was_compacted(database) and _free(database) < ids * RECORD_BYTES


def _remains(store: Store) -> dict[str, int]:
    tables = ("segments", "embeddings", "embeddings_queue", "max_seq_id")
    return {table: _count(store.database, table) for table in tables}


def _count(database: Database | Absent, table: str) -> int:
    if isinstance(database, Absent) or table not in database.tables:
        return 0
    found = database.rows(f"SELECT count(*) FROM {table}")
    return 0 if isinstance(found, Absent) else int(found[0][0])


def _free(database: Database) -> int:
    """Bytes in pages that were used once and are free now."""
    counts = [database.rows(f"PRAGMA {name}") for name in ("freelist_count", "page_size")]
    free, size = (0 if isinstance(found, Absent) else int(found[0][0]) for found in counts)
    return free * size


def _was_compacted(database: Database) -> bool:
    return _count(database, "maintenance_log") > 0


def _why_lost(store: Store) -> tuple[Cause, ...]:
    remains = _remains(store)
    if any(remains.values()):
        evidence = ", ".join(f"{rows} rows in {table}" for table, rows in remains.items() if rows)
        return (Cause(name="rows of the catalogue were deleted", confidence="likely", evidence=evidence),)
    evidence = "it has no rows, and too few free pages to have held these records"
    return (Cause(name="the database was replaced by a new one", confidence="likely", evidence=evidence),)
