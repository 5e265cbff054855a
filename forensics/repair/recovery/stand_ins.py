"""Rows of which the indexes hold all that tells who they are, and of which the rest follows from other tables."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from forensics.readers.full_text import DOCUMENT
from forensics.readers.migrations import BY_KEY, set_of, span_of
from forensics.readers.pages import Cell, PageFile, Record
from forensics.readers.record_rows import SeqId
from forensics.repair.recovery.queued import merged_metadata
from forensics.repair.recovery.rows import Found, Partial
from forensics.repair.recovery.schema import CONTENT
from forensics.repair.released import released_texts
from forensics.store import METADATA_TYPE, VECTOR_TYPE

TOPIC = "persistent://default/default/"
Filled = Iterator[tuple[int, dict[str, Cell]]]


def stand_in(file: PageFile, found: Mapping[str, Found]) -> dict[str, int]:
    """table → how many rows of it are whole but for columns that were filled in; they are with the others now."""
    made: dict[str, int] = {}
    for name, fill in FILLS.items():
        one = found.get(name)
        if one is None or not one.gaps:
            continue
        for rowid, cells in list(fill(file, one, found)):
            one.rows[rowid] = tuple(cells.get(column) for column in one.table.columns)
            one.lost_rows.pop(rowid, None)
            made[name] = made.get(name, 0) + 1
        if one.lost is not None:
            one.lost = len(one.lost_rows)
    return made


def _named(one: Found, *columns: str) -> Iterator[tuple[int, Partial]]:
    """The lost rows of which these columns are known."""
    return (
        (rowid, known) for rowid, known in sorted(one.lost_rows.items()) if all(c in known for c in columns)
    )


def _embeddings(file: PageFile, one: Found, found: Mapping[str, Found]) -> Filled:
    """seq_id of the newest row of the id in the queue, else that of the record before it; its time is that one's, too."""
    place = {name: index for index, name in enumerate(one.table.columns)}
    known = sorted((*one.own(file), *one.rows.items()))
    rowids = [rowid for rowid, _ in known]
    queued = _queued(file, found.get("embeddings_queue"))
    for rowid, partial in _named(one, "segment_id", "embedding_id"):
        near = known[max(0, bisect_left(rowids, rowid) - 1)][1] if known else None
        seq = queued.get(str(partial["embedding_id"])) or (near[place["seq_id"]] if near else 0)
        if near is not None and isinstance(near[place["seq_id"]], bytes):
            seq = (SeqId.decode(seq).value or 0).to_bytes(8, "big")
        time = near[place["created_at"]] if near else "1970-01-01 00:00:00"
        yield rowid, {**partial, "id": rowid, "seq_id": seq, "created_at": time}


def _queued(file: PageFile, queue: Found | None) -> dict[str, Cell]:
    """id → the newest seq_id of it that can still be read."""
    if queue is None:
        return {}
    rows = sorted((*queue.own(file), *queue.rows.items()))
    at = queue.table.columns.index("id")
    return {str(cells[at]): seq for seq, cells in rows}


def _collections(file: PageFile, one: Found, found: Mapping[str, Found]) -> Filled:
    """Id, name and database; what the settings were is asked of header and level 0 later."""
    for rowid, partial in _named(one, "id", "name", "database_id"):
        extra = {"topic": f"{TOPIC}{partial['id']}", "config_json_str": "{}"}
        yield rowid, {**{c: v for c, v in extra.items() if c in one.table.columns}, **partial}


def _segments(file: PageFile, one: Found, found: Mapping[str, Found]) -> Filled:
    """Type and scope by whether records name the segment; the collection where there is only one."""
    named = {cells[1] for _, cells in _all(file, found.get("embeddings"))}
    collections = [cells[0] for _, cells in _all(file, found.get("collections"))]
    if len(collections) != 1:
        return
    for rowid, partial in _named(one, "id"):
        scope, kind = ("METADATA", METADATA_TYPE) if partial["id"] in named else ("VECTOR", VECTOR_TYPE)
        topic = {"topic": f"{TOPIC}{collections[0]}"} if "topic" in one.table.columns else {}
        yield rowid, {**partial, **topic, "type": kind, "scope": scope, "collection": collections[0]}


def _segment_settings(file: PageFile, one: Found, found: Mapping[str, Found]) -> Filled:
    """The hnsw: keys, which releases before 1.0 write to collection and segment alike."""
    pairs = [(cells[-1], cells[0]) for _, cells in _all(file, found.get("segments")) if "VECTOR" in cells]
    yield from _twins(file, one, found.get("collection_metadata"), dict(pairs))


def _collection_settings(file: PageFile, one: Found, found: Mapping[str, Found]) -> Filled:
    pairs = [(cells[0], cells[-1]) for _, cells in _all(file, found.get("segments")) if "VECTOR" in cells]
    yield from _twins(file, one, found.get("segment_metadata"), dict(pairs))


def _twins(file: PageFile, one: Found, other: Found | None, owners: Mapping[Cell, Cell]) -> Filled:
    """Rows of `other` about hnsw: keys under the owner that they have here, where no such row is there."""
    there = {cells[:2] for _, cells in _all(file, one)}
    highest = max((*one.lost_rows, *(rowid for rowid, _ in _all(file, one))), default=0)
    known = {
        (partial.get(one.table.columns[0]), partial.get("key")): r for r, partial in one.lost_rows.items()
    }
    for at, (_, cells) in enumerate(_all(file, other), start=highest + 1):
        pair = (owners.get(cells[0]), cells[1])
        if pair[0] is not None and pair not in there and str(cells[1]).startswith("hnsw:"):
            yield known.get(pair, at), dict(zip(one.table.columns, (pair[0], *cells[1:]), strict=False))


def _migrations(file: PageFile, one: Found, found: Mapping[str, Found]) -> Filled:
    for rowid, partial in _named(one, "dir", "version"):
        version = partial["version"]
        released = BY_KEY.get((str(partial["dir"]), version)) if isinstance(version, int) else None
        if released is not None:
            sql = released_texts()[released.key]
            yield rowid, {**partial, "filename": released.filename, "hash": released.hash, "sql": sql}


def released(file: PageFile, one: Found | None, dialect: str) -> dict[str, int]:
    """Migrations that are lost are there as released: all that the release of the newest one has, without any that of
    `dialect`.
    """
    if one is None or not one.gaps:
        return {}
    rows = dict(cells_of(file, one))
    there = {cells[:2] for cells in rows.values()}
    span = span_of([key for key in BY_KEY if key in there])
    texts, lacking = released_texts(), sorted(set_of(span[0] if span else dialect) - there)
    for rowid, key in enumerate(lacking, start=max(rows, default=0) + 1):
        known = dict(zip(("dir", "version"), key, strict=True))
        cells = {**known, "filename": BY_KEY[key].filename, "hash": BY_KEY[key].hash, "sql": texts[key]}
        one.rows[rowid] = tuple(cells.get(column) for column in one.table.columns)
    one.lost = 0
    return {"migrations": len(lacking)} if lacking else {}


def _metadata(file: PageFile, one: Found, found: Mapping[str, Found]) -> Filled:
    """Values of which the key is known: a document as the full-text table has it, another as the queue brought it. Where no
    index says which rows are gone, those that a record should have and has not.
    """
    known = _values_elsewhere(file, found)
    for rowid, partial in _named(one, "id", "key"):
        cells = _valued(one, partial, known.get((partial["id"], partial["key"])))
        if cells is not None:
            yield rowid, cells
    if one.lost is None:
        there = {cells[:2] for _, cells in cells_of(file, one)}
        there |= {(partial.get("id"), partial.get("key")) for partial in one.lost_rows.values()}
        highest = max((rowid for rowid, _ in cells_of(file, one)), default=0)
        for rowid, pair in enumerate(sorted(known.keys() - there, key=repr), start=highest + 1):
            cells = _valued(one, {"id": pair[0], "key": pair[1]}, known[pair])
            if cells is not None:
                yield rowid, cells


def _valued(one: Found, partial: Partial, value: object) -> Partial | None:
    column = _COLUMN_OF.get(type(value))
    if column is None or column not in one.table.columns:
        return None
    return {**partial, column: value}  # pyright: ignore[reportReturnType] - a type that SQLite stores


def _values_elsewhere(file: PageFile, found: Mapping[str, Found]) -> dict[tuple[Cell, Cell], object]:
    """(rowid of the record, key) → value, as the full-text table and then the queue have it."""
    names = {rowid: str(cells[2]) for rowid, cells in _all(file, found.get("embeddings"))}
    texts = _all(file, found.get(CONTENT))
    out: dict[tuple[Cell, Cell], object] = {(r, DOCUMENT): cells[1] for r, cells in texts if r in names}
    values = last_values(file, found.get("embeddings_queue"))
    for rowid, name in names.items():
        out.update({(rowid, key): value for key, value in values.get(name, {}).items()})
    return out


_COLUMN_OF: Mapping[type, str] = {
    str: "string_value",
    int: "int_value",
    float: "float_value",
    bool: "bool_value",
}


def last_values(file: PageFile, queue: Found | None) -> dict[str, dict[str, object]]:
    """id → the metadata that the queue's rows give it, one after the other; of a deleted id nothing."""
    if queue is None:
        return {}
    name, operation, metadata = (queue.table.columns.index(each) for each in ("id", "operation", "metadata"))
    rows = (cells for _, cells in sorted(_all(file, queue)))
    told = ((row[name], row[operation], row[metadata]) for row in rows)
    return merged_metadata((str(each), what, held) for each, what, held in told if isinstance(what, int))


def _all(file: PageFile, one: Found | None) -> Iterator[tuple[int, Record]]:
    return iter(()) if one is None else cells_of(file, one)


FILLS: Mapping[str, Callable[[PageFile, Found, Mapping[str, Found]], Filled]] = {
    "embeddings": _embeddings,
    "embedding_metadata": _metadata,
    "collections": _collections,
    "segments": _segments,
    "segment_metadata": _segment_settings,
    "collection_metadata": _collection_settings,
    "migrations": _migrations,
}


def cells_of(file: PageFile, one: Found) -> Iterator[tuple[int, Record]]:
    """Every row of the table that there is, by rowid; its own tree's goes before any other of that number."""
    own = dict(one.own(file)) if one.rows else None
    if own is None:
        yield from one.own(file)
    else:
        yield from sorted({**one.rows, **own}.items())
