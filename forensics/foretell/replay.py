"""Rows of the queue applied to an index in memory, as `apply_log_chunk` of 1.x and the batches of 0.6.3 do it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from forensics.foretell.disk import Disk
from forensics.readers.embeddings_queue import ADD, DELETE, UPDATE, UPSERT, QueueRow

APPLY = (
    "Failed to apply logs to the hnsw segment writer|Error applying log chunk|Label not found|already deleted"
)


class Stuck(Exception):
    """A row cannot be applied, and none behind it ever will."""


class Index:
    """An index in memory: what `Disk` holds of it, changeable."""

    def __init__(self, disk: Disk, *, loaded: bool) -> None:
        keep = slice(None) if loaded else slice(0)
        self.labels = dict(disk.labels) if loaded else {}
        self.names = dict(disk.names) if loaded else {}
        self.held, self.live = disk.held[keep].tolist(), disk.live[keep].tolist()
        self.reached, self.origin = disk.reached[keep].tolist(), disk.origin[keep].tolist()
        self.place = {label: at for at, label in enumerate(self.held)}
        self.counter = disk.counter if loaded else 0

    def apply(self, rows: Iterable[QueueRow]) -> None:
        """Raises Stuck where hnswlib refuses one."""
        for row in rows:
            self._one(row)

    def _one(self, row: QueueRow) -> None:
        there = row.id in self.labels
        if row.operation == DELETE:
            if there:
                self.remove(row.id)
        elif row.operation == UPDATE and there and row.vector_bytes:
            self._put(self.labels[row.id], row)
        elif row.operation == UPSERT or (row.operation == ADD and not there):
            if not row.vector_bytes:
                raise Stuck(f"row {row.seq_id} has no vector")
            if not there:
                self.counter += 1
                self.labels[row.id], self.names[self.counter] = self.counter, row.id
            self._put(self.labels[row.id], row)

    def _put(self, label: int, row: QueueRow) -> None:
        at = self.place.get(label)
        if at is None:
            self.place[label] = len(self.held)
            self.held.append(label)
            self.live.append(True)
            self.reached.append(True)
            self.origin.append(-row.seq_id)
        elif not self.live[at]:
            raise Stuck(f"label {label} of row {row.seq_id} is on a deleted element")
        else:
            self.origin[at], self.reached[at] = -row.seq_id, True

    def remove(self, name: str) -> None:
        """Its label is gone from the map, its element flagged deleted. Raises Stuck where that cannot be."""
        label = self.labels[name]
        at = self.place.get(label)
        if at is None or not self.live[at]:
            raise Stuck(f"label {label} of {name!r} is on no live element")
        self.live[at] = False
        del self.labels[name]
        self.names.pop(label, None)

    def onto(self, disk: Disk) -> Disk:
        """The disk after a flush, watermark aside."""
        return replace(
            disk,
            labels=self.labels,
            names=self.names,
            held=np.array(self.held, dtype=np.int64),
            live=np.array(self.live, dtype=bool),
            reached=np.array(self.reached, dtype=bool),
            origin=np.array(self.origin, dtype=np.int64),
            counter=self.counter,
        )


def records_after(disk: Disk, rows: Sequence[QueueRow]) -> tuple[str, ...]:
    """The ids of the METADATA segment after these rows: new ones last, deleted ones gone, one that is there twice twice."""
    if not rows:
        return disk.records
    doubled = len(set(disk.records)) < len(disk.records)
    ids = dict.fromkeys(disk.records)
    for row in rows:
        if row.operation == DELETE:
            ids.pop(row.id, None)
        elif row.operation in (ADD, UPSERT):
            ids.setdefault(row.id)
    if not doubled:
        return tuple(ids)
    there = set(disk.records)
    return (
        *(name for name in disk.records if name in ids),
        *(name for name in ids if name not in there),
    )
