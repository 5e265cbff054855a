"""Recall of the stored graph, against that of a fresh one."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent
from forensics.checks.places import in_segment, needed, segment_of, summary_of
from forensics.checks.registry import check, finding
from forensics.graph import CONTROL
from forensics.model import Finding, Remedy
from forensics.readers.layout import LEVEL0_FILE
from forensics.recall import measure_recall
from forensics.store import Collection

SMALL = 20_000
"""Up to here the control graph holds the same vectors, and its recall is the measure itself."""
MARGIN, FACTOR = 0.1, 0.6
"""Low is a recall whose upper bound is this far below the control's; of a larger index, below this part of
it."""
WITHOUT_CONTROL = 0.3


@check("CF608", needs=("geometry", "summary", "links"))
def recall_low(collection: Collection) -> Iterator[Finding]:
    """Searches of a seeded sample find fewer of the true neighbours than a fresh graph with these
    settings."""
    files, space = segment_of(collection).files, collection.settings.space
    recall = measure_recall(files, space, collection.settings.ef_search)
    if isinstance(recall, Absent):
        return
    live = int(summary_of(collection).live.sum())
    promised = _promised(collection, live)
    if recall.high >= promised:
        return
    yield finding(
        "CF608",
        collection,
        count=recall.queries,
        unit="queries",
        expected={"recall_at_10_at_least": round(promised, 3)},
        found={
            "recall_at_10": round(recall.mean, 3),
            "confidence_interval": [round(recall.low, 3), round(recall.high, 3)],
            "ef": recall.ef,
            "live": live,
        },
        where=(in_segment(collection, LEVEL0_FILE),),
        means="Searches miss neighbours that a fresh graph of the same vectors and settings finds.",
        remedy=Remedy(action="relink-elements", safety="safe"),
        confidence="likely",
    )


def _promised(collection: Collection, live: int) -> float:
    """The recall that this index owes: the control's, less a margin; without a control, very little."""
    build = CONTROL.get()
    if build is None:
        return WITHOUT_CONTROL
    control = build(needed(collection.vector).files, collection.settings.space, collection.settings.ef_search)
    if isinstance(control, Absent) or control.recall is None:
        return WITHOUT_CONTROL
    return control.recall - MARGIN if live <= SMALL else FACTOR * control.recall
