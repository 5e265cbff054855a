"""The graph: what its lists hold that none may, where searches start, and what they cannot reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from forensics.checks import graph_reach as graph_reach
from forensics.checks import graph_recall as graph_recall
from forensics.checks.places import examples, geometry_of, in_segment, needed, segment_of, summary_of
from forensics.checks.registry import check, finding
from forensics.graph import Graph, measure
from forensics.model import Finding, Place, Remedy
from forensics.readers.layout import HEADER_FILE, LEVEL0_FILE, LINKS_FILE
from forensics.store import Collection
from forensics.words import counted

NEEDS = ("geometry", "summary", "links")
TOMBSTONES = 1_000
"""Elements below which a half of deleted ones costs nothing and is only noted."""


def graph_of(collection: Collection) -> Graph:
    """The measured graph; for checks with NEEDS."""
    return needed(measure(segment_of(collection).files))


def _of_lists(
    code: str, kind: str, *, expected: str, means: str, action: str
) -> Callable[[Collection], Iterator[Finding]]:
    """Registers the check of one kind of fault in neighbour lists, over all levels."""

    def lists_at_fault(collection: Collection) -> Iterator[Finding]:
        owners = graph_of(collection).owners(kind)
        if owners:
            yield _fault(code, collection, owners, expected=expected, means=means, action=action)

    lists_at_fault.__doc__ = f"{code}: {means}"
    return check(code, needs=NEEDS)(lists_at_fault)


def _fault(
    code: str,
    collection: Collection,
    owners: dict[int, np.ndarray],
    *,
    expected: str,
    means: str,
    action: str,
) -> Finding:
    everyone = np.unique(np.concatenate(list(owners.values())))
    return finding(
        code,
        collection,
        count=everyone.size,
        unit="elements",
        expected=expected,
        found={
            "levels": {str(level): int(found.size) for level, found in owners.items()},
            "elements": examples(everyone),
            "of": graph_of(collection).elements,
        },
        where=tuple(_lists(collection, level, int(found[0])) for level, found in owners.items()),
        means=means,
        remedy=Remedy(action=action, safety="safe"),
        lists={"elements": everyone},
    )


def _lists(collection: Collection, level: int, element: int) -> Place:
    """Where the list of an element on a level begins."""
    if level == 0:
        offset = element * geometry_of(collection).size_data_per_element
        return in_segment(collection, LEVEL0_FILE, offset=offset, rows=f"element {element}")
    return in_segment(collection, LINKS_FILE, rows=f"element {element} on level {level}")


neighbour_out_of_range = _of_lists(
    "CF601",
    "out_of_range",
    expected="every neighbour is the number of an element that exists",
    means="A search or a write that follows such a link reads memory that is not there: the engine dies with "
    "SIGSEGV, or hangs. Even count() does, as it replays the queue first.",
    action="drop-bad-neighbours",
)
link_count_invalid = _of_lists(
    "CF602",
    "too_long",
    expected="at most 2M neighbours on level 0, and M above",
    means="The engine reads behind the end of such a list and takes what stands there for neighbours: "
    "it dies.",
    action="drop-bad-neighbours",
)
levels_inconsistent = _of_lists(
    "CF605",
    "absent_level",
    expected="on each level only neighbours that have a list there",
    means="A search that follows such a link reads a list that does not exist: wrong answers, or the "
    "engine dies.",
    action="drop-bad-neighbours",
)


@check("CF603", needs=NEEDS)
def entry_point_invalid(collection: Collection) -> Iterator[Finding]:
    """The entry point is past the last element, or has no list on the top level."""
    problem, header = graph_of(collection).entry_problem, geometry_of(collection)
    if problem is None:
        return
    yield finding(
        "CF603",
        collection,
        count=1,
        unit="entry point",
        expected="an element that has lists up to the top level",
        found={
            "problem": problem,
            "enterpoint": header.enterpoint,
            "maxlevel": header.maxlevel,
            "elements": header.cur_element_count,
            "top_level_of_lists": int(graph_of(collection).levels.max(initial=0)),
        },
        where=(in_segment(collection, HEADER_FILE, offset=52),),
        means="Every search starts there: the engine reads memory that is not there and dies, or every "
        "write fails.",
        remedy=Remedy(action="rebuild-header", safety="safe"),
    )


@check("CF604", needs=NEEDS)
def links_repeated(collection: Collection) -> Iterator[Finding]:
    """Lists that name their own element, or a neighbour twice."""
    graph = graph_of(collection)
    kinds = [graph.owners("to_self"), graph.owners("repeated")]
    owners = {
        level: np.unique(np.concatenate([kind.get(level, np.empty(0, np.int64)) for kind in kinds]))
        for level in sorted({level for kind in kinds for level in kind})
    }
    if owners:
        yield _fault(
            "CF604",
            collection,
            owners,
            expected="each neighbour once, and never the element itself",
            means="Nothing fails, but each such link is one that the element lacks elsewhere: it is "
            "found less often.",
            action="drop-bad-neighbours",
        )


@check("CF607", needs=("geometry", "summary"))
def tombstones(collection: Collection) -> Iterator[Finding]:
    """Elements that are flagged deleted; above a note where they are half of all or more (and there are
    many)."""
    deleted = summary_of(collection).deleted
    count = int(deleted.sum())
    if not count:
        return
    many = 2 * count >= len(deleted) and len(deleted) >= TOMBSTONES
    size = count * geometry_of(collection).size_data_per_element
    yield finding(
        "CF607",
        collection,
        count=count,
        unit="elements",
        expected={"deleted": f"less than half of {len(deleted)}"},
        found={"deleted": count, "of": len(deleted), "bytes": size},
        where=(in_segment(collection, LEVEL0_FILE),),
        means=f"{count} of {counted(len(deleted), 'elements')} ({count / len(deleted):.1%}) flagged as deleted: they stay "
        "in the index, every search walks through them, and their vectors are still on the disk.",
        remedy=Remedy(action="compact-segment", safety="safe"),
        severity=None if many else "note",
        lists={"elements": np.flatnonzero(deleted)},
    )


@check("CF609", needs=NEEDS)
def links_empty(collection: Collection) -> Iterator[Finding]:
    """Live elements that have no neighbour at all although they are not alone."""
    graph, summary = graph_of(collection), summary_of(collection)
    empty = graph.faults[0].empty
    lonely = empty[summary.live[empty] & (summary.labels[empty] >= 1)]
    if graph.elements < 2 or not lonely.size:
        return
    yield finding(
        "CF609",
        collection,
        count=lonely.size,
        unit="elements",
        expected="at least one neighbour for every element of an index of two or more",
        found={"elements": examples(lonely), "of": graph.elements},
        where=(_lists(collection, 0, int(lonely[0])),),
        means="A search that gets to such an element ends there, and most of the index is not found. "
        "Nothing fails.",
        remedy=Remedy(action="relink-elements", safety="safe"),
        lists={"elements": lonely},
    )
