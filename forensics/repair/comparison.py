"""A repaired store against the one that it was made from, and against what the plan said. Reads both, changes
neither.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

import numpy as np

from forensics.absent import Absent
from forensics.model import Diagnosis, Effect, Finding, Plan, Test
from forensics.readers.database import DATABASE, has_journal
from forensics.readers.id_map import IdMap
from forensics.repair.planner import reachable
from forensics.repair.provenance import Origin
from forensics.sources import QUEUE, Sources, fetch
from forensics.store import Collection, Store

CHUNK = 1 << 14
ONE_STEP = 4e-7
"""What normalising in another order of additions may change in a component of a unit vector."""

TABLES_OF: Mapping[str, frozenset[str]] = {
    "trim-ids": frozenset({"embeddings", "embeddings_queue"}),
    "delete-ids": frozenset({"embeddings", "embedding_metadata", "embedding_metadata_array"}),
    "set-aside-records": frozenset({"embeddings", "embedding_metadata", "embedding_metadata_array"}),
    "quarantine-orphan-rows": frozenset(
        {"embeddings", "embedding_metadata", "embedding_metadata_array", "max_seq_id"}
    ),
    "quarantine-queue-rows": frozenset({"embeddings_queue"}),
    "put-queue-floor": frozenset({"embeddings_queue"}),
    "purge-queue": frozenset({"embeddings_queue"}),
    "restore-watermark": frozenset({"max_seq_id"}),
    "insert-watermark": frozenset({"max_seq_id"}),
    "remove-watermark": frozenset({"max_seq_id"}),
    "rebuild-segment": frozenset({"max_seq_id"}),
    "convert-sequence-ids": frozenset({"max_seq_id"}),
    "set-dimension": frozenset({"collections"}),
    "restore-migrations": frozenset({"migrations"}),
    "restore-tenants": frozenset({"tenants", "databases"}),
    "mend-segment-rows": frozenset({"segments", "embeddings"}),
    "mend-configuration": frozenset(
        {"collections", "collection_metadata", "segment_metadata", "embeddings_queue_config"}
    ),
}
"""The tables that a kind of action may change; every other table keeps every row."""


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
    now = None if new is None else reachable(new)
    again = embedded.get(name, 0)
    records = None if new is None or isinstance(new.records, Absent) else len(new.records)
    old_records = None if old is None or isinstance(old.records, Absent) else len(old.records)
    aside = 0 if old_records is None else old_records - (records or 0)
    return Effect(
        collection=name,
        before=was,
        after=now,
        reattached=max(0, (now or 0) - (was or 0) - again),
        reembedded=again,
        lost=(records or 0) - (now or 0),
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
    return all(id_map.label_to_id.get(label) == name for name, label in id_map.id_to_label.items())


def kept_vectors(
    old: Collection, new: Collection, renamed: Mapping[str, str], replaced: frozenset[str]
) -> Test:
    """Every vector that was indexed and still has its record stands in the repaired index, bit for bit."""
    name = f"{new.name}: vectors that were in the index are unchanged"
    before, after = old.records, new.records
    if (
        isinstance(before, Absent)
        or isinstance(after, Absent)
        or isinstance(old.vector, Absent)
        or isinstance(new.vector, Absent)
    ):
        return Test(name=name, passed=True, detail="there was no index to compare with", count=0)
    place = {each: row for row, each in enumerate(after.rows.ids)}
    held = np.flatnonzero(before.indexed)
    rows = [place.get(renamed.get(before.rows.ids[i], before.rows.ids[i]), -1) for i in held.tolist()]
    there = np.array(rows, dtype=np.int64)
    wanted = (there >= 0) & np.array([before.rows.ids[i] not in replaced for i in held.tolist()], dtype=bool)
    left, right = before.elements[held[wanted]], after.elements[there[wanted]]
    wrong = _different(old, new, left, right)
    return Test(
        name=name,
        passed=wrong == 0,
        detail=f"{len(left) - wrong} of {len(left)} equal bit for bit",
        count=len(left),
    )


def _different(old: Collection, new: Collection, left: np.ndarray, right: np.ndarray) -> int:
    """How many of these pairs of elements do not carry the same bits (and for cosine the same norm)."""
    assert not isinstance(old.vector, Absent)
    assert not isinstance(new.vector, Absent)
    wrong = int((right < 0).sum())
    left, right = left[right >= 0], right[right >= 0]
    for start in range(0, len(left), CHUNK):
        a = old.vector.files.vectors(left[start : start + CHUNK]).view(np.uint32)
        b = new.vector.files.vectors(right[start : start + CHUNK]).view(np.uint32)
        wrong += int((a != b).any(axis=1).sum())
    return wrong


def restored_vectors(old: Collection, new: Collection, origins: Sequence[Origin]) -> Test:
    """Every vector that was brought back is the one of its origin: bit for bit, of the queue under cosine to
    one step.
    """
    name = f"{new.name}: vectors that were brought back are those of their origin"
    found = [each for each in origins if each.origin not in ("embedded again", "level 0")]
    own = [each for each in origins if each.origin == "level 0"]
    wrong = _wrong_elsewhere(old, new, found) + _wrong_own(old, new, own)
    total = len(found) + len(own)
    return Test(name=name, passed=wrong == 0, detail=f"{total - wrong} of {total} equal", count=total)


def _wrong_own(old: Collection, new: Collection, own: Sequence[Origin]) -> int:
    if (
        not own
        or isinstance(new.records, Absent)
        or isinstance(old.vector, Absent)
        or isinstance(new.vector, Absent)
    ):
        return 0
    left = np.array([each.ref for each in own], dtype=np.int64)
    if isinstance(old.vector.files.level0, Absent):
        return 0  # the header was repaired first; the elements are compared through the map by `ids_agree`
    return _different(old, new, left, _elements(new, own))


def _elements(new: Collection, origins: Sequence[Origin]) -> np.ndarray:
    """(k,) where the repaired index holds these records, -1 where it does not."""
    records = new.records
    if isinstance(records, Absent):
        return np.full(len(origins), -1, dtype=np.int64)
    place = dict(zip(records.rows.ids, np.where(records.indexed, records.elements, -1).tolist(), strict=True))
    return np.array([place.get(each.id, -1) for each in origins], dtype=np.int64)


def _wrong_elsewhere(old: Collection, new: Collection, found: Sequence[Origin]) -> int:
    if not found or isinstance(new.vector, Absent):
        return 0
    count = len(found)
    sources = Sources(
        ids=tuple(each.id for each in found),
        kind=np.array([each.origin for each in found], dtype=object),
        origin=np.array([each.place for each in found], dtype=object),
        ref=np.array([each.ref for each in found], dtype=np.int64),
        current=np.ones(count, dtype=bool),
        has_document=np.zeros(count, dtype=bool),
    )
    elements = _elements(new, found)
    vectors = fetch(old, sources, np.arange(count))
    there = elements >= 0
    stored = new.vector.files.vectors(elements[there])
    wanted = vectors.stored[there]
    exact = (stored.view(np.uint32) == wanted.view(np.uint32)).all(axis=1)
    rounded = (sources.kind[there] == QUEUE) & (old.settings.space == "cosine")
    near = np.abs(stored - wanted).max(axis=1, initial=0.0) <= ONE_STEP
    return int((~there).sum()) + int((~(exact | (rounded & near))).sum())


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
    allowed = frozenset().union(*(TABLES_OF.get(action.kind, frozenset()) for action in plan.approved))
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
    sql = f"SELECT 1 FROM (SELECT * FROM main.{quoted} EXCEPT SELECT * FROM old.{quoted}) LIMIT 1"
    return connection.execute(sql).fetchone() is not None
