"""What the user's embedder says of the stored vectors of a collection as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.doubt import accused, has_doubtful_labels, heard
from forensics.checks.places import examples, in_segment, needed, records_of
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.readers.layout import LEVEL0_FILE
from forensics.store import Collection
from forensics.witness import Testimony

BLOCKS = 10


@check("CF810", needs=("records", "testimony"))
def embedders_mixed(collection: Collection) -> Iterator[Finding]:
    """Of some records the embedder makes the stored vector, of others not, and it is that of no other record either."""
    records, testimony = records_of(collection), needed(heard(collection))
    mixed = accused(testimony, doubtful=has_doubtful_labels(collection)).mixed
    if not mixed.any():
        return
    rows = testimony.rows[mixed]
    ids, elements = [records.rows.ids[row] for row in rows.tolist()], records.elements[rows]
    yield finding(
        "CF810",
        collection,
        count=len(ids),
        unit="records",
        expected="the embedder makes of each document the vector that is stored for it",
        found={
            **testimony.counts,
            "blocks_of_seq_ids": _blocks(collection, testimony, mixed),
            "cosine": [round(value, 6) for value in examples(testimony.cosine[mixed])],
            "ids": examples(ids),
        },
        where=(in_segment(collection, LEVEL0_FILE, rows=f"elements {examples(elements)}"),),
        means="These vectors were made by another embedder, or of an older text: searches compare what cannot be "
        "compared.",
        remedy=Remedy(action="embed-again", safety="manual"),
        confidence="likely",
        lists={"ids": ids, "elements": elements, "cosine": testimony.cosine[mixed]},
    )


def _blocks(collection: Collection, testimony: Testimony, mixed: np.ndarray) -> list[list[int]]:
    """[first seq_id, last seq_id, records] of the longest runs of `mixed` (k,) among those compared, in log order."""
    everything = collection.seq_ids
    if isinstance(everything, Absent):
        return []
    order = np.argsort(everything[testimony.rows], kind="stable")
    seqs, marked = everything[testimony.rows][order], mixed[order]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    runs = [[int(seqs[a]), int(seqs[b - 1]), int(b - a)] for a, b in edges.reshape(-1, 2).tolist()]
    return sorted(sorted(runs, key=lambda run: -run[2])[:BLOCKS])
