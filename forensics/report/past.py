"""The account of the past as text: a table of its traces, then what each of them proves and means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forensics.report.plain import counted, number, quoted, visible, wrapped

Json = Any
HEADINGS = ("trace", "collection", "found", "ids gone", "named", "confidence", "")
NOTHING = "Nothing is gone that left a trace: every write that this store ever numbered is still there."


def past_text(found: Json) -> str:
    """What the JSON of `past` says; the same on every run."""
    data = found if isinstance(found, Mapping) else found.to_json()
    traces = data["traces"]
    blocks = [
        wrapped(_headline(data), ""),
        _table(traces) if traces else "",
        *("\n".join(_told(trace)) for trace in traces),
        "\n".join(_lacking(data["not_examined"])),
    ]
    return visible("\n\n".join(block for block in blocks if block), keep="\n")


def _headline(data: Mapping[str, Json]) -> str:
    ids = data["ids"]
    if not data["traces"]:
        return NOTHING if not data["not_examined"] else "No trace of anything that is gone was found."
    if not ids["named"]:
        return "Something is gone that left a trace, but no id can be named."
    parts = [f"{number(ids[fate])} {fate}" for fate in ("deleted", "lost", "deleted or lost") if ids[fate]]
    ended = counted(ids["named"], "id")
    verb = "is" if ids["named"] == 1 else "are"
    return f"{ended} that Chroma once accepted {verb} known by name and {verb} no record any more: {', '.join(parts)}."


def _table(traces: Sequence[Mapping[str, Json]]) -> str:
    rows = [HEADINGS, *(_cells(trace) for trace in traces)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cells(trace: Mapping[str, Json]) -> tuple[str, ...]:
    low, high = number(trace["at_least"]), number(trace["at_most"])
    return (
        trace["kind"],
        visible(trace["collection"] or "-"),
        counted(trace["count"], trace["unit"]),
        low if low == high else f"{low} to {high}",
        number(trace["ids"]["named"]),
        trace["confidence"],
        trace["fate"],
    )


def _told(trace: Mapping[str, Json]) -> Iterator[str]:
    place = "" if trace["collection"] is None else f" in {quoted(trace['collection'])}"
    yield f"{trace['kind']}{place}"
    yield wrapped(f"proof: {visible(trace['proof'])}", "         ", "  ")
    yield wrapped(f"means: {visible(trace['means'])}", "         ", "  ")
    shown = trace["ids"]["examples"][:3]
    if shown:
        more = trace["ids"]["named"] - len(shown)
        rest = f" and {number(more)} more" if more else ""
        yield wrapped(f"ids:   {', '.join(quoted(name) for name in shown)}{rest}", "         ", "  ")


def _lacking(places: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    if places:
        yield "Not examined:"
        yield from (
            wrapped(f"- {visible(each['place'])}: {visible(each['reason'])}", "    ", "  ") for each in places
        )
