"""What the replay of pending queue rows will do to the elements of an index."""

from __future__ import annotations

import numpy as np

from forensics.absent import Absent
from forensics.readers.hnsw import Level0Summary, LinkWalk
from forensics.readers.id_map import IdMap
from forensics.store import Collection


def wedged(collection: Collection) -> list[str]:
    """Ids with pending rows that are mapped to a label which level 0 lacks or has flagged deleted."""
    vector, id_map = collection.vector, collection.id_map
    if not collection.pending or isinstance(vector, Absent) or not isinstance(id_map, IdMap):
        return []
    summary = vector.files.summary
    mapped = id_map.labels_among(collection.pending)
    names = list(mapped)
    if not names or not isinstance(summary, Level0Summary):
        return []
    labels = np.fromiter(mapped.values(), dtype=np.int64, count=len(names))
    sound = np.isin(labels, summary.labels[summary.live].astype(np.int64))
    return [name for name, good in zip(names, sound.tolist(), strict=True) if not good]


def written_again(collection: Collection) -> np.ndarray:
    """(elements,) bool: those of a flush of which only the id map was not written, where the queue still has its rows.

    Before it answers, 1.x gives the next labels to the new ids of these rows and writes the vectors over these very
    elements. 0.x keeps up to a batch of them out of the index, and searches can meet the elements meanwhile."""
    vector, id_map = collection.vector, collection.id_map
    if isinstance(vector, Absent) or not isinstance(summary := vector.files.summary, Level0Summary):
        return np.zeros(0, dtype=bool)
    if not isinstance(id_map, IdMap) or not _is_replayed(collection, id_map):
        return np.zeros(len(summary.labels), dtype=bool)
    pending = collection.pending
    coming = sum(pending[id].exists for id in pending.keys() - id_map.labels_among(pending).keys())
    labels, total = summary.labels.astype(np.int64), id_map.total_elements_added or 0
    return summary.live & (labels > total) & (labels <= total + coming)


def _is_replayed(collection: Collection, id_map: IdMap) -> bool:
    """A map of 1.x, over an index whose last file is whole, and rows that can all be applied."""
    links = None if isinstance(collection.vector, Absent) else collection.vector.files.links
    is_whole = isinstance(links, LinkWalk) and links.problem is None
    return id_map.form == "dict" and is_whole and not wedged(collection)
