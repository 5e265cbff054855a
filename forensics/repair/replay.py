"""What Chroma's replay of the queue will do to a repaired index, under the labels that it will hold."""

from __future__ import annotations

from collections.abc import Collection as Ids
from collections.abc import Mapping

import numpy as np

from forensics.absent import Absent
from forensics.checks.replay import wedged
from forensics.checks.returning import returning_ids
from forensics.readers.embeddings_queue import DELETE, QueueEffect, effects
from forensics.records import Records
from forensics.store import Collection


def replayed(
    collection: Collection, above: int, without: Ids[int], mapping: Mapping[str, int], held: np.ndarray
) -> dict[str, QueueEffect]:
    """id → what the queue above that watermark leaves of it, but for the rows `without`.

    An id whose label level 0 does not hold (`held`) leaves the map, so an `update` of it will change nothing.
    """
    found = collection.queue.rows(above=above)
    rows = [] if isinstance(found, Absent) else [row for row in found if row.seq_id not in without]
    mapped = [name for name in {row.id for row in rows} if name in mapping]
    labels = np.array([mapping[name] for name in mapped], dtype=np.int64)
    there = np.isin(labels, held).tolist()
    staying = {name for name, is_held in zip(mapped, there, strict=True) if is_held}
    return effects(rows, staying.__contains__)


def ghosts_of(collection: Collection, records: Records | None) -> list[str]:
    """Sorted ids without a record that the index holds, or gets with the next flush."""
    return sorted({*(() if records is None else records.ghosts), *returning_ids(collection)})


def buried_ids(collection: Collection) -> list[str]:
    """Ids whose first pending row is a delete that level 0 has already, though the map still names them.

    A flush that was cut had written the flag and not the map. Without its entry the delete changes nothing, as it
    should, and the rows after it find what they would have found.
    """
    stuck = wedged(collection)
    found = collection.queue.rows(above=collection.vector_watermark, ids=stuck) if stuck else []
    first: dict[str, int] = {}
    for row in [] if isinstance(found, Absent) else found:
        first.setdefault(row.id, row.operation)
    return [name for name in stuck if first.get(name) == DELETE]
