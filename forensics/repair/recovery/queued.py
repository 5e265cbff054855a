"""What the rows of a queue say of ids, row by row in their order: their metadata, and their newest row."""

from __future__ import annotations

import json
from collections.abc import Iterable

from forensics.absent import Absent
from forensics.readers.embeddings_queue import ADD, DELETE, UPDATE, UPSERT
from forensics.store import Collection

Operation = tuple[str, int, object]


def merged_metadata(rows: Iterable[Operation]) -> dict[str, dict[str, object]]:
    """id → the metadata that (id, operation, metadata as JSON) rows give it, one after the other; of a deleted id none."""
    out: dict[str, dict[str, object]] = {}
    for name, operation, cell in rows:
        if operation == DELETE:
            out.pop(name, None)
        elif operation in (ADD, UPDATE, UPSERT):
            together = {**out.get(name, {}), **_object(cell)}
            out[name] = {key: value for key, value in together.items() if value is not None}
    return out


def _object(cell: object) -> dict[str, object]:
    try:
        found = json.loads(cell) if isinstance(cell, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def metadata_by_id(collection: Collection) -> dict[str, dict[str, object]]:
    """The same for the rows of a collection's queue."""
    sql = "SELECT id, operation, metadata FROM embeddings_queue WHERE topic = ? ORDER BY seq_id"
    found = collection.database.rows(sql, (collection.queue.topic,))
    return {} if isinstance(found, Absent) else merged_metadata(found)


def newest_rows(collection: Collection) -> dict[str, tuple[int, int]]:
    """id → (seq_id, operation) of its newest row."""
    sql = "SELECT id, seq_id, operation FROM embeddings_queue WHERE topic = ? ORDER BY seq_id"
    found = collection.database.rows(sql, (collection.queue.topic,))
    return {} if isinstance(found, Absent) else {name: (seq, operation) for name, seq, operation in found}
