"""Figures as plain geometry in percent, drawn as inline SVG by the templates: always the same bytes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from forensics.report.plain import counted, number

Json = Any
BOX = 100.0
BINS = 200
LAYERS = ("indexed", "pending", "missing", "ghosts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle in percent of its strip; `kind` names its colour, `label` what it says when pointed at."""

    x: float
    width: float
    kind: str
    label: str
    top: float = 0.0
    height: float = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One row of bars; `alt` says in words what is to be seen."""

    title: str
    alt: str
    bars: tuple[Bar, ...]
    axis: tuple[str, ...] = ()


def layers(collections: Sequence[Mapping[str, Json]]) -> tuple[Strip, ...]:
    """A stacked bar per collection whose ids are known: indexed, pending, missing, and ghosts behind them."""
    known = [c for c in collections if c["indexed"] is not None and c["records"]]
    return tuple(_layer(collection) for collection in known)


def _layer(collection: Mapping[str, Json]) -> Strip:
    counts = [(name, int(collection[name] or 0)) for name in LAYERS]
    said = ", ".join(f"{number(count)} {name}" for name, count in counts)
    return Strip(
        title=collection["name"],
        alt=f"{counted(collection['records'], 'record')} of {collection['name']}: {said}",
        bars=_stacked(counts),
    )


def _stacked(counts: Sequence[tuple[str, int]]) -> tuple[Bar, ...]:
    total = sum(count for _, count in counts) or 1
    ends = np.cumsum([0, *(count for _, count in counts)]) / total * BOX
    return tuple(
        Bar(
            x=round(float(ends[rank]), 2),
            width=round(float(ends[rank + 1] - ends[rank]), 2),
            kind=name,
            label=f"{number(count)} {name}",
        )
        for rank, (name, count) in enumerate(counts)
        if count
    )


def before_after(
    effects: Sequence[Mapping[str, Json]], records: Mapping[str, int], *, done: bool = True
) -> tuple[Strip, ...]:
    """Two bars per collection: what search finds of its `records` before the repair, and after it (`done`) or as it
    was planned.
    """
    after = ("finds", "after the repair") if done else ("would find", "as planned")
    moments = {"before": ("finds", "before the repair"), "after": after}
    return tuple(strip for e in effects for strip in _twice(e, records.get(e["collection"]), moments))


def _twice(
    effect: Mapping[str, Json], records: int | None, moments: Mapping[str, tuple[str, str]]
) -> Iterator[Strip]:
    if effect["before"] is None or effect["after"] is None:
        return
    whole = max(records or 0, effect["before"], effect["after"])
    for moment, (finds, told) in moments.items():
        counts = [("indexed", effect[moment]), ("missing", whole - effect[moment])]
        yield Strip(
            title=f"{effect['collection']} {told.removesuffix(' the repair')}",
            alt=f"search {finds} {number(effect[moment])} of {counted(whole, 'record')} {told}",
            bars=_stacked(counts),
        )


def missing_strip(name: str, positions: np.ndarray, first: int, last: int, unit: str) -> Strip:
    """Which share of each of up to BINS equal parts of first … last is missing, from `positions` (k,)."""
    whole = last - first + 1
    bins = whole if whole <= 2 * BINS else BINS
    starts = first + (np.arange(bins + 1) * whole) // bins
    counts = np.diff(np.searchsorted(np.sort(positions), starts))
    shares = np.where(counts, np.maximum(counts / np.diff(starts), 0.06), 0.0)
    low, high = number(int(positions.min())), number(int(positions.max()))
    return Strip(
        title=name,
        alt=f"{number(len(positions))} missing: {unit} {low} to {high}, of {number(first)} to {number(last)}",
        bars=tuple(_runs(shares, starts, unit)),
        axis=(f"{unit} {number(first)}", number((first + last) // 2), number(last)),
    )


def _runs(shares: np.ndarray, starts: np.ndarray, unit: str) -> Iterator[Bar]:
    """One bar for each run of equal parts of the sequence in which something is missing."""
    edges = [0, *(np.flatnonzero(np.diff(shares)) + 1).tolist(), len(shares)]
    for begin, end in pairwise(edges):
        share = float(shares[begin])
        if share:
            yield Bar(
                x=round(BOX * begin / len(shares), 3),
                width=round(BOX * (end - begin) / len(shares), 3),
                kind="missing",
                label=f"{unit} {_range(int(starts[begin]), int(starts[end]) - 1)}: {share:.0%} missing",
                top=round(100.0 - 100.0 * share, 2),
                height=round(100.0 * share, 2),
            )


def _range(first: int, last: int) -> str:
    return number(first) if first == last else f"{number(first)} to {number(last)}"


def read_numbers(path: Path) -> np.ndarray:
    """(k,) int64 of a list in the evidence, ten million of them in a second; empty where it holds no numbers."""
    with open(path, "rb") as handle, warnings.catch_warnings():
        handle.readline()
        warnings.simplefilter("error")  # numpy warns of what is no number and would go on without it
        try:
            return np.fromfile(handle, dtype=np.int64, sep="\n")
        except (DeprecationWarning, ValueError):
            return np.empty(0, dtype=np.int64)
