"""Rows of SQLite that name things: migrations, tenants, databases, segments, and the settings of collections."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from forensics.absent import Absent
from forensics.checks.config import TYPES, migration_gaps
from forensics.checks.config_settings import config_problems, is_valid_setting
from forensics.checks.database_catalogue import candidate
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.database import Database
from forensics.readers.migrations import BY_KEY
from forensics.readers.settings import parse_json
from forensics.repair.actions.work import Work
from forensics.repair.released import released_texts
from forensics.store import Collection

Report = dict[str, Json]
DEFAULT_DATABASE = "00000000-0000-0000-0000-000000000000"
QUEUE_CONFIG = {"automatically_purge": False, "_type": "EmbeddingsQueueConfigurationInternal"}


def restore_migrations(work: Work) -> Report:
    """Every migration that was applied has its row, with text and hash as released."""
    database = work.store.database
    if isinstance(database, Absent):
        raise Refused(database.reason)
    with work.database() as connection:
        wrong = [key for key, digest, text in _stored(connection) if not _as_released(key, digest, text)]
        work.keep_rows("replaced-migrations", ("dir", "version"), wrong)
        for key in wrong:
            sql = "UPDATE migrations SET hash = ?, sql = ? WHERE dir = ? AND version = ?"
            connection.execute(sql, (BY_KEY[key].hash, released_texts()[key], *key))
        missing = migration_gaps(database)
        for key in missing:
            row = (*key, BY_KEY[key].filename, released_texts()[key], BY_KEY[key].hash)
            sql = "INSERT INTO migrations (dir, version, filename, sql, hash) VALUES (?, ?, ?, ?, ?)"
            connection.execute(sql, row)
    return {"restored": [list(key) for key in wrong], "inserted": [list(key) for key in missing]}


def _stored(connection: sqlite3.Connection) -> Iterator[tuple[tuple[str, int], str, str]]:
    for directory, version, digest, text in connection.execute(
        "SELECT dir, version, hash, sql FROM migrations"
    ).fetchall():
        if (directory, version) in BY_KEY:
            yield (directory, version), digest, text or ""


def _as_released(key: tuple[str, int], digest: str, text: str) -> bool:
    raw = text.encode("utf-8", "surrogateescape")
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    return md5 == BY_KEY[key].hash and digest in (md5, hashlib.sha256(raw).hexdigest())


def restore_tenants(work: Work) -> Report:
    """Every database that a collection names, and every tenant of a database, has its row."""
    with work.database() as connection:
        lost = _column(
            connection,
            "SELECT DISTINCT database_id FROM collections WHERE database_id NOT IN (SELECT id FROM databases)",
        )
        for database in lost:
            name = "default_database" if database == DEFAULT_DATABASE else database
            row = (database, name, "default_tenant")
            connection.execute("INSERT INTO databases (id, name, tenant_id) VALUES (?, ?, ?)", row)
        tenants = _column(
            connection,
            "SELECT DISTINCT tenant_id FROM databases WHERE tenant_id NOT IN (SELECT id FROM tenants)",
        )
        connection.executemany("INSERT INTO tenants (id) VALUES (?)", [(tenant,) for tenant in tenants])
    return {"databases": lost, "tenants": tenants}


def _column(connection: sqlite3.Connection, sql: str) -> list[str]:
    return [row[0] for row in connection.execute(sql)]


def mend_segment_rows(work: Work) -> Report:
    """Every collection has one segment of each scope: a row with the id that its directory or its records
    have.
    """
    report: Report = {"retyped": _retyped(work)}
    for collection in [] if work.action.collection is None else [work.collection()]:
        for scope in TYPES:
            if not collection.segment_rows(scope):
                report[scope] = _inserted(work, collection, scope)
    return report


def _inserted(work: Work, collection: Collection, scope: str) -> str:
    found = candidate(collection, scope)
    if found is None:
        raise Refused(f"Nothing on disk tells which {scope} segment {collection.name} had.")
    columns = {"id": found["id"], "type": TYPES[scope], "scope": scope, "collection": collection.id}
    if "topic" in collection.database.columns("segments"):
        columns["topic"] = collection.row.topic
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    with work.database() as connection:
        connection.execute(f"INSERT INTO segments ({names}) VALUES ({marks})", list(columns.values()))
    return str(found["id"])


def _retyped(work: Work) -> list[str]:
    """Segments whose scope is known get its type, those whose type is known its scope."""
    rows = Absent("") if isinstance(work.store.database, Absent) else work.store.database.segments
    wrong = [] if isinstance(rows, Absent) else [row for row in rows if TYPES.get(row.scope) != row.type]
    scopes = {kind: scope for scope, kind in TYPES.items()}
    changes: list[tuple[str, str, str]] = []
    for row in wrong:
        scope = row.scope if row.scope in TYPES else scopes.get(row.type)
        if scope is None:
            raise Refused(f"Neither type nor scope of segment {row.id} is one that Chroma knows.")
        changes.append((scope, TYPES[scope], row.id))
    if changes:
        with work.database() as connection:
            connection.executemany("UPDATE segments SET scope = ?, type = ? WHERE id = ?", changes)
    return [row.id for row in wrong]


def mend_configuration(work: Work) -> Report:
    """Every configuration can be read: of the queue, or (for a collection) of its index; what was there is
    kept.
    """
    if work.action.collection is None:
        return _queue_configuration(work)
    collection = work.collection()
    return {
        "removed": _unknown_settings(work, collection),
        "replaced": _unreadable(work, collection),
        "typed": _typed(work, collection),
    }


def _queue_configuration(work: Work) -> Report:
    """A queue configuration that says what the unreadable one still shows of purging; else it is off."""
    with work.database() as connection:
        rows = connection.execute("SELECT id, config_json_str FROM embeddings_queue_config").fetchall()
        work.keep_rows("replaced-queue-configuration", ("id", "config_json_str"), rows)
        for row, text in rows:
            purge = re.search(r'automatically_purge"?\s*:\s*true', text or "") is not None
            value = json.dumps({**QUEUE_CONFIG, "automatically_purge": purge})
            connection.execute(
                "UPDATE embeddings_queue_config SET config_json_str = ? WHERE id = ?", (value, row)
            )
    return {"rows": len(rows)}


def _typed(work: Work, collection: Collection) -> bool:
    """Before 1.0 a configuration has the `_type` without which clients of 0.5 and 0.6 fail; True where it had not."""
    config = parse_json(collection.row.config_json_str, "config_json_str")
    if collection.store.is_modern or isinstance(config, Absent) or "_type" in config:
        return False
    value = {**config, "_type": "CollectionConfigurationInternal"}
    inner = config.get("hnsw_configuration")
    if isinstance(inner, dict):
        value["hnsw_configuration"] = {"_type": "HNSWConfigurationInternal", **inner}
    with work.database() as connection:
        sql = "UPDATE collections SET config_json_str = ? WHERE id = ?"
        connection.execute(sql, (json.dumps(value), collection.id))
    return True


def _unknown_settings(work: Work, collection: Collection) -> list[str]:
    """Without hnsw: keys that Chroma refuses."""
    owners = {"collection": collection.id, "segment": collection.vector_segment_id or ""}
    bad = [
        (kind, key, value)
        for kind, owner in owners.items()
        for key, value in _refused(collection.database, kind, owner)
    ]
    work.keep_rows("removed-settings", ("table", "key", "value"), bad)
    with work.database() as connection:
        for kind, key, _ in bad:
            sql = f"DELETE FROM {kind}_metadata WHERE {kind}_id = ? AND key = ?"
            connection.execute(sql, (owners[kind], key))
    return [key for _, key, _ in bad]


def _refused(database: Database, kind: str, owner: str) -> Iterator[tuple[str, Any]]:
    for key, value in database.metadata_of(f"{kind}_metadata", f"{kind}_id", owner).items():
        if str(key).startswith("hnsw:") and not is_valid_setting(str(key), value):
            yield key, value


def _unreadable(work: Work, collection: Collection) -> list[str]:
    """The columns that cannot be read are replaced by what the other places and the header say."""
    problems = config_problems(collection)
    columns = {"config_json_str": collection.row.config_json_str, "schema_str": collection.row.schema_str}
    work.keep_rows("replaced-configuration", ("column", "text"), [(name, columns[name]) for name in problems])
    with work.database() as connection:
        for name in problems:
            value = None if name == "schema_str" else json.dumps(collection.settings.configuration)
            connection.execute(f"UPDATE collections SET {name} = ? WHERE id = ?", (value, collection.id))
        if "schema_str" in problems:
            text = json.dumps(collection.settings.configuration)
            connection.execute(
                "UPDATE collections SET config_json_str = ? WHERE id = ?", (text, collection.id)
            )
    return sorted(problems)


CATALOGUE: dict[str, Callable[[Work], Report]] = {
    "restore-migrations": restore_migrations,
    "restore-tenants": restore_tenants,
    "mend-segment-rows": mend_segment_rows,
    "mend-configuration": mend_configuration,
}
