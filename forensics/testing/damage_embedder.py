"""Damages of vectors that only the store's embedder shows: nothing else says what a vector should be."""

from __future__ import annotations

import numpy as np

from forensics.readers import layout
from forensics.testing.index import Index, index_damage

SWAPPED, MIXED = 6, 25


@index_damage("vectors-swapped", "CF505", embedder=True)
def vectors_swapped(index: Index, random: np.random.Generator) -> None:
    """Six records have each other's vectors, in a circle."""
    places = [int(index.elements([name])[0]) for name in sorted(index.some_ids(random, SWAPPED))]
    with index.level0() as level0:
        level0["vector"][places] = np.roll(level0["vector"][places], 1, axis=0)
    norms = np.fromfile(index.path(layout.LENGTH_FILE), dtype="<f4")
    norms[places] = np.roll(norms[places], 1)
    norms.tofile(index.path(layout.LENGTH_FILE))


@index_damage("embedders-mixed", "CF810", embedder=True)
def embedders_mixed(index: Index, random: np.random.Generator) -> None:
    """Twenty-five records in a row have vectors of another embedder, of the same dimension."""
    with index.level0() as level0:
        labels = np.sort(level0["label"])[100 : 100 + MIXED]
        places = np.flatnonzero(np.isin(level0["label"], labels))
        level0["vector"][places] = level0["vector"][places][:, ::-1]
