"""What SQLite itself says of its pages: a quick walk of each table, and integrity_check by what is hit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from forensics.absent import Absent
from forensics.readers.database import Database

TABLE, INDEX = "table", "index"
TABLES = frozenset(
    {
        *("acquire_write", "collection_metadata", "collections", "databases", "embedding_metadata"),
        *("embedding_metadata_array", "embeddings", "embeddings_queue", "embeddings_queue_config"),
        *("maintenance_log", "max_seq_id", "migrations", "segment_metadata", "segments", "tenants"),
    }
)
"""Chroma's tables but those of full text, which have checks of their own."""
LIMIT = 100
_OF_INDEX = re.compile(
    r"missing from index|wrong # of entries in index|non-unique entry in index", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is damaged (table or index), in SQLite's words."""

    kind: str
    text: str


NEEDED = TABLES - {"acquire_write", "embedding_metadata_array", "embeddings_queue_config", "maintenance_log"}
SINCE_TENANTS = frozenset({"databases", "tenants"})
"""What every release makes; these two since 0.4.15."""


def missing_tables(database: Database) -> dict[str, str]:
    """table → why it should be there; empty in health."""
    rows = database.migrations
    new = not isinstance(rows, Absent) and any((row.dir, row.version) == ("sysdb", 4) for row in rows)
    wanted = NEEDED if new else NEEDED - SINCE_TENANTS
    return dict.fromkeys(sorted(wanted - database.tables), "the table does not exist")


def record_tables(database: Database) -> list[str]:
    """Those of Chroma's tables that this schema has."""
    return sorted(database.tables & TABLES)


def damaged_tables(database: Database) -> dict[str, str]:
    """table → the error of walking its b-tree to every leaf; empty in health. Reads no overflow pages."""
    found = ((name, _walk(database, name)) for name in record_tables(database))
    return {name: text for name, text in found if text is not None}


def _walk(database: Database, table: str) -> str | None:
    answer = database.rows(f'SELECT count(*) FROM "{table}" NOT INDEXED')
    return answer.reason if isinstance(answer, Absent) and _is_damage(answer.reason) else None


def _is_damage(text: str) -> bool:
    return any(word in text for word in ("malformed", "disk I/O error", "not a database"))


def integrity(database: Database) -> dict[str, Verdict]:
    """table → verdict, for every table of which integrity_check says anything but ok."""
    found = ((name, _checked(database, name)) for name in record_tables(database))
    return {name: verdict for name, verdict in found if verdict is not None}


def _checked(database: Database, table: str) -> Verdict | None:
    answer = database.rows(f"PRAGMA integrity_check('{table}')")
    if isinstance(answer, Absent):
        whole = _reads_whole(database, table)
        return Verdict(INDEX if whole else TABLE, answer.reason) if _is_damage(answer.reason) else None
    lines = [
        line for row in answer[:LIMIT] for line in str(row[0]).splitlines() if not line.startswith("***")
    ]
    if lines in ([], ["ok"]):
        return None
    text = "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")
    only_index = all(_OF_INDEX.search(line) for line in lines) or _reads_whole(database, table)
    return Verdict(INDEX if only_index else TABLE, text)


def _reads_whole(database: Database, table: str) -> bool:
    """True where every row can be read to its last byte without an index, in rising order of rowid."""
    names = (name.replace('"', '""') for name in sorted(database.columns(table)))
    columns = " + ".join(f'coalesce(length("{name}"), 0)' for name in names)
    totals = database.rows(f'SELECT count(*), total({columns}) FROM "{table}" NOT INDEXED')
    order = database.rows(
        f'SELECT count(*) FROM (SELECT rowid AS at, lag(rowid) OVER () AS before FROM "{table}" NOT INDEXED)'
        " WHERE before >= at"
    )
    return not isinstance(totals, Absent) and not isinstance(order, Absent) and order[0][0] == 0
