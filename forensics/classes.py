"""Every id of a collection by what is left of it, and how many there are of each kind by prefix or by metadata.

One byte of state and one of origin per id, so that ten million ids cost what their names cost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.breakdown import find_separator, prefix
from forensics.readers.embeddings_queue import DELETE
from forensics.records import Records
from forensics.sources import NOWHERE, find_sources
from forensics.store import Collection

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


@dataclass(frozen=True, slots=True)
class Classes:
    """ids (n,): the records in rowid order, then ghosts, then ids that only a delete in the queue names.

    state (n,) uint8 into STATES; origin (n,) uint8 into `origins` ("" and the kinds of sources). rowids (n,) int64, -1
    where there is no row.
    """

    collection: Collection = field(repr=False)
    ids: list[str] = field(repr=False)
    state: np.ndarray = field(repr=False)
    origin: np.ndarray = field(repr=False)
    origins: tuple[str, ...]
    rowids: np.ndarray = field(repr=False)

    def counts(self) -> dict[str, int]:
        """state → how many ids, without those that nobody is in."""
        numbers = np.bincount(self.state, minlength=len(STATES)).tolist()
        return {name: count for name, count in zip(STATES, numbers, strict=True) if count}

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
        """The frame in a file. Raises ImportError where pyarrow is not installed."""
        self.frame().to_parquet(path, index=False)
        return Path(path)

    def by_prefix(self, *, separator: str | None = None, pattern: str | None = None) -> pd.DataFrame:
        """states × prefixes, the largest group first. The separator is found where it is not given; `pattern`: a regular
        expression whose first group (or whole match) is the prefix. Raises re.error for one that is none."""
        return self._table(_keys(self.ids, separator, pattern))

    def by_metadata(self, key: str) -> pd.DataFrame:
        """states × values of a metadata key; "" where a record does not have it."""
        columns = {"string_value", "int_value", "float_value", "bool_value"}
        there = [
            name for name in sorted(columns) if name in self.collection.database.columns("embedding_metadata")
        ]
        sql = f"SELECT id, coalesce({', '.join(there)}, NULL) FROM embedding_metadata WHERE key = ?"
        found = self.collection.database.rows(sql, (key,))
        values = {} if isinstance(found, Absent) else {int(row): str(value) for row, value in found}
        return self._table([values.get(row, "") for row in self.rowids.tolist()])

    def _table(self, keys: Sequence[str]) -> pd.DataFrame:
        import pandas as pd

        states = pd.Categorical.from_codes(self.state, categories=list(STATES))
        table = pd.crosstab(pd.Series(list(keys), name="group"), pd.Series(states, name="state"))
        table["all"] = table.sum(axis=1)
        return table.sort_values("all", ascending=False, kind="stable")


def _keys(ids: Sequence[str], separator: str | None, pattern: str | None) -> list[str]:
    if pattern is not None:
        compiled = re.compile(pattern)
        matches = (compiled.search(name) for name in ids)
        return ["" if m is None else m.group(1 if compiled.groups else 0) or "" for m in matches]
    separator = separator or find_separator(ids)
    return [""] * len(ids) if separator is None else [prefix(name, separator, 1) for name in ids]


def classify(collection: Collection, *, also: Sequence[Path] = ()) -> Classes:
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
