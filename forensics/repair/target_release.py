"""A store for an older client: what a release does not know is taken away, and what it keeps elsewhere is put there.

Only releases from 1.0.0 on: those before keep sequence numbers, id maps and settings in forms of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from forensics.absent import Absent
from forensics.errors import UsageError
from forensics.model import Json
from forensics.readers.database import Database
from forensics.readers.migrations import BY_KEY, keys_of, newer_than_known, order, set_of
from forensics.readers.settings import parse_json
from forensics.repair.options import RepairOptions
from forensics.repair.proposals import Proposal, propose
from forensics.store import Collection, Store
from forensics.words import counted

KIND = "fit-to-release"
RELEASE = re.compile(r"\d+\.\d+\.\d+")
EARLIEST = "1.0.0"
ARRAYS = "embedding_metadata_array"
UNDONE = frozenset({("sysdb", 10), ("metadb", 6)})
"""The migrations that can be taken back: a column of collections, and a table that must then be empty."""


def target_proposals(store: Store, options: RepairOptions) -> Iterator[Proposal]:
    """What fits the store to the client that `target_chromadb` names. Raises UsageError where that cannot be."""
    version = options.target_chromadb
    if version is None or isinstance(store.database, Absent):
        return
    extra = beyond(store.database, version)
    problem = next(problems(store, version, extra), None)
    if problem is not None:
        raise UsageError(f"This store cannot be made one of chromadb {version}: {problem}.")
    if extra:
        yield propose(
            KIND,
            None,
            (),
            f"Take away what chromadb {version} does not know, and keep its settings where that release reads them",
            options,
            why=f"migrations that it does not have: {', '.join(f'{folder} {number}' for folder, number in extra)}",
            parameters={"release": version},
        )


def beyond(database: Database, version: str) -> list[tuple[str, int]]:
    """The migrations of the store that the release does not have. Raises UsageError for what is no release."""
    if not RELEASE.fullmatch(version):
        raise UsageError(f"{version!r} is no release of chromadb: three numbers, as in 1.0.20.")
    rows = database.migrations
    return [] if isinstance(rows, Absent) else sorted(set(keys_of(rows)) - set_of(version))


def problems(store: Store, version: str, extra: list[tuple[str, int]]) -> Iterator[str]:
    """Each reason, in words, why the release could not show the store as it is."""
    database = store.database
    if isinstance(database, Absent) or not extra:
        return
    if newer_than_known(extra):
        yield "it was written by a release that is not known here"
    if order(version) < order(EARLIEST):
        yield "releases before 1.0 keep sequence numbers, id maps and settings in another form, which is not written back"
    other = [key for key in extra if key not in UNDONE and key in BY_KEY]
    if other:
        yield f"migration {other[0][0]} {other[0][1]} cannot be taken back"
    count = database.rows(f"SELECT count(*) FROM {ARRAYS}") if ARRAYS in database.tables else [(0,)]
    if ("metadb", 6) in extra and not isinstance(count, Absent) and count[0][0]:
        yield f"{counted(count[0][0], 'values')} of metadata stand in lists, which it does not have"
    for collection in store.collections:
        yield from _unknown_to_it(collection)


def _unknown_to_it(collection: Collection) -> Iterator[str]:
    schema = parse_json(collection.row.schema_str, "schema_str")
    if isinstance(schema, Absent):
        return
    text = json.dumps(schema)
    if '"spann": {' in text:
        yield f"the index of {collection.name} is of another kind than HNSW"
    for index in _sparse(schema):
        if index.get("enabled"):
            yield f"{collection.name} has an index of sparse vectors"


def _sparse(node: Any) -> Iterator[dict[str, Any]]:
    """Every setting of an index of sparse vectors below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("sparse_vector_index"), dict):
            yield node["sparse_vector_index"]
        for below in node.values():
            yield from _sparse(below)


def configuration(collection: Collection) -> str:
    """collections.config_json_str as 1.0 to 1.2 write it: the settings in force, and the embedding function."""
    return json.dumps({**collection.settings.configuration, "embedding_function": _function(collection)})


def _function(collection: Collection) -> Json:
    """The embedding function that the schema names; those releases know none but legacy and known ones."""
    node: Any = parse_json(collection.row.schema_str, "schema_str")
    for key in ("keys", "#embedding", "float_list", "vector_index", "config", "embedding_function"):
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) and node.get("type") in ("legacy", "known") else {"type": "legacy"}
