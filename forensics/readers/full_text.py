"""The full-text index: its tables, FTS5's own verdict on them, and how they differ from the documents."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import numpy as np

from forensics.absent import Absent, NotApplicable, NotAvailable, Unparsable
from forensics.readers.database import Database
from forensics.readers.migrations import keys_of

NAME = "embedding_fulltext_search"
SHADOWS = tuple(f"{NAME}_{part}" for part in ("data", "idx", "content", "docsize", "config"))
CREATE = f"CREATE VIRTUAL TABLE {NAME} USING fts5(string_value, tokenize='trigram')"
"""As metadb migration 3 makes it; what the store itself says is not executed."""
DOCUMENT = "chroma:document"
UNDOCUMENTED = (
    f"{NAME}_content c WHERE NOT EXISTS"
    f" (SELECT 1 FROM embedding_metadata m WHERE m.id = c.id AND m.key = '{DOCUMENT}')"
)
"""What follows FROM, for rows c of the full-text content without a document in embedding_metadata."""
READS_ONLY = (3, 44)
"""The SQLite from which on integrity_check asks FTS5; one that would write for it says so, and is not believed."""
ASK = f"PRAGMA integrity_check('{NAME}')"


def expected_tables(database: Database) -> tuple[str, ...]:
    """The full-text tables that the recorded migrations call for; none before metadb migration 3."""
    rows = database.migrations
    if isinstance(rows, Absent) or ("metadb", 3) not in keys_of(rows):
        return ()
    return (NAME, *SHADOWS)


@dataclass(frozen=True, slots=True)
class FullTextVerdict:
    """What FTS5's integrity-check `says`, None where it is content; which library judged, and whether on a copy."""

    says: str | None
    library: str
    copied: bool


def verdict(database: Database, scratch: Path) -> FullTextVerdict | Absent:
    """FTS5's own integrity-check; Absent where no SQLite at hand can judge this index.

    Since 3.44 `PRAGMA integrity_check` asks FTS5, which then only reads: the database is judged where it lies, by
    Python's own SQLite or by that of apsw. With an older one the command needs a database that can be written, so the
    five shadow tables (and nothing else) are copied into `scratch`, under a table made as the migration makes it.
    """
    if not set(SHADOWS) <= database.tables:
        return NotAvailable("a table of the full-text index is missing")
    for library, ask in judges():
        said = ask(_address(database))
        if said is not None:
            return FullTextVerdict(None if said == "ok" else said, library, copied=False)
    return _by_copy(database, scratch)


Judge = Callable[[str], "str | None"]


def judges() -> list[tuple[str, Judge]]:
    """(library with its version, how to ask it) of each SQLite that judges without writing, the nearest first."""
    found: list[tuple[str, Judge]] = []
    if sqlite3.sqlite_version_info >= READS_ONLY:
        found.append((f"SQLite {sqlite3.sqlite_version}", _asked_here))
    elif find_spec("apsw") is not None:
        apsw = import_module("apsw")
        if tuple(map(int, apsw.sqlite_lib_version().split("."))) >= READS_ONLY:
            found.append((f"SQLite {apsw.sqlite_lib_version()} (apsw)", _asked_of_apsw))
    return found


def _asked_here(address: str) -> str | None:
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return _joined(connection.execute(ASK).fetchall())
    except sqlite3.Error as error:
        return None if _cannot_judge(error) else str(error)


def _asked_of_apsw(address: str) -> str | None:
    apsw = import_module("apsw")
    try:
        with closing(
            apsw.Connection(address, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        ) as connection:
            return _joined(list(connection.execute(ASK)))
    except apsw.Error as error:
        return None if _cannot_judge(error) else str(error)


def _joined(rows: Sequence[tuple[object, ...]]) -> str | None:
    """`ok`, or the complaints; None where that SQLite would have had to write."""
    said = "; ".join(str(row[0]) for row in rows[:5])
    return None if "readonly" in said or _is_beyond(said) else said


def _by_copy(database: Database, scratch: Path) -> FullTextVerdict | Absent:
    library = f"SQLite {sqlite3.sqlite_version}"
    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch / "full-text.sqlite3"
    target.unlink(missing_ok=True)
    try:
        _copy_shadows(database, target)
        _command(target)
    except sqlite3.Error as error:
        return (
            NotApplicable(str(error))
            if _cannot_judge(error)
            else FullTextVerdict(str(error), library, copied=True)
        )
    finally:
        target.unlink(missing_ok=True)
    return FullTextVerdict(None, library, copied=True)


def _address(database: Database) -> str:
    options = "mode=ro&immutable=1" if database.how == "immutable" else "mode=ro"
    return f"file:{quote(os.fsencode(database.opened))}?{options}"


def _copy_shadows(database: Database, target: Path) -> None:
    with closing(
        sqlite3.connect(f"file:{quote(os.fsencode(target))}", uri=True, isolation_level=None)
    ) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("ATTACH ? AS evidence", (_address(database),))
        copy.execute(CREATE)
        copy.execute("BEGIN")
        for name in SHADOWS:
            copy.execute(f"DELETE FROM main.{name}")
            copy.execute(f"INSERT INTO main.{name} SELECT * FROM evidence.{name}")
        copy.execute("COMMIT")


def _command(target: Path) -> None:
    with closing(sqlite3.connect(target)) as copy:  # a new connection: the old one remembers the empty index
        copy.execute(f"INSERT INTO {NAME}({NAME}) VALUES('integrity-check')")


def _cannot_judge(error: Exception) -> bool:
    return _is_beyond(str(error))


def _is_beyond(text: str) -> bool:
    return any(word in text for word in ("file format", "no such module", "no such tokenizer"))


@dataclass(frozen=True, slots=True)
class Differences:
    """rowids where the full-text content is not that of the document; (k,) int64 each.

    extra: a record without that document; dead: no record at all (0.4 leaves these at every delete).
    """

    absent: np.ndarray
    other: np.ndarray
    extra: np.ndarray
    dead: np.ndarray

    def __len__(self) -> int:
        return len(self.wrong) + len(self.dead)

    @property
    def wrong(self) -> list[int]:
        """The rowids of records that searches get wrong."""
        return [*self.absent.tolist(), *self.other.tolist(), *self.extra.tolist()]


def differences(database: Database) -> Differences | Absent:
    """The full-text content against the chroma:document rows, row by row."""
    content = f"{NAME}_content"
    if content not in database.tables:
        return NotAvailable(f"table {content} does not exist")
    joined = (
        f"SELECT m.id FROM embedding_metadata m LEFT JOIN {content} c ON c.id = m.id"
        f" WHERE m.key = '{DOCUMENT}' AND typeof(m.id) = 'integer' AND"
    )
    alone = f"SELECT c.id FROM {UNDOCUMENTED}"
    record = "EXISTS (SELECT 1 FROM embeddings e WHERE e.id = c.id)"
    other = "c.c0 IS NOT m.string_value AND c.id IS NOT NULL"
    queries = (
        f"{joined} c.id IS NULL",
        f"{joined} {other}",
        f"{alone} AND {record}",
        f"{alone} AND NOT {record}",
    )
    parts = [*_columns(database, *queries)]
    failed = next((part for part in parts if isinstance(part, Absent)), None)
    if failed is not None:
        return Unparsable(failed.reason)
    return Differences(*(part for part in parts if isinstance(part, np.ndarray)))


def _columns(database: Database, *queries: str) -> Iterator[np.ndarray | Absent]:
    for query in queries:
        found = database.rows(query)
        if isinstance(found, Absent):
            yield found
        else:
            yield np.fromiter((row[0] for row in found), dtype=np.int64, count=len(found))
