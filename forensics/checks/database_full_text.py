"""The full-text index: all of its tables, sound in itself, and holding what the documents say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from forensics.absent import Absent, NotApplicable
from forensics.checks.places import examples, in_table
from forensics.checks.registry import CannotLook, check, finding
from forensics.model import Finding, Remedy
from forensics.readers.database import Database
from forensics.readers.full_text import NAME, differences, expected_tables, verdict
from forensics.store import Store
from forensics.words import counted


def _database(store: Store) -> Database:
    assert isinstance(store.database, Database)
    return store.database


def missing_tables(database: Database) -> list[str]:
    """The full-text tables that the migrations call for and that are not there."""
    return [name for name in expected_tables(database) if name not in database.tables]


@check("CF106", scope="store", needs=("database",))
def full_text_missing(store: Store) -> Iterator[Finding]:
    """The full-text table or one of its five shadow tables is gone."""
    gone = missing_tables(_database(store))
    if not gone:
        return
    yield finding(
        "CF106",
        store,
        count=len(gone),
        unit="tables",
        expected={"tables": list(expected_tables(_database(store)))},
        found={"missing": gone},
        where=(in_table("sqlite_master", ", ".join(gone)),),
        means="Reading still works, but 1.x refuses every write with 'Failed to apply logs to the metadata "
        "segment', and 0.4 to 0.6 lose the rows of every write without an error.",
        remedy=Remedy(action="rebuild-full-text", safety="safe"),
    )


@check("CF105", scope="store", needs=("database",))
def full_text_malformed(store: Store) -> Iterator[Finding]:
    """FTS5's integrity-check, where it lies or on a copy of its tables alone; the finding names the SQLite that judged."""
    database = _database(store)
    if not expected_tables(database) or missing_tables(database):
        return
    said = verdict(database, store.scratch / "full-text")
    if isinstance(said, NotApplicable):
        raise CannotLook(f"SQLite {sqlite3.sqlite_version} cannot judge this full-text index: {said.reason}")
    if isinstance(said, Absent) or said.says is None:
        return
    yield finding(
        "CF105",
        store,
        count=1,
        unit="indexes",
        expected="integrity-check is content",
        found={"says": said.says, "sqlite": said.library.removeprefix("SQLite ")},
        where=(in_table(NAME, "integrity-check"),),
        means="Searches in documents miss or invent hits; writes may fail with 'malformed inverted index'. "
        "The documents themselves stand in embedding_metadata.",
        remedy=Remedy(action="rebuild-full-text", safety="safe"),
    )


@check("CF107", scope="store", needs=("database",))
def full_text_content_differs(store: Store) -> Iterator[Finding]:
    """The content of the full-text table is not that of the chroma:document rows."""
    database = _database(store)
    if not expected_tables(database) or missing_tables(database):
        return
    found = differences(database)
    if isinstance(found, Absent):
        yield _unreadable(store, found)
        return
    if not len(found):
        return
    yield finding(
        "CF107",
        store,
        count=len(found),
        unit="rows",
        expected="one row for each document, with its text",
        found={
            "absent": len(found.absent),
            "other": len(found.other),
            "extra": len(found.extra),
            "of_deleted_records": len(found.dead),
            "examples": examples(found.wrong or found.dead),
        },
        where=(in_table(f"{NAME}_content", counted(len(found), "rows")),),
        means=(
            "where_document searches find text that a record no longer has, or miss text that it has."
            if found.wrong
            else "0.4 leaves the text of deleted records in the full-text index; no search shows it."
        ),
        remedy=Remedy(action="rebuild-full-text", safety="safe"),
        severity="error" if found.wrong else "note",
        lists={"rowids": found.wrong, "deleted": found.dead.tolist()},
    )


def _unreadable(store: Store, reason: Absent) -> Finding:
    return finding(
        "CF107",
        store,
        count=1,
        unit="tables",
        expected="one row for each document, with its text",
        found={"unreadable": reason.reason},
        where=(in_table(f"{NAME}_content", reason.reason),),
        means="The content of the full-text table cannot be read to its end.",
        remedy=Remedy(action="rebuild-full-text", safety="safe"),
    )
