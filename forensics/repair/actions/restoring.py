"""What a repair moved into its case is put back where it came from."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from forensics.errors import Refused
from forensics.readers import layout
from forensics.readers.full_text import NAME as FULL_TEXT
from forensics.readers.id_map import IdMap
from forensics.repair.actions.frame import Report, framed
from forensics.repair.actions.work import Work, with_ids
from forensics.repair.restoring import RESTORE, Fits, Row, fitting, read_lines
from forensics.repair.site import Site
from forensics.seal import hash_file
from forensics.writers.segment_files import set_deleted

RECORD_TABLES = ("embeddings", "embedding_metadata", "embedding_metadata_array")


def restore_quarantined(work: Work) -> Report:
    """The lines of the file that fit are back in the store; those that do not are listed with their reasons."""
    path = Path(str(work.action.parameters["file"]))
    lines = read_lines(path)
    if hash_file(path)[0] != work.action.parameters["sha256"]:
        raise Refused(f"{path} is not what it was when the plan was made.")
    site = None if work.action.collection is None else work.site()
    fits = fitting(work.store, site, lines)
    work.keep_rows("refused", ("line", "reason"), fits.refused)
    if fits.records or fits.rows or fits.texts:
        with work.database() as connection:
            _insert_all(connection, site, fits)
        work.keep_records("restored", ({"id": line["id"]} for line in fits.records))
    if site is not None and (fits.maps or fits.flags):
        _revive(work, site, fits)
    return {"restored": len(fits), "refused": len(fits.refused)}


def _insert_all(connection: sqlite3.Connection, site: Site | None, fits: Fits) -> None:
    for line in fits.records:
        _insert_record(connection, str(site.collection.metadata_segment_id) if site else "", line["rows"])
    for table, row in fits.rows:
        if table == "embeddings_queue":
            connection.execute("DELETE FROM embeddings_queue WHERE seq_id = ?", (row["seq_id"],))
        _insert(
            connection, table, {("rowid" if name == "rowid_" else name): cell for name, cell in row.items()}
        )
    for rowid, text in fits.texts:
        _insert(
            connection, "embedding_metadata", {"id": rowid, "key": "chroma:document", "string_value": text}
        )


def _insert_record(connection: sqlite3.Connection, segment: str, rows: dict[str, list[Row]]) -> None:
    """The rows of a record, under its own rowid where that is free, else under the next one; its text is searchable."""
    (own,) = rows["embeddings"]
    rowid = own["id"]
    if connection.execute("SELECT 1 FROM embeddings WHERE id = ?", (rowid,)).fetchone():
        (rowid,) = connection.execute("SELECT max(id) + 1 FROM embeddings").fetchone()
    _insert(connection, "embeddings", {**own, "id": rowid, "segment_id": segment})
    for table in RECORD_TABLES[1:]:
        for row in rows.get(table, ()):
            _insert(connection, table, {**row, "id": rowid})
    texts = [row["string_value"] for row in rows["embedding_metadata"] if row["key"] == "chroma:document"]
    sql = "SELECT 1 FROM sqlite_master WHERE name = ?"
    if texts and connection.execute(sql, (FULL_TEXT,)).fetchone():
        _insert(connection, FULL_TEXT, {"rowid": rowid, "string_value": texts[0]})


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    """The row stands in the table. Raises Refused for a column that the table does not have."""
    known = {found[1] for found in connection.execute(f"PRAGMA table_info({table})")} | {"rowid"}
    strange = sorted(row.keys() - known)
    if strange:
        raise Refused(f"{table} has no column {strange[0]!r} any more.")
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def _revive(work: Work, site: Site, fits: Fits) -> None:
    """The elements live, the ids are in the map, and where each vector stands is in the case."""
    segment, *_ = framed(site)
    if fits.flags:
        directory = work.changeable(segment, layout.LEVEL0_FILE, layout.HEADER_FILE)
        set_deleted(directory, np.array(fits.flags, dtype=np.int64), False)
    if not fits.maps:
        return
    if not isinstance(site.id_map, IdMap):
        raise Refused("there is no id map to put ids into.")
    mapping = {**site.mapping, **{name: label for name, label, _ in fits.maps}}
    work.save_map(site, with_ids(site.id_map, mapping, site.id_map.total_elements_added or 0))
    records = {*site.collection.row_of, *(line["id"] for line in fits.records)}
    work.keep_provenance(_provenance(each for each in fits.maps if each[0] in records))


def _provenance(maps: Iterable[tuple[str, int, int]]) -> Iterable[tuple[Any, ...]]:
    return ((name, label, "level 0", "", element, True, True, "put back") for name, label, element in maps)


RESTORING: dict[str, Callable[[Work], Report]] = {RESTORE: restore_quarantined}
