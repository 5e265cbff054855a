"""A collection as an engine would find it: id map, elements, watermarks, queue rows and records, in plain columns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from forensics.absent import Absent
from forensics.foretell.reading import files_of
from forensics.graph import measure
from forensics.readers.database import SeqId
from forensics.readers.embeddings_queue import QueueRow
from forensics.readers.id_map import IdMap
from forensics.readers.watermarks import purges, reach
from forensics.store import Collection

NOBODY = -1
NIBBLES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What lies on the disk of one collection.

    records: the ids of the METADATA segment in order. labels: id → label. held (n,): the label of each element; live,
    reached (n,) bool. origin (n,): the element of level 0 that the vector is in, or minus the seq_id of the row that
    brought it. counter: total_elements_added. marks: None where there is no row. next_seq: what the next write gets.
    """

    records: tuple[str, ...] = field(repr=False)
    labels: dict[str, int] = field(repr=False)
    names: dict[int, str] = field(repr=False)
    held: np.ndarray = field(repr=False)
    live: np.ndarray = field(repr=False)
    reached: np.ndarray = field(repr=False)
    origin: np.ndarray = field(repr=False)
    counter: int
    metadata_mark: int | None
    vector_mark: int | None
    map_mark: int | None
    rows: tuple[QueueRow, ...] = field(repr=False)
    next_seq: int
    purges: bool

    def with_rows(self, added: tuple[QueueRow, ...]) -> Disk:
        """The same after these were written to the queue."""
        top = max((row.seq_id for row in added), default=self.next_seq - 1)
        return replace(self, rows=(*self.rows, *added), next_seq=max(self.next_seq, top + 1))


def read_disk(collection: Collection, *, migrates: bool = False) -> Disk:
    """The disk as it stands. An id map that cannot be read counts as an empty one; `loading` says what follows.

    migrates: the release turns watermarks into integers before it reads them.
    """
    mark_value = migrated if migrates and not collection.store.is_modern else stored
    rows = collection.queue.rows()
    records = () if isinstance(collection.rows, Absent) else tuple(collection.rows.ids)
    mapping = collection.id_map if isinstance(collection.id_map, IdMap) else None
    held, live, reached = _elements(collection)
    return Disk(
        records=records,
        labels={} if mapping is None else mapping.id_to_label,
        names={} if mapping is None else mapping.label_to_id,
        held=held,
        live=live,
        reached=reached,
        origin=np.arange(len(held), dtype=np.int64),
        counter=0 if mapping is None else mapping.total_elements_added or 0,
        metadata_mark=mark_value(collection.metadata_watermark),
        vector_mark=mark_value(collection.vector_watermark_row),
        map_mark=None if mapping is None else mapping.max_seq_id,
        rows=() if isinstance(rows, Absent) else tuple(rows),
        next_seq=reach(collection.database).next,
        purges=purges(collection.database) is True,
    )


def stored(mark: SeqId | Absent) -> int | None:
    return None if isinstance(mark, Absent) else mark.value


def migrated(mark: SeqId | Absent) -> int | None:
    """What migration 5 of metadb makes of a cell: of 8 bytes their value; of an integer the hexadecimal digits of its
    decimal text, each nibble before them 1, since `instr` finds the empty text at the first place.
    """
    if isinstance(mark, Absent) or mark.value is None or mark.stored != "integer":
        return stored(mark)
    digits = str(mark.value).encode().hex()[-NIBBLES:].rjust(NIBBLES, "1")
    return int(digits, 16)


def _elements(collection: Collection) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, live, reached) of level 0, each (n,)."""
    vector = collection.vector
    summary = Absent("") if isinstance(vector, Absent) else files_of(vector).summary
    if isinstance(vector, Absent) or isinstance(summary, Absent):
        return np.empty(0, np.int64), np.empty(0, bool), np.empty(0, bool)
    graph = measure(files_of(vector))
    reached = np.ones(len(summary.labels), dtype=bool) if isinstance(graph, Absent) else graph.reached
    return summary.labels.astype(np.int64), summary.live, reached
