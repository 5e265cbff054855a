"""Account of the past: what the store once acknowledged and has nowhere any more, as far as that can be proved.

Every trace has its proof, its confidence and bounds. An id that a record of the same collection has today is no part of
it, whatever old copies of its rows still lie about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from forensics.absent import Absent
from forensics.readers.database import Database
from forensics.readers.freed import FreedRow, FreedSpace, freed_rows
from forensics.readers.id_map import BadIdMap, IdMap
from forensics.remains import (
    EITHER,
    Fate,
    Trace,
    of_full_text,
    of_metadata,
    of_queue,
    of_sequence,
    of_unowned_rows,
)
from forensics.remains_index import of_directories, of_labels
from forensics.store import Collection, Store

if TYPE_CHECKING:
    import pandas as pd

_SURER: tuple[Fate, ...] = ("deleted", "lost", "deleted or lost")
"""Where several traces name one id, what the first of these says holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The traces, the surest places first; `not_examined`: (place, why) of what could not be looked at."""

    store: str
    traces: tuple[Trace, ...]
    not_examined: tuple[tuple[str, str], ...] = ()
    _named: dict[tuple[str | None, str], tuple[Fate, tuple[str, ...]]] = field(repr=False)

    @property
    def ids(self) -> dict[tuple[str | None, str], tuple[Fate, tuple[str, ...]]]:
        """(collection, id) → what became of it, and the kinds of the traces that name it."""
        return self._named

    def counts(self) -> dict[str, int]:
        """fate → how many ids are known by name."""
        fates = [fate for fate, _ in self._named.values()]
        return {fate: fates.count(fate) for fate in _SURER}

    def frame(self) -> pd.DataFrame:
        """collection, id, fate, traces: a row per id that is known by name."""
        import pandas as pd

        rows = [(where, name, fate, ", ".join(kinds)) for (where, name), (fate, kinds) in self._named.items()]
        return pd.DataFrame(rows, columns=["collection", "id", "fate", "traces"])

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "store": self.store,
            "ids": {"named": len(self._named), **self.counts()},
            "traces": [trace.to_json() for trace in self.traces],
            "not_examined": [{"place": place, "reason": reason} for place, reason in self.not_examined],
        }


def account(store: Store, collection: str | None = None) -> Past:
    """What is gone of the store, or of one collection (its id or name) where that can be told apart. Reads only."""
    traces, lacking = list[Trace](), list[tuple[str, str]]()
    if isinstance(store.database, Database):
        space = freed_rows(store.database.opened)
        traces += _of_database(store, store.database, space)
        lacking += _lacking(store, space)
    else:
        lacking.append(("chroma.sqlite3", store.database.reason))
    for one in store.collections:
        traces += of_labels(one)
    traces += of_directories(store)
    wanted = None if collection is None else store.collection(collection).name
    kept = tuple(trace for trace in traces if wanted is None or trace.collection == wanted)
    return Past(store=str(store.path), traces=kept, not_examined=tuple(lacking), _named=_named(kept))


def _of_database(store: Store, database: Database, space: FreedSpace | Absent) -> Iterator[Trace]:
    yield from of_queue(store, database)
    yield from of_sequence(store, database)
    yield from of_unowned_rows(store, database)
    yield from of_metadata(database)
    yield from of_full_text(database)
    if isinstance(space, FreedSpace):
        yield from _of_freed(store, space)


def _of_freed(store: Store, space: FreedSpace) -> Iterator[Trace]:
    """Ids in rows that stand in given-up space, by the collection that their segment or topic names."""
    owners = {key: one for one in store.collections for key in (one.id, one.metadata_segment_id) if key}
    groups: dict[str | None, dict[str, FreedRow]] = {}
    for row in space.rows:
        owner = owners.get(row.owner)
        if owner is None or (not isinstance(owner.rows, Absent) and row.id not in owner.row_of):
            groups.setdefault(owner.name if owner else None, {}).setdefault(row.id, row)
    for name in sorted(groups, key=lambda each: (each is None, each or "")):
        yield _freed_trace(name, groups[name], space)


def _freed_trace(collection: str | None, rows: dict[str, FreedRow], space: FreedSpace) -> Trace:
    of = (
        ""
        if collection is not None
        else "They belong to a segment or a collection that the catalogue does not have. "
    )
    return Trace.of_ids(
        "freed-pages",
        collection,
        tuple(rows),
        confidence="likely",
        proof="Rows with these ids stand whole in space of chroma.sqlite3 that SQLite has given up: free pages, and the "
        "part of used pages that belongs to no cell. Segment, length of the id and time stand where the row's own header "
        "says.",
        means=f"They were records, and were removed. {of}{EITHER} SQLite overwrites this space at its next writes.",
        found={
            "free_pages": space.free_pages,
            "bytes_searched": space.searched,
            "searched_whole": space.complete,
            "tables": sorted({row.table for row in rows.values()}),
        },
        columns=("id", "table", "owner", "created_at", "offset"),
        rows=[(row.id, row.table, row.owner, row.created_at, row.offset) for row in rows.values()],
    )


def _lacking(store: Store, space: FreedSpace | Absent) -> Iterator[tuple[str, str]]:
    if isinstance(space, Absent):
        yield "freed pages", space.reason
    elif not space.complete:
        yield "freed pages", "the file is larger than what is searched, or the time was over"
    for one in store.collections:
        if isinstance(one.rows, Absent):
            yield f"records of {one.name}", one.rows.reason
        if isinstance(one.id_map, BadIdMap) and _is_persisted(one):
            yield f"id map of {one.name}", one.id_map.reason
    for segment in store.unreferenced:
        if not isinstance(segment.id_map, IdMap):
            yield f"id map of {segment.relative}", segment.id_map.reason


def _is_persisted(collection: Collection) -> bool:
    return not isinstance(collection.vector, Absent) and collection.vector.state == "persisted"


def _named(traces: tuple[Trace, ...]) -> dict[tuple[str | None, str], tuple[Fate, tuple[str, ...]]]:
    found: dict[tuple[str | None, str], tuple[Fate, tuple[str, ...]]] = {}
    for trace in traces:
        for name in trace.ids:
            fate, kinds = found.get((trace.collection, name), (trace.fate, ()))
            surer = trace.fate if _SURER.index(trace.fate) < _SURER.index(fate) else fate
            found[trace.collection, name] = (surer, (*kinds, trace.kind))
    return found
