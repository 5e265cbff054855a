"""Figures for the notebooks: each takes views and returns a matplotlib Figure. Colours are safe for colour-blind eyes.

PNG through `plt.show()` in a notebook. Nothing is measured here; numbers come from the views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.sources import seq_ids_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from forensics.model import CollectionSummary, Effect
    from forensics.store import Collection, VectorSegment

INDEXED, PENDING, MISSING, GHOST = "#0072b2", "#56b4e9", "#d55e00", "#999999"
"""Okabe and Ito's palette: blue, sky blue, vermilion, grey."""


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def ids_by_layer(collections: Sequence[CollectionSummary]) -> Figure:
    """One bar per collection: how many of its records are indexed, pending, missing."""
    figure, axes = _axes(8, 0.9 + 0.55 * max(1, len(collections)))
    for row, one in enumerate(collections):
        parts = (("indexed", one.indexed, INDEXED, ""), ("pending", one.pending, PENDING, ".."), ("missing", one.missing, MISSING, "//"))
        _bar(axes, row, one, [part for part in parts if part[1]])
    axes.set_yticks(range(len(collections)), [one.name for one in collections])
    axes.invert_yaxis()
    axes.set_xlabel("records")
    _legend(axes)
    return figure


def _bar(axes: Axes, row: int, one: CollectionSummary, parts: list[tuple[str, int | None, str, str]]) -> None:
    if one.indexed is None and one.records:
        axes.barh(row, one.records, color="white", edgecolor=GHOST, hatch="xx", label="unknown: the id map is lost")
        return
    left = 0
    for name, count, colour, hatch in parts:
        axes.barh(row, count or 0, left=left, color=colour, hatch=hatch, edgecolor="white", label=name)
        axes.text(left + (count or 0) / 2, row, f"{count:,}", ha="center", va="center", color="white", fontweight="bold")
        left += count or 0


def _legend(axes: Axes) -> None:
    found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if found:
        axes.legend(found.values(), found.keys(), ncols=4, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)


def missing_along_sequence(collection: Collection) -> Figure:
    """Where the records lie along the sequence ids: a block at the start, at the end or a gap tells how they got lost."""
    figure, axes = _axes(9, 2.2)
    records = collection.records
    if isinstance(records, Absent) or not records.known or not len(records):
        return _empty(figure, axes, "The id map is lost: which records are missing is not known.")
    seq = seq_ids_of(collection, records.rows.ids)
    marks = ((records.indexed, INDEXED, "indexed", 0), (records.pending, PENDING, "pending", 1), (records.missing, MISSING, "missing", 2))
    for mask, colour, name, row in marks:
        axes.plot(seq[mask], np.full(int(mask.sum()), row), "|", color=colour, markersize=16, label=name)
    axes.set_yticks([0, 1, 2], ["indexed", "pending", "missing"])
    axes.set_ylim(2.6, -0.6)
    axes.set_xlabel("sequence id of the last write to the record")
    if collection.vector_watermark:
        axes.axvline(collection.vector_watermark, color="black", linewidth=1, linestyle="--")
        axes.text(collection.vector_watermark, -0.55, " vector watermark", va="top", fontsize=8)
    return figure


def label_map(collection: Collection) -> Figure:
    """Label against the row of its record; records without a label stand on the bottom line."""
    figure, axes = _axes(7, 3.6)
    records = collection.records
    if isinstance(records, Absent) or not records.known or not len(records):
        return _empty(figure, axes, "There is no id map that could be drawn.")
    rows, mapped = np.arange(len(records)), records.labels >= 0
    axes.plot(rows[mapped], records.labels[mapped], ".", color=INDEXED, label=f"has a label ({int(mapped.sum()):,})")
    lost = records.missing & ~mapped
    waiting = records.pending & ~mapped
    axes.plot(rows[waiting], np.zeros(int(waiting.sum())), "+", color=PENDING, label=f"pending in the queue ({int(waiting.sum()):,})")
    axes.plot(rows[lost], np.zeros(int(lost.sum())), "x", color=MISSING, label=f"no label at all ({int(lost.sum()):,})")
    axes.set_xlabel("record, in the order in which `peek` and `get` return them")
    axes.set_ylabel("label in the index")
    axes.legend(frameon=False, loc="best")
    return figure


def file_sizes(segment: VectorSegment) -> Figure:
    """The files of a segment against what a complete index of as many elements needs."""
    from forensics.readers import layout

    figure, axes = _axes(8, 2.6)
    header = segment.files.geometry
    names = [name for name in layout.BINARY_FILES if not isinstance(segment.facts[name], Absent)]
    sizes = [segment.facts[name].size for name in names]  # pyright: ignore[reportAttributeAccessIssue]
    axes.barh(names, np.maximum(sizes, 1), color=INDEXED, label="on disk")
    if not isinstance(header, Absent):
        need = layout.expected_sizes(header.cur_element_count, header.dim, header.M)
        wanted = {"header.bin": need.header, "data_level0.bin": need.level0, "length.bin": need.length, "link_lists.bin": need.link_lists}
        axes.plot([max(wanted[name], 1) for name in names], names, "D", color=MISSING, label="a complete index of that many elements")
    axes.set_xscale("log")
    axes.set_xlabel("bytes")
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def degrees(segment: VectorSegment) -> Figure:
    """How many links the elements have on level 0."""
    figure, axes = _axes(7, 2.4)
    summary, header = segment.files.summary, segment.files.geometry
    if isinstance(summary, Absent) or isinstance(header, Absent) or not len(summary.counts):
        return _empty(figure, axes, "No element can be read.")
    counts = np.bincount(np.minimum(summary.counts, header.maxM0 + 1), minlength=header.maxM0 + 2)
    axes.bar(np.arange(len(counts)), counts, color=INDEXED)
    axes.axvline(header.maxM0 + 0.5, color=MISSING, linestyle="--")
    axes.text(header.maxM0 + 0.4, axes.get_ylim()[1], f"2M = {header.maxM0} ", ha="right", va="top", color=MISSING)
    axes.set_xlabel("links on level 0")
    axes.set_ylabel("elements")
    return figure


def before_and_after(effects: Sequence[Effect]) -> Figure:
    """Records that searches can reach, before and after the repair, per collection."""
    figure, axes = _axes(8, 0.9 + 0.8 * max(1, len(effects)))
    for row, effect in enumerate(effects):
        axes.barh(row - 0.2, effect.before or 0, height=0.36, color=GHOST, label="before")
        axes.barh(row + 0.2, effect.after or 0, height=0.36, color=INDEXED, label="after")
        for offset, value in ((-0.2, effect.before), (0.2, effect.after)):
            axes.text(value or 0, row + offset, f" {value:,}" if value is not None else " unknown", va="center")
    axes.set_yticks(range(len(effects)), [effect.collection for effect in effects])
    axes.invert_yaxis()
    axes.set_xlabel("records with a vector")
    _legend(axes)
    return figure


def _empty(figure: Figure, axes: Axes, text: str) -> Figure:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center")
    return figure
