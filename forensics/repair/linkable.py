"""Whether enough of a graph is left to link the elements again that lost neighbours, or it is built again."""

from __future__ import annotations

import numpy as np

from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles
from forensics.repair.site import Site

FEW = 1000
"""Elements that are linked again whatever links they kept."""
CHUNK = 1 << 15
RELINK_LIMIT = 0.5
"""Above this share of elements without links, building again is cheaper than finding neighbours one by one."""


def worth_linking(changed: np.ndarray, counts: np.ndarray, M: int) -> np.ndarray:
    """Those of `changed` that get new links: all where they are few, else those left with less than half of M.

    `counts` (n,) links of every element of level 0. To find neighbours costs a look at every vector; a list that
    lost one of many links needs none.
    """
    return changed if len(changed) <= FEW else changed[counts[changed] < M // 2]


def hopeless_links(site: Site) -> str:
    """Why the graph that is left is not worth linking again; empty where it is."""
    if site.files is None or site.summary is None or site.header is None:
        return ""
    if _lost_share(site) > RELINK_LIMIT:
        return "more than half of the elements are gone, so building again costs less than mending"
    poor = _poor(site.files, site.header)
    live = site.summary.live
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


def _poor(files: HnswFiles, header: layout.Header) -> np.ndarray:
    """Internal ids that will need new links once neighbours are dropped that do not exist."""
    level0 = files.level0
    if not isinstance(level0, np.ndarray):
        return np.empty(0, dtype=np.int64)
    kept = np.empty(len(level0), dtype=np.int64)
    for start in range(0, len(level0), CHUNK):
        part = level0[start : start + CHUNK]
        used = np.arange(part["links"].shape[1])[None, :] < part["count"][:, None]
        kept[start : start + CHUNK] = (used & (part["links"] < len(level0))).sum(axis=1)
    return worth_linking(np.flatnonzero(kept < level0["count"]), kept, header.M)
