"""Documents and metadata of records: there where the others have them, and documents that are text."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import examples, in_table, needed
from forensics.checks.registry import CannotLook, check, finding
from forensics.model import Finding, Remedy
from forensics.readers.database import Database
from forensics.readers.full_text import DOCUMENT
from forensics.readers.record_rows import MetadataRows
from forensics.store import Collection

DESCRIBED = "SELECT DISTINCT id FROM embedding_metadata"
DOCUMENTED = f"SELECT id FROM embedding_metadata WHERE key = '{DOCUMENT}'"
IN_FULL_TEXT = "SELECT id FROM embedding_fulltext_search_docsize"
"""One small row per document; its id is that of the record."""
OF_BEFORE_1 = "SELECT id FROM embeddings WHERE typeof(seq_id) != 'integer' LIMIT 1"
"""0.4 leaves the text of a deleted record in the full-text index, under a rowid that another record may get."""


@check("CF707", needs=("rows",))
def record_without_content(collection: Collection) -> Iterator[Finding]:
    """Records without a document that the full-text table still has; or without one, or without any metadata, although
    at least half of the others have it.
    """
    rows, database = needed(collection.rows), collection.database
    if not len(rows) or _all_documented(database):
        return
    undocumented = _without(rows, database, DOCUMENTED)
    kept = _in_full_text(database, undocumented)
    lost = bool(kept.size) and not _ids_of(database, OF_BEFORE_1).size
    bare = np.union1d(_odd_ones(collection, undocumented), kept if lost else kept[:0])
    if not bare.size:
        return
    kept = np.intersect1d(kept, bare)
    at = np.flatnonzero(np.isin(rows.rowids, bare)).tolist()
    ids = [rows.ids[row] for row in at]
    yield finding(
        "CF707",
        collection,
        count=bare.size,
        unit="records",
        expected={"with_document": len(rows)},
        found={
            "with_document": len(rows) - int(bare.size),
            "without_document": int(bare.size),
            "without_metadata_too": int(np.setdiff1d(bare, _ids_of(database, DESCRIBED)).size),
            "in_the_full_text_index": int(kept.size),
            "ids": examples(ids),
        },
        where=(in_table("embedding_metadata", f"no {DOCUMENT} for rowids {examples(bare)}"),),
        means=_MEANS_LOST if lost else _MEANS_BARE,
        remedy=_RESTORE if lost else _ASK,
        severity="error" if lost else "note",
        lists={"ids": ids, "rowids": bare, "in_full_text": kept},
    )


_MEANS_BARE = (
    "These records have a vector and no text. Some clients fail on them, and they cannot be embedded again."
)
_MEANS_LOST = (
    "get() returns these records without their text. Chroma writes and removes a document in embedding_metadata and in "
    "the full-text index together: where only the index has it, its row was lost."
)


_RESTORE = Remedy(action="restore-documents", safety="safe")
_ASK = Remedy(action="ask-the-source", safety="manual")


def _odd_ones(collection: Collection, undocumented: np.ndarray) -> np.ndarray:
    """(k,) rowids of the `undocumented`; of those without any metadata where most have no document; none where most have
    neither: the collection is meant to be so.
    """
    rows, bare = needed(collection.rows), undocumented
    if 2 * bare.size > len(rows):
        bare = _without(rows, collection.database, DESCRIBED)
    return bare[:0] if 2 * bare.size > len(rows) else bare


def _in_full_text(database: Database, bare: np.ndarray) -> np.ndarray:
    """Those of the rowids `bare` whose document the full-text index has; none where a table of it is gone (CF106)."""
    found = database.column(IN_FULL_TEXT)
    return bare[:0] if isinstance(found, Absent) else np.intersect1d(bare, found)


_WHOLE: WeakKeyDictionary[Database, bool] = WeakKeyDictionary()


def _all_documented(database: Database) -> bool:
    """The same for every collection of a database: asked once."""
    if database not in _WHOLE:
        _WHOLE[database] = _as_many_documents(database)
    return _WHOLE[database]


def _as_many_documents(database: Database) -> bool:
    """True where as many documents as records are there and their ids are the same unbroken range, or else as far as
    sums and sums of squares (modulo a prime) tell."""
    documents = f"embedding_metadata WHERE key = '{DOCUMENT}'"
    ranges = [_range(database, table) for table in ("embeddings WHERE true", documents)]
    if None not in ranges:
        return ranges[0] == ranges[1]
    sums = "count(*), total(id), total(id * id % 2147483647)"
    found = [database.rows(f"SELECT {sums} FROM {table}") for table in ("embeddings", documents)]
    return not isinstance(found[0], Absent) and found[0] == found[1]


def _range(database: Database, rows: str) -> tuple[int, int] | None:
    """The lowest and highest id of rows whose ids (distinct integers) have no gap; else None."""
    found = database.rows(
        f"SELECT (SELECT count(*) FROM {rows}), (SELECT min(id) FROM {rows}), (SELECT max(id) FROM {rows})"
    )
    if isinstance(found, Absent) or not all(isinstance(cell, int) for cell in found[0]):
        return None
    count, low, high = found[0]
    return (low, high) if high - low + 1 == count else None


def _without(rows: MetadataRows, database: Database, sql: str) -> np.ndarray:
    """(k,) rowids of the collection's records that the query does not have."""
    return rows.rowids[~np.isin(rows.rowids, _ids_of(database, sql))]


def _ids_of(database: Database, sql: str) -> np.ndarray:
    """(n,) int64; past an index that cannot be read (CF103). Raises CannotLook where the table cannot be read."""
    found = database.column(sql)
    if isinstance(found, Absent):
        found = database.column(sql.replace("embedding_metadata", "embedding_metadata NOT INDEXED"))
    if isinstance(found, Absent):
        raise CannotLook(found.reason)
    return found


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
    bad = np.unique(np.concatenate(parts))
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
