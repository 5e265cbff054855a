"""The fresh database: the same schema, every row that could be found, the full-text index and all others built anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.freed import free_pages
from forensics.readers.full_text import DOCUMENT
from forensics.readers.full_text import NAME as FULL_TEXT
from forensics.readers.page_trees import MISPLACED, strays, walk
from forensics.readers.pages import PageFile
from forensics.repair.recovery.frame import Frame
from forensics.repair.recovery.rows import Found, Partial, segments_of, take_indexes, take_strays, walked
from forensics.repair.recovery.schema import CONTENT, Schema, read_schema
from forensics.repair.recovery.stand_ins import cells_of, released, stand_in

Report = dict[str, Json]
NOT_COUNTED = frozenset({CONTENT, "acquire_write"})
"""Tables whose rows nobody misses: a text stands in embedding_metadata, too, and a lock holds nothing."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of it: by table how many rows were kept, found elsewhere and lost, and on which pages the damage is."""

    report: Report
    lost_rows: tuple[Report, ...] = ()

    @property
    def tables(self) -> Mapping[str, Report]:
        return self.report["tables"]

    def filled(self, table: str) -> int:
        """Rows of a table of which some columns had to be filled in."""
        return self.tables.get(table, {}).get("filled_in", 0)

    @property
    def has_rows(self) -> bool:
        """True where a row was found in the file itself."""
        return any(row["kept"] or row["from_stray_pages"] for row in self.tables.values())

    def has_lost(self, table: str) -> bool:
        """True where rows of a table are lost, or may be."""
        return bool(self.tables.get(table, {}).get("lost", 0) != 0)


def recover(source: Path, target: Path, dialect: str) -> Recovered:
    """`target`, which must not exist, is a sound database with all that `source` still holds; `source` is only read.

    The same file gives the same rows. Raises Refused where nothing of a database can be made out, or SQLite refuses.
    """
    frame = Frame.of(source)
    with PageFile(source, frame.page_size, frame.reserved) as file:
        schema = read_schema(file, dialect)
        if not schema.tables:
            raise Refused("not one page of the database can be made out.")
        found = {name: walked(file, table) for name, table in schema.tables.items()}
        report = _gathered(file, schema, found, dialect)
        try:
            with closing(sqlite3.connect(target, isolation_level=None)) as fresh:
                _write(fresh, frame, schema, file, found)
        except sqlite3.Error as error:
            raise Refused(f"SQLite refused what was recovered: {error}.") from error
    rows = tuple(
        {"table": name, "rowid": rowid, "known": known}
        for name, one in sorted(found.items())
        for rowid, known in sorted(one.lost_rows.items())
    )
    rows += tuple(
        {"table": name, "rowid": rowid, "doubtful": said}
        for name, one in sorted(found.items())
        for rowid, said in doubts_of(one)
    )
    return Recovered({**report, "page_size": frame.page_size, "header_made_anew": frame.made}, rows)


def _gathered(file: PageFile, schema: Schema, found: Mapping[str, Found], dialect: str) -> Report:
    """Every table has what strays, indexes and other tables give it."""
    trees = [walk(file, root, index=name in schema.entries) for name, root in schema.roots.items()]
    mixed = any(gap.why in MISPLACED for tree in trees for gap in tree.gaps)
    known = set[int]().union(*(tree.pages for tree in trees), free_pages(file.path, file.page_size))
    ambiguous = take_strays(file, found, strays(file, known))
    named = segments_of(file, found.get("segments"))
    for one in found.values():
        if one.gaps:
            take_indexes(file, one, schema, named if one.table.name == "embeddings" else None, mixed)
    filled = stand_in(file, found) | released(file, found.get("migrations"), dialect)
    tables = {name: _told(file, one, filled.get(name, 0)) for name, one in sorted(found.items())}
    return {
        "tables": tables,
        "schema_from_the_release": list(schema.from_release),
        "pages_that_fit_several_tables": ambiguous,
    }


def doubts_of(one: Found) -> list[tuple[int, Partial]]:
    """(rowid, what is said of it) of rows that are left out, since it may be another database's."""
    said = {rowid: one.lost_rows.get(rowid, {}) for rowid in one.doubted} | one.doubtful
    return sorted((rowid, known) for rowid, known in said.items() if rowid not in one.rows)


def _told(file: PageFile, one: Found, filled: int) -> Report:
    kept = sum(1 for _ in one.own(file))
    return {
        "kept": kept,
        "from_stray_pages": one.from_strays,
        "from_indexes": one.from_indexes + filled,
        "filled_in": filled,
        "doubtful": len(doubts_of(one)),
        "lost": one.lost if one.table.name not in NOT_COUNTED else 0,
        "examples": [f"row {rowid}" for rowid in sorted(one.lost_rows)[:5]],
        "damage": [f"page {gap.page}: {gap.why}" for gap in one.gaps[:20]],
    }


def _write(
    fresh: sqlite3.Connection, frame: Frame, schema: Schema, file: PageFile, found: Mapping[str, Found]
) -> None:
    for name, value in frame.pragmas.items():
        fresh.execute(f"PRAGMA {name} = {int(value)}")
    fresh.execute("BEGIN")
    for item in (item for item in schema.items if item.kind == "table"):
        fresh.execute(item.sql or "")
    for name, one in found.items():
        if name != CONTENT:
            _insert(fresh, file, one)
    if FULL_TEXT in {item.name for item in schema.items}:
        _fill_full_text(fresh, file, found.get(CONTENT))
    if (
        "collections" in found and found["collections"].gaps
    ):  # else directories would be named for collections that nobody has
        fresh.execute("DELETE FROM segments WHERE collection NOT IN (SELECT id FROM collections)")
    for item in (item for item in schema.items if item.kind != "table"):
        fresh.execute(item.sql or "")
    fresh.execute("COMMIT")


def _insert(fresh: sqlite3.Connection, file: PageFile, one: Found) -> None:
    """Every row; one that breaks a rule of the table is left out."""
    names = ", ".join(f'"{column}"' for column in one.table.columns)
    marks = ", ".join("?" * (len(one.table.columns) + (one.table.alias is None)))
    rowid = "" if one.table.alias is not None else "rowid, "
    rows = (
        cells if one.table.alias is not None else (number, *cells) for number, cells in cells_of(file, one)
    )
    fresh.executemany(f'INSERT OR IGNORE INTO "{one.table.name}" ({rowid}{names}) VALUES ({marks})', rows)


def _fill_full_text(fresh: sqlite3.Connection, file: PageFile, content: Found | None) -> None:
    """The texts that it had as far as they can be read, and of documents that stood on lost pages those of the records."""
    insert = f"INSERT INTO {FULL_TEXT}(rowid, string_value) "
    if content is not None:
        fresh.executemany(
            f"{insert} VALUES (?, ?)", ((rowid, cells[1]) for rowid, cells in cells_of(file, content))
        )
    if content is None or content.gaps:
        fresh.execute(
            f"{insert} SELECT id, string_value FROM embedding_metadata WHERE key = ? AND string_value IS NOT NULL"
            f" AND id NOT IN (SELECT rowid FROM {FULL_TEXT})",
            (DOCUMENT,),
        )
