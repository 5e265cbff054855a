"""A database that is not the one these segment directories belong to: made anew, or robbed of its catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent
from forensics.checks.folders import folder_rows, is_orphan
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Place, Remedy
from forensics.readers.database import DATABASE, Database
from forensics.readers.id_map import IdMap
from forensics.store import Store, VectorSegment
from forensics.words import counted

RECORD_BYTES = 40
"""Less than a record needs in embeddings and embedding_metadata: what its deletion leaves free at least."""
ROW_BYTES = 110
"""What a row of `embeddings` and its entry in the index take beside the id, which stands in both."""
CONTENT_BYTES = 60
"""The least that a row of `embedding_metadata` takes with its indexes."""
FAR_MORE = 5
"""The directories must hold so many times the records that the database has, before it is said not to be theirs."""


@check("CF008", scope="store", needs=("database",))
def catalogue_lost(store: Store) -> Iterator[Finding]:
    """Full segment directories, and a database that neither names them nor ever held or deleted their records."""
    if not is_catalogue_lost(store):
        return
    rows = folder_rows(store, full_directories(store))
    ids = sum(row["ids"] or 0 for row in rows)
    named = len(store.collections)
    yield finding(
        "CF008",
        store,
        count=len(rows),
        unit="directories",
        expected={"collections": len(rows) + named},
        found={"collections": named, "directories": rows, "ids": ids, "rows": _remains(store)},
        where=(Place(file=DATABASE, rows="collections"), *(Place(file=row["directory"]) for row in rows[:5])),
        means=_means(store, ids),
        remedy=_remedy(store, ids),
        confidence="likely",
        causes=_why_lost(store),
    )


def _remedy(store: Store, ids: int) -> Remedy:
    """A catalogue made of the directories; safe where the rows of the records are still in the database."""
    if not ids:
        return Remedy(action="restore-the-database", safety="manual")
    lost = max(0, ids - _remains(store)["embeddings"]) if not store.collections else ids
    return Remedy(action="rebuild-catalogue", safety="lossy" if lost else "safe", loses=lost)


def _means(store: Store, ids: int) -> str:
    seen = "no collection"
    if store.collections:
        held = _count(store.database, "embeddings")
        seen = f"{counted(len(store.collections), 'collections')} with {counted(held, 'records')}, all newer"
    what = (
        f"{counted(ids, 'ids')} with their vectors"
        if ids
        else "Vectors, under an id map that cannot be read,"
    )
    return (
        f"Clients see {seen}. {what} are still in the directories; their documents "
        "and metadata are not in this database. Do not remove the directories."
    )


def full_directories(store: Store) -> list[VectorSegment]:
    """Segment directories under Chroma's own names that hold records, by their id map or by level 0."""
    return [s for s in store.unreferenced if is_orphan(s) and names_in(s)]


def names_in(segment: VectorSegment) -> list[str]:
    """The ids of a directory; empty texts for its live elements where the id map cannot be read."""
    id_map, summary = segment.id_map, segment.files.summary
    if isinstance(id_map, IdMap):
        return list(id_map.id_to_label)
    if isinstance(summary, Absent):
        return []
    return [""] * int((summary.live & (summary.labels >= 1)).sum())


def is_catalogue_lost(store: Store) -> bool:
    """True where directories hold records that this database does not name, and no API call explains it.

    `delete_collection` leaves the directory too; then the database keeps rows (0.5, 0.6) or pages (1.x).
    """
    database = store.database
    if isinstance(database, Absent) or isinstance(database.collections, Absent):
        return False
    names = [name for segment in full_directories(store) for name in names_in(segment)]
    if not names:
        return False
    if database.collections:
        return _was_never_here(database, names)
    remains = _remains(store)
    if remains["embeddings_queue"] or (remains["embeddings"] and store.is_modern):
        return True  # deleting a collection takes these rows away
    return not remains["embeddings"] and not _gave_back(database, names)


def _was_never_here(database: Database, names: list[str]) -> bool:
    """True where the collections that there are cannot stand in the place of others that had these records.

    Neither rows nor free pages are left of them, and the file, which never shrinks, is too small to have held them.
    """
    held = _count(database, "embeddings")
    if held * FAR_MORE > len(names) or _strangers(database) or _gave_back(database, names):
        return False
    each = ROW_BYTES + (CONTENT_BYTES if _count(database, "embedding_metadata") >= held else 0)
    return _data_bytes(database) < sum(each + 2 * len(name) for name in names)


def _gave_back(database: Database, names: list[str]) -> bool:
    """True where the records may have been deleted: pages are free, or somebody has compacted the file."""
    return _was_compacted(database) or _free(database) >= len(names) * RECORD_BYTES


def _strangers(database: Database) -> bool:
    """True where `embeddings` has rows of segments that `segments` does not name: 0.5 and 0.6 leave them."""
    found = database.rows(
        "SELECT 1 FROM embeddings WHERE segment_id NOT IN (SELECT id FROM segments) LIMIT 1"
    )
    return isinstance(found, Absent) or bool(found)


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
    return _pragma(database, "freelist_count") * _pragma(database, "page_size")


def _data_bytes(database: Database) -> int:
    """Bytes in all pages but the first one of each table and index."""
    roots = database.rows("SELECT count(*) FROM sqlite_master WHERE rootpage > 0")
    taken = 0 if isinstance(roots, Absent) else int(roots[0][0])
    return (_pragma(database, "page_count") - taken) * _pragma(database, "page_size")


def _pragma(database: Database, name: str) -> int:
    found = database.rows(f"PRAGMA {name}")
    return 0 if isinstance(found, Absent) else int(found[0][0])


def _was_compacted(database: Database) -> bool:
    return _count(database, "maintenance_log") > 0


def _why_lost(store: Store) -> tuple[Cause, ...]:
    remains = _remains(store)
    if any(remains.values()) and not store.collections:
        evidence = ", ".join(f"{counted(rows, 'rows')} in {table}" for table, rows in remains.items() if rows)
        return (Cause(name="rows of the catalogue were deleted", confidence="likely", evidence=evidence),)
    few = "its pages are" if store.collections else "it has no rows, and its free pages are"
    evidence = f"{few} too few to have held these records"
    return (Cause(name="the database was replaced by a new one", confidence="likely", evidence=evidence),)
