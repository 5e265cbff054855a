"""Another copy of the store, named by the user: its segment directories, and its queue, whose vectors may be in no index."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.collection import Collection
from forensics.readers.database import DATABASE, Database
from forensics.readers.embeddings_queue import UPDATE, UPSERT, EmbeddingsQueue, QueueRow, effects
from forensics.segment import PlainTree, VectorSegment
from forensics.store import Store


def segments_of(path: Path) -> Iterator[VectorSegment]:
    """The segment directories in `path`, or `path` itself where it is one."""
    own = VectorSegment(path.name, PlainTree(path.parent), path.name)
    if own.has_files:
        yield own
    with Store(path) as other:
        yield from other.segment_directories


def newest_queued(collection: Collection, path: Path, seq: Mapping[str, int]) -> dict[str, tuple[int, bool]]:
    """id → (seq_id of the row of the copy's queue that holds its vector, whether nothing wrote the record since).

    `seq`: id → the `embeddings.seq_id` of the records that are looked for. Rows that the copy alone got later do not
    count: they are not of this store.
    """
    with _queue(collection, path) as queue:
        rows = Absent("") if queue is None else queue.rows(ids=seq)
    if isinstance(rows, Absent):
        return {}
    dim = collection.dimension
    fitting = [
        row for row in rows if row.seq_id <= seq[row.id] and row.vector_bytes in (None, 4 * (dim or 0))
    ]
    left = effects(as_effective(fitting), lambda _: False)
    return {
        name: (effect.vector_seq, effect.last_seq == seq[name])
        for name, effect in left.items()
        if effect.exists and effect.vector_seq is not None
    }


def queued_vectors(collection: Collection, path: Path, seq_ids: np.ndarray, dim: int) -> np.ndarray:
    """(k, dim) float32 vectors of these rows of the copy's queue, as the user gave them; NaN where one is gone."""
    with _queue(collection, path) as queue:
        if queue is None:
            return np.full((len(seq_ids), dim), np.nan, dtype=np.float32)
        return queue.vectors(seq_ids, dim)


def as_effective(rows: Sequence[QueueRow]) -> Iterator[QueueRow]:
    """An `update` with a vector counts as an upsert: the record existed, only its index entry is lost."""
    for row in rows:
        yield (
            QueueRow(row.seq_id, UPSERT, row.id, row.vector_bytes, row.encoding)
            if row.operation == UPDATE
            else row
        )


@contextmanager
def _queue(collection: Collection, path: Path) -> Generator[EmbeddingsQueue | None]:
    """The queue of this collection in the copy; None where its database is gone or cannot be read."""
    if not (path / DATABASE).is_file():
        yield None
        return
    with Store(path) as other:
        found = other.database
        topic = collection.queue.topic
        yield EmbeddingsQueue(found, collection.id, topic) if isinstance(found, Database) else None
