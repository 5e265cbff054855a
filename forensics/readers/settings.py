"""The HNSW settings of a collection, from wherever the writing version keeps them.

0.4–0.6 use `segment_metadata` (`hnsw:*`); 1.0–1.2 `config_json_str`; 1.3 and later `schema_str`. What header.bin says
of M and ef_construction is the best truth; the space is in none of the segment's files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forensics.absent import Absent, NotAvailable, Unparsable, present

SPACES = ("l2", "cosine", "ip")
DEFAULTS: Mapping[str, Any] = {
    "space": "l2",
    "M": 16,
    "ef_construction": 100,
    "ef_search": 100,
    "batch_size": 100,
    "sync_threshold": 1000,
    "resize_factor": 1.2,
}
_LEGACY = {
    "hnsw:space": "space",
    "hnsw:M": "M",
    "hnsw:construction_ef": "ef_construction",
    "hnsw:search_ef": "ef_search",
    "hnsw:batch_size": "batch_size",
    "hnsw:sync_threshold": "sync_threshold",
    "hnsw:resize_factor": "resize_factor",
    "hnsw:num_threads": "num_threads",
}
_MODERN = {"max_neighbors": "M"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HnswSettings:
    """The settings in force. `sources` maps each place that records any to what it says."""

    space: str
    M: int
    ef_construction: int
    ef_search: int
    batch_size: int
    sync_threshold: int
    resize_factor: float
    source: str
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def configuration(self) -> dict[str, Any]:
        """The settings in force as 1.0 to 1.2 write them."""
        return as_configuration({name: getattr(self, name) for name in DEFAULTS})

    def spaces(self) -> dict[str, str]:
        """place → the space that it records."""
        return {place: str(values["space"]) for place, values in self.sources.items() if "space" in values}


def as_configuration(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The object of `config_json_str` as 1.0 to 1.2 write it, which later releases read too: these settings, under
    today's names, and Chroma's defaults for the rest.
    """
    known = {**DEFAULTS, **settings}
    hnsw = {
        "space": known["space"],
        "ef_construction": known["ef_construction"],
        "ef_search": known["ef_search"],
        "max_neighbors": known["M"],
        "resize_factor": known["resize_factor"],
        "sync_threshold": known["sync_threshold"],
    }
    return {"vector_index": {"hnsw": hnsw}}


def legacy_settings(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The `hnsw:*` keys of a metadata table under today's names."""
    return {name: metadata[key] for key, name in _LEGACY.items() if key in metadata}


def parse_json(text: str | None, what: str) -> dict[str, Any] | Absent:
    """A JSON object, or why there is none."""
    if text is None:
        return NotAvailable(f"{what} is NULL")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Unparsable(f"{what}: {error}")
    return (
        value
        if isinstance(value, dict)
        else Unparsable(f"{what} holds a {type(value).__name__}, not an object")
    )


def config_settings(config: Mapping[str, Any] | Absent) -> dict[str, Any]:
    """The settings in a `config_json_str` of 1.0–1.2, or of 0.6 (which shows defaults; do not trust it alone)."""
    if isinstance(config, Absent):
        return {}
    index = config.get("vector_index")
    if isinstance(index, dict) and isinstance(index.get("hnsw"), dict):
        return _modern(index["hnsw"])
    return {}


def schema_settings(schema: Mapping[str, Any] | Absent) -> dict[str, Any]:
    """The settings under keys → #embedding → float_list → vector_index → config of a `schema_str`."""
    node: Any = {} if isinstance(schema, Absent) else schema
    for key in ("keys", "#embedding", "float_list", "vector_index", "config"):
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return {}
    hnsw = node.get("hnsw")
    values = _modern(hnsw) if isinstance(hnsw, dict) else {}
    return {**values, "space": node["space"]} if isinstance(node.get("space"), str) else values


def _modern(hnsw: Mapping[str, Any]) -> dict[str, Any]:
    return {_MODERN.get(key, key): value for key, value in hnsw.items() if value is not None}


def settle(
    segment_metadata: Mapping[str, Any],
    collection_metadata: Mapping[str, Any],
    config_json_str: str | None,
    schema_str: str | None,
    *,
    modern: bool,
) -> HnswSettings:
    """The settings in force; `modern` is True where a 1.x release was the last writer (metadb migration 5).

    1.x: schema, else config; if that equals the defaults and segment_metadata differs, the latter wins.
    """
    config = parse_json(config_json_str, "config_json_str")
    schema = parse_json(schema_str, "schema_str")
    sources = {
        "schema_str": schema_settings(schema) if present(schema) else {},
        "config_json_str": config_settings(config),
        "segment_metadata": legacy_settings(segment_metadata),
        "collection_metadata": legacy_settings(collection_metadata),
    }
    sources = {place: values for place, values in sources.items() if values}
    source = _in_force(sources, modern)
    values = {**DEFAULTS, **_numbers(sources.get(source, {}))}
    return HnswSettings(**{name: values[name] for name in DEFAULTS}, source=source, sources=sources)


def _in_force(sources: Mapping[str, Mapping[str, Any]], modern: bool) -> str:
    legacy = next(
        (place for place in ("segment_metadata", "collection_metadata") if place in sources), "defaults"
    )
    if not modern:
        return legacy
    for place in ("schema_str", "config_json_str"):
        if place in sources:
            return legacy if legacy != "defaults" and _is_default(sources[place]) else place
    return legacy


def _is_default(values: Mapping[str, Any]) -> bool:
    return all(
        values.get(name, DEFAULTS[name]) == DEFAULTS[name]
        for name in ("space", "M", "ef_construction", "sync_threshold")
    )


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Only values of the right type; a wrong one falls back to the default (a check names it)."""
    return {
        name: value
        for name, value in values.items()
        if name in DEFAULTS
        and not isinstance(value, bool)
        and isinstance(value, str if name == "space" else (int, float))
    }
