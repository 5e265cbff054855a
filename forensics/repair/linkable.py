"""Whether enough of a graph is left to link the elements again that lost neighbours, or it is built again."""

from __future__ import annotations

import numpy as np

from forensics.readers.hnsw import HnswFiles, Level0Summary
from forensics.repair.site import Site

FEW = 1000
"""Elements that are linked again whatever links they kept."""
CHUNK = 1 << 15
RELINK_LIMIT = 0.5
"""Above this share of elements without links, building again is cheaper than finding neighbours one by one."""


def worth_linking(changed: np.ndarray, summary: Level0Summary, M: int) -> np.ndarray:
    """Those of `changed` that get new links: all where they are few, else those left with less than half of M.

    To find neighbours costs a look at every vector; a list that lost one of many links needs none. Where no live
    element would be left to link to, the better linked half of them is taken for sound.
    """
    chosen = _lacking(changed, summary.counts, M)
    live = chosen[summary.live[chosen]]
    if len(live) < int(summary.live.sum()):
        return chosen
    return live[np.argsort(summary.counts[live], kind="stable")][: len(live) // 2]


def _lacking(changed: np.ndarray, counts: np.ndarray, M: int) -> np.ndarray:
    return changed if len(changed) <= FEW else changed[counts[changed] < M // 2]


def hopeless_links(site: Site) -> str:
    """Why the graph that is left is not worth linking again; empty where it is."""
    if site.files is None or site.summary is None or site.header is None:
        return ""
    if _lost_share(site) > RELINK_LIMIT:
        return "more than half of the elements are gone, so building again costs less than mending"
    total = counted_elements(site)
    poor = _poor(site.files, total, site.header.M)
    live = site.summary.live[:total]
    whole = int(live.sum()) - int(live[poor].sum())
    if poor.size and whole < 2 * site.header.M and live[poor].sum() > RELINK_LIMIT * live.sum():
        return f"only {whole} elements keep their links, too few to link the others to"
    return ""


def _lost_share(site: Site) -> float:
    """The share of the labels of the id map that level 0 does not hold."""
    labels = np.fromiter(site.mapping.values(), dtype=np.int64, count=len(site.mapping))
    if site.summary is None or not labels.size:
        return 0.0
    return float((~np.isin(labels, site.summary.labels.astype(np.int64))).mean())


def counted_elements(site: Site) -> int:
    """How many elements the index will have: none without identity at its end, unless it is proved to be a record."""
    count = 0 if site.summary is None else len(site.summary.labels)
    claimed = np.empty(0, np.int64) if site.claims is None else site.claims.element
    real = np.setdiff1d(np.arange(count), np.setdiff1d(site.phantoms, claimed))
    return int(real[-1]) + 1 if real.size else 0


def _poor(files: HnswFiles, total: int, M: int) -> np.ndarray:
    """Of the first `total` elements those that will need new links once neighbours are dropped that do not exist."""
    whole = files.level0
    if not isinstance(whole, np.ndarray):
        return np.empty(0, dtype=np.int64)
    level0 = whole[:total]
    kept = np.empty(len(level0), dtype=np.int64)
    for start in range(0, len(level0), CHUNK):
        part = level0[start : start + CHUNK]
        used = np.arange(part["links"].shape[1])[None, :] < part["count"][:, None]
        kept[start : start + CHUNK] = (used & (part["links"] < total)).sum(axis=1)
    return _lacking(np.flatnonzero(kept < level0["count"]), kept, M)
