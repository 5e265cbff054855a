"""The ways to deal with each finding, as every view says them. Pure: the JSON of a plan in, words out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forensics.report.plain import counted, joined, number, quoted, visible, wrapped

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class WayView:
    """One way, each part a finished text."""

    chosen: bool
    kind: str
    title: str
    cost: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceView:
    """Findings of one collection that have the same ways."""

    codes: str
    place: str
    ways: tuple[WayView, ...]


def choice_views(plan: Mapping[str, Json]) -> tuple[ChoiceView, ...]:
    """One view for all findings of a collection whose ways are the same but for what leaving them means."""
    groups: dict[str, list[Mapping[str, Json]]] = {}
    for row in plan.get("alternatives", ()):
        same = [way for way in row["ways"] if way["kind"] != "leave" or way["chosen"]]
        groups.setdefault(repr((row["collection"], same)), []).append(row)
    return tuple(_choice(rows) for rows in groups.values())


def _choice(rows: Sequence[Mapping[str, Json]]) -> ChoiceView:
    name = rows[0]["collection"]
    return ChoiceView(
        codes=" ".join(row["code"] for row in rows),
        place="the store" if name is None else f"collection {quoted(name)}",
        ways=tuple(_way(way) for way in rows[0]["ways"]),
    )


def _way(way: Mapping[str, Json]) -> WayView:
    more = [kind for kind in way["actions"] if kind != way["kind"]]
    kind = f"{way['kind']} (with {joined(more)})" if more else way["kind"]
    return WayView(
        chosen=way["chosen"], kind=kind, title=way["title"], cost=cost_sentence(way), why=way["why"]
    )


def cost_sentence(way: Mapping[str, Json]) -> str:
    """`inserts 40 vectors, writes 120,000 bytes, about 0.3 s; nothing is lost`."""
    cost, loses = way["cost"], way["loses"]
    parts = [
        f"embeds {counted(cost['documents'], 'document')}" if cost.get("documents") else "",
        f"inserts {counted(cost['inserts'], 'vector')}" if cost.get("inserts") else "",
        f"links {counted(cost['links'], 'element')} again" if cost.get("links") else "",
        f"writes {counted(cost['bytes'], 'byte')}" if cost.get("bytes") else "",
        f"about {number(cost['seconds'])} s" if cost.get("seconds", 0) >= 1 else "",
    ]
    done = ", ".join(part for part in parts if part) or "costs nothing"
    without = f"; {counted(loses, 'record')} without a vector afterwards or gone to the case" if loses else ""
    return f"{done}{without}"


def choices_text(plan: Mapping[str, Json]) -> str:
    """For each finding its ways, cheapest first, the chosen one marked."""
    lines = [line for view in choice_views(plan) for line in _lines(view)]
    return (
        "\n".join(["The ways to deal with each finding, cheapest first; [x] is the plan's:", *lines])
        if lines
        else ""
    )


def _lines(view: ChoiceView) -> Iterator[str]:
    yield f"  {view.codes} in {view.place}"
    for way in view.ways:
        mark = "[x]" if way.chosen else "[ ]"
        yield wrapped(visible(f"{way.title} · {way.kind} — {way.cost}"), " " * 8, f"    {mark} ")
        yield wrapped(visible(way.why), " " * 8, " " * 8)
