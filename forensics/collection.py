"""One collection: its row, its two segments, its settings, its watermarks, its records; each measured once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent, NotAvailable
from forensics.readers.database import CollectionRow, Database, MetadataRows, SegmentRow, SeqId
from forensics.readers.embeddings_queue import EmbeddingsQueue, QueueEffect, QueueRow, effects
from forensics.readers.id_map import BadIdMap, IdMap
from forensics.readers.settings import HnswSettings, settle
from forensics.records import Records, join_records
from forensics.segment import VectorSegment

if TYPE_CHECKING:
    from forensics.store import Store

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Collection:
    """One collection: its row, its two segments, its settings, its watermarks, its records."""

    def __init__(self, store: Store, row: CollectionRow) -> None:
        self.store, self.row = store, row
        self.id, self.name, self.dimension = row.id, row.name, row.dimension

    def __repr__(self) -> str:
        return f"Collection({self.name!r})"

    def segment_rows(self, scope: str) -> list[SegmentRow]:
        """The rows of `segments` of this collection with that scope (one each in health)."""
        rows = self.database.segments
        return (
            []
            if isinstance(rows, Absent)
            else [r for r in rows if r.collection == self.id and r.scope == scope]
        )

    @property
    def database(self) -> Database:
        found = self.store.database
        assert isinstance(found, Database)
        return found

    @cached_property
    def vector_segment_id(self) -> str | None:
        rows = self.segment_rows("VECTOR")
        return rows[0].id if rows else None

    @cached_property
    def metadata_segment_id(self) -> str | None:
        rows = self.segment_rows("METADATA")
        return rows[0].id if rows else None

    @cached_property
    def vector(self) -> VectorSegment | Absent:
        """The vector segment, whatever its state; Absent only where no usable row of `segments` names one."""
        if self.vector_segment_id is None:
            return NotAvailable("no row of segments with scope VECTOR names this collection")
        if not UUID.fullmatch(self.vector_segment_id):
            return NotAvailable("the id of the vector segment is not a UUID, so it names no directory")
        return VectorSegment(self.vector_segment_id, self.store.tree, self.vector_segment_id)

    @cached_property
    def settings(self) -> HnswSettings:
        segment = self.vector_segment_id or ""
        return settle(
            self.database.metadata_of("segment_metadata", "segment_id", segment),
            self.database.metadata_of("collection_metadata", "collection_id", self.id),
            self.row.config_json_str,
            self.row.schema_str,
            modern=self.store.is_modern,
        )

    @cached_property
    def rows(self) -> MetadataRows | Absent:
        """The records of the METADATA segment."""
        if self.metadata_segment_id is None:
            return NotAvailable("no row of segments with scope METADATA names this collection")
        return self.database.metadata_rows(self.metadata_segment_id)

    @cached_property
    def seq_ids(self) -> np.ndarray | Absent:
        """(n,) int64 `embeddings.seq_id` of the records, in the order of `rows`; -1 = undecodable."""
        if self.metadata_segment_id is None:
            return NotAvailable("no row of segments with scope METADATA names this collection")
        return self.database.seq_ids(self.metadata_segment_id)

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """id → its place in `rows`; empty where they cannot be read."""
        return {} if isinstance(self.rows, Absent) else {name: row for row, name in enumerate(self.rows.ids)}

    @cached_property
    def queue(self) -> EmbeddingsQueue:
        return EmbeddingsQueue(self.database, self.id)

    @property
    def metadata_watermark(self) -> SeqId | Absent:
        """The row of `max_seq_id` of the METADATA segment."""
        return self._watermark(self.metadata_segment_id)

    @property
    def vector_watermark_row(self) -> SeqId | Absent:
        """The row of `max_seq_id` of the VECTOR segment; 0.4 and 0.5 have none, the pickle holds it there."""
        return self._watermark(self.vector_segment_id)

    def _watermark(self, segment: str | None) -> SeqId | Absent:
        table = self.database.max_seq_ids
        if isinstance(table, Absent):
            return table
        found = table.get(segment or "")
        return found if found is not None else NotAvailable("max_seq_id has no row for this segment")

    @cached_property
    def vector_watermark(self) -> int:
        """The seq_id above which the next open replays into the index: the row, else the pickle, else 0.

        1.x replays everything where the index is uninitialised, whatever the row says; 0.4–0.6 honour the row.
        """
        vector = self.vector
        if isinstance(vector, Absent) or (vector.is_uninitialised and self.store.is_modern):
            return 0
        row = self.vector_watermark_row
        if not isinstance(row, Absent):
            return row.value or 0
        return (vector.id_map.max_seq_id or 0) if isinstance(vector.id_map, IdMap) else 0

    @cached_property
    def pending_rows(self) -> list[QueueRow] | Absent:
        """Queue rows above the vector watermark, in order."""
        return self.queue.rows(above=self.vector_watermark)

    @cached_property
    def pending(self) -> Mapping[str, QueueEffect]:
        """id → what the rows above the vector watermark will do to it in the index."""
        rows = self.pending_rows
        if isinstance(rows, Absent) or not rows:
            return {}
        mapped = self.mapped_among(row.id for row in rows)
        return effects(rows, mapped.__contains__)

    def mapped_among(self, names: Iterable[str]) -> Mapping[str, int]:
        """id → label of those of `names` that the id map has."""
        return self.id_map.labels_among(names) if isinstance(self.id_map, IdMap) else {}

    @cached_property
    def id_map(self) -> IdMap | BadIdMap | Absent:
        """The id map of the vector segment; empty-handed with its reason where there is none."""
        return self.vector if isinstance(self.vector, Absent) else self.vector.id_map

    @cached_property
    def records(self) -> Records | Absent:
        """Every record of the METADATA segment against map, level 0 and queue."""
        if isinstance(self.rows, Absent):
            return self.rows
        return join_records(self.rows, self.vector, self.id_map, self.pending)
