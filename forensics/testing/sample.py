"""What every make.py of a sample shares: a scratch store to build in, then packing, truth and the symptom."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forensics.testing.builder import Model, StoreBuilder
from forensics.testing.embedder import DIMENSION
from forensics.testing.packing import data_extents, pack, write_json
from forensics.testing.symptom import failures
from forensics.testing.texts import records

EMBEDDER = "forensics.testing.embedder:embed"


class Sample:
    """One sample under construction; `make` is the `__file__` of its make.py."""

    def __init__(self, make: str, what: str) -> None:
        self.folder, self.what = Path(make).resolve().parent, what
        self.scratch = Path(tempfile.mkdtemp(prefix="chroma-sample-"))
        self.store = self.scratch / "store"
        self.model = Model()

    @property
    def name(self) -> str:
        """`<chroma version>/<name>`."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    def builder(self, python: Path | str = sys.executable) -> StoreBuilder:
        """A new engine process on the store, acknowledged operations going to the sample's model."""
        return StoreBuilder(self.store, python, self.model)

    def segment(self, collection: str = "terms", scope: str = "VECTOR") -> str:
        """The id of a collection's segment, which is the name of its directory for VECTOR."""
        return self.rows(
            "select s.id from segments s join collections c on c.id = s.collection"
            " where c.name = ? and s.scope = ?",
            (collection, scope),
        )[0][0]

    def directory(self, collection: str = "terms") -> Path:
        """The directory of a collection's vector segment."""
        return self.store / self.segment(collection)

    def sql(self, *statements: str) -> None:
        """Damages the database: runs statements in one transaction."""
        with contextlib.closing(sqlite3.connect(self.store / "chroma.sqlite3")) as database, database:
            for statement in statements:
                database.execute(statement)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Reads the database of the store under construction."""
        address = f"file:{self.store / 'chroma.sqlite3'}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            return database.execute(query, values).fetchall()

    def finish(self, symptom: list[dict[str, Any]]) -> None:
        """Packs the store, writes the truth, asserts that the engine shows the symptom."""
        description = {
            "name": self.folder.name,
            "chroma": self.folder.parent.name,
            "what": self.what,
            "embedder": EMBEDDER,
            "collections": [self._collection(name) for name in self.model.records],
            "symptom": symptom,
        }
        self._refuse_paths()
        pack(self.store, self.folder, description)
        write_json(self.folder / "truth.json", self._truth())
        shutil.rmtree(self.scratch)
        wrong = failures(self.name, sys.executable)
        assert not wrong, "\n".join(wrong)
        print(f"{self.name}: {self.what}")  # noqa: T201 - the one line that a make.py says

    def _refuse_paths(self) -> None:
        """Unused parts of segment files are the writer's uninitialised memory: none may tell where it ran."""
        telling = [str(path).encode() for path in (Path.home(), self.folder.parents[3], self.scratch)]
        for path in self.store.glob("*/*"):
            with path.open("rb") as file:
                data = b"".join(os.pread(file.fileno(), size, at) for at, size in data_extents(path))
            assert not any(word in data for word in telling), f"{path.name} holds a path of this machine"

    def _collection(self, name: str) -> dict[str, Any]:
        (row,) = self.rows("select id, dimension from collections where name = ?", (name,))
        return {
            "name": name,
            "id": row[0],
            "vector_segment": self.segment(name),
            "metadata_segment": self.segment(name, "METADATA"),
            "space": self.model.settings[name].get("space", "l2"),
            "dimension": DIMENSION,
            "records": len(self.model.records[name]),
            "settings": self.model.settings[name],
        }

    def _truth(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "vectors": f"{EMBEDDER} of the document",
            "records": "those of data/sample_segments/texts with these ids, unless listed under changed",
            "collections": {name: self._collection_truth(name) for name in self.model.records},
        }

    def _collection_truth(self, name: str) -> dict[str, Any]:
        known = {record.id: record for record in records()}
        everything = [*self.model.records[name].values(), *self.model.in_doubt[name]]
        changed = [record for record in everything if known.get(record.id) != record]
        return {
            "space": self.model.settings[name].get("space", "l2"),
            "ids": list(self.model.records[name]),
            "in_doubt": [record.id for record in self.model.in_doubt[name]],
            "changed": [
                {"id": record.id, "document": record.document, "metadata": record.metadata}
                for record in changed
            ],
        }
