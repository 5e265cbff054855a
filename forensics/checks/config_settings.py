"""The settings of collections: readable, known, the same everywhere, and fitting the index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forensics.absent import Absent
from forensics.checks.places import examples, in_table
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.readers.embeddings_queue import QueueRow
from forensics.readers.layout import Header
from forensics.readers.settings import SPACES, parse_json
from forensics.records import Records
from forensics.store import Collection, Store, VectorSegment
from forensics.words import counted

WHOLE = ("hnsw:M", "hnsw:construction_ef", "hnsw:search_ef", "hnsw:num_threads", "hnsw:batch_size")
KNOWN = frozenset({*WHOLE, "hnsw:space", "hnsw:sync_threshold", "hnsw:resize_factor"})
SAMPLE = 20


@check("CF805")
def config_type_key(collection: Collection) -> Iterator[Finding]:
    """A configuration without `_type` in a store that only releases before 1.0 wrote."""
    config = parse_json(collection.row.config_json_str, "config_json_str")
    if collection.store.is_modern or isinstance(config, Absent) or "_type" in config:
        return
    yield finding(
        "CF805",
        collection,
        count=1,
        unit="configurations",
        expected={"_type": "CollectionConfigurationInternal"},
        found={"keys": sorted(config)},
        where=(in_table("collections", f"id = {collection.id}: config_json_str"),),
        means="Clients of 0.5 and 0.6 fail on it with KeyError: '_type'. Clients of 1.x read it.",
        remedy=Remedy(action="mend-configuration", safety="safe"),
    )


@check("CF806")
def hnsw_parameter_invalid(collection: Collection) -> Iterator[Finding]:
    """An hnsw: key that Chroma does not know, or a value of the wrong type."""
    tables = {"collection_metadata": collection.id, "segment_metadata": collection.vector_segment_id or ""}
    wrong = {
        f"{table}.{key}": value
        for table, owner in tables.items()
        for key, value in collection.database.metadata_of(table, f"{table.split('_')[0]}_id", owner).items()
        if str(key).startswith("hnsw:") and not is_valid_setting(str(key), value)
    }
    if not wrong:
        return
    yield finding(
        "CF806",
        collection,
        count=len(wrong),
        unit="settings",
        expected={"known": sorted(KNOWN)},
        found=wrong,
        where=tuple(in_table(name.split(".")[0], f"key = {name.split('.')[1]}") for name in wrong),
        means="Clients refuse it: 'Unknown HNSW parameter' or 'Invalid value for HNSW parameter'.",
        remedy=Remedy(action="mend-configuration", safety="safe"),
    )


def is_valid_setting(key: str, value: Any) -> bool:
    if key == "hnsw:space":
        return value in SPACES
    if key == "hnsw:resize_factor":
        return isinstance(value, int | float)
    return key in KNOWN and isinstance(value, int)


def header_dimension(collection: Collection) -> int | None:
    """The dimension of the elements that the index holds; None where it holds none or cannot be read."""
    vector = collection.vector
    if not isinstance(vector, VectorSegment) or vector.state != "persisted":
        return None
    geometry = vector.files.geometry
    return geometry.dim if isinstance(geometry, Header) and geometry.cur_element_count else None


def _queued_vectors(collection: Collection) -> list[QueueRow]:
    rows = collection.pending_rows
    return [] if isinstance(rows, Absent) else [row for row in rows if row.vector_bytes]


@check("CF808")
def dimension_missing(collection: Collection) -> Iterator[Finding]:
    """collections.dimension is NULL although there are vectors."""
    if collection.dimension is not None:
        return
    dim = header_dimension(collection)
    queued = {(row.vector_bytes or 0) // 4 for row in _queued_vectors(collection)}
    if dim is None and not queued:
        return
    known = dim if dim is not None else next(iter(queued)) if len(queued) == 1 else None
    yield finding(
        "CF808",
        collection,
        count=1,
        unit="collections",
        expected={"dimension": known},
        found={"dimension": None, "header.bin": dim, "queue": sorted(queued)},
        where=(in_table("collections", f"id = {collection.id}: dimension"),),
        means="Every query answers with nothing and no error, and get returns no embeddings.",
        remedy=Remedy(action="set-dimension", safety="manual" if known is None else "safe"),
    )


@check("CF809")
def dimension_differs(collection: Collection) -> Iterator[Finding]:
    """collections.dimension, header.bin and the pending vectors are not of one dimension."""
    dim, said = header_dimension(collection), collection.dimension
    true = dim if dim is not None else said
    wrong = [row for row in _queued_vectors(collection) if true and row.vector_bytes not in (4 * true, None)]
    wrong = [row for row in wrong if not (row.vector_bytes or 0) % 4]
    differs = dim is not None and said is not None and dim != said
    if not differs and not wrong:
        return
    yield finding(
        "CF809",
        collection,
        count=int(differs) + len(wrong),
        unit="places",
        expected={"dimension": true},
        found={"collections": said, "header.bin": dim, "queue": _lengths(wrong)},
        where=_dimension_places(collection, wrong, differs=differs),
        means=_dimension_means(wrong, said, differs=differs),
        remedy=_dimension_remedy(collection, wrong),
        lists={"seq_ids": [row.seq_id for row in wrong], "ids": sorted({row.id for row in wrong})},
    )


def _lengths(rows: list[QueueRow]) -> Mapping[str, Any]:
    dims = sorted({(row.vector_bytes or 0) // 4 for row in rows})
    return {"rows": len(rows), "dimensions": dims, "seq_ids": examples([row.seq_id for row in rows])}


def _dimension_places(collection: Collection, rows: list[QueueRow], *, differs: bool) -> Any:
    places = [in_table("collections", f"id = {collection.id}: dimension")] if differs else []
    queue = [in_table("embeddings_queue", f"seq_id {row.seq_id}") for row in rows[:5]]
    return (*places, *queue)


def _dimension_means(rows: list[QueueRow], said: int | None, *, differs: bool) -> str:
    parts = []
    if differs:
        parts.append(f"Clients expect vectors of dimension {said} and refuse those of the index.")
    if rows:
        parts.append(
            f"1.x reads past the end of {counted(len(rows), 'queued vectors')} and stores what lies there."
        )
    return " ".join(parts)


def _dimension_remedy(collection: Collection, rows: list[QueueRow]) -> Remedy:
    """Setting the number loses nothing; a row of another dimension goes to the case with its vector."""
    if not rows:
        return Remedy(action="set-dimension", safety="safe")
    records = collection.records
    ids = {row.id for row in rows}
    kept = set(records.ids(records.indexed)) if isinstance(records, Records) and records.known else set[str]()
    lost = len(ids - kept)
    return Remedy(action="quarantine-queue-rows", safety="lossy" if lost else "safe", loses=lost)


@check("CF811", scope="store", needs=("database",))
def config_unreadable(store: Store) -> Iterator[Finding]:
    """Configuration that is not JSON of a known shape: of the queue, or of a collection."""
    yield from _queue_config(store)
    for collection in store.collections:
        problems = config_problems(collection)
        if problems:
            yield _unreadable(collection, problems)


def config_problems(collection: Collection) -> dict[str, str]:
    """column → why no release can read the configuration in it."""
    texts = {"config_json_str": collection.row.config_json_str, "schema_str": collection.row.schema_str}
    found = ((name, _shape_problem(name, text)) for name, text in texts.items())
    return {name: problem for name, problem in found if problem}


def _shape_problem(name: str, text: str | None) -> str:
    """What keeps every release from reading it; empty for NULL and for what can be read."""
    parsed = {} if text is None else parse_json(text, name)
    if isinstance(parsed, Absent):
        return parsed.reason
    if name == "schema_str" and text is not None:
        gone = [key for key in ("defaults", "keys") if not isinstance(parsed.get(key), dict)]
        return f"schema_str lacks {' and '.join(gone)}" if gone else ""
    parts = [key for key in ("vector_index", "hnsw_configuration") if key in parsed]
    wrong = [key for key in parts if not isinstance(parsed[key], dict)]
    return f"{wrong[0]} is no object" if wrong else ""


def _unreadable(collection: Collection, problems: dict[str, str]) -> Finding:
    known = [place for place in collection.settings.spaces() if place not in problems]
    return finding(
        "CF811",
        collection,
        count=len(problems),
        unit="configurations",
        expected="JSON objects of a known shape",
        found=problems,
        where=tuple(in_table("collections", f"id = {collection.id}: {name}") for name in problems),
        means="Every call fails: 'Could not deserialize configuration' or '… schema'. The space is "
        + (f"still recorded in {known[0]}." if known else "recorded nowhere else."),
        remedy=Remedy(action="mend-configuration", safety="safe" if known else "manual"),
    )


def _queue_config(store: Store) -> Iterator[Finding]:
    database = store.database
    if isinstance(database, Absent) or "embeddings_queue_config" not in database.tables:
        return
    found = database.rows("SELECT id, config_json_str FROM embeddings_queue_config")
    rows = [] if isinstance(found, Absent) else found
    bad = {str(row[0]): text for row in rows if (text := _queue_problem(row[1]))}
    if bad:
        yield finding(
            "CF811",
            store,
            count=len(bad),
            unit="configurations",
            expected={"automatically_purge": "true or false"},
            found=bad,
            where=(in_table("embeddings_queue_config", f"id = {', '.join(bad)}"),),
            means="Every open fails: 'Failed to parse legacy config'.",
            remedy=Remedy(action="mend-configuration", safety="safe"),
        )


def _queue_problem(text: str | None) -> str:
    parsed = parse_json(text, "config_json_str")
    if isinstance(parsed, Absent):
        return parsed.reason
    return (
        ""
        if isinstance(parsed.get("automatically_purge"), bool)
        else "automatically_purge is not true or false"
    )
