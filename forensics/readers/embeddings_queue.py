"""The rows of `embeddings_queue` and what they do to each id when they are replayed with their real meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from forensics.absent import Absent, NotAvailable
from forensics.readers.database import Database

ADD, UPDATE, UPSERT, DELETE, BACKFILL = 0, 1, 2, 3, 4
OPERATIONS = {ADD: "add", UPDATE: "update", UPSERT: "upsert", DELETE: "delete", BACKFILL: "backfill"}


def topic_of(collection_id: str) -> str:
    """The topic under which every release files the rows of a collection."""
    return f"persistent://default/default/{collection_id}"


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One row without its payload. `vector_bytes` is None for NULL; the vector itself is fetched by `vectors`."""

    seq_id: int
    operation: int
    id: str
    vector_bytes: int | None
    encoding: str | None


@dataclass(frozen=True, slots=True)
class QueueEffect:
    """What replaying leaves of one id: whether it exists, and the row that holds its vector (None: the old one)."""

    exists: bool
    vector_seq: int | None
    last_seq: int


@dataclass(frozen=True, slots=True)
class QueueExtent:
    """The rows of one topic: how many, the lowest and highest seq_id (None where there are none)."""

    rows: int
    lowest: int | None
    highest: int | None


class EmbeddingsQueue:
    """The queue rows of one collection."""

    def __init__(self, database: Database, collection_id: str, topic: str | None = None) -> None:
        self.database = database
        self.topic = topic or topic_of(collection_id)
        self.collection_id = collection_id

    def extent(self) -> QueueExtent | Absent:
        sql = "SELECT count(*), min(seq_id), max(seq_id) FROM embeddings_queue WHERE topic = ?"
        found = self.database.rows(sql, (self.topic,))
        return found if isinstance(found, Absent) else QueueExtent(*found[0])

    def rows(self, above: int = -1, ids: Iterable[str] | None = None) -> list[QueueRow] | Absent:
        """The rows with seq_id > `above` in order, of all ids or of those given."""
        if "embeddings_queue" not in self.database.tables:
            return NotAvailable("table embeddings_queue does not exist")
        sql = (
            "SELECT seq_id, operation, id, length(vector), encoding FROM embeddings_queue"
            " WHERE topic = ? AND seq_id > ? ORDER BY seq_id"
        )
        found = self.database.rows(sql, (self.topic, above))
        if isinstance(found, Absent):
            return found
        wanted = None if ids is None else set(ids)
        return [QueueRow(*row) for row in found if wanted is None or row[2] in wanted]

    def vectors(self, seq_ids: np.ndarray, dim: int) -> np.ndarray:
        """(k, dim) float32 vectors of these rows as queued (never normalised); NaN rows where one is not `dim` floats."""
        out = np.full((len(seq_ids), dim), np.nan, dtype=np.float32)
        cursor = self.database.connection.cursor()
        for index, seq_id in enumerate(seq_ids.tolist()):
            cell = cursor.execute(
                "SELECT vector, encoding FROM embeddings_queue WHERE seq_id = ?", (seq_id,)
            ).fetchone()
            if cell is not None and isinstance(cell[0], bytes) and len(cell[0]) == 4 * dim:
                out[index] = np.frombuffer(cell[0], dtype="<f4")
        return out


def effects(rows: Iterable[QueueRow], exists: Callable[[str], bool]) -> dict[str, QueueEffect]:
    """id → what is left of it after replaying `rows` in order; `exists(id)` says whether it was there before.

    `add` of an existing id and `update` of a missing one change nothing; `delete` removes.
    """
    state: dict[str, QueueEffect] = {}
    for row in rows:
        before = state.get(row.id)
        there = before.exists if before is not None else exists(row.id)
        vector = before.vector_seq if before is not None else None
        has_vector = row.vector_bytes is not None
        if row.operation == DELETE:
            there, vector = False, None
        elif (
            row.operation == UPSERT
            or (row.operation == ADD and not there)
            or (row.operation == UPDATE and there)
        ):
            there, vector = True, row.seq_id if has_vector else vector
        state[row.id] = QueueEffect(there, vector, row.seq_id)
    return state
