"""What a diagnosis says besides its findings: the tool, the store, the numbers of each collection."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterable

import numpy as np

import forensics
from forensics.absent import Absent
from forensics.model import CollectionSummary, Finding
from forensics.readers.migrations import written_by
from forensics.records import Records
from forensics.store import Collection, Store

UNSAFE = frozenset({"CF202", "CF205", "CF401", "CF402", "CF403", "CF412"})
"""Opening such a store with Chroma destroys data; CF301 joins them where the queue holds vectors."""
DECISIVE = UNSAFE | {"CF203", "CF204", "CF301", "CF804"}
"""These, and what may count what opening destroys: their checks decide whether a store is safe to open."""


def tool_facts() -> dict[str, object]:
    """The versions on which a verdict may depend; SQLite's among them."""
    return {
        "name": "forensics",
        "version": forensics.__version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "numpy": np.__version__,
    }


def store_facts(
    store: Store, findings: Iterable[Finding], unchanged: bool, *, decided: bool
) -> dict[str, object]:
    """The `store` object of the JSON. `findings` hold all of what decides about opening, asked for or not.

    Nothing against opening is known (None, not True) where `decided` is False: a check that decides could not run.
    """
    database = store.database
    unsafe = sorted({found.code for found in findings if _is_unsafe(store, found)})
    return {
        "path": str(store.path),
        "chroma": "unknown" if isinstance(database, Absent) else written_by(database.migrations),
        "safe_to_open": False if unsafe else (True if decided else None),
        "unsafe_because": unsafe,
        "unchanged": unchanged,
        "in_use": None if isinstance(store.handles, Absent) else store.in_use,
        "opened_as": None if isinstance(database, Absent) else database.how,
    }


def _is_unsafe(store: Store, found: Finding) -> bool:
    """True where the first open, even for a `count`, destroys data; a check may count what (`opening_destroys`)."""
    counted = isinstance(found.found, dict) and bool(found.found.get("opening_destroys"))
    return counted or found.code in UNSAFE or (found.code == "CF301" and _queued(store, found.collection))


def _queued(store: Store, name: str | None) -> bool:
    """True where the queue still holds vectors of a collection whose index is gone."""
    for collection in store.collections:
        rows = collection.pending_rows if collection.name == name else ()
        if not isinstance(rows, Absent) and any(row.vector_bytes for row in rows):
            return True
    return False


def summary(collection: Collection) -> CollectionSummary:
    """The numbers of one collection; what cannot be known is None."""
    records = collection.records
    base = {
        "name": collection.name,
        "id": collection.id,
        "dimension": collection.dimension,
        "space": collection.settings.space,
    }
    if isinstance(records, Absent):
        empty = dict.fromkeys(("records", "indexed", "pending", "missing", "ghosts", "deleted"))
        return CollectionSummary(**base, **empty)  # pyright: ignore[reportArgumentType]
    return CollectionSummary(**base, **_numbers(records))  # pyright: ignore[reportArgumentType]


def _numbers(records: Records) -> dict[str, int | None]:
    known = records.known
    return {
        "records": len(records),
        "indexed": int(records.indexed.sum()) if known else None,
        "pending": int(records.pending.sum()) if known else None,
        "missing": int(records.missing.sum()) if known else None,
        "ghosts": len(records.ghosts) if known else None,
        "deleted": records.deleted,
    }
