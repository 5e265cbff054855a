"""Rows of which the indexes hold all that tells who they are, and of which the rest follows from other tables."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from forensics.readers.migrations import BY_KEY
from forensics.readers.pages import Cell, PageFile, Record
from forensics.readers.record_rows import SeqId
from forensics.repair.recovery.rows import Found, Partial
from forensics.repair.released import released_texts

TOPIC = "persistent://default/default/"
Filled = Iterator[tuple[int, dict[str, Cell]]]


def stand_in(file: PageFile, found: Mapping[str, Found]) -> dict[str, int]:
    """table → how many rows of it are whole but for columns that were filled in; they are with the others now."""
    made: dict[str, int] = {}
    for name, fill in FILLS.items():
        one = found.get(name)
        if one is None or not one.lost_rows:
            continue
        for rowid, cells in list(fill(file, one, found)):
            one.rows[rowid] = tuple(cells.get(column) for column in one.table.columns)
            del one.lost_rows[rowid]
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


def _migrations(file: PageFile, one: Found, found: Mapping[str, Found]) -> Filled:
    for rowid, partial in _named(one, "dir", "version"):
        released = BY_KEY.get((str(partial["dir"]), int(str(partial["version"]))))
        if released is not None:
            sql = released_texts()[released.key]
            yield rowid, {**partial, "filename": released.filename, "hash": released.hash, "sql": sql}


FILLS: Mapping[str, Callable[[PageFile, Found, Mapping[str, Found]], Filled]] = {
    "embeddings": _embeddings,
    "collections": _collections,
    "migrations": _migrations,
}


def cells_of(file: PageFile, one: Found) -> Iterator[tuple[int, Record]]:
    """Every row of the table that there is, by rowid; its own tree's goes before any other of that number."""
    own = dict(one.own(file)) if one.rows else None
    if own is None:
        yield from one.own(file)
    else:
        yield from sorted({**one.rows, **own}.items())
