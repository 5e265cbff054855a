"""Recall of the stored graph, against that of a fresh one."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent
from forensics.checks.places import in_segment, needed, segment_of, summary_of
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.readers.layout import LEVEL0_FILE
from forensics.recall import CONTROL, Fresh, K, Recall, measure_recall
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
    live, fresh = int(summary_of(collection).live.sum()), _fresh(collection)
    promised = _promised(fresh, live)
    if recall.high >= promised or (fresh is not None and recall.high >= fresh.low):
        return
    yield finding(
        "CF608",
        collection,
        count=recall.queries,
        unit="queries",
        expected={"recall_at_10_at_least": round(promised, 3), "of_a_fresh_graph": fresh and _facts(fresh)},
        found={**_facts(recall), "ef": recall.ef, "live": live},
        where=(in_segment(collection, LEVEL0_FILE),),
        means="Searches miss neighbours that they should find. " + _said(recall, fresh),
        remedy=Remedy(action="relink-elements", safety="safe"),
        confidence="likely",
    )


def _fresh(collection: Collection) -> Recall | None:
    """The recall of a fresh graph of the same vectors and settings; None where none can be built."""
    build = CONTROL.get()
    if build is None:
        return None
    control = build(needed(collection.vector).files, collection.settings.space, collection.settings.ef_search)
    return control.recall if isinstance(control, Fresh) else None


def _promised(fresh: Recall | None, live: int) -> float:
    """The recall that this index owes: the control's, less a margin; without a control, very little."""
    if fresh is None:
        return WITHOUT_CONTROL
    return fresh.mean - MARGIN if live <= SMALL else FACTOR * fresh.mean


def _facts(recall: Recall) -> dict[str, object]:
    return {
        "recall_at_10": round(recall.mean, 3),
        "confidence_interval": [round(recall.low, 3), round(recall.high, 3)],
        "queries": recall.queries,
    }


def _said(recall: Recall, fresh: Recall | None) -> str:
    beside = f"{recall}; no fresh graph could be built" if fresh is None else recall.beside(fresh)
    return f"recall@{K}: {beside}."
