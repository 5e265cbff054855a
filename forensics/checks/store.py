"""Store: what lies in the folder, whether it is a store at all, and who has it open."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent
from forensics.checks import lost_catalogue, store_files, store_folders
from forensics.checks.folders import folder_rows
from forensics.checks.registry import check, finding
from forensics.handles import Handle
from forensics.model import Cause, Finding, Place, Remedy
from forensics.readers.database import DATABASE
from forensics.store import Store
from forensics.words import counted

__all__ = ["lost_catalogue", "store_files", "store_folders"]

TABLES = frozenset({"collections", "segments", "embeddings", "embeddings_queue", "migrations", "max_seq_id"})
"""What every release since 0.4.0 has; a database with none of these is not Chroma's."""


@check("CF001", scope="store")
def not_a_store(store: Store) -> Iterator[Finding]:
    """There is no chroma.sqlite3 that could be read, only what once belonged to one."""
    kind = database_kind(store)
    if kind == "file" or legacy_files(store):
        return
    folders = folder_rows(store, store.segment_directories)
    ids = sum(row["ids"] or 0 for row in folders)
    yield finding(
        "CF001",
        store,
        count=len(folders),
        unit="directories",
        expected={DATABASE: "a regular file"},
        found={DATABASE: kind, "directories": folders, "ids": ids},
        where=(Place(file=DATABASE), *(Place(file=row["directory"]) for row in folders[:5])),
        means=_remains_mean(kind, ids),
        remedy=catalogue_remedy(ids if kind == "nothing" else 0),
        causes=_closed(store) if kind == "directory" else _gone(ids),
    )


def catalogue_remedy(ids: int) -> Remedy:
    """A catalogue made of the directories, whose documents are gone; nothing where they tell no ids."""
    if ids:
        return Remedy(action="rebuild-catalogue", safety="lossy", loses=ids)
    return Remedy(action="restore-the-database", safety="manual")


def _remains_mean(kind: str, ids: int) -> str:
    if kind == "directory":
        return f"{DATABASE} is a directory: no Chroma can open this store."
    held = f" The segment directories still hold {counted(ids, 'ids')} with their vectors." if ids else ""
    return f"There is no database. Chroma would make an empty one here and show no collection.{held}"


def _closed(store: Store) -> tuple[Cause, ...]:
    note = "REPAIR-IN-PROGRESS.txt"
    if (store.tree.resolve(DATABASE) / note).is_file():
        name, evidence = "a repair was interrupted", f"{DATABASE}/{note} says how to finish it"
        return (Cause(name=name, confidence="certain", evidence=evidence),)
    return ()


def _gone(ids: int) -> tuple[Cause, ...]:
    evidence = (
        f"segment directories with {counted(ids, 'ids')} are left"
        if ids
        else "only remains of segments are left"
    )
    return (Cause(name="the database was deleted or not copied", confidence="likely", evidence=evidence),)


def database_kind(store: Store) -> str:
    """What stands where the database should: file, directory, link, special or nothing."""
    return next((entry.kind for entry in store.entries if entry.name == DATABASE), "nothing")


def legacy_files(store: Store) -> list[str]:
    """The files of a store of before 0.4, relative to the store."""
    found = [
        entry.name for entry in store.entries if entry.kind == "file" and entry.name.endswith(".parquet")
    ]
    index = store.tree.resolve("index")
    if any(entry.name == "index" and entry.kind == "directory" for entry in store.entries):
        found += [f"index/{path.name}" for path in sorted(index.iterdir()) if path.suffix in (".pkl", ".bin")]
    return found


@check("CF002", scope="store")
def legacy_layout(store: Store) -> Iterator[Finding]:
    """DuckDB's parquet files and pickled indexes, and no chroma.sqlite3."""
    files = legacy_files(store)
    if database_kind(store) == "file" or not files:
        return
    yield finding(
        "CF002",
        store,
        count=len(files),
        unit="files",
        expected={DATABASE: "a regular file"},
        found={"files": files},
        where=tuple(Place(file=name) for name in files[:5]),
        means="A release of before 0.4 wrote this store. Its vectors are in the parquet files.",
        remedy=Remedy(action="convert-with-a-release-of-that-time", safety="manual"),
    )


@check("CF003", scope="store")
def database_empty(store: Store) -> Iterator[Finding]:
    """chroma.sqlite3 has 0 bytes or none of Chroma's tables."""
    entry = next((entry for entry in store.entries if entry.name == DATABASE and entry.kind == "file"), None)
    if entry is None or (
        entry.size and (isinstance(store.database, Absent) or store.database.tables & TABLES)
    ):
        return
    folders = folder_rows(store, store.segment_directories)
    tables = [] if isinstance(store.database, Absent) else sorted(store.database.tables)
    ids = sum(row["ids"] or 0 for row in folders)
    yield finding(
        "CF003",
        store,
        count=len(folders),
        unit="directories",
        expected={"tables": sorted(TABLES)},
        found={"size": entry.size, "tables": tables, "directories": folders, "ids": ids},
        where=(Place(file=DATABASE), *(Place(file=row["directory"]) for row in folders[:5])),
        means=f"The database holds nothing of Chroma's. {_beside(ids)}",
        remedy=catalogue_remedy(ids),
        causes=_why_empty(ids),
    )


def _beside(ids: int) -> str:
    if ids:
        return f"The segment directories beside it hold {counted(ids, 'ids')} with their vectors: do not delete them."
    return "Nothing beside it holds vectors; this may be the wrong path."


def _why_empty(ids: int) -> tuple[Cause, ...]:
    wrong = Cause(
        name="another path was meant",
        confidence="possible",
        evidence="an empty store is made silently wherever a client is pointed at",
    )
    replaced = Cause(
        name="the database was replaced or cut",
        confidence="likely",
        evidence=f"{counted(ids, 'ids')} stand in segment directories that it should name",
    )
    return (replaced, wrong) if ids else (wrong,)


@check("CF005", scope="store")
def store_in_use(store: Store) -> Iterator[Finding]:
    """Somebody else has files of the store open or locked, or a client in this very process may write."""
    handles = () if isinstance(store.handles, Absent) else [h for h in store.handles.writers if not h.deleted]
    if not handles:
        return
    yield finding(
        "CF005",
        store,
        count=len({handle.pid for handle in handles}),
        unit="processes",
        expected="nobody else has the store open",
        found={"handles": [_handle(handle) for handle in handles]},
        where=tuple(Place(file=name) for name in sorted({handle.path for handle in handles})[:5]),
        means="The store may change while it is read, and cannot be repaired until these processes end.",
        remedy=Remedy(action="stop-the-processes", safety="manual"),
    )


def _handle(handle: Handle) -> dict[str, object]:
    return {
        "pid": handle.pid,
        "command": handle.command,
        "file": handle.path,
        "writes": handle.writes,
        "lock": handle.lock,
        "this_process": handle.own,
    }


@check("CF012", scope="store")
def deleted_files_held_open(store: Store) -> Iterator[Finding]:
    """A living process still has files open whose names are gone: the bytes are there until it ends."""
    handles = () if isinstance(store.handles, Absent) else [h for h in store.handles.writers if h.deleted]
    if not handles:
        return
    files = sorted({handle.path for handle in handles})
    yield finding(
        "CF012",
        store,
        count=len(files),
        unit="files",
        expected="no process holds a deleted file of the store",
        found={"handles": [_handle(handle) for handle in handles]},
        where=tuple(Place(file=f"/proc/{handle.pid}/fd", rows=handle.path) for handle in handles[:5]),
        means="Do not stop these processes: when they end, the files are gone. Copy them out of /proc first.",
        remedy=Remedy(action="copy-out-deleted-files", safety="safe"),
    )
