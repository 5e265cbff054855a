"""M and ef_construction of a collection, written where its release looks for them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.settings import parse_json
from forensics.repair.actions.work import Work
from forensics.store import Collection

Report = dict[str, Json]
MODERN = {"M": "max_neighbors", "ef_construction": "ef_construction"}
LEGACY = {"M": "hnsw:M", "ef_construction": "hnsw:construction_ef"}
TO_CONFIG = ("keys", "#embedding", "float_list", "vector_index", "config")


def set_index_parameters(work: Work) -> Report:
    """The settings in force say M and ef_construction as the action does; what they said is in the case.

    Written where they stand: schema_str, config_json_str or segment_metadata. Another place is made to agree only
    where it has the key already, and the space stays wherever it is recorded.
    """
    collection = work.collection()
    wanted = {name: int(value) for name, value in work.action.parameters.items() if name in MODERN}
    settings, row = collection.settings, collection.row
    before = {name: getattr(settings, name) for name in wanted}
    texts = ("schema_str", row.schema_str), ("config_json_str", row.config_json_str)
    work.keep_rows("replaced-configuration", ("place", "text"), [*texts, ("in force", json.dumps(before))])
    with work.database() as connection:
        place = settings.source if settings.source != "defaults" else _default_place(collection)
        if place in ("schema_str", "config_json_str"):
            _write_json(connection, collection, place, wanted)
        _write_legacy(connection, collection, wanted, in_force=place)
    return {"place": place, "before": before, "after": dict(wanted)}


def _default_place(collection: Collection) -> str:
    return "config_json_str" if collection.store.is_modern else "segment_metadata"


def _write_json(
    connection: sqlite3.Connection, collection: Collection, place: str, wanted: Mapping[str, int]
) -> None:
    text = getattr(collection.row, place)
    found = parse_json(text, place)
    if isinstance(found, Absent):
        found = collection.settings.configuration if place == "config_json_str" else {}
    hnsw = _hnsw_of_schema(found) if place == "schema_str" else _hnsw_of_config(found)
    if hnsw is None:
        raise Refused(f"{place} of {collection.name} has no place for M and ef_construction.")
    hnsw.update({MODERN[name]: value for name, value in wanted.items()})
    value = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    connection.execute(f"UPDATE collections SET {place} = ? WHERE id = ?", (value, collection.id))


def _hnsw_of_schema(schema: dict[str, Any]) -> dict[str, Any] | None:
    node: Any = schema
    for key in TO_CONFIG:
        node = node.get(key) if isinstance(node, dict) else None
    return _inner(node)


def _hnsw_of_config(config: dict[str, Any]) -> dict[str, Any] | None:
    return _inner(config.setdefault("vector_index", {}))


def _inner(node: Any) -> dict[str, Any] | None:
    """The settings under "hnsw", made where there are none."""
    if not isinstance(node, dict):
        return None
    if not isinstance(node.get("hnsw"), dict):
        node["hnsw"] = {}
    return node["hnsw"]


def _write_legacy(
    connection: sqlite3.Connection, collection: Collection, wanted: Mapping[str, int], *, in_force: str
) -> None:
    """The hnsw: keys that are there say the same; where they are in force, those that are not there are inserted."""
    for kind, owner in (("segment", collection.vector_segment_id), ("collection", collection.id)):
        for name, value in wanted.items() if owner is not None else ():
            sql = (
                f"UPDATE {kind}_metadata SET int_value = ?, str_value = NULL, float_value = NULL"
                f" WHERE {kind}_id = ? AND key = ?"
            )
            done = connection.execute(sql, (value, owner, LEGACY[name])).rowcount
            if not done and in_force == f"{kind}_metadata":
                insert = f"INSERT INTO {kind}_metadata ({kind}_id, key, int_value) VALUES (?, ?, ?)"
                connection.execute(insert, (owner, LEGACY[name], value))


PARAMETERS: dict[str, Callable[[Work], Report]] = {"set-index-parameters": set_index_parameters}
