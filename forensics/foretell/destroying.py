"""How many vectors a process costs: those on the disk before it that are nowhere after it."""

from __future__ import annotations

import numpy as np

from forensics.absent import Absent
from forensics.foretell.disk import Disk
from forensics.foretell.holding import held, lost_vectors, unit
from forensics.foretell.reading import files_of
from forensics.store import Collection


def destroyed(collection: Collection, before: Disk, after: Disk) -> int:
    """How many of the vectors that count are in neither level 0 nor queue of `after`; 0 where nothing went."""
    if after.rows[: len(before.rows)] == before.rows and _same_elements(before, after):
        return 0
    return lost_vectors({"": held(collection)}, {"": _left(collection, before, after)})


def _same_elements(before: Disk, after: Disk) -> bool:
    return bool(np.array_equal(after.origin[: len(before.origin)], before.origin))


def _left(collection: Collection, before: Disk, after: Disk) -> np.ndarray:
    """(n, dim) float32: the vectors of the elements, and of the rows, that `after` still has."""
    vector = collection.vector
    dim = collection.dimension or 0
    geometry = Absent("") if isinstance(vector, Absent) else files_of(vector).geometry
    dim = dim if isinstance(geometry, Absent) else geometry.dim
    kept = after.origin[(after.origin >= 0) & (after.origin < len(before.origin))]
    parts = [np.empty((0, dim), dtype=np.float32)]
    if kept.size and not isinstance(vector, Absent):
        parts.append(files_of(vector).vectors(kept))
    known = {row.seq_id for row in before.rows}
    seqs = {row.seq_id for row in after.rows if row.vector_bytes == 4 * dim} | set((-after.origin).tolist())
    parts.append(collection.queue.vectors(np.array(sorted(seqs & known), dtype=np.int64), dim))
    vectors = np.concatenate(parts)
    return unit(vectors) if collection.settings.space == "cosine" else vectors
