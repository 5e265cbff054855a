"""The terminal form of what was foretold: what would be destroyed first, then a line per call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forensics.report.plain import counted, number, quoted, visible, wrapped

Json = Any
INDENT = " " * 35
OF_ALL = ("get with embeddings", "query")


def foretold_text(told: Mapping[str, Json]) -> str:
    """Nothing was asked: all of it is read from the files."""
    blocks = [wrapped(_first_words(told["collections"]), "")]
    return "\n\n".join([*blocks, *(_collection_text(one) for one in told["collections"])])


def _first_words(collections: Sequence[Mapping[str, Json]]) -> str:
    worst = max(collections, key=lambda one: one["destroys"], default=None)
    if worst is None:
        return "SQLite names no collection, so there is nothing to foretell."
    if not worst["destroys"]:
        return "No call of these would destroy a vector. Told from the files; no engine was started."
    surely = any(call["destroys"] for call in worst["calls"])
    cost = f"{'destroys' if surely else 'may destroy'} {counted(worst['destroys'], 'vectors')}"
    return (
        f"Do not open this store with Chroma {worst['chromadb']} before it is repaired: a call {cost} of"
        f" collection {quoted(worst['name'])}. Told from the files; no engine was started."
    )


def _collection_text(collection: Mapping[str, Json]) -> str:
    title = f"collection {quoted(collection['name'])} under chromadb {visible(str(collection['chromadb']))}"
    return "\n".join([title, *_call_lines(collection["calls"])])


def _call_lines(calls: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    """A line per call; what it does to the disk beside, where the call before it did not do the same."""
    before: Sequence[str] = ()
    records = next((call["reaches"] for call in calls if call["call"] == "count"), None)
    for call in calls:
        head = f"  {call['outcome']:<11} {call['call']:<20}"
        yield wrapped(visible(told_words(call, records)), INDENT, head + " ").rstrip() or head.rstrip()
        for note in call["also"] if call["also"] != before else ():
            yield wrapped(visible(note), INDENT, INDENT)
        before = call["also"]


def told_words(call: Mapping[str, Json], records: int | None = None) -> str:
    """What one call would do, in one line. `records`: how many there are, for calls that should reach all."""
    parts = {
        "returns": _reached(call, records),
        "raises": call["error"].replace("|", " or "),
        "undefined": "undefined behaviour",
    }
    cost = [f"destroys {counted(call['destroys'], 'vectors')}"] if call["destroys"] else []
    cost += [f"may destroy {counted(call['may_destroy'], 'vectors')}"] if call["may_destroy"] else []
    return "; ".join(part for part in (*cost, parts[call["outcome"]], call["why"]) if part)


def _reached(call: Mapping[str, Json], records: int | None) -> str:
    reaches = call["reaches"]
    if reaches is None:
        return ""
    few = call["call"] in OF_ALL and records is not None and reaches < records
    return f"reaches {number(reaches)} of {number(records)} records" if few else f"reaches {number(reaches)}"
