"""The store against the user's own sources, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forensics.report.plain import counted, number, quoted, visible, wrapped

Json = Any


def sources_text(data: Mapping[str, Json]) -> str:
    """A block per source: the counts, then what only one side has and what differs; "" where none was given."""
    return "\n\n".join("\n".join(_block(source)) for source in data.get("sources", ()))


def _block(source: Mapping[str, Json]) -> Iterator[str]:
    name = quoted(source["source"])
    if source["collection"] is None:
        yield wrapped(f"source {name} was compared with nothing: {visible(source['not_compared'])}.", "  ")
        return
    yield wrapped(
        f"source {name} against {quoted(source['collection'])}: {counted(source['in_source'], 'id')} there, "
        f"{number(source['in_store'])} here, {number(source['shared'])} in both.",
        "  ",
    )
    yield _line("in the source and not in the store", source["only_in_source"])
    yield _line("in the store and not in the source", source["only_in_store"])
    yield _vectors(source)
    if source["documents_compared"]:
        yield _line(f"other document (of {number(source['documents_compared'])})", source["other_document"])


def _vectors(source: Mapping[str, Json]) -> str:
    if source["not_compared"]:
        return wrapped(f"vectors: not compared, {visible(source['not_compared'])}", "    ", "  ")
    how = ", by direction" if source["compared"] == "direction" else ""
    label = f"other vector (of {number(source['vectors_compared'])}, beyond {source['tolerance']}{how})"
    return _line(label, source["other_vector"])


def _line(label: str, part: Mapping[str, Json]) -> str:
    count = part["count"]
    shown = ", ".join(quoted(name) for name in part["examples"][:3])
    more = f" and {number(count - 3)} more" if count > 3 else ""
    return wrapped(f"{label}: {number(count)}{': ' if shown else ''}{shown}{more}", "    ", "  ")
