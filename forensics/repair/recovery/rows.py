"""The rows of one table of a damaged database: from its own tree, from leaves that no root reaches any more, and from its
indexes, which hold most columns a second time. What none of them has is lost, and counted where an index says how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from forensics.readers.page_trees import Gap, Tree, rows_of, walk
from forensics.readers.pages import Cell, Page, PageFile, Record
from forensics.repair.recovery.schema import Schema, Table

VALUES = ("string_value", "int_value", "float_value", "bool_value")
Partial = dict[str, Cell]


@dataclass(slots=True)
class Found:
    """What was found of a table. `lost`: how many rows are gone for good, None where nobody can tell.

    rows: rowid → cells, of what the tree does not give: from stray leaves and from indexes. `lost_rows`: what is known of
    rows that could not be put together.
    """

    table: Table
    tree: Tree
    bad: list[Gap] = field(default_factory=list)
    rows: dict[int, Record] = field(default_factory=dict)
    from_strays: int = 0
    from_indexes: int = 0
    lost: int | None = 0
    lost_rows: dict[int, Partial] = field(default_factory=dict)

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
            if cells is not None:
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


def take_indexes(file: PageFile, one: Found, schema: Schema) -> None:
    """Rows that the indexes can put together are with the table; how many are lost is known where an index of all rows is
    whole.
    """
    have = {rowid for rowid, _ in one.own(file)} | one.rows.keys()
    partial, listed = dict[int, Partial](), False
    whole = True
    for name, columns in one.table.indexes.items():
        root = schema.roots.get(name, 0)
        tree = walk(file, root, index=True) if root else None
        sound = tree is not None and not tree.gaps
        listed = listed or (sound and name in one.table.full)
        whole = whole and sound
        for _, record in rows_of(file, tree.leaves) if tree is not None else ():
            _note(partial, one, have, columns, record)
    for rowid in sorted(partial):
        cells = _complete(one.table, rowid, partial[rowid], whole)
        if cells is None:
            one.lost_rows[rowid] = partial[rowid]
        else:
            one.rows[rowid] = cells
            one.from_indexes += 1
    one.lost = len(one.lost_rows) if listed or not one.gaps else None


def _note(
    partial: dict[int, Partial], one: Found, have: set[int], columns: tuple[str, ...], record: Record
) -> None:
    """An entry of an index about a row that is not there otherwise."""
    rowid = record[-1]
    if len(record) != len(columns) + 1 or not isinstance(rowid, int) or rowid in have:
        return
    if any(gap.holds(rowid) for gap in one.gaps):
        partial.setdefault(rowid, {}).update(zip(columns, record, strict=False))


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
