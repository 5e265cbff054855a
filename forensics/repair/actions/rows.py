"""Records of SQLite: ids trimmed in every layer, records set aside in the case with all that is needed to put
them back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from forensics.absent import Absent
from forensics.checks.id_text import malformed, trimmed
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.full_text import NAME as FULL_TEXT
from forensics.readers.id_map import IdMap
from forensics.repair.actions.frame import Report
from forensics.repair.actions.names import element_of
from forensics.repair.actions.work import Work, with_ids
from forensics.repair.holdings import LOST
from forensics.repair.misnamed import with_names
from forensics.repair.rules_records import split_by_collision
from forensics.repair.site import Site
from forensics.writers.segment_files import set_deleted

BATCH = 500


def trim_ids(work: Work) -> Report:
    """Malformed ids that collide with nothing are trimmed in `embeddings`, the queue and the id map; the old
    ones are kept.
    """
    site = work.site()
    rows = site.collection.rows
    if isinstance(rows, Absent):
        raise Refused(rows.reason)
    chosen, refused = split_by_collision(rows.ids)
    renamed = {name: trimmed(name) for name in chosen}
    work.keep_rows("trimmed-ids", ("old", "new"), renamed.items())
    with work.database() as connection:
        pairs = [(new, site.collection.metadata_segment_id, old) for old, new in renamed.items()]
        connection.executemany(
            "UPDATE embeddings SET embedding_id = ? WHERE segment_id = ? AND embedding_id = ?", pairs
        )
        queued = [(new, site.collection.queue.topic, old) for old, new in renamed.items()]
        connection.executemany("UPDATE embeddings_queue SET id = ? WHERE topic = ? AND id = ?", queued)
    if isinstance(site.id_map, IdMap) and renamed.keys() & site.id_map.id_to_label.keys():
        work.save_map(site, with_names(site.id_map, renamed))
    return {"trimmed": len(renamed), "refused": len(refused)}


def delete_ids(work: Work) -> Report:
    """No record has a malformed id any more; the records are in the case, the elements flagged deleted."""
    site = work.site()
    rows = site.collection.rows
    if isinstance(rows, Absent):
        raise Refused(rows.reason)
    return set_aside(work, site, [rows.ids[row] for row in malformed(rows.ids)])


def set_aside_records(work: Work) -> Report:
    """No record without a vector is left in SQLite; each is in the case with all its rows."""
    site = work.site()
    if site.holdings is None:
        raise Refused("SQLite cannot be read, so nobody knows which records have no vector.")
    return set_aside(work, site, site.holdings.named(LOST))


def set_aside(work: Work, site: Site, ids: Sequence[str]) -> Report:
    """These records are gone from SQLite, the id map and the full-text index, and kept as JSON lines in the
    case.
    """
    with work.database() as connection:
        rowids = _rowids(connection, site, ids)
        work.keep_records("set-aside", _kept(connection, site, rowids))
        _delete_rows(connection, sorted(rowids.values()))
    mapped = [name for name in ids if name in site.mapping]
    if mapped and isinstance(site.id_map, IdMap):
        _unmap(work, site, site.id_map, mapped)
    return {"set_aside": len(rowids)}


def _unmap(work: Work, site: Site, id_map: IdMap, ids: Sequence[str]) -> None:
    if site.summary is not None and site.segment is not None:
        elements = element_of(site.summary.labels, [site.mapping[name] for name in ids])
        directory = work.changeable(site.segment, "data_level0.bin", "header.bin")
        set_deleted(directory, elements[elements >= 0], True)
    gone = set(ids)
    mapping = {name: label for name, label in site.mapping.items() if name not in gone}
    work.save_map(site, with_ids(id_map, mapping, id_map.total_elements_added or 0))


def _rowids(connection: sqlite3.Connection, site: Site, ids: Sequence[str]) -> dict[str, int]:
    rows = site.collection.rows
    if isinstance(rows, Absent):
        raise Refused(rows.reason)
    wanted = set(ids)
    return {
        name: int(rowid) for name, rowid in zip(rows.ids, rows.rowids.tolist(), strict=True) if name in wanted
    }


def _kept(connection: sqlite3.Connection, site: Site, rowids: Mapping[str, int]) -> Iterator[dict[str, Json]]:
    """One line per record: its rows of every table, as they stand, and its queue rows."""
    connection.row_factory = sqlite3.Row
    for name, rowid in rowids.items():
        tables = {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table} WHERE id = ?", (rowid,))]
            for table in _record_tables(connection)
        }
        queue = connection.execute(
            "SELECT * FROM embeddings_queue WHERE topic = ? AND id = ?", (site.collection.queue.topic, name)
        )
        rows = {**tables, "embeddings_queue": [dict(row) for row in queue]}
        yield {
            "kind": "record",
            "collection": site.collection.name,
            "id": name,
            "rows": rows,
            **_vector(site, name),
        }


def _vector(site: Site, name: str) -> dict[str, Json]:
    """The element of an id that is mapped to a live one, and its vector as the user gave it."""
    if name not in site.mapping or site.summary is None:
        return {}
    element = int(element_of(site.summary.labels, [site.mapping[name]])[0])
    if element < 0:
        return {}
    return {"element": element, "vector": site.raw_vectors(np.array([element]))[0].tolist()}


def _record_tables(connection: sqlite3.Connection) -> list[str]:
    wanted = ("embeddings", "embedding_metadata", "embedding_metadata_array")
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [table for table in wanted if table in there]


def _delete_rows(connection: sqlite3.Connection, rowids: Sequence[int]) -> None:
    """The full-text rows go first: FTS5 needs the text that it indexed, which is its own copy."""
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if FULL_TEXT in there:
        connection.executemany(f"DELETE FROM {FULL_TEXT} WHERE rowid = ?", [(rowid,) for rowid in rowids])
    for table in reversed(_record_tables(connection)):
        connection.executemany(f"DELETE FROM {table} WHERE id = ?", [(rowid,) for rowid in rowids])


ROWS: dict[str, Callable[[Work], Report]] = {
    "trim-ids": trim_ids,
    "delete-ids": delete_ids,
    "set-aside-records": set_aside_records,
}
