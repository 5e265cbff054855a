"""What an embedder is tried on before its vectors are stored: vectors that survived; where none did, the dimension and the
lengths, which prove nothing and can only refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.errors import OtherDimension
from forensics.readers import layout
from forensics.readers.hnsw import map_file
from forensics.records import Records
from forensics.repair.embedding import Embedder, Trial, try_embedder
from forensics.repair.holdings import DRAWN, surviving_sample
from forensics.sources import documents
from forensics.witness import NORMS_AGREE, seeded_sample

if TYPE_CHECKING:
    from forensics.repair.site import Site

MOST = 100_000
"""Entries of length.bin that are looked at."""
NOTHING_SURVIVES = "no record with a document has a surviving vector to reproduce"


def tried(site: Site, records: Records, embedder: Embedder) -> Trial:
    """The embedder against a seeded sample of what survives in the collection."""
    ids, raw = surviving_sample(site, records)
    found = try_embedder(site.collection, embedder, ids, raw)
    return found if found.passed is not None else unproven(site, records, embedder)


def unproven(site: Site, records: Records, embedder: Embedder) -> Trial:
    """`passed` None where what it makes of a sample has the dimension of the collection and lengths that can be; False
    where it cannot be the embedder of this collection. Raises CannotComplete where it gives no vectors.
    """
    dim, texts = site.dim, _some_documents(site, records)
    if dim is None or not texts:
        why = (
            "it has no document"
            if not texts
            else "the store does not say how many components its vectors had"
        )
        return Trial(None, 0, None, None, f"{NOTHING_SURVIVES}, and {why}")
    try:
        made, failed = embedder.tolerant(texts, dim)
    except OtherDimension as error:
        return Trial(False, 0, None, None, str(error))
    lengths = np.linalg.norm(np.delete(made, list(failed), axis=0).astype(np.float64), axis=1)
    told = f"those of {len(lengths)} documents have {dim} components and lengths of {_range(lengths)}"
    wrong = _unlike(lengths, _kept_lengths(site))
    if wrong:
        return Trial(False, 0, None, None, f"{wrong}: {told}")
    return Trial(
        None, 0, None, None, f"{NOTHING_SURVIVES}; only dimension and lengths could be checked: {told}"
    )


def _some_documents(site: Site, records: Records) -> list[str]:
    """A seeded sample, the shorter where few of the records have one."""
    chosen = seeded_sample(len(records), DRAWN) if len(records) else np.empty(0, dtype=np.int64)
    texts = documents(site.collection, [records.rows.ids[i] for i in chosen.tolist()])
    there = [text for text in texts if text]
    return [there[i] for i in seeded_sample(len(there)).tolist()] if there else []


def _kept_lengths(site: Site) -> np.ndarray | None:
    """The lengths that length.bin still tells of a cosine collection's vectors."""
    segment = site.segment
    if segment is None or site.collection.settings.space != "cosine":
        return None
    raw = map_file(segment.path(layout.LENGTH_FILE))
    if isinstance(raw, Absent):
        return None
    told = np.array(raw[: min(raw.size // 4, MOST) * 4].view("<f4"))
    told = told[np.isfinite(told) & (told > 0)]
    return told if told.size else None


def _unlike(lengths: np.ndarray, kept: np.ndarray | None) -> str:
    """Why these cannot be lengths of this collection's vectors; empty where they can."""
    if not lengths.size or not (lengths > 0).all():
        return "it gives vectors of length 0"
    if kept is None:
        return ""
    low, high = float(kept.min()), float(kept.max())
    middle = float(np.median(lengths))
    if low * (1 - NORMS_AGREE) <= middle <= high * (1 + NORMS_AGREE):
        return ""
    return f"length.bin says that the vectors had lengths of {_range(kept)}"


def _range(lengths: np.ndarray) -> str:
    low, high = float(lengths.min()), float(lengths.max())
    return f"{low:.3f}" if high - low < 0.0005 else f"{low:.3f} to {high:.3f}"
