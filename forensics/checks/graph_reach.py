"""Live elements that no search reaches, against the share that a fresh graph of the same kind leaves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import examples, in_segment, needed, records_of, segment_of, summary_of
from forensics.checks.registry import check, finding
from forensics.graph import Graph, measure, without_twin
from forensics.model import Finding, Remedy, Severity
from forensics.readers.layout import LEVEL0_FILE
from forensics.recall import CONTROL
from forensics.store import Collection

BOUNDS = ((32, 0.01), (16, 0.05), (8, 0.15), (4, 0.40), (0, 0.80))
"""M at least → the share of live elements that graphs without damage may leave unreached. Twice to three
times the worst of 400 graphs built by chroma-hnswlib (gaussian, uniform, clustered and repeated vectors; 300
to 20,000 elements; fresh, a third updated in place, half deleted, half deleted and added again)."""
LARGE, LARGE_FACTOR = 100_000, 2
"""The share grows with the number of elements: 0.2 % at 20,000 and 0.7 % at 200,000 gaussian vectors with M =
16."""
IP_FACTOR = 3
"""By inner product long vectors draw all links to themselves: fresh graphs of 347 texts with M = 16 left 6 to 8 %."""
GREY = 0.002
"""Below this share every graph is as good as a fresh one, and no control is asked for."""
FEW = 20
"""So many unreached elements say nothing, whatever their share."""


@check("CF606", needs=("geometry", "summary", "links"))
def records_unreachable(collection: Collection) -> Iterator[Finding]:
    """Live elements that no path from the entry point leads to; above a note where a fresh graph would leave
    fewer.

    An element whose vector stands on a reached one, too, is left out of the judgement: a search finds the
    twin.
    """
    graph, summary = needed(measure(segment_of(collection).files)), summary_of(collection)
    unreached = np.flatnonzero(~graph.reached & summary.live & (summary.labels >= 1))
    if not unreached.size:
        return
    live = int(summary.live.sum())
    bound = fresh_share(graph.M, live, collection.settings.space)
    severity, basis = _judge(collection, graph, unreached, live, bound)
    yield finding(
        "CF606",
        collection,
        count=unreached.size,
        unit="elements",
        expected={"share_at_most": round(bound, 5), "basis": basis["name"]},
        found={
            "unreached": int(unreached.size),
            "live": live,
            "share": round(unreached.size / live, 5),
            **{key: value for key, value in basis.items() if key != "name"},
            "elements": examples(unreached),
            "ids": examples(ids_of(collection, unreached)),
        },
        where=(in_segment(collection, LEVEL0_FILE, rows=f"elements {examples(unreached)}"),),
        means="No search finds these records, however many results it asks for; get() does.",
        remedy=Remedy(action="relink-elements", safety="safe"),
        confidence="likely",
        severity=severity,
        lists={"elements": unreached, "ids": ids_of(collection, unreached)},
    )


def fresh_share(M: int, live: int, space: str | None) -> float:
    """The share of `live` elements that an undamaged graph with this M may leave unreached."""
    share = next(bound for least, bound in BOUNDS if least <= M)
    return min(0.9, share * (LARGE_FACTOR if live > LARGE else 1) * (IP_FACTOR if space == "ip" else 1))


def _judge(
    collection: Collection, graph: Graph, unreached: np.ndarray, live: int, bound: float
) -> tuple[Severity | None, dict[str, object]]:
    """(None for the severity of the catalogue, else "note"; what the judgement stands on)."""
    if unreached.size <= FEW or unreached.size <= GREY * live:
        return "note", {"name": "figures of graphs without damage"}
    alone = without_twin(segment_of(collection).files, unreached, graph.reached & summary_of(collection).live)
    share = alone.size / live
    facts: dict[str, object] = {"without_reached_twin": int(alone.size)}
    build = CONTROL.get()
    if build is not None:
        control = build(
            segment_of(collection).files, collection.settings.space, collection.settings.ef_search
        )
        if not isinstance(control, Absent):
            worse = share > max(3 * control.share, GREY)
            facts = {**facts, "name": "control graph", "control_share": round(control.share, 5)}
            return None if worse else "note", facts
    worse = alone.size > FEW and share > bound
    return None if worse else "note", {**facts, "name": "figures of graphs without damage"}


def ids_of(collection: Collection, elements: np.ndarray) -> list[str]:
    """The ids of the records that stand on these elements; those of no record are left out."""
    records = collection.records
    if isinstance(records, Absent):
        return []
    rows = np.flatnonzero(np.isin(records.elements, elements) & (records.elements >= 0))
    return [records_of(collection).rows.ids[row] for row in rows.tolist()]
