"""What people would rather look at than read: where the missing ids lie, ids by layer, labels, sizes, degrees.

Each takes views and returns a Picture. Nothing is measured here; numbers come from the views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.elsewhere import seq_ids_of
from forensics.lab.picture import GREY, INDEXED, MISSING, PENDING, Picture, axes, in_words, legend
from forensics.readers import layout
from forensics.report.plain import counted, number, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from forensics.model import CollectionSummary, Effect
    from forensics.records import Records
    from forensics.store import Collection, VectorSegment

PARTS = (("indexed", INDEXED, ""), ("pending", PENDING, ".."), ("missing", MISSING, "//"))
"""State of a record, its colour, its hatch."""
BINS, TICKS = 600, 4_000
"""Columns of a strip; records that are still drawn one by one."""


def ids_by_layer(collections: Sequence[CollectionSummary]) -> Picture:
    """One bar per collection: how many of its records are indexed, pending, missing."""
    if not collections:
        return in_words("The database names no collection that could be counted.")
    figure, made = axes(8, 0.8 + 0.45 * len(collections))
    for row, one in enumerate(collections):
        _bar(made, row, one)
    made.set_yticks(range(len(collections)), [_short(one.name) for one in collections])
    made.invert_yaxis()
    made.set_xlabel("records")
    made.margins(x=0.02)
    legend(made)
    return Picture("; ".join(_in_words(one) for one in collections), figure)


def _short(name: str) -> str:
    text = visible(name)
    return text if len(text) <= 28 else f"{text[:27]}…"


def _in_words(one: CollectionSummary) -> str:
    if one.indexed is None:
        return f"{_short(one.name)}: {number(one.records)} records, unknown which of them are indexed"
    counts = ((one.indexed, "indexed"), (one.pending, "pending"), (one.missing, "missing"))
    return f"{_short(one.name)}: {', '.join(f'{number(count)} {name}' for count, name in counts)}"


def _bar(made: Axes, row: int, one: CollectionSummary) -> None:
    if one.indexed is None:
        unknown = "unknown which are indexed"
        made.barh(row, one.records or 0, height=0.6, color="white", edgecolor=GREY, hatch="xx", label=unknown)
        return
    left = 0
    for name, colour, hatch in PARTS:
        count = getattr(one, name) or 0
        if count:
            made.barh(
                row, count, left=left, height=0.6, color=colour, hatch=hatch, edgecolor="white", label=name
            )
        if count and count > 0.06 * (one.records or 1):
            box = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}
            made.text(
                left + count / 2,
                row,
                number(count),
                ha="center",
                va="center",
                color="white",
                weight="bold",
                bbox=box,
            )
        left += count


def _drawable(collection: Collection | None) -> Records | str:
    """The records of the collection, or why nothing can be said of each."""
    if collection is None:
        return "There is no collection to draw."
    records = collection.records
    if isinstance(records, Absent):
        return f"The records cannot be read: {records.reason}."
    if not records.known:
        return f"Which records are indexed is not known: {records.unknown_reason}."
    return records if len(records) else "The collection holds no record."


def missing_along_sequence(collection: Collection | None) -> Picture:
    """Where the records lie along the sequence ids: a block at the start, at the end or a gap tells the cause."""
    records = _drawable(collection)
    if isinstance(records, str) or collection is None:
        return in_words(str(records))
    seq = seq_ids_of(collection, records.rows.ids)
    figure, made = axes(8, 2.0)
    masks = (records.indexed, records.pending, records.missing)
    for row, ((_, colour, _), mask) in enumerate(zip(PARTS, masks, strict=True)):
        _strip(made, seq, mask, row, colour)
    names = [f"{name} {number(int(mask.sum()))}" for (name, _, _), mask in zip(PARTS, masks, strict=True)]
    made.set_yticks(range(3), names)
    made.set_ylim(2.6, -0.8)
    made.set_xlabel("sequence id of the last write to the record")
    _watermark(made, collection.vector_watermark)
    return Picture(f"{_short(collection.name)} along the sequence: {_where(seq, records.missing)}", figure)


def _strip(made: Axes, seq: np.ndarray, mask: np.ndarray, row: int, colour: str) -> None:
    """A tick per record; of many records a bar per bin, as strong as the bin is full of them."""
    if len(seq) <= TICKS:
        made.vlines(seq[mask], row - 0.35, row + 0.35, color=colour, linewidth=1.2)
        return
    edges = np.linspace(seq.min(), seq.max() + 1, BINS + 1)
    share = np.histogram(seq[mask], edges)[0] / np.maximum(np.histogram(seq, edges)[0], 1)
    filled = np.flatnonzero(share)
    for strong in np.unique(np.ceil(share[filled] * 4)):
        at = filled[np.ceil(share[filled] * 4) == strong]
        made.bar(
            edges[at],
            0.7,
            width=np.diff(edges)[at],
            bottom=row - 0.35,
            align="edge",
            color=colour,
            alpha=0.25 * strong,
        )


def _watermark(made: Axes, mark: object) -> None:
    if isinstance(mark, int) and mark > 0:
        made.axvline(mark, color="black", linewidth=1, linestyle="--")
        made.text(mark, -0.75, "vector watermark ", va="top", ha="right", fontsize=8)


def _where(seq: np.ndarray, missing: np.ndarray) -> str:
    """The missing ones in words: none, or how many between which sequence ids."""
    count = int(missing.sum())
    if not count:
        return "no record is missing"
    low, high = int(seq[missing].min()), int(seq[missing].max())
    between = f"from {number(low)} to {number(high)} of {number(int(seq.max()))}"
    return f"{counted(count, 'record')} of {number(len(seq))} missing, {between}"


def label_map(collection: Collection | None) -> Picture:
    """Label against the row of its record; records without a label stand below."""
    records = _drawable(collection)
    if isinstance(records, str) or collection is None:
        return in_words(str(records))
    figure, made = axes(8, 3.0)
    mapped = records.labels >= 0
    groups = (
        ("label", mapped, records.labels, INDEXED, "."),
        ("no label, pending in the queue", records.pending & ~mapped, None, PENDING, "+"),
        ("no label, missing", records.missing & ~mapped, None, MISSING, "x"),
    )
    below = -0.06 * max(1, int(records.labels.max(initial=0)))
    for name, mask, labels, colour, mark in groups:
        rows = _thinned(np.flatnonzero(mask))
        heights = np.full(len(rows), below) if labels is None else labels[rows]
        made.plot(
            rows, heights, mark, color=colour, label=f"{name} ({number(int(mask.sum()))})", markersize=5
        )
    made.set_xlabel("record, in the order in which peek and get return them")
    made.set_ylabel("label in the index")
    legend(made)
    said = ", ".join(f"{number(int(mask.sum()))} {name}" for name, mask, *_ in groups)
    return Picture(f"labels of {_short(collection.name)}: {said}", figure)


def _thinned(rows: np.ndarray) -> np.ndarray:
    """At most TICKS of them, evenly chosen: more points than that are one blot."""
    return rows if len(rows) <= TICKS else rows[np.linspace(0, len(rows) - 1, TICKS).astype(np.int64)]


def file_sizes(segment: VectorSegment | None) -> Picture:
    """The files of a segment against what a complete index of as many elements needs."""
    if segment is None:
        return in_words("There is no segment directory.")
    facts = {name: segment.facts[name] for name in layout.BINARY_FILES}
    sizes = {name: one.size for name, one in facts.items() if not isinstance(one, Absent)}
    header = segment.files.geometry
    need = {} if isinstance(header, Absent) else _needed(header.cur_element_count, header.dim, header.M)
    figure, made = axes(8, 2.3)
    made.barh(
        list(sizes), [max(size, 1) for size in sizes.values()], height=0.6, color=INDEXED, label="on disk"
    )
    for name in sizes.keys() & need.keys():
        low, high = (max(bound, 1) for bound in need[name])
        label = "what a complete index of that many elements needs"
        made.plot([low, high], [name, name], "-D", color=MISSING, markersize=6, label=label)
    made.set_xscale("log")
    made.set_xlabel("bytes")
    made.invert_yaxis()
    legend(made)
    said = [f"{name} {number(size)} bytes{_against(need.get(name))}" for name, size in sizes.items()]
    return Picture("; ".join(said) or "none of the files is there", figure)


def _needed(count: int, dim: int, M: int) -> dict[str, tuple[int, int]]:
    """file → the least and the most bytes of a complete index; they differ where levels are random."""
    need = layout.expected_sizes(count, dim, M)
    exact = {
        layout.HEADER_FILE: need.header,
        layout.LEVEL0_FILE: need.level0,
        layout.LENGTH_FILE: need.length,
    }
    links = (need.link_lists_low, need.link_lists_high)
    return {**{name: (size, size) for name, size in exact.items()}, layout.LINKS_FILE: links}


def _against(bounds: tuple[int, int] | None) -> str:
    if bounds is None:
        return ""
    return f", {number(bounds[0])}{'' if bounds[0] == bounds[1] else f' to {number(bounds[1])}'} needed"


def degrees(segment: VectorSegment | None) -> Picture:
    """How many links the elements have on level 0."""
    summary = None if segment is None else segment.files.summary
    header = None if segment is None else segment.files.geometry
    if isinstance(summary, Absent | None) or isinstance(header, Absent | None) or not len(summary.counts):
        return in_words("No element can be read.")
    counts = np.bincount(np.minimum(summary.counts, header.maxM0 + 1), minlength=header.maxM0 + 2)
    figure, made = axes(8, 2.2)
    made.bar(np.arange(len(counts)), counts, color=INDEXED)
    made.axvline(header.maxM0 + 0.5, color=MISSING, linestyle="--")
    made.text(
        header.maxM0 + 0.4,
        made.get_ylim()[1],
        f"at most 2M = {header.maxM0} ",
        ha="right",
        va="top",
        color=MISSING,
    )
    made.set_xlabel("links on level 0")
    made.set_ylabel("elements")
    lonely = int((summary.counts == 0).sum())
    typical = int(np.median(summary.counts))
    return Picture(
        f"{counted(len(summary.counts), 'element')}, typically {typical} links, {number(lonely)} without any",
        figure,
    )


def before_and_after(effects: Sequence[Effect]) -> Picture:
    """Records that have a vector, before and after the repair, per collection."""
    if not effects:
        return in_words("The plan changes the records of no collection.")
    figure, made = axes(8, 0.8 + 0.7 * len(effects))
    for row, effect in enumerate(effects):
        for offset, name, value, colour in (
            (-0.2, "before", effect.before, GREY),
            (0.2, "after", effect.after, INDEXED),
        ):
            made.barh(row + offset, value or 0, height=0.36, color=colour, label=name)
            made.text(value or 0, row + offset, f" {number(value)}", va="center")
    made.set_yticks(range(len(effects)), [_short(effect.collection) for effect in effects])
    made.invert_yaxis()
    made.margins(x=0.12)
    made.set_xlabel("records with a vector")
    legend(made)
    said = [
        f"{_short(one.collection)}: {number(one.before)} before, {number(one.after)} after" for one in effects
    ]
    return Picture("; ".join(said), figure)
