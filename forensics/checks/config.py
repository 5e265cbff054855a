"""Configuration: the migrations, the types they leave behind, segment types, tenants and databases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from forensics.absent import Absent
from forensics.checks import config_settings, config_space
from forensics.checks.places import in_table
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Remedy
from forensics.readers.database import Database, SeqId
from forensics.readers.migrations import (
    BY_KEY,
    LAST_KNOWN,
    RELEASED,
    keys_of,
    newer_than_known,
    set_of,
    span_of,
    written_by,
)
from forensics.readers.watermarks import purges
from forensics.store import METADATA_TYPE, VECTOR_TYPE, Store

__all__ = ["config_settings", "config_space"]

TYPES = {"METADATA": METADATA_TYPE, "VECTOR": VECTOR_TYPE}
LEAVES = {
    ("sysdb", 3): ("collections", "dimension"),
    ("sysdb", 7): ("collections", "config_json_str"),
    ("sysdb", 10): ("collections", "schema_str"),
    ("metadb", 2): ("embedding_metadata", "bool_value"),
    ("metadb", 6): ("embedding_metadata_array", "id"),
    ("embeddings_queue", 2): ("embeddings_queue_config", "config_json_str"),
}
"""(dir, version) → the table and column by which one sees that a migration was applied."""


def _database(store: Store) -> Database:
    assert isinstance(store.database, Database)
    return store.database


def _keys(database: Database) -> list[tuple[str, int]]:
    rows = database.migrations
    return [] if isinstance(rows, Absent) else keys_of(rows)


@check("CF801", scope="store", needs=("database",))
def migration_newer(store: Store) -> Iterator[Finding]:
    """Migrations that no release up to the last one known here has."""
    newer = newer_than_known(_keys(_database(store)))
    if not newer:
        return
    names = [f"{directory} {version}" for directory, version in newer]
    yield finding(
        "CF801",
        store,
        count=len(newer),
        unit="migrations",
        expected={"chroma": f"up to {LAST_KNOWN}"},
        found={"migrations": names},
        where=(in_table("migrations", ", ".join(names)),),
        means=f"A release after {LAST_KNOWN} wrote this store: what it changed is not known here. "
        "1.0.20 and 1.2.1 panic on it: 'range start index … out of range for slice'.",
        remedy=Remedy(action="upgrade-the-client", safety="manual"),
        confidence="likely",
    )


@check("CF802", scope="store", needs=("database",))
def migration_hash_differs(store: Store) -> Iterator[Finding]:
    """A hash that is not that of its text, or a text that is not the released one."""
    found = _database(store).rows("SELECT dir, version, hash, sql FROM migrations ORDER BY dir, version")
    if isinstance(found, Absent):
        return
    wrong = [row for row in (_hash_problem(*row) for row in found) if row is not None]
    if not wrong:
        return
    names = [f"{row['dir']} {row['version']}" for row in wrong]
    yield finding(
        "CF802",
        store,
        count=len(wrong),
        unit="migrations",
        expected={name: row["expected"] for name, row in zip(names, wrong, strict=True)},
        found={name: row["found"] for name, row in zip(names, wrong, strict=True)},
        where=(in_table("migrations", ", ".join(names)),),
        means="Every call fails with 'Inconsistent hash: db=…, source=…'; nothing else is damaged by it.",
        remedy=Remedy(action="restore-migrations", safety="safe"),
    )


def _hash_problem(
    directory: str, version: int, digest: str, sql: str | bytes | None
) -> dict[str, Any] | None:
    """None where hash and text are as released (MD5, or SHA-256 where the client is set so)."""
    released = BY_KEY.get((directory, version))
    if released is None:
        return None
    text = sql if isinstance(sql, bytes) else str(sql or "").encode("utf-8", "surrogateescape")
    own = hashlib.md5(text, usedforsecurity=False).hexdigest()
    if own == released.hash and digest in (own, hashlib.sha256(text).hexdigest()):
        return None
    said = {"hash": digest, "text": own}
    return {"dir": directory, "version": version, "expected": released.hash, "found": said}


@check("CF803", scope="store", needs=("database",))
def migration_missing(store: Store) -> Iterator[Finding]:
    """A gap in the numbers of a folder, or the last one gone although its effect is there."""
    database = _database(store)
    gaps = migration_gaps(database)
    if not gaps:
        return
    names = [f"{directory} {version}" for directory, version in gaps]
    yield finding(
        "CF803",
        store,
        count=len(gaps),
        unit="migrations",
        expected={"migrations": names},
        found={"chroma": written_by(database.migrations), "missing": names},
        where=(in_table("migrations", ", ".join(names)),),
        means="Every call fails ('Inconsistent version'), or the next open runs the migration a second time.",
        remedy=Remedy(action="restore-migrations", safety="safe"),
    )


def migration_gaps(database: Database) -> list[tuple[str, int]]:
    """(dir, version) that should be there: below a higher one of its folder, or visibly applied."""
    have = set(_keys(database))
    highest = {directory: max(v for d, v in have if d == directory) for directory, _ in have}
    span = span_of(have)
    wanted = set_of(span[0]) if span else frozenset[tuple[str, int]]()
    missing = {released.key for released in RELEASED} - have
    return sorted(
        key
        for key in missing
        if key[1] < highest.get(key[0], 0) or (_is_applied(database, key) and key in wanted)
    ) + sorted(key for key in missing - wanted if _is_applied(database, key))


def _is_applied(database: Database, key: tuple[str, int]) -> bool:
    table, column = LEAVES.get(key, ("", ""))
    return column in database.columns(table)


@check("CF804", scope="store", needs=("database",))
def sequence_id_type(store: Store) -> Iterator[Finding]:
    """max_seq_id not stored as the migrations say: integers after metadb 5, BLOBs before it."""
    table = _database(store).max_seq_ids
    wanted = "integer" if store.is_modern else "blob"
    wrong = {} if isinstance(table, Absent) else {k: v for k, v in table.items() if v.stored != wanted}
    if not wrong:
        return
    unknown = sum(value.value is None for value in wrong.values())
    yield finding(
        "CF804",
        store,
        count=len(wrong),
        unit="watermarks",
        expected={segment: _typed(wanted, value) for segment, value in wrong.items()},
        found={
            **{segment: _typed(value.stored, value) for segment, value in wrong.items()},
            "opening_destroys": 0 if store.is_modern else _purged_by_migration(store, wrong),
        },
        where=tuple(in_table("max_seq_id", f"segment_id = {segment}") for segment in list(wrong)[:5]),
        means=_type_means(modern=store.is_modern),
        remedy=Remedy(action="convert-sequence-ids", safety="manual" if unknown else "safe"),
        causes=_type_causes(modern=store.is_modern),
    )


def _purged_by_migration(store: Store, wrong: Mapping[str, SeqId]) -> int:
    """Queue rows with a vector that 1.x purges at once where the migration poisons both watermarks."""
    if purges(_database(store)) is not True:
        return 0
    sql = "SELECT count(*) FROM embeddings_queue WHERE topic = ? AND vector IS NOT NULL"
    both = [c for c in store.collections if {c.metadata_segment_id, c.vector_segment_id} <= wrong.keys()]
    counts = (_database(store).rows(sql, (collection.queue.topic,)) for collection in both)
    return sum(int(found[0][0]) for found in counts if not isinstance(found, Absent))


def _typed(kind: str, value: SeqId) -> dict[str, Any]:
    return {"type": kind, "value": value.value}


def _type_means(*, modern: bool) -> str:
    if modern:
        return "Every call fails: 'mismatched types; Rust type `u64` (as SQL type `INTEGER`) is not …'."
    return (
        "The next open with 1.x runs its migration over these integers and makes numbers near 1e18 of them: "
        "every later write would vanish. Do not open this store with 1.x before they are BLOBs again."
    )


def _type_causes(*, modern: bool) -> tuple[Cause, ...]:
    if modern:
        evidence = "metadb migration 5 converts every row; this one was written after it"
        return (
            Cause(name="an older client or a script wrote the row", confidence="likely", evidence=evidence),
        )
    evidence = "releases before 1.0 store BLOBs of 8 bytes"
    return (Cause(name="a script converted max_seq_id", confidence="likely", evidence=evidence),)


@check("CF812", scope="store", needs=("database",))
def segment_type_unknown(store: Store) -> Iterator[Finding]:
    """Segments of a type or scope that the local Chroma does not know, or that do not fit each other."""
    rows = _database(store).segments
    wrong = [] if isinstance(rows, Absent) else [row for row in rows if TYPES.get(row.scope) != row.type]
    if not wrong:
        return
    plain = {
        scope for scope, kind in TYPES.items() for row in wrong if kind == row.type or scope == row.scope
    }
    yield finding(
        "CF812",
        store,
        count=len(wrong),
        unit="segments",
        expected=TYPES,
        found={row.id: {"type": row.type, "scope": row.scope, "collection": row.collection} for row in wrong},
        where=(in_table("segments", ", ".join(row.id for row in wrong[:5])),),
        means="Every call on the collection fails with 'Failed to get segments'.",
        remedy=Remedy(action="mend-segment-rows", safety="safe" if plain else "manual"),
    )


@check("CF813", scope="store", needs=("database",))
def tenant_or_database_missing(store: Store) -> Iterator[Finding]:
    """A collection names a database, or that database a tenant, of which there is no row."""
    database = _database(store)
    if not {"tenants", "databases"} <= database.tables:
        return
    homes = database.rows("SELECT id, tenant_id FROM databases")
    tenants = database.rows("SELECT id FROM tenants")
    rows = database.collections
    if isinstance(homes, Absent) or isinstance(tenants, Absent) or isinstance(rows, Absent):
        return
    owners = {str(row[0]): str(row[1]) for row in homes}
    there = {str(row[0]) for row in tenants}
    lost = sorted({str(row.database_id) for row in rows} - owners.keys())
    used = {owners[str(row.database_id)] for row in rows if str(row.database_id) in owners}
    ownerless = sorted(used - there)
    if not lost and not ownerless:
        return
    yield finding(
        "CF813",
        store,
        count=len(lost) + len(ownerless),
        unit="rows",
        expected={"databases": lost, "tenants": ownerless},
        found={"databases": sorted(owners), "tenants": sorted(there)},
        where=(in_table("databases", ", ".join(lost)), in_table("tenants", ", ".join(ownerless))),
        means="Every open fails: 'Could not connect to tenant default_tenant. Are you sure it exists?'",
        remedy=Remedy(action="restore-tenants", safety="safe"),
    )
