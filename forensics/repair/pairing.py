"""Ids and elements while it is being proved which belongs to which: one to one, each pair with its proof."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from forensics.readers.hnsw import HnswFiles, Level0Summary
from forensics.repair.vector_index import VectorIndex
from forensics.store import Collection


@dataclass(slots=True)
class Pairing:
    """The pairing so far: `element` and `how` over the ids, `free` over all elements."""

    collection: Collection
    files: HnswFiles
    summary: Level0Summary
    ids: tuple[str, ...]
    free: np.ndarray
    element: np.ndarray
    how: np.ndarray
    index: VectorIndex
    notes: list[str] = field(default_factory=list)

    def open(self) -> np.ndarray:
        """(j,) positions of the ids that have no proof yet."""
        return np.flatnonzero(self.element < 0)

    def pairs(self) -> dict[str, int]:
        """id → element of what is proved so far."""
        return {self.ids[i]: int(self.element[i]) for i in np.flatnonzero(self.element >= 0).tolist()}

    def interchangeable(self, elements: np.ndarray) -> bool:
        """True where all of `elements` carry the very same vector, or there is only one."""
        vectors = self.files.vectors(elements)
        return bool(len(vectors)) and bool((vectors == vectors[0]).all())

    def pair(self, position: int, elements: np.ndarray, how: str) -> None:
        """The id at `position` gets the first of `elements` that is free, if any."""
        left = elements[self.free[elements]]
        if left.size:
            self.element[position], self.how[position] = left[0], how
            self.free[left[0]] = False
