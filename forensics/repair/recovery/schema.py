"""The tables of a damaged database: what its schema still says, and for the rest what the release made that wrote it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field

from forensics.readers.full_text import NAME as FULL_TEXT
from forensics.readers.migrations import BY_KEY, set_of, span_of
from forensics.readers.page_trees import rows_of, strays, walk
from forensics.readers.pages import PageFile, Record
from forensics.repair.released import is_shadow, schema_of

CONTENT = f"{FULL_TEXT}_content"
KINDS = frozenset({"table", "index", "view", "trigger"})
_TYPES: Mapping[str, tuple[type, ...]] = {
    "TEXT": (str,),
    "INTEGER": (int,),
    "INT": (int,),
    "REAL": (float, int),
    "TIMESTAMP": (str,),
    "BLOB": (bytes, int),
}


@dataclass(frozen=True, slots=True)
class Item:
    """A row of sqlite_master; root 0 where nobody knows it."""

    kind: str
    name: str
    table: str
    root: int
    sql: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of rows: its columns in order, which of them is the rowid, what they may hold; index → its columns."""

    name: str
    root: int
    columns: tuple[str, ...]
    alias: int | None
    types: tuple[tuple[type, ...], ...]
    needed: tuple[bool, ...]
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    full: frozenset[str] = frozenset()

    def fits(self, record: Record) -> bool:
        """True where the record can be a row of this table: as many columns at most, each of its type."""
        if not 0 < len(record) <= len(self.columns):
            return False
        return all(self._may_be(place, value) for place, value in enumerate(record))

    def _may_be(self, place: int, value: object) -> bool:
        if place == self.alias:
            return value is None
        if value is None:
            return not self.needed[place]
        return not self.types[place] or isinstance(value, self.types[place])

    def row(self, rowid: int, record: Record) -> Record | None:
        """The cells of a row, with the rowid in its column and NULL for columns that came later; None where none fits."""
        if len(record) > len(self.columns):
            return None
        cells = [*record, *[None] * (len(self.columns) - len(record))]
        if self.alias is not None:
            cells[self.alias] = rowid
        return tuple(cells)


@dataclass(frozen=True, slots=True)
class Schema:
    """Every item that the new database will have, every table of rows; `entries`: names whose b-tree is an index's;
    `from_release`: names that the file did not tell.
    """

    items: tuple[Item, ...]
    tables: Mapping[str, Table]
    roots: Mapping[str, int]
    entries: frozenset[str]
    from_release: tuple[str, ...]


def read_schema(file: PageFile, dialect: str) -> Schema:
    """The schema of the file; what it lacks is that of the release of its migrations, or else of `dialect`."""
    stored = _stored(file)
    names = {item.name for item in stored}
    wanted = schema_of(_migrations(file, stored) or set_of(dialect))
    lacking = [Item(kind, name, table, 0, sql) for kind, name, table, sql in wanted if name not in names]
    items = _accepted([*stored, *lacking])
    roots = {item.name: item.root for item in stored if item.root > 1}
    made = {item.name for item in items}
    entries = {i.name for i in stored if i.kind == "index" or "WITHOUT ROWID" in (i.sql or "").upper()}
    from_release = tuple(item.name for item in lacking if item.name in made)
    return Schema(items, _tables(items, roots), roots, frozenset(entries), from_release)


def _stored(file: PageFile) -> list[Item]:
    """The rows of sqlite_master; those whose pages page 1 does not reach any more, too."""
    tree = walk(file, 1)
    found = [record for _, record in rows_of(file, tree.leaves) if _is_item(record)]
    if tree.gaps:
        for page in strays(file, tree.pages):
            records = [record for _, record in rows_of(file, [page.number])]
            found += records if records and all(map(_is_item, records)) else []
    unique = {str(record[1]): Item(*record) for record in reversed(found)}  # pyright: ignore[reportArgumentType]
    return [unique[name] for name in dict.fromkeys(str(record[1]) for record in found)]


def _is_item(record: Record) -> bool:
    return (
        len(record) == 5
        and record[0] in KINDS
        and all(isinstance(cell, str) for cell in record[:3])
        and isinstance(record[3], int)
        and (record[4] is None or isinstance(record[4], str))
    )


def _migrations(file: PageFile, items: Iterable[Item]) -> list[tuple[str, int]]:
    """(dir, version) of the migrations that the file names, reached from their root or not."""
    root = next((item.root for item in items if item.name == "migrations"), 0)
    tree = walk(file, root) if root > 1 else None
    pages = [*tree.leaves] if tree is not None else []
    if tree is None or tree.gaps:
        pages += [page.number for page in strays(file, set(pages))]
    keys = {record[:2] for _, record in rows_of(file, pages) if len(record) == 5}
    known = [key for key in BY_KEY if key in keys]
    span = span_of(known)
    return sorted(
        {*known, *(set_of(span[0]) if span else ())}
    )  # a release has all of its own, whatever is lost


def _accepted(items: Iterable[Item]) -> tuple[Item, ...]:
    """Those that SQLite can make in this order: tables, full text, indexes, the rest. Shadow tables come by themselves."""
    order = ("table", "index", "view", "trigger")
    listed = [
        item
        for item in items
        if item.sql and not is_shadow(item.name) and not item.name.startswith("sqlite_")
    ]
    out: list[Item] = []
    with closing(sqlite3.connect(":memory:")) as memory:
        for item in sorted(listed, key=lambda item: order.index(item.kind)):
            with suppress(sqlite3.Error, sqlite3.Warning):
                memory.execute(item.sql or "")
                out.append(item)
    return tuple(out)


def _tables(items: Iterable[Item], roots: Mapping[str, int]) -> dict[str, Table]:
    """Every table of rows by name, as SQLite understands it; of full text its content."""
    with closing(sqlite3.connect(":memory:")) as memory:
        for item in items:
            memory.execute(item.sql or "")
        sql = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name"
        plain = [name for name, text in memory.execute(sql).fetchall() if "WITHOUT ROWID" not in text.upper()]
        kept = [name for name in plain if not is_shadow(name) or name == CONTENT]
        return {
            name: _table(memory, name, roots.get(name, 0)) for name in kept if not name.startswith("sqlite_")
        }


def _table(memory: sqlite3.Connection, name: str, root: int) -> Table:
    columns = memory.execute('SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (name,)).fetchall()
    keys = [place for place, column in enumerate(columns) if column[3]]
    alias = keys[0] if len(keys) == 1 and columns[keys[0]][1].upper() == "INTEGER" else None
    indexes = memory.execute(
        "SELECT name, partial FROM pragma_index_list(?) ORDER BY name", (name,)
    ).fetchall()
    types = [_TYPES.get(column[1].upper(), ()) for column in columns]
    return Table(
        name,
        root,
        tuple(column[0] for column in columns),
        alias,
        ((int,), (str,)) if name == CONTENT else tuple(types),
        tuple(bool(column[2] or column[3]) for column in columns),
        {index: _columns(memory, index) for index, _ in indexes},
        frozenset(index for index, partial in indexes if not partial),
    )


def _columns(memory: sqlite3.Connection, index: str) -> tuple[str, ...]:
    return tuple(
        row[0] for row in memory.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,))
    )
