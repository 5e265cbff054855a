"""Single rows of the queue that no release can apply."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from forensics.absent import Absent
from forensics.checks.places import examples, in_table
from forensics.checks.queue_marks import METADATA, VECTOR, believable_marks
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.readers.embeddings_queue import ADD, BACKFILL, UPSERT
from forensics.readers.migrations import written_by
from forensics.records import Records
from forensics.store import Collection, VectorSegment

DOCUMENT = "chroma:document"
_SUSPECT = f"""
SELECT seq_id, id, operation, typeof(vector), length(vector), encoding, metadata, typeof(id)
FROM embeddings_queue
WHERE topic = ? AND seq_id > ? AND (
    typeof(operation) <> 'integer' OR operation NOT BETWEEN 0 AND ?
    OR typeof(id) <> 'text'
    OR (vector IS NOT NULL AND (typeof(vector) <> 'blob' OR length(vector) % 4 OR encoding IS NOT 'FLOAT32'))
    OR (metadata IS NOT NULL AND CASE
        WHEN NOT json_valid(metadata) THEN 1
        WHEN json_type(metadata) <> 'object' THEN 1
        ELSE json_type(metadata, '$."{DOCUMENT}"') NOT IN ('text', 'null')
    END)
)
ORDER BY seq_id
"""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be decoded, and why, in words."""

    seq_id: int
    id: str
    problem: str


def undecodable_rows(collection: Collection, above: int) -> list[BadRow]:
    """The rows above a watermark that some release refuses to decode."""
    found = collection.database.rows(_SUSPECT, (collection.queue.topic, above, _last_operation(collection)))
    if isinstance(found, Absent):
        return []
    bad = ((row[0], str(row[1]), _problem(row, collection.store.is_modern)) for row in found)
    return [BadRow(seq_id, name, problem) for seq_id, name, problem in bad if problem]


def _last_operation(collection: Collection) -> int:
    """1.5 knows a fifth operation, which other releases refuse."""
    new = written_by(collection.database.migrations).startswith(("1.5", "later"))
    return BACKFILL if new else BACKFILL - 1


def _problem(row: Sequence[Any], modern: bool) -> str:
    _, _, operation, kind, size, encoding, metadata, id_type = row
    if not isinstance(operation, int) or not ADD <= operation <= BACKFILL:
        return f"unknown operation {operation!r}"
    if operation == BACKFILL:
        return "operation 4 is known to 1.5 only"
    if id_type != "text":
        return f"the id is {id_type}"
    if kind not in ("null", "blob"):
        return f"the vector is {kind}"
    if size is not None and size % 4:
        return f"a vector of {size} bytes is not a whole number of floats"
    if kind == "blob" and encoding != "FLOAT32":
        return f"unknown encoding {encoding!r}"
    return _metadata_problem(metadata, modern)


def _metadata_problem(text: object, modern: bool) -> str:
    """What is wrong with the JSON; NaN is none before 1.0, whose Python reads what it writes."""
    try:
        value = json.loads(text) if isinstance(text, (str, bytes)) else text
    except ValueError as error:
        return f"metadata is not JSON: {error}"
    if not isinstance(value, dict):
        return f"metadata is a {type(value).__name__}"
    if not isinstance(value.get(DOCUMENT), str | None):
        return f"{DOCUMENT} is a {type(value[DOCUMENT]).__name__}"
    return "metadata holds a number that JSON does not know" if modern else ""


def replayed_above(collection: Collection) -> int:
    """Rows above this number are read at the next open."""
    marks = believable_marks(collection)
    vector = marks.get(VECTOR, collection.vector_watermark)
    gone = isinstance(collection.vector, VectorSegment) and collection.vector.is_uninitialised
    return 0 if gone and collection.store.is_modern else min(vector, marks.get(METADATA, 0))


@check("CF208")
def queue_row_undecodable(collection: Collection) -> Iterator[Finding]:
    """Rows that are still to be read and whose operation, vector or metadata cannot be decoded."""
    bad = undecodable_rows(collection, replayed_above(collection))
    if not bad:
        return
    ids = sorted({row.id for row in bad})
    yield finding(
        "CF208",
        collection,
        count=len(bad),
        unit="rows",
        expected="operation 0 to 3, FLOAT32 vectors, metadata as a JSON object",
        found={"rows": [{"seq_id": row.seq_id, "problem": row.problem} for row in bad[:10]]},
        where=(in_table("embeddings_queue", f"seq_id {', '.join(str(row.seq_id) for row in bad[:5])}"),),
        means="Until these rows are gone every call fails: 'Failed to pull logs from the log store' or "
        "'Failed to receive response'.",
        remedy=Remedy(action="quarantine-queue-rows", safety="lossy", loses=len(ids)),
        lists={"seq_ids": [row.seq_id for row in bad], "ids": ids},
    )


@check("CF209", needs=("pending_rows",))
def queue_row_without_vector(collection: Collection) -> Iterator[Finding]:
    """Pending adds and upserts that carry no vector."""
    rows = collection.pending_rows
    if isinstance(rows, Absent):
        return
    bare = [row for row in rows if row.operation in (ADD, UPSERT) and row.vector_bytes is None]
    if not bare:
        return
    lost = _without_vector(collection, {row.id for row in bare})
    yield finding(
        "CF209",
        collection,
        count=len(bare),
        unit="rows",
        expected="a vector in every add and upsert",
        found={"seq_ids": examples([row.seq_id for row in bare]), "pending": len(rows)},
        where=(in_table("embeddings_queue", f"seq_id {', '.join(str(row.seq_id) for row in bare[:5])}"),),
        means="The first such row blocks all behind it: every call fails with 'Failed to apply logs to "
        "the hnsw segment writer'.",
        remedy=Remedy(action="quarantine-queue-rows", safety="lossy" if lost else "safe", loses=len(lost)),
        lists={"seq_ids": [row.seq_id for row in bare], "ids": sorted({row.id for row in bare})},
    )


def _without_vector(collection: Collection, ids: set[str]) -> list[str]:
    """Those of the ids that no element and no other queue row has a vector for."""
    records = collection.records
    if not isinstance(records, Records) or not records.known:
        return sorted(ids)
    brought = {name for name, effect in collection.pending.items() if effect.vector_seq is not None}
    return sorted(ids - brought - set(records.ids(records.indexed)))
