"""What stops every call before anything is loaded or replayed: catalogue, migrations, settings, rows that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from forensics.absent import Absent
from forensics.foretell.python06 import metadata_start, vector_start
from forensics.foretell.situation import Situation
from forensics.readers.database import Database, SeqId
from forensics.readers.id_map import IdMap
from forensics.readers.migrations import BY_KEY, order, set_of
from forensics.sources import dimension_of
from forensics.store import METADATA_TYPE, VECTOR_TYPE, Collection

MODERN = "1.0.0"
NO_ANSWER = "Failed to receive response|Failed to pull logs|Error sending message to compactor"
MALFORMED = "malformed"
WRITES = ("add and reopen",)
OF_VECTORS = ("get with embeddings", "peek", "query", "filtered query", *WRITES)
KEY = {"segment_id", "embedding_id"}
OF_PYTHON = frozenset({METADATA_TYPE, VECTOR_TYPE, "urn:chroma:segment/vector/hnsw-local-memory"})
OF_RUST = OF_PYTHON | {
    f"urn:chroma:segment/{name}"
    for name in ("metadata/blockfile", "record/blockfile", "vector/hnsw-distributed", "vector/spann")
}
"""What a local store of 1.x takes for its own, too, whatever of these SQLite says."""
OPERATIONS = 4
"""The highest operation that 1.x knows."""


@dataclass(frozen=True, slots=True)
class Gate:
    """`error` of every call (`at_open`: of `open` as well; `only`: of these alone), and why."""

    error: str
    why: str
    at_open: bool = False
    only: tuple[str, ...] = ()

    def stops(self, call: str) -> bool:
        return call in self.only if self.only else self.at_open or call != "open"


def closed(situation: Situation) -> tuple[Gate, ...]:
    """The gates that are closed for this release, in the order in which it meets them."""
    modern = order(situation.release) >= order(MODERN)
    return tuple(_of_rust(situation) if modern else _of_python(situation))


def _of_rust(situation: Situation) -> Iterator[Gate]:
    collection = situation.collection
    yield from _migrations(collection.database, situation.release)
    yield from _home(collection)
    yield from _queue_config(collection, "Failed to parse legacy config")
    for scope in ("VECTOR", "METADATA"):
        for why in _strange_types(collection, scope, OF_RUST):
            yield Gate("Failed to get segments", why)
    yield from _segments(collection, ("Missing vector segment", "Missing metadata segment"))
    yield from _settings(collection)
    yield from _width(collection)
    if collection.dimension is not None:
        yield from _behind_the_map(collection)
        yield from _marks(collection)
        yield from _queue(collection)
        yield from _rows_of_rust(collection)


def _of_python(situation: Situation) -> Iterator[Gate]:
    collection = situation.collection
    yield from _migrations(collection.database, situation.release)
    yield from _home(collection)
    yield from _queue_config(collection, "Unable to decode configuration")
    yield from _configuration(collection.row.config_json_str)
    if collection.vector_segment_id is None or collection.metadata_segment_id is None:
        yield Gate("StopIteration", "SQLite names no segment that a write could go to", only=WRITES)
    for scope, only in (("METADATA", ()), ("VECTOR", OF_VECTORS)):
        for why in _strange_types(collection, scope, OF_PYTHON):
            yield Gate("StopIteration", why, only=only)
    yield from _segments(collection, ("KeyError", "KeyError"))
    yield from _width(collection)
    yield from _mark_of_python(collection)
    yield from _queue_of_python(situation)
    yield from _rows_of_python(collection)


def _configuration(text: str | None) -> Iterator[Gate]:
    """0.6.3 names the class of every configuration in it; nothing at all is taken for the defaults."""
    if text is not None and not _is_json(text):
        yield Gate("JSONDecodeError", "config_json_str is no JSON")
        return
    told = json.loads(text or "null")
    inner = told.values() if isinstance(told, dict) else ()
    if isinstance(told, dict) and "_type" not in told:
        yield Gate("_type", "the configuration of the collection does not say its type, as that of 1.x")
    elif any(isinstance(one, dict) and "_type" not in one for one in inner):
        yield Gate("Invalid configuration type", "the configuration of the index does not say its type")


def _width(collection: Collection) -> Iterator[Gate]:
    """Vectors as wide as those of the index, where SQLite says another width."""
    wide, said = dimension_of(collection), collection.dimension
    if wide is not None and said is not None and wide != said:
        why = f"SQLite says {said} components, and the vectors of the index have {wide}"
        error = "expecting embedding with dimension|does not match collection dimension"
        yield Gate(error, why, only=("query", "filtered query", *WRITES))


def _mark_of_python(collection: Collection) -> Iterator[Gate]:
    """Without a row of the watermark 0.6.3 asks the id map, and only those before 0.5.6 have one."""
    id_map = collection.id_map
    if not isinstance(collection.vector_watermark_row, Absent) or not isinstance(id_map, IdMap):
        return
    if id_map.form == "class" and id_map.max_seq_id is None:
        yield Gate("max_seq_id", "neither SQLite nor the id map has a watermark", only=OF_VECTORS)


def _queue_of_python(situation: Situation) -> Iterator[Gate]:
    """A row that 0.6.3 cannot decode stops each segment that is to be handed it, as soon as that is asked for."""
    disk = situation.disk
    for start, only in ((metadata_start(disk), ()), (vector_start(disk, situation.load), OF_VECTORS)):
        for error, why in _undecodable(situation.collection, start):
            yield Gate(error, why, only=only)


def _undecodable(collection: Collection, above: int) -> Iterator[tuple[str, str]]:
    rows = collection.queue.rows(above=above)
    for row in () if isinstance(rows, Absent) else rows:
        if row.vector_bytes and row.vector_bytes % 4:
            yield "ValueError", f"the vector of row {row.seq_id} is no whole number of floats"
        elif row.operation not in range(OPERATIONS):
            yield "KeyError", f"row {row.seq_id} has an unknown operation"
    for seq_id, text in _metadata(collection, above):
        if not _is_json(text):
            yield "JSONDecodeError", f"the metadata of row {seq_id} are no JSON"


def _rows_of_rust(collection: Collection) -> Iterator[Gate]:
    """1.x inserts into table embeddings `ON CONFLICT (segment_id, embedding_id)`, and takes all rows or none.

    New rows go to the end of the table: damage elsewhere in it is not in their way.
    """
    why = _unreadable(collection, _NEWEST) or _unconstrained(collection)
    if why:
        mark = _mark(collection.metadata_watermark)
        waiting = collection.queue.rows(above=mark)
        error = "Failed to apply logs to the metadata segment"
        yield Gate(error, why, only=() if waiting and not isinstance(waiting, Absent) else WRITES)


def _rows_of_python(collection: Collection) -> Iterator[Gate]:
    """0.6.3 counts by the index of table embeddings alone; whatever asks for more reads the table."""
    why = _unreadable(collection, _EVERY)
    if why:
        yield Gate(MALFORMED, why, only=("get", "get with embeddings", "peek", "filtered query", *WRITES))


_EVERY = "SELECT max(seq_id IS NULL) FROM embeddings NOT INDEXED"
_NEWEST = "SELECT seq_id FROM embeddings NOT INDEXED ORDER BY id DESC LIMIT 1"


def _unreadable(collection: Collection, sql: str) -> str:
    found = collection.database.rows(sql)
    return f"table embeddings cannot be read: {found.reason}" if isinstance(found, Absent) else ""


def _unconstrained(collection: Collection) -> str:
    """Neither a primary key nor a unique index on the columns that an upsert names."""
    sql = "SELECT name FROM pragma_index_list('embeddings') WHERE \"unique\""
    found = collection.database.rows(sql)
    for (name,) in () if isinstance(found, Absent) else found:
        columns = collection.database.rows("SELECT name FROM pragma_index_info(?)", (name,))
        if not isinstance(columns, Absent) and {column for (column,) in columns} == KEY:
            return ""
    return "" if isinstance(found, Absent) else "table embeddings has lost its constraint on segment and id"


def _migrations(database: Database, release: str) -> Iterator[Gate]:
    """Those applied beside those that the release has, in order, as far as both go: the first pair that differs."""
    rows = () if isinstance(database.migrations, Absent) else database.migrations
    source = sorted(set_of(release))
    for folder in sorted({folder for folder, _ in source}):
        applied = sorted((row for row in rows if row.dir == folder), key=lambda row: row.version)
        for row, key in zip(applied, (key for key in source if key[0] == folder), strict=False):
            if row.version != key[1]:
                why = f"where migration {folder} {key[1]} should stand, {row.version} does"
                yield Gate("Inconsistent version|Inconsistent migration versions", why, at_open=True)
            elif row.hash != BY_KEY[key].hash:
                why = f"the hash of migration {folder} {row.version} was changed"
                yield Gate("Inconsistent hash", why, at_open=True)


def _home(collection: Collection) -> Iterator[Gate]:
    """1.x and 0.6 look for tenant and database when the client is made."""
    sql = "SELECT tenant_id FROM databases WHERE id = ?"
    found = collection.database.rows(sql, (collection.row.database_id,))
    if isinstance(found, Absent):
        return
    tenants = (
        collection.database.rows("SELECT id FROM tenants WHERE id = ?", tuple(found[0])) if found else []
    )
    if not isinstance(tenants, Absent) and not tenants:
        what = "tenant" if found else "database"
        yield Gate("not found|does not exist|Could not connect to tenant", f"the {what} has no row", True)


def _segments(collection: Collection, missing: tuple[str, str]) -> Iterator[Gate]:
    """Vector and METADATA segment, each with the error where there is no row of it."""
    if collection.vector_segment_id is None:
        yield Gate(missing[0], "SQLite names no vector segment")
    if collection.metadata_segment_id is None:
        yield Gate(missing[1], "SQLite names no metadata segment")


def _strange_types(collection: Collection, scope: str, known: frozenset[str]) -> Iterator[str]:
    for row in collection.segment_rows(scope):
        if row.type not in known:
            yield f"the type of a segment is {row.type!r}"


def _queue_config(collection: Collection, error: str) -> Iterator[Gate]:
    """Whether the queue is purged is read when a client is made."""
    found = collection.database.rows("SELECT config_json_str FROM embeddings_queue_config LIMIT 1")
    for (text,) in () if isinstance(found, Absent) else found:
        if isinstance(text, str) and not _is_json(text):
            yield Gate(error, "the configuration of the queue is no JSON", at_open=True)


def _settings(collection: Collection) -> Iterator[Gate]:
    for name in ("config_json_str", "schema_str"):
        text = getattr(collection.row, name)
        if text and not _is_json(text):
            yield Gate("Could not deserialize|Failed to parse|deserialize", f"{name} is no JSON")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _behind_the_map(collection: Collection) -> Iterator[Gate]:
    """1.x wants the file to end where the pickle does; Python stops reading there."""
    if isinstance(collection.id_map, IdMap) and (more := collection.id_map.trailing):
        yield Gate("trailing bytes found", f"{more} bytes stand behind the end of the id map")


def _marks(collection: Collection) -> Iterator[Gate]:
    """After metadb migration 5 a watermark must be an integer."""
    for mark in (collection.metadata_watermark, collection.vector_watermark_row):
        if isinstance(mark, SeqId) and mark.stored == "blob" and collection.store.is_modern:
            yield Gate("mismatched types", "a watermark is bytes, and the migration to integers is done")


def _queue(collection: Collection) -> Iterator[Gate]:
    """Rows above the lower watermark that cannot be decoded."""
    above = min(_mark(collection.metadata_watermark), collection.vector_watermark)
    rows = collection.queue.rows(above=above)
    for row in () if isinstance(rows, Absent) else rows:
        if row.vector_bytes and row.vector_bytes % 4:
            yield Gate("Failed to pull logs", f"the vector of row {row.seq_id} is no whole number of floats")
        elif row.operation not in range(OPERATIONS + 1):
            yield Gate(NO_ANSWER, f"row {row.seq_id} has an unknown operation")
        elif row.vector_bytes and row.encoding == "INT32":
            yield Gate(NO_ANSWER, f"row {row.seq_id} is encoded as INT32")
    for seq_id, text in _metadata(collection, above):
        if not _is_json(text):
            yield Gate("Failed to pull logs", f"the metadata of row {seq_id} are no JSON")
        elif not isinstance(json.loads(text).get("chroma:document", ""), str):
            yield Gate(NO_ANSWER, f"the document of row {seq_id} is no text")


def _mark(mark: SeqId | Absent) -> int:
    return 0 if isinstance(mark, Absent) else mark.value or 0


def _metadata(collection: Collection, above: int) -> list[tuple[int, str]]:
    sql = "SELECT seq_id, metadata FROM embeddings_queue WHERE topic = ? AND seq_id > ? AND metadata IS NOT NULL"
    found = collection.database.rows(sql, (collection.queue.topic, above))
    return [] if isinstance(found, Absent) else [(seq, text) for seq, text in found if isinstance(text, str)]
