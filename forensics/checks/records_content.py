"""Documents and metadata of records: there where the others have them, and documents that are text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import examples, in_table, needed
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.readers.database import Database
from forensics.store import Collection

DOCSIZE = "embedding_fulltext_search_docsize"
"""One small row per document; its id is that of the record. Reading it costs a hundredth of reading the
documents."""
DOCUMENT = "chroma:document"


@check("CF707", needs=("rows",))
def record_without_content(collection: Collection) -> Iterator[Finding]:
    """Records without a document although at least half of the others have one."""
    rows, database = needed(collection.rows), collection.database
    if not len(rows) or DOCSIZE not in database.tables or _same_ids(database, DOCSIZE, "embeddings"):
        return
    documents = _ids_of(database, f"SELECT id FROM {DOCSIZE}")
    if documents is None:
        return
    bare = rows.rowids[~np.isin(rows.rowids, documents)]
    if not bare.size or 2 * bare.size > len(rows):
        return
    at = np.flatnonzero(np.isin(rows.rowids, bare)).tolist()
    ids = [rows.ids[row] for row in at]
    empty = bare[~np.isin(bare, _with_metadata(database, bare))]
    yield finding(
        "CF707",
        collection,
        count=bare.size,
        unit="records",
        expected={"with_document": len(rows)},
        found={
            "with_document": len(rows) - int(bare.size),
            "without_document": int(bare.size),
            "without_metadata_too": int(empty.size),
            "ids": examples(ids),
        },
        where=(in_table("embedding_metadata", f"no {DOCUMENT} for rowids {examples(bare)}"),),
        means=(
            "These records have a vector and no text. Some clients fail on them, and they cannot be "
            "embedded again."
        ),
        remedy=Remedy(action="ask-the-source", safety="manual"),
        lists={"ids": ids, "rowids": bare},
    )


def _same_ids(database: Database, left: str, right: str) -> bool:
    """True where two tables hold the same ids: the same unbroken range, or else as far as their number, sum and
    sum of squares (modulo a prime) tell."""
    ranges = [_range(database, table) for table in (left, right)]
    if None not in ranges:
        return ranges[0] == ranges[1]
    sums = "count(*), total(id), total(id * id % 2147483647)"
    found = [database.rows(f"SELECT {sums} FROM {table}") for table in (left, right)]
    return not isinstance(found[0], Absent) and found[0] == found[1]


def _range(database: Database, table: str) -> tuple[int, int] | None:
    """The lowest and highest id of a table whose ids (rowids, so distinct integers) have no gap; else None."""
    ends = "(SELECT count(*) FROM {0} NOT INDEXED), (SELECT min(id) FROM {0}), (SELECT max(id) FROM {0})"
    found = database.rows(f"SELECT {ends.format(table)}")
    if isinstance(found, Absent) or not all(isinstance(cell, int) for cell in found[0]):
        return None
    count, low, high = found[0]
    return (low, high) if high - low + 1 == count else None


def _ids_of(database: Database, sql: str, parameters: tuple[object, ...] = ()) -> np.ndarray | None:
    found = database.rows(sql, parameters)
    if isinstance(found, Absent):
        return None
    return np.fromiter((row[0] for row in found if isinstance(row[0], int)), dtype=np.int64)


def _with_metadata(database: Database, rowids: np.ndarray) -> np.ndarray:
    """Those of `rowids` that have a row of metadata of any key."""
    sql = "SELECT DISTINCT id FROM embedding_metadata WHERE id IN (SELECT value FROM json_each(?))"
    found = _ids_of(database, sql, (str(rowids.tolist()),))
    return np.empty(0, dtype=np.int64) if found is None else found


_NOT_TEXT = (
    f"key = '{DOCUMENT}' AND string_value >= X''",  # a BLOB; all of them sort behind all text
    f"key = '{DOCUMENT}' AND int_value IS NOT NULL",
    f"key = '{DOCUMENT}' AND float_value IS NOT NULL",
)
"""Each is answered by one of the partial indexes over embedding_metadata without a look at the documents."""


@check("CF708", needs=("rows",))
def document_not_text(collection: Collection) -> Iterator[Finding]:
    """The document of a record is a number or a BLOB."""
    rows, database = needed(collection.rows), collection.database
    parts = [_ids_of(database, f"SELECT id FROM embedding_metadata WHERE {where}") for where in _NOT_TEXT]
    bad = np.unique(np.concatenate([np.empty(0, np.int64), *(part for part in parts if part is not None)]))
    at = np.flatnonzero(np.isin(rows.rowids, bad)).tolist() if bad.size else []
    if not at:
        return
    ids = [rows.ids[row] for row in at]
    yield finding(
        "CF708",
        collection,
        count=len(at),
        unit="records",
        expected={"typeof": "text"},
        found={"ids": examples(ids), "rowids": examples(rows.rowids[at])},
        where=(in_table("embedding_metadata", f"{DOCUMENT} of rowids {examples(rows.rowids[at])}"),),
        means=(
            "get() fails on these records or hands out something else than a text; full-text search "
            "misses them."
        ),
        remedy=Remedy(action="replace-documents", safety="manual"),
        lists={"ids": ids, "rowids": rows.rowids[at]},
    )
