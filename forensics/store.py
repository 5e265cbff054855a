"""Store → Collection → VectorSegment and records: ties the readers together, lazily; each thing measured once.

Nothing here writes and nothing here judges.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from forensics.absent import Absent
from forensics.collection import UUID, Collection
from forensics.errors import NotAStore, UsageError
from forensics.handles import is_open_here
from forensics.readers.database import DATABASE, Database
from forensics.readers.hnsw import FileFacts, file_facts
from forensics.seal import Handles, open_handles
from forensics.segment import PlainTree, Tree, VectorSegment, read_segment

if TYPE_CHECKING:
    from forensics.witness import Embeds

__all__ = ["UUID", "Collection", "PlainTree", "Store", "Tree", "VectorSegment", "open_store", "read_segment"]

VECTOR_TYPE = "urn:chroma:segment/vector/hnsw-local-persisted"
METADATA_TYPE = "urn:chroma:segment/metadata/sqlite"


class Store:
    """A Chroma store, opened for reading only. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, tree: Tree | None = None, scratch: Path | None = None) -> None:
        self.path = path
        self.tree: Tree = tree or PlainTree(path)
        self.also: tuple[Path, ...] = ()  # other copies of this store, which may still hold vectors
        self.embedder: Embeds | None = None  # of the user; what it says of the vectors is in `witness`
        self.scratch = scratch or Path(tempfile.mkdtemp(prefix="forensics-"))
        self._cleanup = weakref.finalize(self, shutil.rmtree, self.scratch, True) if scratch is None else None

    def __repr__(self) -> str:
        return f"Store({self.path.name!r})"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database and removes the scratch folder."""
        if "database" in self.__dict__ and isinstance(self.database, Database):
            self.database.close()
        if self._cleanup is not None:
            self._cleanup()

    @cached_property
    def entries(self) -> tuple[FileFacts, ...]:
        """What lies at the top level, by lstat."""
        found = ((name, file_facts(self.tree.resolve(name))) for name in self.tree.names())
        return tuple(_renamed(facts, name) for name, facts in found if isinstance(facts, FileFacts))

    @cached_property
    def handles(self) -> Handles | Absent:
        """Who has files of this store open; Absent where the system does not show it."""
        return open_handles(self.path)

    @cached_property
    def in_use(self) -> bool:
        """True where somebody may write: any other process, or this one (not by the maps of an earlier reading)."""
        return not isinstance(self.handles, Absent) and bool(self.handles.writers)

    @cached_property
    def held_here(self) -> bool:
        """True where a client of this very process has the database open, or may have."""
        if isinstance(self.handles, Absent):
            return is_open_here(self.tree.resolve(DATABASE))
        return any(handle.own and handle.path.startswith(DATABASE) for handle in self.handles.writers)

    @cached_property
    def database(self) -> Database | Absent:
        """The database, opened as the contract says: immutable, read-only or as a copy (a child's, where `held_here`)."""
        return Database.open(
            self.tree.resolve(DATABASE),
            in_use=self.in_use,
            scratch=self.scratch / "database",
            held_here=self.held_here,
        )

    @cached_property
    def is_modern(self) -> bool:
        """True where metadb migration 5 is recorded: the last writer was 1.x."""
        rows = self.database.migrations if isinstance(self.database, Database) else ()
        return not isinstance(rows, Absent) and any(
            m.dir == "metadb" and _reaches(m.version, 5) for m in rows
        )

    @cached_property
    def collections(self) -> tuple[Collection, ...]:
        """Every collection that the database names, by name; empty where it cannot be read."""
        rows = self.database.collections if isinstance(self.database, Database) else ()
        return () if isinstance(rows, Absent) else tuple(Collection(self, row) for row in rows)

    def collection(self, wanted: str) -> Collection:
        """The collection of that name or id. Raises UsageError where there is none or several."""
        found = [c for c in self.collections if wanted in (c.name, c.id)]
        if len(found) != 1:
            number = "No collection is" if not found else f"{len(found)} collections are"
            there = ", ".join(repr(c.name) for c in self.collections) or "none"
            raise UsageError(f"{number} called {wanted!r}; there are: {there}.")
        return found[0]

    @cached_property
    def segment_directories(self) -> tuple[VectorSegment, ...]:
        """Every directory at the top level that holds a file of a segment, referenced or not, by name."""
        folders = (entry.name for entry in self.entries if entry.kind == "directory")
        segments = (VectorSegment(name, self.tree, name) for name in folders)
        return tuple(segment for segment in segments if segment.has_files)

    @cached_property
    def unreferenced(self) -> tuple[VectorSegment, ...]:
        """Segment directories that no row of `segments` names: orphans (UUID names) and set-aside ones (other names)."""
        rows = self.database.segments if isinstance(self.database, Database) else ()
        known = set() if isinstance(rows, Absent) else {row.id for row in rows}
        return tuple(segment for segment in self.segment_directories if segment.id not in known)


def _reaches(version: object, wanted: int) -> bool:
    """A cell of SQLite can hold anything, whatever its column says."""
    return isinstance(version, int) and version >= wanted


def _renamed(facts: FileFacts, name: str) -> FileFacts:
    return FileFacts(
        name, facts.kind, facts.size, facts.allocated, facts.mtime_ns, facts.mode, facts.readable
    )


def open_store(path: str | os.PathLike[str]) -> Store:
    """The store in folder `path`, resolved once. Raises NotAStore where there is no trace of one, in one sentence."""
    given = Path(path)
    try:
        resolved = given.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle, before Python 3.13
        why = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
        raise NotAStore(f"{given} cannot be opened: {why}.") from error
    if not resolved.is_dir():
        raise NotAStore(f"{given} is a file; give the folder that holds {DATABASE}.")
    try:
        names = os.listdir(resolved)
        os.stat(os.path.join(resolved, "."))  # to list names does not take the right to look behind them
    except OSError as error:
        raise NotAStore(f"{given} cannot be read: {error.strerror}.") from error
    store = Store(resolved)
    if not _has_trace(store, names):
        store.close()
        raise NotAStore(
            f"{given} holds no trace of a Chroma store: no {DATABASE}, no segment directory, no parquet files."
        )
    return store


def _has_trace(store: Store, names: list[str]) -> bool:
    legacy = any(name.endswith(".parquet") for name in names)
    return DATABASE in names or legacy or bool(store.segment_directories) or "index" in names
