"""The embedding function that a collection's configuration names: what 1.x writes of it, as text; nothing is built of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forensics.absent import Absent, NotAvailable
from forensics.readers.settings import parse_json


@dataclass(frozen=True, slots=True)
class EmbeddingFunction:
    """`name` as chromadb registers it (default, sentence_transformer, openai, …), and the settings it was given."""

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)


def embedding_function(config_json_str: str | None, schema_str: str | None) -> EmbeddingFunction | Absent:
    """Of `schema_str` (1.3 and later), else of `config_json_str`; Absent where neither names one."""
    reasons: list[str] = []
    for text, path in ((schema_str, _IN_SCHEMA), (config_json_str, ())):
        node: Any = parse_json(text, "the configuration")
        for key in (*path, "embedding_function"):
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict) and node.get("type") == "known" and isinstance(node.get("name"), str):
            config = node.get("config")
            return EmbeddingFunction(node["name"], config if isinstance(config, dict) else {})
        if isinstance(node, dict) and isinstance(node.get("type"), str):
            reasons.append(node["type"])
    said = f" (it says {reasons[0]!r})" if reasons else ""
    return NotAvailable(f"its configuration names no embedding function{said}")


_IN_SCHEMA = ("keys", "#embedding", "float_list", "vector_index", "config")
