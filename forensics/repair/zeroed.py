"""Zero vectors of a cosine index that have another vector somewhere: in a queue row, another directory, the document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forensics.sources import documents, fetch, find_sources, normalised

if TYPE_CHECKING:
    from forensics.repair.site import Site


def zeroed(site: Site) -> tuple[list[str], np.ndarray]:
    """(ids, elements) of indexed records whose vector is zero, where that was found; only cosine cannot rank them."""
    records, files = site.records, site.files
    if (
        "CF705" not in site.codes
        or site.collection.settings.space != "cosine"
        or records is None
        or files is None
    ):
        return [], np.empty(0, dtype=np.int64)
    held = np.flatnonzero(records.indexed)
    zero = held[~files.vectors(records.elements[held]).any(axis=1)]
    return [records.rows.ids[i] for i in zero.tolist()], records.elements[zero]


def replaceable(site: Site) -> list[str]:
    """The ids among them that have another vector; of documents without calling the embedder for them."""
    ids, _ = zeroed(site)
    if not ids:
        return []
    elsewhere = _elsewhere(site, ids)
    texts = documents(site.collection, ids)
    proven = site.trial is not None and bool(site.trial.passed)
    return [
        name
        for name, text in zip(ids, texts, strict=True)
        if name in elsewhere or (proven and text and text.strip())
    ]


def replacements(site: Site) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """(ids, elements, stored (k, dim), norms (k,)): the vectors that they get; calls the embedder on their documents."""
    ids, elements = zeroed(site)
    wanted = replaceable(site)
    found = _elsewhere(site, wanted)
    open_ = [name for name in wanted if name not in found]
    if open_ and site.embedder is not None and site.dim is not None:
        texts = documents(site.collection, open_)
        made = site.embedder([text or "" for text in texts], site.dim)
        found |= {name: vector for name, vector in zip(open_, made, strict=True) if vector.any()}
    names = [name for name in wanted if name in found]
    place = dict(zip(ids, elements.tolist(), strict=True))
    at = np.array([place[name] for name in names], dtype=np.int64)
    raw = np.array([found[name] for name in names], dtype=np.float32).reshape(len(names), site.dim or 0)
    stored, norms = normalised(raw)
    return names, at, stored, norms


def _elsewhere(site: Site, ids: list[str]) -> dict[str, np.ndarray]:
    """id → raw vector that is not zero, from the queue, another directory or another copy."""
    sources = find_sources(site.collection, ids, also=site.also)
    at = np.flatnonzero(sources.found)
    if not at.size:
        return {}
    raw = fetch(site.collection, sources, at).raw
    good = np.flatnonzero(np.isfinite(raw).all(axis=1) & raw.any(axis=1))
    return {ids[at[row]]: raw[row] for row in good.tolist()}
