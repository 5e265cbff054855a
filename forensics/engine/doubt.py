"""Which elements an addition to an index could have cost their way, told from the links before and after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forensics.writers.relink import in_degrees

CHUNK = 1 << 14
FEW = 3
"""An element that more links lead to is found after the loss of one."""
SAMPLE = 1000


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Sorted internal ids after an addition: `new`; `bereft` (old, a link that led there is gone); `weakened` (those of
    them that at most three lead to now); `sample` (even, of all old ones).
    """

    new: np.ndarray
    bereft: np.ndarray
    weakened: np.ndarray
    sample: np.ndarray

    @property
    def asked(self) -> np.ndarray:
        """All of them."""
        return np.union1d(np.union1d(self.new, self.weakened), self.sample)

    @property
    def spared(self) -> np.ndarray:
        """Those of the sample that lost no link: what no search finds of them is not the addition's doing."""
        return np.setdiff1d(self.sample, self.bereft)


def doubtful_elements(before: np.ndarray, after: np.ndarray, sample: int = SAMPLE) -> Doubtful:
    """What is worth a search of its own, from level 0 `before` (n,) and `after` (m,) an addition, m ≥ n.

    A search of everything costs about a quarter of what building the index costs.
    """
    old = len(before)
    bereft = lost_links(before, after)
    weakened = bereft[in_degrees(after)[bereft] <= FEW]
    even = np.unique(np.linspace(0, max(old - 1, 0), min(sample, old)).astype(np.int64))
    return Doubtful(np.arange(old, len(after)), bereft, weakened, even)


def lost_links(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Sorted internal ids of elements of `before` that an element leads to there and not any more in `after`."""
    gone = np.zeros(len(before), dtype=bool)
    for start in range(0, len(before), CHUNK):
        old, new = before[start : start + CHUNK], after[start : start + CHUNK][: len(before) - start]
        changed = _changed(old, new)
        had, has = old["links"][changed], new["links"][changed]
        used, kept = _used(old["count"][changed], had), _used(new["count"][changed], has)
        still = ((had[:, :, None] == has[:, None, :]) & kept[:, None, :]).any(axis=2)
        gone[had[used & ~still & (had < len(before))]] = True
    return np.flatnonzero(gone)


def _changed(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.flatnonzero((old["count"] != new["count"]) | (old["links"] != new["links"]).any(axis=1))


def _used(counts: np.ndarray, links: np.ndarray) -> np.ndarray:
    return np.arange(links.shape[1])[None, :] < counts[:, None]
