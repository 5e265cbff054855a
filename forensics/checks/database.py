"""Database: the pages of chroma.sqlite3, its tables, and the catalogue of collections and segments."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent
from forensics.checks import database_catalogue, database_full_text, database_rows
from forensics.checks.places import in_table
from forensics.checks.raw import database_file, header, pages_lacking, raw_header
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Place, Remedy
from forensics.readers.database import DATABASE, Database
from forensics.readers.integrity import INDEX, NEEDED, TABLE, damaged_tables, integrity, missing_tables
from forensics.readers.sqlite_header import MAGIC, SIZE, SqliteHeader
from forensics.store import Store
from forensics.words import counted

__all__ = ["database_catalogue", "database_full_text", "database_rows"]

FREE_SHARE = 0.1
"""Freed pages are worth a note from this share of the file on."""


@check("CF101", scope="store")
def database_header_torn(store: Store) -> Iterator[Finding]:
    """The first 100 bytes are not those of an SQLite database."""
    raw = raw_header(store)
    if raw is None:
        return
    parsed = SqliteHeader.from_bytes(raw)
    problems = (f"only {len(raw)} bytes",) if parsed is None else parsed.problems()
    if not problems:
        return
    yield finding(
        "CF101",
        store,
        count=1,
        unit="files",
        expected={"magic": MAGIC.decode("ascii").rstrip("\0"), "bytes": SIZE},
        found={"problems": list(problems), "first_bytes": raw[:16].hex(" ")},
        where=(Place(file=DATABASE, offset=0),),
        means="SQLite says 'file is not a database' (code 26): every call fails. Ids and vectors are whole "
        "in the segment directories; documents and metadata are on later pages of this file.",
        remedy=Remedy(action="recover-database", safety="safe"),
        causes=(
            Cause(
                name="a torn write of page 1",
                confidence="likely" if raw[:4] == MAGIC[:4] else "possible",
                evidence=f"the file begins with {raw[:16]!r}",
            ),
        ),
    )


@check("CF104", scope="store")
def database_truncated(store: Store) -> Iterator[Finding]:
    """The file has fewer pages than its header counts."""
    lacking = pages_lacking(store)
    if lacking is None:
        return
    pages, needed, size = lacking
    found = header(store)
    page_size = 0 if found is None else found.page_size
    yield finding(
        "CF104",
        store,
        count=pages,
        unit="pages",
        expected={"pages": needed, "bytes": needed * page_size},
        found={"bytes": size},
        where=(Place(file=DATABASE, offset=size),),
        means="The end of the database is gone: what stood on these pages fails to read or is absent.",
        remedy=Remedy(action="recover-database", safety="safe"),
        causes=(
            Cause(
                name="a copy that broke off, or a full disk",
                confidence="likely",
                evidence=f"{pages} of {counted(needed, 'pages')} are beyond the end of the file",
            ),
        ),
    )


@check("CF102", scope="store")
def database_malformed(store: Store) -> Iterator[Finding]:
    """A table is gone or cannot be walked from its root to all leaves, or the schema cannot be read."""
    if header(store) is None or pages_lacking(store) is not None:
        return
    database = store.database
    tables = _unopened(database) if isinstance(database, Absent) else _defective(database)
    if tables:
        yield malformed(store, tables)


def _defective(database: Database) -> dict[str, str]:
    """table → what is wrong with it; nothing where none of Chroma's is there (CF003)."""
    if not database.tables & NEEDED:
        return {}
    return {**missing_tables(database), **damaged_tables(database)}


def _unopened(reason: Absent) -> dict[str, str]:
    return {"sqlite_master": reason.reason} if "malformed" in reason.reason else {}


def malformed(store: Store, tables: dict[str, str]) -> Finding:
    """CF102 for these tables and what SQLite says of each."""
    return finding(
        "CF102",
        store,
        count=len(tables),
        unit="tables",
        expected="every table is there and can be read to its end",
        found={"tables": tables},
        where=tuple(in_table(name, text) for name, text in sorted(tables.items())[:5]),
        means="SQLite says 'database disk image is malformed' (code 11) as soon as it comes to these pages. "
        "A repair makes the database anew from all pages that hold together; `forensics plan` counts what that brings "
        "back. `forensics export --case DIR` writes every record that can still be read, with its vector.",
        remedy=Remedy(action="recover-database", safety="safe"),
    )


@check("CF103", scope="store", needs=("database",))
def database_index_malformed(store: Store) -> Iterator[Finding]:
    """SQLite's integrity_check, table by table; damage in a table is CF102, that of indexes alone CF103."""
    assert isinstance(store.database, Database)
    found = integrity(store.database)
    tables = {name: verdict.text for name, verdict in found.items() if verdict.kind == TABLE}
    indexes = {name: verdict.text for name, verdict in found.items() if verdict.kind == INDEX}
    if tables and not damaged_tables(store.database):
        yield malformed(store, tables)
    if indexes:
        yield finding(
            "CF103",
            store,
            count=len(indexes),
            unit="tables",
            expected="integrity_check says ok",
            found={"tables": indexes},
            where=tuple(in_table(name, text) for name, text in sorted(indexes.items())[:5]),
            means="Only indexes are damaged: the rows are whole, but searches by id or metadata may "
            "miss some of them or fail with code 779.",
            remedy=Remedy(action="rebuild-indexes", safety="safe"),
        )


@check("CF112", scope="store", needs=("database",))
def free_pages(store: Store) -> Iterator[Finding]:
    """Pages that SQLite keeps for reuse, where they are more than a few."""
    found, path = header(store), database_file(store)
    if found is None or path is None or not found.freelist_count:
        return
    share = found.freelist_count / max(1, path.stat().st_size // found.page_size)
    if share < FREE_SHARE:
        return
    size = found.freelist_count * found.page_size
    yield finding(
        "CF112",
        store,
        count=found.freelist_count,
        unit="pages",
        expected=f"less than {FREE_SHARE:.0%} of the pages are free",
        found={"bytes": size, "share": round(share, 3)},
        where=(Place(file=DATABASE, offset=36),),
        means=f"{size:,} bytes are not given back; text of deleted records may be readable in them.",
        remedy=Remedy(action="vacuum", safety="safe"),
    )
