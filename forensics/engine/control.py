"""A fresh graph of a sample of a segment's vectors: the measure of what the stored graph should reach."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from forensics.absent import Absent, NotAvailable
from forensics.engine import native_build
from forensics.errors import ForensicsError
from forensics.graph import measure
from forensics.readers.hnsw import HnswFiles
from forensics.recall import Fresh, measure_recall

SAMPLE = 20_000
"""Vectors of the control; the share that a graph leaves unreached grows slowly with their number."""


def fresh_graph(files: HnswFiles, space: str, ef: int) -> Fresh | Absent:
    """What a fresh graph of a seeded sample of the live vectors leaves unreached, and its recall.

    Built in a child with the segment's own M and ef_construction, on one thread, in a folder that is gone
    afterwards. Absent where chroma-hnswlib is not installed or does not build it.
    """
    header, summary = files.geometry, files.summary
    if isinstance(header, Absent) or isinstance(summary, Absent):
        return NotAvailable("level 0 cannot be read")
    chosen = _sample(np.flatnonzero(summary.live & (summary.labels >= 1)))
    vectors = files.vectors(chosen)
    vectors = vectors[np.isfinite(vectors).all(axis=1)]
    with TemporaryDirectory(prefix="forensics-control-") as folder:
        directory = Path(folder) / "control"
        labels = np.arange(1, len(vectors) + 1)
        try:
            native_build(
                directory, space, vectors, labels, M=header.M, ef_construction=header.ef_construction
            )
        except ForensicsError as error:
            return NotAvailable(f"no control graph: {error}")
        return _measured(HnswFiles(directory), space, ef)


def _measured(files: HnswFiles, space: str, ef: int) -> Fresh | Absent:
    graph, recall = measure(files), measure_recall(files, space, ef)
    if isinstance(graph, Absent):
        return graph
    share = float((~graph.reached).mean())
    return Fresh(share, None if isinstance(recall, Absent) else recall, graph.elements)


def _sample(elements: np.ndarray) -> np.ndarray:
    if len(elements) <= SAMPLE:
        return elements
    return np.sort(np.random.default_rng(0).choice(elements, SAMPLE, replace=False))
