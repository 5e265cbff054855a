"""A segment directory, wherever it stands: its files, its id map, its state. A `Tree` says where the files stand.

With another tree than the plain folder a draft can be read as the store that it will be.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol

from forensics.absent import Absent, present
from forensics.errors import NotAStore
from forensics.readers.hnsw import FileFacts, HnswFiles, is_stub
from forensics.readers.id_map import BadIdMap, IdMap, read_id_map
from forensics.readers.layout import ID_MAP_FILE, SEGMENT_FILES
from forensics.readers.shelf import once


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
        path = self.path(ID_MAP_FILE)
        return once("id map", path, lambda: read_id_map(path))

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
        return not self.id_map.size

    @property
    def has_files(self) -> bool:
        """True where at least one of the files of a segment is there."""
        return any(present(facts) for facts in self.facts.values())


def read_segment(directory: str | os.PathLike[str]) -> VectorSegment:
    """A segment directory by itself, without a database. Raises NotAStore where none of its files is there."""
    path = Path(directory).resolve()
    segment = VectorSegment(path.name, PlainTree(path.parent), path.name)
    if not path.is_dir() or not segment.has_files:
        raise NotAStore(f"{directory} holds none of the files of a segment ({', '.join(SEGMENT_FILES)}).")
    return segment
