"""Norms of cosine vectors that length.bin no longer tells: from the queue, or from the document embedded
again.
"""

from __future__ import annotations

import numpy as np

from forensics.errors import CannotComplete
from forensics.model import Json
from forensics.repair.site import Site
from forensics.sources import QUEUE, documents, fetch, find_sources
from forensics.witness import REPRODUCED, cosine_of_rows


def fill_norms(site: Site, unknown: np.ndarray, lengths: np.ndarray) -> dict[str, Json]:
    """Sets `lengths` (n,) of the elements where `unknown` (n,) bool, as far as they can be known; says how
    many are.
    """
    records = site.records
    if records is None:
        return {"unknown": int(unknown.sum())}
    lost = np.flatnonzero(records.indexed & unknown[np.maximum(records.elements, 0)])
    ids = [records.rows.ids[i] for i in lost.tolist()]
    elements = records.elements[lost]
    queued = _from_queue(site, ids, elements, lengths)
    embedded = _from_documents(site, [ids[i] for i in np.flatnonzero(~queued)], elements[~queued], lengths)
    count = int(queued.sum())
    return {"unknown": int(unknown.sum()), "from_queue": count, "from_documents": embedded}


def _from_queue(site: Site, ids: list[str], elements: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(k,) bool: the ids whose vector is still queued."""
    sources = find_sources(site.collection, ids)
    found = sources.kind == QUEUE
    if found.any():
        lengths[elements[found]] = fetch(site.collection, sources, np.flatnonzero(found)).norms
    return found.astype(bool)


def _from_documents(site: Site, ids: list[str], elements: np.ndarray, lengths: np.ndarray) -> int:
    """How many norms the embedder gave: only where it gives the stored direction."""
    if site.embedder is None or site.files is None or site.dim is None or not ids:
        return 0
    texts = documents(site.collection, ids)
    usable = np.flatnonzero([bool(text) for text in texts])
    try:
        made = site.embedder([texts[i] or "" for i in usable.tolist()], site.dim)
    except CannotComplete:
        return 0
    right = cosine_of_rows(made, site.files.vectors(elements[usable])) >= REPRODUCED
    lengths[elements[usable[right]]] = np.linalg.norm(made[right].astype(np.float64), axis=1)
    return int(right.sum())
