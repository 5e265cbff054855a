"""What still holds the vectors of records that the index lacks, and the remedy that follows from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forensics.model import Remedy
from forensics.sources import Sources, find_sources
from forensics.store import Collection


def remedy_for(
    collection: Collection, ids: Sequence[str], *, action: str, sources: Sources | None = None
) -> Remedy:
    """Safe where a vector of every one of these records still exists and is not possibly older; else lossy.

    `loses` counts the records that have no vector left anywhere in the store, whether or not a document
    remains.
    """
    sources = sources or find_sources(collection, ids)
    lost = int((~sources.found).sum())
    doubtful = bool((sources.found & ~sources.current).any())
    return Remedy(action=action, safety="lossy" if lost or doubtful else "safe", loses=lost)


def tally(sources: Sources) -> dict[str, int]:
    """Where the vectors are: by kind of source, those possibly older, and what is left of those without
    one."""
    counts = {kind: number for kind, number in sources.counts().items() if kind != "none"}
    lost = ~sources.found
    return {
        **counts,
        "possibly_older": int((sources.found & ~sources.current).sum()),
        "only_a_document": int((lost & sources.has_document).sum()),
        "nothing": int(np.sum(lost & ~sources.has_document)),
    }
