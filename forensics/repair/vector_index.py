"""Finds the elements of level 0 that carry a given vector, without a graph: by projection, then by
comparison.
"""

from __future__ import annotations

import numpy as np

from forensics.absent import Absent
from forensics.readers.hnsw import HnswFiles

CHUNK = 1 << 15


class VectorIndex:
    """The elements `members` (m,) of one level 0. `tolerance` bounds the difference of a component that still
    is equal.

    Every vector is projected once on a fixed direction; equal vectors have equal projections, so a search
    looks at the few elements whose projection is near.
    """

    def __init__(self, files: HnswFiles, members: np.ndarray, tolerance: float) -> None:
        if isinstance(files.level0, Absent):
            raise ValueError(files.level0.reason)
        self.files, self.tolerance = files, tolerance
        self.dim = files.level0.dtype["vector"].shape[0]
        self._direction = np.random.default_rng(0).standard_normal(self.dim)
        projected = self._projected(members)
        order = np.argsort(projected, kind="stable")
        self.members, self._projections = members[order], projected[order]

    def fits(self, other: HnswFiles) -> bool:
        """True where the other segment's vectors have the same dimension."""
        return not isinstance(other.level0, Absent) and other.level0.dtype["vector"].shape[0] == self.dim

    def equal_to(self, vector: np.ndarray) -> np.ndarray:
        """(c,) sorted members whose vector differs from `vector` (dim,) by at most the tolerance in each
        component.
        """
        candidates = self._around(vector, self.tolerance)
        away = np.abs(self.files.vectors(candidates) - vector).max(axis=1, initial=0.0)
        return np.sort(candidates[away <= self.tolerance])

    def identical_to(self, vector: np.ndarray) -> np.ndarray:
        """(c,) sorted members that carry exactly the bits of `vector` (dim,)."""
        candidates = self._around(vector, 0.0)
        same = (self.files.vectors(candidates).view(np.uint32) == vector.view(np.uint32)).all(axis=1)
        return np.sort(candidates[same])

    def near(self, vector: np.ndarray, cosine: float) -> np.ndarray:
        """(c,) members with at least that cosine to `vector` (dim,), nearest first. Reads every member."""
        unit = vector.astype(np.float64) / max(float(np.linalg.norm(vector)), 1e-30)
        found = [self._near_chunk(unit, start, cosine) for start in range(0, len(self.members), CHUNK)]
        members = np.concatenate([part for part, _ in found]) if found else np.empty(0, dtype=np.int64)
        cosines = np.concatenate([part for _, part in found]) if found else np.empty(0)
        return members[np.argsort(-cosines, kind="stable")]

    def _near_chunk(self, unit: np.ndarray, start: int, cosine: float) -> tuple[np.ndarray, np.ndarray]:
        part = self.members[start : start + CHUNK]
        vectors = self.files.vectors(part).astype(np.float64)
        cosines = vectors @ unit / np.maximum(np.linalg.norm(vectors, axis=1), 1e-30)
        hit = cosines >= cosine
        return part[hit], cosines[hit]

    def _projected(self, elements: np.ndarray) -> np.ndarray:
        out = np.empty(len(elements))
        for start in range(0, len(elements), CHUNK):
            part = elements[start : start + CHUNK]
            with np.errstate(invalid="ignore", over="ignore"):
                out[start : start + CHUNK] = self.files.vectors(part).astype(np.float64) @ self._direction
        return np.nan_to_num(out, nan=np.inf)

    def _around(self, vector: np.ndarray, tolerance: float) -> np.ndarray:
        """Members whose projection is as near as the tolerance allows."""
        at = float(vector.astype(np.float64) @ self._direction)
        slack = tolerance * float(np.abs(self._direction).sum()) + 1e-9 * (1 + abs(at))
        low, high = np.searchsorted(self._projections, [at - slack, at + slack])
        return self.members[low:high]
