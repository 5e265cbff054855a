"""What a store still holds of vectors, before and after it was asked: opening some stores destroys them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from forensics.absent import Absent
from forensics.readers.id_map import IdMap
from forensics.store import Collection, Store


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a collection holds of vectors: ids mapped or queued with a vector, and elements of level 0."""

    ids: frozenset[str] = field(repr=False)
    elements: int

    def lost_to(self, after: Holdings) -> int:
        """How many vectors are in none of the two places any more."""
        return max(len(self.ids - after.ids), self.elements - after.elements, 0)


def holdings_of(collection: Collection) -> Holdings:
    """What this collection holds now."""
    mapped = collection.id_map.id_to_label.keys() if isinstance(collection.id_map, IdMap) else ()
    rows = collection.queue.rows()
    queued = () if isinstance(rows, Absent) else (row.id for row in rows if row.vector_bytes)
    vector = collection.vector
    elements = 0 if isinstance(vector, Absent) else vector.files.elements
    return Holdings(frozenset(mapped) | frozenset(queued), elements)


def holdings_below(path: Path) -> dict[str, Holdings]:
    """Collection name → what it holds, of a store or a copy."""
    with Store(path) as store:
        return {one.name: holdings_of(one) for one in store.collections}
