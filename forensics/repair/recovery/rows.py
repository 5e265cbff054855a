"""The rows of one table of a damaged database: from its own tree, from leaves that no root reaches any more, and from its
indexes, which hold most columns a second time. What none of them has is lost, and counted where an index says how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from forensics.readers.page_trees import Gap, Tree, entries_of, rows_of, walk
from forensics.readers.pages import Cell, Page, PageFile, Record
from forensics.repair.recovery.schema import Schema, Table

VALUES = ("string_value", "int_value", "float_value", "bool_value")
Partial = dict[str, Cell]
MOST = 0.1
"""A page of an index is another's where more than this part of its entries contradict the rows that are there."""
CONTENTS = "its rows are not those that the indexes know"


@dataclass(slots=True)
class Found:
    """What was found of a table. `lost`: how many rows are gone for good, None where nobody can tell.

    rows: rowid → cells, of what the tree does not give: from stray leaves and from indexes. `lost_rows`: what is known of
    rows that could not be put together. `doubted`: rows that are left out, since two places say different things of them;
    `doubtful`: what is said of rows by pages that nothing confirms.
    """

    table: Table
    tree: Tree
    bad: list[Gap] = field(default_factory=list)
    rows: dict[int, Record] = field(default_factory=dict)
    from_strays: int = 0
    from_indexes: int = 0
    lost: int | None = 0
    lost_rows: dict[int, Partial] = field(default_factory=dict)
    doubted: set[int] = field(default_factory=set)
    doubtful: dict[int, Partial] = field(default_factory=dict)

    @property
    def gaps(self) -> list[Gap]:
        return [*self.tree.gaps, *self.bad]

    @property
    def is_whole(self) -> bool:
        return not self.gaps

    def own(self, file: PageFile) -> Iterator[tuple[int, Record]]:
        """(rowid, cells) of what its own tree gives."""
        for rowid, record in rows_of(file, self.tree.leaves):
            cells = self.table.row(rowid, record)
            if cells is not None and rowid not in self.doubted:
                yield rowid, cells


def walked(file: PageFile, table: Table) -> Found:
    """The table as far as its own tree goes; every record is looked at."""
    tree = walk(file, table.root) if table.root else Tree(0, gaps=[_nowhere()])
    found = Found(table, tree)
    for _ in rows_of(file, tree.leaves, found.bad):
        pass
    return found


def _nowhere() -> Gap:
    return Gap(-(1 << 63), (1 << 63) - 1, 0, "nothing says where the table begins")


def take_strays(file: PageFile, found: Mapping[str, Found], pages: Iterable[Page]) -> int:
    """Rows of stray leaves are with the table that they fit and that lost rows of these numbers; the number of pages that
    fit several tables is returned, whose rows are left out.
    """
    damaged = [one for one in found.values() if one.gaps]
    ambiguous = 0
    for page in pages if damaged else ():
        records = list(rows_of(file, [page.number]))
        fitting = _best([one for one in damaged if _belongs(one, records)], records)
        ambiguous += len(fitting) > 1
        if len(fitting) == 1:
            _add(fitting[0], records)
    return ambiguous


def _best(fitting: list[Found], records: list[tuple[int, Record]]) -> list[Found]:
    """Those with exactly as many columns, where there are any: fewer are stored only in rows of before a migration."""
    widest = max((len(record) for _, record in records), default=0)
    return [one for one in fitting if len(one.table.columns) == widest] or fitting


def _belongs(one: Found, records: list[tuple[int, Record]]) -> bool:
    return bool(records) and all(
        one.table.fits(record) and any(gap.holds(rowid) for gap in one.gaps) for rowid, record in records
    )


def _add(one: Found, records: list[tuple[int, Record]]) -> None:
    for rowid, record in records:
        cells = one.table.row(rowid, record)
        if cells is not None and rowid not in one.rows:
            one.rows[rowid] = cells
            one.from_strays += 1


def take_indexes(
    file: PageFile, one: Found, schema: Schema, segments: frozenset[Cell] | None, mixed: bool = False
) -> None:
    """Rows that the indexes can put together are with the table; how many are lost is known where an index of all rows is
    whole. A row that an index contradicts is left out; `segments`: those that a record can name, None where nobody knows.
    `mixed`: pages of another database are among these, so that what no row that is there confirms is doubtful.
    """
    trees = {
        name: walk(file, schema.roots[name], index=True)
        for name in one.table.indexes
        if schema.roots.get(name)
    }
    pages = {name: [records for _, records in entries_of(file, tree)] for name, tree in trees.items()}
    if mixed:
        _leave_foreign(file, one, pages)
    strays, one.rows = (one.rows, {}) if mixed else ({}, one.rows)
    told = Entries(dict(one.own(file)), one, mixed)
    listed, whole = False, True
    for name, columns in one.table.indexes.items():
        foreign = told.take(columns, pages.get(name, ()))
        sound = name in trees and not trees[name].gaps and not foreign
        listed = listed or (sound and name in one.table.full)
        whole = whole and sound
    one.doubted |= told.contradicted
    one.doubtful = told.doubtful
    _take_confirmed(one, strays, told.partial)
    for rowid in told.contradicted & one.rows.keys():
        del one.rows[rowid]
        one.from_strays -= 1
    _take(one, told.partial, whole, segments)
    one.lost = len(one.lost_rows) if listed or not one.gaps else None


def _take_confirmed(one: Found, strays: Mapping[int, Record], partial: Mapping[int, Partial]) -> None:
    """Rows of stray leaves of which indexes say all that they can say are with the table; the others are doubtful."""
    indexed = set[str]().union(*one.table.indexes.values())
    for rowid, cells in strays.items():
        row = dict(zip(one.table.columns, cells, strict=True))
        known = partial.get(rowid, {})
        told = {name: row[name] for name in indexed if row[name] is not None}
        if told and told == known and rowid not in one.doubted:
            one.rows[rowid] = cells
        else:
            one.doubtful[rowid] = row
            one.from_strays -= 1


def _leave_foreign(file: PageFile, one: Found, pages: Mapping[str, list[list[Record]]]) -> None:
    """Leaves of which the indexes confirm less than half of the rows, and contradict more than half, are gaps."""
    told = Entries(dict(one.own(file)), one, mixed=True)
    confirmed, denied = set[Cell](), set[Cell]()
    for name, lists in pages.items():
        for record in (record for records in lists for record in records):
            said = told.said(one.table.indexes[name], record[-1])
            if said is not None:
                (confirmed if said == record[:-1] else denied).add(record[-1])
    for number in list(one.tree.leaves):
        keys = set(file.page(number).keys)
        if 2 * len(keys & denied) > len(keys) > 2 * len(keys & confirmed):
            one.tree.leaves.remove(number)
            one.tree.gaps.append(Gap(min(keys) - 1, max(keys), number, CONTENTS))


def _take(one: Found, partial: Mapping[int, Partial], whole: bool, segments: frozenset[Cell] | None) -> None:
    """Rows that are whole are with the table, others with those that are lost; of another store's records nothing is."""
    for rowid in sorted(partial.keys() - one.rows.keys()):
        known = partial[rowid]
        if segments is not None and known.get("segment_id", next(iter(segments), None)) not in segments:
            continue
        cells = None if rowid in one.doubted else _complete(one.table, rowid, known, whole)
        if cells is None:
            one.lost_rows[rowid] = known
        else:
            one.rows[rowid] = cells
            one.from_indexes += 1


@dataclass(slots=True)
class Entries:
    """What indexes say of rows that are not there otherwise (`partial`), and rows of which places do not say the same."""

    own: Mapping[int, Record]
    one: Found
    mixed: bool
    doubtful: dict[int, Partial] = field(default_factory=dict)
    partial: dict[int, Partial] = field(default_factory=dict)
    contradicted: set[int] = field(default_factory=set)

    def take(self, columns: tuple[str, ...], pages: Iterable[list[Record]]) -> int:
        """The entries of an index are noted; the number of pages that are another's, of which nothing is, is returned."""
        foreign = 0
        for records in pages:
            wrong = sum(not self._may_be(columns, record) for record in records)
            foreign += wrong > MOST * len(records)
            if wrong <= MOST * len(records):
                into = self.partial if not self.mixed or self._confirmed(columns, records) else self.doubtful
                for record in records:
                    self._note(columns, record, into)
        return foreign

    def _confirmed(self, columns: tuple[str, ...], records: list[Record]) -> bool:
        """True where the page has an entry of a row that is there."""
        return any(self.said(columns, record[-1]) == record[:-1] for record in records)

    def said(self, columns: tuple[str, ...], rowid: Cell) -> Record | None:
        """What the row itself has in these columns."""
        cells = self.own.get(rowid) or self.one.rows.get(rowid) if isinstance(rowid, int) else None
        names = self.one.table.columns
        return None if cells is None else tuple(cells[names.index(column)] for column in columns)

    def _may_be(self, columns: tuple[str, ...], record: Record) -> bool:
        """False where the entry is none of this index, or is about a row that is there otherwise or cannot be gone."""
        rowid = record[-1]
        if len(record) != len(columns) + 1 or not isinstance(rowid, int):
            return False
        said = self.said(columns, rowid)
        return any(gap.holds(rowid) for gap in self.one.gaps) if said is None else said == record[:-1]

    def _note(self, columns: tuple[str, ...], record: Record, into: dict[int, Partial]) -> None:
        rowid = record[-1]
        if len(record) != len(columns) + 1 or not isinstance(rowid, int):
            return
        said, entry = self.said(columns, rowid), dict(zip(columns, record, strict=False))
        if said == record[:-1] or (said is None and not any(gap.holds(rowid) for gap in self.one.gaps)):
            return
        known = into.setdefault(rowid, {})
        if said is not None or any(known.get(name, value) != value for name, value in entry.items()):
            self.contradicted.add(rowid)
        into[rowid] = {**entry, **known}


def _complete(table: Table, rowid: int, known: Partial, whole: bool) -> Record | None:
    """The cells of the row where its entries say enough; Chroma sets exactly one value of a row of metadata."""
    if table.alias is not None:
        known = {**known, table.columns[table.alias]: rowid}
    lacking = [name for name in table.columns if name not in known]
    if set(VALUES) & set(table.columns):
        given = [name for name in VALUES if known.get(name) is not None]
        if len(given) != 1 or "key" not in known or "id" not in known:
            return None
    elif any(table.needed[table.columns.index(name)] for name in lacking) or lacking:
        return None
    return tuple(known.get(name) for name in table.columns)


def segments_of(file: PageFile, one: Found | None) -> frozenset[Cell] | None:
    """The segments that the store has; None where that cannot be told."""
    if one is None or one.gaps:
        return None
    return frozenset(cells[0] for _, cells in one.own(file)) or None
