"""The stored graph in figures and tables: levels, who is linked to, what a search reaches, and how well it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.graph import Graph, measure
from forensics.lab.picture import GREY, INDEXED, MISSING, Picture, axes, in_words, legend
from forensics.lab.sheet import Cell, Table
from forensics.lab.tables import NO_COLLECTION, NO_SEGMENT
from forensics.recall import K, Recall, measure_recall
from forensics.report.plain import counted, number

if TYPE_CHECKING:
    from forensics.readers.hnsw import Level0Summary
    from forensics.recall import Fresh
    from forensics.store import Collection, VectorSegment

FAULTS = {
    "too_long": "lists longer than their room",
    "out_of_range": "lists with a neighbour that is no element",
    "to_self": "lists that name their own element",
    "repeated": "lists that name a neighbour twice",
    "absent_level": "lists with a neighbour that has no list there",
    "empty": "lists without any neighbour",
}


def _measured(segment: VectorSegment | None) -> Graph | str:
    """The graph, or why it cannot be cut."""
    if segment is None:
        return NO_SEGMENT
    found = measure(segment.files)
    return f"The graph cannot be looked at: {found.reason}." if isinstance(found, Absent) else found


def _summary(segment: VectorSegment | None) -> Level0Summary | None:
    found = None if segment is None else segment.files.summary
    return None if isinstance(found, Absent) else found


def overview(segment: VectorSegment | None) -> Table:
    """The graph in a few numbers, and what its lists hold that none may."""
    graph, summary = _measured(segment), _summary(segment)
    if isinstance(graph, str) or summary is None:
        return Table((), (), str(graph))
    total, deleted = graph.elements, int(summary.deleted.sum())
    unreached = int((~graph.reached & summary.live).sum())
    rows: list[tuple[Cell, ...]] = [
        ("elements", total, ""),
        ("flagged deleted (tombstones)", deleted, _share(deleted, total)),
        ("live, and no search reaches them", unreached, _share(unreached, total - deleted)),
    ]
    for kind, text in FAULTS.items():
        count = sum(len(owners) for owners in graph.owners(kind).values())
        rows.append((text, count, ""))
    where = "at the entry point of header.bin" if graph.entry_problem is None else graph.entry_problem
    return Table(("the graph", "", "or"), (*rows, ("searches start", None, where)))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%} of {number(whole)}" if whole else ""


def levels(segment: VectorSegment | None) -> Table:
    """Per level: the elements that have a list there, how many a healthy graph would have, how many a search reaches."""
    graph = _measured(segment)
    if isinstance(graph, str):
        return Table((), (), graph)
    rows: list[tuple[Cell, ...]] = []
    for level in range(int(graph.levels.max(initial=0)), -1, -1):
        there = int((graph.levels >= level).sum())
        usual = graph.elements / graph.M**level
        reached = graph.reached_on.get(level, 0)
        rows.append(
            (level, there, f"about {usual:,.1f}" if level else number(there), reached, there - reached)
        )
    columns = ("level", "elements", "usual", "reached from the entry point", "not reached")
    return Table(columns, tuple(rows))


def reach(segment: VectorSegment | None) -> Picture:
    """Per level, on a scale of tens: elements that a path from the entry point leads to, and the others."""
    graph = _measured(segment)
    if isinstance(graph, str):
        return in_words(graph)
    top = int(graph.levels.max(initial=0))
    there = np.array([int((graph.levels >= level).sum()) for level in range(top + 1)])
    reached = np.array([graph.reached_on.get(level, 0) for level in range(top + 1)])
    figure, made = axes(8, 1.0 + 0.45 * (top + 1))
    made.barh(range(top + 1), reached, height=0.6, color=INDEXED, label="reached")
    left = there - reached
    made.barh(
        range(top + 1),
        left,
        left=reached,
        height=0.6,
        color=MISSING,
        hatch="//",
        edgecolor="white",
        label="not reached",
    )
    for level, (all_of, lacking) in enumerate(zip(there.tolist(), left.tolist(), strict=True)):
        made.text(
            all_of,
            level,
            f" {number(all_of)}{f', {number(lacking)} not reached' if lacking else ''}",
            va="center",
        )
    made.set_xscale("symlog", linthresh=1)
    made.set_xlim(0, max(10, int(there.max(initial=1)) * 8))
    made.xaxis.set_major_formatter(lambda value, _: number(int(value)))
    made.set_yticks(range(top + 1), [f"level {level}" for level in range(top + 1)])
    made.set_xlabel("elements with a list on that level")
    legend(made)
    said = [
        f"level {level}: {number(int(n))} of {number(int(of))} reached"
        for level, (n, of) in enumerate(zip(reached, there, strict=True))
    ]
    return Picture("; ".join(said[::-1]), figure)


def degrees(segment: VectorSegment | None) -> Picture:
    """On level 0: how many links elements have (out), and how many lead to them (in)."""
    from forensics.writers.relink import in_degrees

    summary = _summary(segment)
    level0 = None if segment is None else segment.files.level0
    if segment is None or summary is None or isinstance(level0, Absent | None) or not len(level0):
        return in_words("No element can be read.")
    incoming, room = in_degrees(level0), level0.dtype["links"].shape[0]
    outgoing = np.minimum(summary.counts, room + 1)
    figure, made = axes(8, 2.5)
    edges = np.arange(max(int(incoming.max(initial=0)), int(outgoing.max(initial=0))) + 2) - 0.5
    made.hist(
        outgoing, edges.tolist(), histtype="stepfilled", color=INDEXED, alpha=0.55, label="links that it has"
    )
    made.hist(
        incoming, edges.tolist(), histtype="step", color=MISSING, linewidth=1.6, label="links that lead to it"
    )
    made.axvline(room + 0.5, color=GREY, linestyle="--")
    made.text(
        room + 0.3, made.get_ylim()[1] * 0.97, f"room for 2M = {room}", ha="right", va="top", color=GREY
    )
    made.set_xlabel("links on level 0")
    made.set_ylabel("elements")
    legend(made)
    alone = int(((incoming == 0) & summary.live).sum())
    return Picture(
        f"{counted(len(incoming), 'element')}, typically {int(np.median(outgoing))} links out and"
        f" {int(np.median(incoming))} in, at most {number(int(incoming.max()))} in; to {number(alone)} live ones none leads",
        figure,
    )


def unreached(collection: Collection | None, most: int = 200) -> Table:
    """The live elements that no path from the entry point leads to: no search finds these records."""
    segment = None if collection is None or isinstance(collection.vector, Absent) else collection.vector
    graph, summary = _measured(segment), _summary(segment)
    if collection is None or isinstance(graph, str) or summary is None:
        return Table((), (), NO_COLLECTION if collection is None else str(graph))
    found = np.flatnonzero(~graph.reached & summary.live)
    shown = found[:most]
    numbers = zip(shown.tolist(), summary.labels[shown].tolist(), summary.counts[shown].tolist(), strict=True)
    ids = _ids(collection, shown)
    rows = tuple((at, label, links, ids.get(at, "no record")) for at, label, links in numbers)
    more = f"; the first {most:,} of {len(found):,}" if len(found) > most else ""
    columns = ("element", "label", "its own links", f"id{more}")
    return Table(columns, rows, "A search can reach every live element.")


def _ids(collection: Collection, elements: np.ndarray) -> dict[int, str]:
    """element → the id of the record that stands on it, for those that have one."""
    records = collection.records
    if isinstance(records, Absent):
        return {}
    rows = np.flatnonzero(np.isin(records.elements, elements)).tolist()
    return {int(records.elements[row]): records.rows.ids[row] for row in rows}


def recall(collection: Collection | None) -> Table:
    """recall@10 of the stored graph on a seeded sample against exact search, beside a fresh graph of its vectors."""
    if collection is None:
        return Table((), (), NO_COLLECTION)
    if isinstance(collection.vector, Absent):
        return Table((), (), f"There is no index: {collection.vector.reason}.")
    from forensics.engine.control import fresh_graph

    files, space, ef = collection.vector.files, collection.settings.space, collection.settings.ef_search
    stored, fresh = measure_recall(files, space, ef), fresh_graph(files, space, ef)
    rows = (
        _recall_row("stored", stored, _unreached_share(collection.vector)),
        _fresh_row(fresh),
        *_judged_row(stored, fresh),
    )
    return Table(("graph", f"recall@{K}", "95 % interval", "queries", "ef", "not reached"), rows)


def _unreached_share(segment: VectorSegment) -> str:
    graph, summary = _measured(segment), _summary(segment)
    if isinstance(graph, str) or summary is None or not summary.live.any():
        return ""
    return f"{float((~graph.reached & summary.live).sum() / summary.live.sum()):.1%}"


def _recall_row(name: str, found: Recall | Absent | None, share: str) -> tuple[Cell, ...]:
    if isinstance(found, Absent) or found is None:
        return (name, "unknown" if found is None else found.reason, "", None, None, share)
    return (name, f"{found.mean:.3f}", found.interval, found.queries, found.ef, share)


def _fresh_row(found: Fresh | Absent) -> tuple[Cell, ...]:
    name = "fresh, of the same vectors"
    if isinstance(found, Absent):
        return _recall_row(name, found, "")
    return _recall_row(name, found.recall, f"{found.share:.1%}")


def _judged_row(stored: Recall | Absent, fresh: Fresh | Absent) -> tuple[tuple[Cell, ...], ...]:
    if isinstance(stored, Absent) or isinstance(fresh, Absent) or fresh.recall is None:
        return ()
    return (("stored beside fresh", stored.judged(fresh.recall), "", None, None, ""),)
