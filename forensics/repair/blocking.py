"""Queue rows that no release can apply, of which each blocks all writes behind it."""

from __future__ import annotations

from forensics.absent import Absent
from forensics.checks.queue_rows import replayed_above, undecodable_rows
from forensics.readers.embeddings_queue import ADD, UPSERT, QueueRow
from forensics.store import Collection


def blocking_rows(collection: Collection, dim: int | None) -> list[int]:
    """The seq_ids, ascending: rows that cannot be decoded, adds without a vector, vectors of another
    dimension.
    """
    above = replayed_above(collection)
    bad = {row.seq_id for row in undecodable_rows(collection, above)}
    rows = collection.queue.rows(above=above)
    bad |= {row.seq_id for row in ([] if isinstance(rows, Absent) else rows) if _unfit(row, dim)}
    return sorted(bad)


def _unfit(row: QueueRow, dim: int | None) -> bool:
    if row.vector_bytes is None:
        return row.operation in (ADD, UPSERT)
    return dim is not None and row.vector_bytes != 4 * dim
