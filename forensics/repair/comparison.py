"""A repaired store against the one that it was made from, and against what the plan said. Reads both, changes
neither.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

from forensics.absent import Absent
from forensics.model import Diagnosis, Effect, Finding, Plan, Test
from forensics.readers.database import DATABASE, has_journal
from forensics.readers.id_map import IdMap
from forensics.repair.effects import reachable, surely_reachable
from forensics.repair.foreign import VOUCH
from forensics.store import Collection, Store

TABLES_OF: Mapping[str, frozenset[str]] = {
    "trim-ids": frozenset({"embeddings", "embeddings_queue"}),
    "delete-ids": frozenset({"embeddings", "embedding_metadata", "embedding_metadata_array"}),
    "set-aside-records": frozenset({"embeddings", "embedding_metadata", "embedding_metadata_array"}),
    "quarantine-orphan-rows": frozenset(
        {"embeddings", "embedding_metadata", "embedding_metadata_array", "max_seq_id"}
    ),
    "quarantine-queue-rows": frozenset({"embeddings_queue"}),
    "restore-quarantined": frozenset(
        {"embeddings", "embedding_metadata", "embedding_metadata_array", "max_seq_id", "embeddings_queue"}
    ),
    "quarantine-ghosts": frozenset({"embeddings_queue"}),
    "put-queue-floor": frozenset({"embeddings_queue"}),
    "purge-queue": frozenset({"embeddings_queue"}),
    "restore-watermark": frozenset({"max_seq_id"}),
    "insert-watermark": frozenset({"max_seq_id"}),
    "remove-watermark": frozenset({"max_seq_id"}),
    "rebuild-segment": frozenset({"max_seq_id", "embeddings_queue"}),
    "compact-segment": frozenset({"max_seq_id", "embeddings_queue"}),
    "convert-sequence-ids": frozenset({"max_seq_id"}),
    "set-dimension": frozenset({"collections"}),
    "set-index-parameters": frozenset({"collections", "collection_metadata", "segment_metadata"}),
    "restore-migrations": frozenset({"migrations"}),
    "restore-documents": frozenset({"embedding_metadata"}),
    "fit-to-release": frozenset({"migrations", "collections", "embedding_metadata_array"}),
    "restore-tenants": frozenset({"tenants", "databases"}),
    "mend-segment-rows": frozenset({"segments", "embeddings"}),
    "mend-configuration": frozenset(
        {"collections", "collection_metadata", "segment_metadata", "embeddings_queue_config"}
    ),
}
"""The tables that a kind of action may change; every other table keeps every row."""


def tables_of(plan: Plan) -> frozenset[str]:
    """The tables that the approved actions of a plan may change."""
    return frozenset().union(*(TABLES_OF.get(action.kind, frozenset()) for action in plan.approved))


def gone(plan: Plan, after: Diagnosis) -> Test:
    """What the plan promised to heal is not found any more (a note at most)."""
    left = sorted(set(plan.promised) & set(after.codes(notes=False)))
    detail = (
        f"still found: {', '.join(left)}"
        if left
        else f"gone: {', '.join(plan.promised) or 'nothing was promised'}"
    )
    return Test(name="promised findings are gone", passed=not left, detail=detail, count=len(plan.promised))


def nothing_new(before: Iterable[tuple[str, str | None]], after: Diagnosis, plan: Plan) -> Test:
    """Nothing above a note is found that was not found before, but for losses that the plan foretold."""
    known = {*before, *((code, e.collection) for e in plan.effects if e.lost for code in ("CF501", "CF212"))}
    known |= {("CF212", a.collection) for a in plan.approved if a.kind == "quarantine-queue-rows"}
    aged = [a.collection for a in plan.approved if a.parameters.get("possibly_older")]  # the plan said so
    known |= {(code, name) for name in aged for code in ("CF505", "CF810")}
    back = [a for a in plan.approved if a.kind == "restore-quarantined"]
    known |= {(code, name) for a in back for code in a.codes for name in (a.collection, None)}
    new = sorted(
        {
            f"{f.code} in {f.collection or 'the store'}"
            for f in _above(after)
            if (f.code, f.collection) not in known
        }
    )
    broken = sorted(check.code for check in after.checks if check.outcome == "crashed")
    detail = "; ".join([*(f"new: {text}" for text in new), *(f"check crashed: {code}" for code in broken)])
    return Test(
        name="no new findings",
        passed=not new and not broken,
        detail=detail or "none",
        count=len(after.checks),
    )


def not_shown(plan: Plan) -> Iterator[Test]:
    """One line per collection in which it cannot be told whose the vectors under labels given twice are."""
    for action in plan.actions:
        if action.kind == VOUCH:
            records = action.parameters["records"]
            name = f"{action.collection}: whose each vector is"
            detail = f"not shown for {records} records, whose labels were given twice: no embedder tells it"
            yield Test(name=name, passed=True, detail=detail, count=int(str(records)))


OF_THE_MOMENT = frozenset({"CF005", "CF009", "CF012"})
"""What is found of the moment, not of the store."""


def _above(diagnosis: Diagnosis) -> Iterator[Finding]:
    return (f for f in diagnosis.findings if f.severity != "note" and f.code not in OF_THE_MOMENT)


def measured(before: Store, after: Store, plan: Plan, embedded: Mapping[str, int]) -> tuple[Effect, ...]:
    """What was done to the records of each collection of the plan; `embedded` counts those embedded again."""
    old = {collection.name: collection for collection in before.collections}
    new = {collection.name: collection for collection in after.collections}
    return tuple(
        _effect(each, old.get(each.collection), new.get(each.collection), embedded) for each in plan.effects
    )


def _effect(
    predicted: Effect, old: Collection | None, new: Collection | None, embedded: Mapping[str, int]
) -> Effect:
    name = predicted.collection
    was = None if old is None else reachable(old)
    surely = 0 if old is None else surely_reachable(old)
    now = None if new is None else reachable(new)
    there = 0 if new is None else surely_reachable(new)
    again = embedded.get(name, 0)
    records = None if new is None or isinstance(new.records, Absent) else len(new.records)
    old_records = None if old is None or isinstance(old.records, Absent) else len(old.records)
    aside = 0 if old_records is None else max(0, old_records - (records or 0))
    return Effect(
        collection=name,
        before=was,
        after=now,
        reattached=max(0, there - surely - again),
        reembedded=again,
        lost=(records or 0) - there,
        set_aside=aside,
    )


def as_predicted(predicted: Sequence[Effect], found: Sequence[Effect]) -> Test:
    """The effect on every collection is the one that was predicted."""
    wrong = [
        f"{a.collection}: {name} {getattr(a, name)} predicted, {getattr(b, name)} found"
        for a, b in zip(predicted, found, strict=True)
        for name in ("before", "after", "reattached", "reembedded", "lost", "set_aside")
        if getattr(a, name) != getattr(b, name)
    ]
    return Test(
        name="the effect is the predicted one",
        passed=not wrong,
        detail="; ".join(wrong) or "equal",
        count=len(found),
    )


def ids_agree(collection: Collection, lost: int) -> Test:
    """Every record is indexed or pending but for those known as lost; every mapped id has a record or a
    pending row.
    """
    name = f"{collection.name}: ids of SQLite and index are equal"
    records = collection.records
    if isinstance(records, Absent):
        return Test(name=name, passed=False, detail=records.reason)
    missing, ghosts = int(records.missing.sum()), len(records.ghosts)
    inverse = not isinstance(collection.id_map, IdMap) or _is_bijective(collection.id_map)
    detail = f"{missing} records without a vector ({lost} known), {ghosts} ids without a record"
    return Test(name=name, passed=missing == lost and inverse, detail=detail, count=len(records))


def _is_bijective(id_map: IdMap) -> bool:
    if len(id_map.id_to_label) != len(id_map.label_to_id):
        return False
    return (
        dict(zip(id_map.label_to_id.values(), id_map.label_to_id.keys(), strict=True)) == id_map.id_to_label
    )


def tables_kept(before: Store, after: Store, plan: Plan) -> Test:
    """Every row of every table that no approved action is about is in the repaired database, and no other."""
    name = "tables that no action is about are unchanged"
    old, new = before.tree.resolve(DATABASE), after.tree.resolve(DATABASE)
    if old == new:
        return Test(name=name, passed=True, detail="the database is the same file", count=0)
    if has_journal(old):
        return Test(
            name=name, passed=True, detail="not compared: the original has an unfinished transaction", count=0
        )
    allowed = tables_of(plan)
    connection = sqlite3.connect(f"file:{quote(os.fsencode(new))}?mode=ro&immutable=1", uri=True)
    try:
        connection.execute("ATTACH ? AS old", (f"file:{quote(os.fsencode(old))}?mode=ro&immutable=1",))
        tables = [table for table in _tables(connection) if table not in allowed]
        changed = [table for table in tables if _rows_differ(connection, table)]
    finally:
        connection.close()
    detail = f"changed: {', '.join(changed)}" if changed else f"{len(tables)} tables equal"
    return Test(name=name, passed=not changed, detail=detail, count=len(tables))


def _tables(connection: sqlite3.Connection) -> list[str]:
    sql = "SELECT name FROM old.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    return [row[0] for row in connection.execute(sql) if not row[0].startswith("embedding_fulltext")]


def _rows_differ(connection: sqlite3.Connection, table: str) -> bool:
    quoted = '"' + table.replace('"', '""') + '"'
    counts = [
        connection.execute(f"SELECT count(*) FROM {side}.{quoted}").fetchone()[0] for side in ("main", "old")
    ]
    if counts[0] != counts[1]:
        return True
    if counts[0] == _rows_equal(connection, quoted):
        return False
    sql = f"SELECT 1 FROM (SELECT * FROM main.{quoted} EXCEPT SELECT * FROM old.{quoted}) LIMIT 1"
    return connection.execute(sql).fetchone() is not None


def _rows_equal(connection: sqlite3.Connection, quoted: str) -> int:
    """How many rows stand in both under the same rowid with the same cells; -1 where there are no rowids.

    A draft's database is a copy, so that mostly all do; it costs a tenth of comparing sorted rows.
    """
    columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({quoted})")]
    names = ['"' + name.replace('"', '""') + '"' for name in columns]
    same = " AND ".join(f"a.{name} IS b.{name}" for name in names)
    sql = f"SELECT count(*) FROM main.{quoted} a JOIN old.{quoted} b ON a.rowid = b.rowid WHERE {same}"
    try:
        return connection.execute(sql).fetchone()[0]
    except sqlite3.OperationalError:
        return -1
