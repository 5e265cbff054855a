"""Every id of a collection by what is left of it, and how many there are of each kind by prefix or by metadata.

One byte of state and one of origin per id, so that ten million ids cost what their names cost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forensics.absent import Absent
from forensics.breakdown import find_separator, prefix
from forensics.readers.embeddings_queue import DELETE
from forensics.readers.values import numbered, values_of
from forensics.records import Records
from forensics.sources import NOWHERE, find_sources
from forensics.store import Collection
from forensics.words import counted

if TYPE_CHECKING:
    import pandas as pd

INDEXED, PENDING, REATTACHABLE, DOCUMENT_ONLY, LOST, METADATA_LOST, DELETED, UNKNOWN = range(8)
STATES = (
    "indexed",
    "pending",
    "re-attachable",
    "vector lost, document present",
    "vector lost",
    "metadata lost",
    "deleted",
    "unknown",
)
"""unknown: the id map is lost, so which vector is whose takes a proof; a plan makes it."""
PART = 500_000
"""Rows of a Parquet file that are made at once."""


@dataclass(frozen=True, slots=True)
class Classes:
    """ids (n,): the records in rowid order, then ghosts, then ids that only a delete in the queue names.

    state (n,) uint8 into STATES; origin (n,) uint8 into `origins` ("" and the kinds of sources). rowids (n,) int64, -1
    where there is no row. `pattern` and `keys`: by what `tables` divides them, besides the prefix.
    """

    collection: Collection = field(repr=False)
    ids: list[str] = field(repr=False)
    state: np.ndarray = field(repr=False)
    origin: np.ndarray = field(repr=False)
    origins: tuple[str, ...]
    rowids: np.ndarray = field(repr=False)
    pattern: str | None = None
    keys: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts().items())
        return f"{counted(len(self), 'ids')} of {self.collection.name!r}: {counts or 'none'}"

    def counts(self) -> dict[str, int]:
        """state → how many ids, without those that nobody is in."""
        return _named(self.state, STATES)

    def places(self) -> dict[str, int]:
        """kind of source → how many vectors can be attached again from there."""
        return {name: count for name, count in _named(self.origin, self.origins).items() if name}

    def frame(self) -> pd.DataFrame:
        """id, state, origin (categories) and rowid, a row per id."""
        import pandas as pd

        return pd.DataFrame(
            {
                "id": self.ids,
                "state": pd.Categorical.from_codes(self.state, categories=list(STATES)),
                "origin": pd.Categorical.from_codes(self.origin, categories=list(self.origins)),
                "rowid": self.rowids,
            }
        )

    def to_parquet(self, path: str | Path) -> Path:
        """The frame in a file, written in parts. Raises ImportError where pyarrow is not installed."""
        from pyarrow import parquet

        first = self._part(0)
        with parquet.ParquetWriter(path, first.schema) as writer:
            writer.write_table(first)
            for start in range(PART, len(self), PART):
                writer.write_table(self._part(start))
        return Path(path)

    def _part(self, start: int) -> Any:
        """PART rows as a table of Arrow; letters that no UTF-8 has are written as `\\udc80`."""
        import pyarrow as pa

        part = slice(start, start + PART)
        ids = [name if name.isascii() else _written(name) for name in self.ids[part]]
        state = pa.DictionaryArray.from_arrays(pa.array(self.state[part].view(np.int8)), pa.array(STATES))
        origin = pa.DictionaryArray.from_arrays(
            pa.array(self.origin[part].view(np.int8)), pa.array(self.origins, pa.string())
        )
        columns = {"id": pa.array(ids, pa.string()), "state": state, "origin": origin}
        return pa.table({**columns, "rowid": pa.array(self.rowids[part])})

    def by_prefix(self, *, separator: str | None = None, pattern: str | None = None) -> pd.DataFrame:
        """states × prefixes, the largest group first. The separator is found where it is not given; `pattern`: a regular
        expression whose first group (or whole match) is the prefix. Raises re.error for one that is none."""
        return self._table(*numbered(_prefixes(self.ids, separator, pattern or self.pattern)))

    def by_metadata(self, key: str) -> pd.DataFrame:
        """states × values of a metadata key; "" where a record does not have it. Raises ValueError where the metadata
        cannot be read."""
        return self._table(*values_of(self.collection.database, key, self.rowids))

    def tables(self) -> dict[str, pd.DataFrame]:
        """By prefix, and by each of `keys`."""
        return {"prefix": self.by_prefix(), **{key: self.by_metadata(key) for key in self.keys}}

    def _table(self, names: list[str], numbers: np.ndarray) -> pd.DataFrame:
        import pandas as pd

        cells = np.bincount(
            numbers.astype(np.int64) * len(STATES) + self.state, minlength=len(names) * len(STATES)
        )
        table = pd.DataFrame(
            cells.reshape(-1, len(STATES)), index=pd.Index(names, name="group"), columns=list(STATES)
        )
        table = table.loc[:, table.any(axis=0)]
        table.columns.name = "state"
        table["all"] = table.sum(axis=1)
        table = table.loc[table["all"] > 0]
        return table.sort_index().sort_values("all", ascending=False, kind="stable")

    def to_json(self, most: int = 50) -> dict[str, Any]:
        """The numbers; of each table its `most` largest groups."""
        divided = {
            name: {"groups": len(table), "largest": _rows(table.head(most))}
            for name, table in self.tables().items()
        }
        return {
            "collection": self.collection.name,
            "ids": len(self),
            "states": self.counts(),
            "re_attachable_from": self.places(),
            "by": divided,
        }


def _named(codes: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    numbers = np.bincount(codes, minlength=len(names)).tolist()
    return {name: count for name, count in zip(names, numbers, strict=True) if count}


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"group": group, **{name: int(row[name]) for name in table.columns}}
        for group, row in zip(table.index.tolist(), table.to_dict("records"), strict=True)
    ]


def _written(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _prefixes(ids: Sequence[str], separator: str | None, pattern: str | None) -> Iterator[str]:
    if pattern is not None:
        compiled = re.compile(pattern)
        group = 1 if compiled.groups else 0
        return ("" if m is None else m.group(group) or "" for m in map(compiled.search, ids))
    chosen = separator or find_separator(ids)
    return ("" if chosen is None else prefix(name, chosen, 1) for name in ids)


def classify(
    collection: Collection,
    *,
    also: Sequence[Path] = (),
    pattern: str | None = None,
    keys: Sequence[str] = (),
) -> Classes:
    """The class of every id that the collection has or that its index or queue still name.

    Raises ValueError where the records cannot be read.
    """
    records = collection.records
    if isinstance(records, Absent):
        raise ValueError(f"the records of {collection.name!r} cannot be read: {records.reason}")
    state, origin, origins = _of_records(collection, records, also)
    gone = _deleted(collection, records)
    extra = np.array([METADATA_LOST] * len(records.ghosts) + [DELETED] * len(gone), dtype=np.uint8)
    return Classes(
        collection,
        [*records.rows.ids, *records.ghosts, *gone],
        np.concatenate([state, extra]),
        np.concatenate([origin, np.zeros(len(extra), dtype=np.uint8)]),
        origins,
        np.concatenate([records.rows.rowids, np.full(len(extra), -1, dtype=np.int64)]),
        pattern,
        tuple(keys),
    )


def _of_records(
    collection: Collection, records: Records, also: Sequence[Path]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    state = np.where(records.indexed, INDEXED, np.where(records.pending, PENDING, UNKNOWN)).astype(np.uint8)
    origin = np.zeros(len(records), dtype=np.uint8)
    if not records.known or not records.missing.any():
        return state, origin, ("",)
    places = np.flatnonzero(records.missing)
    sources = find_sources(collection, records.ids(records.missing), also=also)
    lost = np.where(sources.has_document, DOCUMENT_ONLY, LOST)
    state[places] = np.where(sources.found, REATTACHABLE, lost)
    kinds = sorted({str(kind) for kind in sources.kind} - {NOWHERE})
    numbers = {kind: at for at, kind in enumerate(kinds, start=1)}
    origin[places] = [numbers.get(str(kind), 0) for kind in sources.kind]
    return state, origin, ("", *kinds)


def _deleted(collection: Collection, records: Records) -> list[str]:
    """Ids without a record whose last row in the queue is a delete."""
    queued = collection.queue.rows()
    if isinstance(queued, Absent) or not queued:
        return []
    last = {row.id: row.operation for row in queued}
    deleted = [name for name, operation in last.items() if operation == DELETE]
    ghosts = set(records.ghosts)
    return (
        [name for name in deleted if name not in collection.row_of and name not in ghosts] if deleted else []
    )
