"""The index of a store's first collection, open for damage: its files, its id map, its rows."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import sqlite3
from collections.abc import Callable, Generator
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from forensics.readers import layout
from forensics.readers.id_map import IdMap, read_id_map
from forensics.testing.damage import damage
from forensics.writers.id_map import write_id_map

FIELDS = (
    "dimensionality", "total_elements_added", "max_seq_id", "id_to_label", "label_to_id", "id_to_seq_id",
)  # fmt: skip
"""Of an id map, in the order in which 1.x writes them."""
Blow = Callable[["Index", np.random.Generator], None]


def index_damage(
    name: str, *codes: str, deep: bool = False, embedder: bool = False
) -> Callable[[Blow], Blow]:
    """Puts a function on the menu that takes an `Index` and a seeded generator instead of a path and a seed."""

    def register(function: Blow) -> Blow:
        def strike(store: Path, seed: int) -> None:
            function(Index(store), np.random.default_rng(seed))

        strike.__doc__ = function.__doc__
        damage(name, *codes, deep=deep, embedder=embedder)(strike)
        return function

    return register


class Index:
    """The vector segment of a store's first collection, for editing."""

    def __init__(self, store: Path) -> None:
        self.store, self.database = store, store / "chroma.sqlite3"
        with self.sql() as database:
            newest_first = "SELECT scope, id FROM segments ORDER BY rowid DESC"
            segments = dict(database.execute(newest_first).fetchall())
        self.directory, self.metadata_segment = store / segments["VECTOR"], segments["METADATA"]
        self.vector_segment = segments["VECTOR"]

    def path(self, name: str) -> Path:
        """A file of the segment."""
        return self.directory / name

    @contextlib.contextmanager
    def sql(self) -> Generator[sqlite3.Connection]:
        """The database; committed at the end of the block."""
        with contextlib.closing(sqlite3.connect(self.database)) as database, database:
            yield database

    @property
    def header(self) -> layout.Header:
        """header.bin as it stands."""
        return layout.Header.from_bytes(self.path(layout.HEADER_FILE).read_bytes())

    def edit_header(self, **fields: Any) -> None:
        """Overwrites fields of header.bin by their names in `layout.HEADER`."""
        raw = np.fromfile(self.path(layout.HEADER_FILE), dtype=layout.HEADER)
        for name, value in fields.items():
            raw[name] = value
        raw.tofile(self.path(layout.HEADER_FILE))

    @contextlib.contextmanager
    def level0(self) -> Generator[np.ndarray]:
        """The counted elements of data_level0.bin, writable."""
        header = self.header
        dtype = layout.level0_dtype(header.dim, header.M)
        mapped = np.memmap(
            self.path(layout.LEVEL0_FILE), dtype=dtype, mode="r+", shape=(header.cur_element_count,)
        )
        yield mapped
        mapped.flush()

    @contextlib.contextmanager
    def id_map(self) -> Generator[dict[str, Any]]:
        """The id map as a dict, written back in its own form where it was changed; ValueError where it is none."""
        found = self._map()
        state = {name: copy(getattr(found, name)) for name in FIELDS}
        yield state
        changed = dataclasses.replace(found, **state)
        if changed == found:
            return
        if found.form == "class":
            write_id_map(self.path(layout.ID_MAP_FILE), changed)
        else:
            self.path(layout.ID_MAP_FILE).write_bytes(pickle.dumps(state, protocol=3))

    def _map(self) -> IdMap:
        found = read_id_map(self.path(layout.ID_MAP_FILE))
        if not isinstance(found, IdMap):
            raise ValueError(found.reason)
        return found

    def vectors(self) -> dict[str, np.ndarray]:
        """id → its vector as level 0 holds it, of every id that the map gives to an element; nothing is written."""
        id_to_label, header = self._map().id_to_label, self.header
        level0 = np.fromfile(
            self.path(layout.LEVEL0_FILE),
            layout.level0_dtype(header.dim, header.M),
            count=header.cur_element_count,
        )
        place = {int(label): row for row, label in enumerate(level0["label"])}
        mapped = {name: place.get(label) for name, label in id_to_label.items()}
        return {name: level0["vector"][row] for name, row in mapped.items() if row is not None}

    def documents(self) -> dict[str, str]:
        """id → its document, of every record that has one."""
        sql = "SELECT e.embedding_id, m.string_value FROM embeddings e JOIN embedding_metadata m USING (id)"
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return dict(database.execute(f"{sql} WHERE m.key = 'chroma:document'").fetchall())

    def some_ids(self, random: np.random.Generator, count: int) -> list[str]:
        """Ids that the map has, in a seeded choice."""
        with self.id_map() as state:
            ids = sorted(state["id_to_label"])
        return [ids[i] for i in random.choice(len(ids), size=count, replace=False).tolist()]

    def unmap(self, ids: list[str]) -> list[int]:
        """Takes ids out of both maps and returns their labels."""
        with self.id_map() as state:
            labels = [state["id_to_label"].pop(name) for name in ids]
            for label in labels:
                del state["label_to_id"][label]
        return labels

    def elements(self, ids: list[str]) -> np.ndarray:
        """The internal ids of the elements of these ids."""
        with self.id_map() as state, self.level0() as level0:
            labels = [state["id_to_label"][name] for name in ids]
            return np.flatnonzero(np.isin(level0["label"], labels))

    def flag(self, labels: list[int]) -> None:
        """Sets the deleted flag of these labels' elements."""
        with self.level0() as level0:
            level0["flags"][np.isin(level0["label"], labels)] |= layout.DELETED_FLAG

    def forget(self, ids: list[str]) -> None:
        """Removes every row that SQLite's records part has of these ids."""
        with self.sql() as database:
            for name in ids:
                (row,) = database.execute(
                    "SELECT id FROM embeddings WHERE embedding_id = ?", (name,)
                ).fetchone()
                database.execute("DELETE FROM embedding_fulltext_search WHERE rowid = ?", (row,))
                for table in ("embedding_metadata", "embeddings"):
                    database.execute(f"DELETE FROM {table} WHERE id = ?", (row,))

    def rename(self, old: str, new: str) -> None:
        """Gives a record another id, in SQLite and in the id map."""
        with self.sql() as database:
            database.execute("UPDATE embeddings SET embedding_id = ? WHERE embedding_id = ?", (new, old))
        with self.id_map() as state:
            label = state["id_to_label"].pop(old)
            state["id_to_label"][new], state["label_to_id"][label] = label, new
