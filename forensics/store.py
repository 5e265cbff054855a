"""Store → Collection → VectorSegment and records: ties the readers together, lazily; each thing measured once.

Nothing here writes and nothing here judges. A `Tree` says where the files stand, so that a draft can be read as the
store that it will be.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Protocol

from forensics.absent import Absent, NotAvailable, present
from forensics.errors import NotAStore, UsageError
from forensics.readers.database import DATABASE, CollectionRow, Database, MetadataRows, SegmentRow, SeqId
from forensics.readers.embeddings_queue import EmbeddingsQueue, QueueEffect, QueueRow, effects
from forensics.readers.hnsw import FileFacts, HnswFiles, file_facts, is_stub
from forensics.readers.id_map import BadIdMap, IdMap, read_id_map
from forensics.readers.layout import BINARY_FILES, ID_MAP_FILE, SEGMENT_FILES
from forensics.readers.settings import HnswSettings, settle
from forensics.records import Records, join_records
from forensics.seal import Handles, open_handles

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
VECTOR_TYPE = "urn:chroma:segment/vector/hnsw-local-persisted"
METADATA_TYPE = "urn:chroma:segment/metadata/sqlite"


class Tree(Protocol):
    """Where the entries of a store stand."""

    def names(self) -> list[str]:
        """The names at the top level, sorted."""
        ...

    def resolve(self, relative: str) -> Path:
        """The path of an entry, by its path relative to the store."""
        ...


class PlainTree:
    """A store as it stands in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        return sorted(name for name in os.listdir(self.root) if not name.startswith(".forensics-"))

    def resolve(self, relative: str) -> Path:
        return self.root / relative


class VectorSegment:
    """A segment directory: its files, its id map and what state it is in.

    `state`: absent (no directory or none of the files), stub (made, never persisted), persisted.
    """

    def __init__(self, segment_id: str, tree: Tree, relative: str) -> None:
        self.id, self.tree, self.relative = segment_id, tree, relative
        self.directory = tree.resolve(relative)

    def __repr__(self) -> str:
        return f"VectorSegment({self.relative}, {self.state})"

    def path(self, name: str) -> Path:
        return self.tree.resolve(f"{self.relative}/{name}")

    @cached_property
    def files(self) -> HnswFiles:
        return HnswFiles(self.directory, self.path)

    @cached_property
    def facts(self) -> Mapping[str, FileFacts | Absent]:
        return self.files.files

    @cached_property
    def id_map(self) -> IdMap | BadIdMap:
        return read_id_map(self.path(ID_MAP_FILE))

    @cached_property
    def state(self) -> str:
        if not any(present(self.facts[name]) for name in SEGMENT_FILES):
            return "absent"
        return "stub" if is_stub(self.files) else "persisted"

    @property
    def is_uninitialised(self) -> bool:
        """What the engine takes for "nothing persisted": no directory, no id map, or an empty one."""
        if self.state != "persisted":
            return True
        if isinstance(self.id_map, BadIdMap):
            return self.id_map.kind == "missing"
        return not self.id_map.id_to_label


class Collection:
    """One collection: its row, its two segments, its settings, its watermarks, its records."""

    def __init__(self, store: Store, row: CollectionRow) -> None:
        self.store, self.row = store, row
        self.id, self.name, self.dimension = row.id, row.name, row.dimension

    def __repr__(self) -> str:
        return f"Collection({self.name!r})"

    def segment_rows(self, scope: str) -> list[SegmentRow]:
        """The rows of `segments` of this collection with that scope (one each in health)."""
        rows = self.database.segments
        return (
            []
            if isinstance(rows, Absent)
            else [r for r in rows if r.collection == self.id and r.scope == scope]
        )

    @property
    def database(self) -> Database:
        assert isinstance(self.store.database, Database)
        return self.store.database

    @cached_property
    def vector_segment_id(self) -> str | None:
        rows = self.segment_rows("VECTOR")
        return rows[0].id if rows else None

    @cached_property
    def metadata_segment_id(self) -> str | None:
        rows = self.segment_rows("METADATA")
        return rows[0].id if rows else None

    @cached_property
    def vector(self) -> VectorSegment | Absent:
        """The vector segment, whatever its state; Absent only where no usable row of `segments` names one."""
        if self.vector_segment_id is None:
            return NotAvailable("no row of segments with scope VECTOR names this collection")
        if not UUID.fullmatch(self.vector_segment_id):
            return NotAvailable("the id of the vector segment is not a UUID, so it names no directory")
        return VectorSegment(self.vector_segment_id, self.store.tree, self.vector_segment_id)

    @cached_property
    def settings(self) -> HnswSettings:
        segment = self.vector_segment_id or ""
        return settle(
            self.database.metadata_of("segment_metadata", "segment_id", segment),
            self.database.metadata_of("collection_metadata", "collection_id", self.id),
            self.row.config_json_str,
            self.row.schema_str,
            modern=self.store.is_modern,
        )

    @cached_property
    def rows(self) -> MetadataRows | Absent:
        """The records of the METADATA segment."""
        if self.metadata_segment_id is None:
            return NotAvailable("no row of segments with scope METADATA names this collection")
        return self.database.metadata_rows(self.metadata_segment_id)

    @cached_property
    def queue(self) -> EmbeddingsQueue:
        return EmbeddingsQueue(self.database, self.id)

    @property
    def metadata_watermark(self) -> SeqId | Absent:
        """The row of `max_seq_id` of the METADATA segment."""
        return self._watermark(self.metadata_segment_id)

    @property
    def vector_watermark_row(self) -> SeqId | Absent:
        """The row of `max_seq_id` of the VECTOR segment; 0.4 and 0.5 have none, the pickle holds it there."""
        return self._watermark(self.vector_segment_id)

    def _watermark(self, segment: str | None) -> SeqId | Absent:
        table = self.database.max_seq_ids
        if isinstance(table, Absent):
            return table
        found = table.get(segment or "")
        return found if found is not None else NotAvailable("max_seq_id has no row for this segment")

    @cached_property
    def vector_watermark(self) -> int:
        """The seq_id above which the next open replays into the index: the row, else the pickle, else 0.

        1.x replays everything where the index is uninitialised, whatever the row says; 0.4–0.6 honour the row.
        """
        vector = self.vector
        if isinstance(vector, Absent) or (vector.is_uninitialised and self.store.is_modern):
            return 0
        row = self.vector_watermark_row
        if not isinstance(row, Absent):
            return row.value or 0
        return (vector.id_map.max_seq_id or 0) if isinstance(vector.id_map, IdMap) else 0

    @cached_property
    def pending_rows(self) -> list[QueueRow] | Absent:
        """Queue rows above the vector watermark, in order."""
        return self.queue.rows(above=self.vector_watermark)

    @cached_property
    def pending(self) -> Mapping[str, QueueEffect]:
        """id → what the rows above the vector watermark will do to it in the index."""
        rows = self.pending_rows
        if isinstance(rows, Absent) or not rows:
            return {}
        mapped = self.id_map.id_to_label if isinstance(self.id_map, IdMap) else {}
        return effects(rows, mapped.__contains__)

    @cached_property
    def id_map(self) -> IdMap | BadIdMap | Absent:
        """The id map of the vector segment; empty-handed with its reason where there is none."""
        return self.vector if isinstance(self.vector, Absent) else self.vector.id_map

    @cached_property
    def records(self) -> Records | Absent:
        """Every record of the METADATA segment against map, level 0 and queue."""
        if isinstance(self.rows, Absent):
            return self.rows
        return join_records(self.rows, self.vector, self.id_map, self.pending)


class Store:
    """A Chroma store, opened for reading only. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, tree: Tree | None = None, scratch: Path | None = None) -> None:
        self.path = path
        self.tree: Tree = tree or PlainTree(path)
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
    def database(self) -> Database | Absent:
        """The database, opened as the contract says: immutable, read-only or as a copy."""
        return Database.open(
            self.tree.resolve(DATABASE), in_use=self.in_use, scratch=self.scratch / "database"
        )

    @cached_property
    def is_modern(self) -> bool:
        """True where metadb migration 5 is recorded: the last writer was 1.x."""
        rows = self.database.migrations if isinstance(self.database, Database) else ()
        return not isinstance(rows, Absent) and any(m.dir == "metadb" and m.version >= 5 for m in rows)

    @cached_property
    def collections(self) -> tuple[Collection, ...]:
        """Every collection that the database names, by name; empty where it cannot be read."""
        rows = self.database.collections if isinstance(self.database, Database) else ()
        return () if isinstance(rows, Absent) else tuple(Collection(self, row) for row in rows)

    def collection(self, wanted: str) -> Collection:
        """The collection of that name or id. Raises UsageError where there is none or several."""
        found = [c for c in self.collections if wanted in (c.name, c.id)]
        if len(found) != 1:
            raise UsageError(
                f"{len(found)} collections are called {wanted!r}; there are: {[c.name for c in self.collections]}"
            )
        return found[0]

    @cached_property
    def segment_directories(self) -> tuple[VectorSegment, ...]:
        """Every directory at the top level that holds a file of a segment, referenced or not, by name."""
        folders = (entry.name for entry in self.entries if entry.kind == "directory")
        return tuple(
            segment for name in folders if _is_segment(segment := VectorSegment(name, self.tree, name))
        )

    @cached_property
    def unreferenced(self) -> tuple[VectorSegment, ...]:
        """Segment directories that no row of `segments` names: orphans (UUID names) and set-aside ones (other names)."""
        rows = self.database.segments if isinstance(self.database, Database) else ()
        known = set() if isinstance(rows, Absent) else {row.id for row in rows}
        return tuple(segment for segment in self.segment_directories if segment.id not in known)


def _renamed(facts: FileFacts, name: str) -> FileFacts:
    return FileFacts(
        name, facts.kind, facts.size, facts.allocated, facts.mtime_ns, facts.mode, facts.readable
    )


def _is_segment(segment: VectorSegment) -> bool:
    return any(present(segment.facts[name]) for name in BINARY_FILES) or present(segment.facts[ID_MAP_FILE])


def open_store(path: str | os.PathLike[str]) -> Store:
    """The store in folder `path`, resolved once. Raises NotAStore where there is no trace of one, in one sentence."""
    given = Path(path)
    try:
        resolved = given.resolve(strict=True)
    except OSError as error:
        raise NotAStore(f"{given} cannot be opened: {error.strerror}.") from error
    if not resolved.is_dir():
        raise NotAStore(f"{given} is a file; give the folder that holds {DATABASE}.")
    try:
        names = os.listdir(resolved)
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


def read_segment(directory: str | os.PathLike[str]) -> VectorSegment:
    """A segment directory by itself, without a database. Raises NotAStore where none of its files is there."""
    path = Path(directory).resolve()
    segment = VectorSegment(path.name, PlainTree(path.parent), path.name)
    if not path.is_dir() or not _is_segment(segment):
        raise NotAStore(f"{directory} holds none of the files of a segment ({', '.join(SEGMENT_FILES)}).")
    return segment
