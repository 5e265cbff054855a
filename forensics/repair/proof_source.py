"""The user's own source as a proof: it names the vector of an id, and one element carries that vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from forensics.repair.pairing import Pairing
from forensics.repair.user_source import compare
from forensics.sources import normalised
from forensics.user_source import UserSource

SAMPLE = 4096


def by_source(work: Pairing, sources: Sequence[UserSource], known: Mapping[str, int]) -> None:
    """Each open id gets the element that carries the vector which a source gives it: bit for bit, or as hnswlib
    normalises it. A source that contradicts pairs that are known without it is refused with the figures.
    """
    for source in sources:
        elements = {**known, **work.pairs()}
        ids = [name for name in elements if name in source.rows][:SAMPLE]
        own = work.files.vectors(np.array([elements[name] for name in ids], dtype=np.int64))
        verdict = compare(source, ids, own, scaled=work.collection.settings.space != "cosine")
        if verdict.agrees is False:
            work.notes.append(f"the source was refused: {verdict.reason}")
        else:
            _pair(work, source)


def _pair(work: Pairing, source: UserSource) -> None:
    left = [i for i in work.open().tolist() if work.ids[i] in source.rows]
    raw = source.take([work.ids[i] for i in left])
    cosine = work.collection.settings.space == "cosine"
    stored = normalised(raw)[0] if cosine and len(raw) else raw
    for position, vector in zip(left, stored, strict=True):
        found = work.index.equal_to(vector) if np.isfinite(vector).all() else np.empty(0, dtype=np.int64)
        if work.interchangeable(found):
            work.pair(position, found, "source")
