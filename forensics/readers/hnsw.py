"""The four files of a segment as memory maps. Reads what is there, judges nothing, trusts no size field."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from forensics.absent import Absent, NotApplicable, NotAvailable, Unparsable, Unreadable, present
from forensics.readers import layout
from forensics.readers.link_walk import LinkWalk, walk_link_lists
from forensics.readers.sectors import known_gaps
from forensics.readers.shelf import once


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as stat sees it. `size` and `allocated` in bytes; `kind` is file, directory, link or special."""

    name: str
    kind: str
    size: int
    allocated: int
    mtime_ns: int
    mode: int
    readable: bool


def file_facts(path: Path) -> FileFacts | Absent:
    """What lstat says of `path`; it is never followed and never opened."""
    try:
        found = os.lstat(path)
    except OSError as error:
        return NotAvailable(f"{path.name}: {error.strerror}")
    return FileFacts(
        name=path.name,
        kind=_kind(found.st_mode),
        size=found.st_size,
        allocated=found.st_blocks * 512,
        mtime_ns=found.st_mtime_ns,
        mode=stat.S_IMODE(found.st_mode),
        readable=os.access(path, os.R_OK),
    )


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "special"


def map_file(path: Path) -> np.ndarray | Absent:
    """The bytes of a regular file as a read-only uint8 memory map of its present length."""
    facts = file_facts(path)
    if isinstance(facts, Absent):
        return facts
    if facts.kind != "file":
        return NotApplicable(f"{path.name} is a {facts.kind}, which is not followed")
    if facts.size == 0:
        return np.empty(0, dtype=np.uint8)
    if (gap := known_gaps().get(str(path))) is not None:
        return Unreadable(gap.sentence)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as handle:
            return np.frombuffer(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    except (OSError, ValueError) as error:
        return Unreadable(f"{path.name}: {error}")


class HnswFiles:
    """The binary files in `directory`: the header at once, the rest lazy.

    `elements` is how many elements can really be read: never more than the header counts or the file holds.
    """

    def __init__(self, directory: Path, resolve: Callable[[str], Path] | None = None) -> None:
        """`resolve` gives the path of a file by name where it does not stand in `directory` (a draft)."""
        self.directory = directory
        self._resolve = resolve
        self.files = {name: file_facts(self.path(name)) for name in layout.SEGMENT_FILES}
        self.header = self._read_header()

    def path(self, name: str) -> Path:
        """Where the file of that name stands."""
        return self._resolve(name) if self._resolve is not None else self.directory / name

    def __repr__(self) -> str:
        return f"HnswFiles({self.directory.name}, elements={self.elements})"

    def _read_header(self) -> layout.Header | Absent:
        raw = map_file(self.path(layout.HEADER_FILE))
        if isinstance(raw, Absent):
            return raw
        try:
            return layout.Header.from_bytes(raw[:4096].tobytes())
        except ValueError as error:
            return Unparsable(str(error))

    @cached_property
    def geometry(self) -> layout.Header | Absent:
        """The header where its fields agree with one another; only then may the other files be cut by it."""
        if isinstance(self.header, Absent):
            return self.header
        problems = [
            text for text in self.header.problems() if "max_elements" not in text and "maxlevel" not in text
        ]
        return Unparsable("header.bin: " + "; ".join(problems)) if problems else self.header

    @cached_property
    def capacity_on_disk(self) -> int:
        """Whole elements that data_level0.bin has bytes for; 0 where that cannot be known."""
        facts = self.files[layout.LEVEL0_FILE]
        if isinstance(facts, Absent) or isinstance(self.geometry, Absent):
            return 0
        return facts.size // self.geometry.size_data_per_element

    @cached_property
    def elements(self) -> int:
        """Elements that the header counts and the file holds."""
        if isinstance(self.geometry, Absent):
            return 0
        return min(self.geometry.cur_element_count, self.capacity_on_disk)

    @cached_property
    def level0(self) -> np.ndarray | Absent:
        """(elements,) records of `layout.level0_dtype`, a view over the map."""
        whole = self.level0_whole
        return whole if isinstance(whole, Absent) else whole[: self.elements]

    @cached_property
    def level0_whole(self) -> np.ndarray | Absent:
        """(capacity_on_disk,) records: those counted, and behind them what was reserved or left by a newer flush."""
        if isinstance(self.geometry, Absent):
            return NotAvailable(f"needs a sound header: {self.geometry.reason}")
        raw = map_file(self.path(layout.LEVEL0_FILE))
        if isinstance(raw, Absent):
            return raw
        dtype = layout.level0_dtype(self.geometry.dim, self.geometry.M)
        return raw[: self.capacity_on_disk * dtype.itemsize].view(dtype)

    @cached_property
    def summary(self) -> Level0Summary | Absent:
        """Labels, flags and link counts of every element, copied out of level 0 in one pass."""
        if isinstance(self.level0, Absent):
            return self.level0
        level0, size = self.level0, self.level0.itemsize
        path = self.path(layout.LEVEL0_FILE)
        return once(("summary", len(level0), size), path, lambda: Level0Summary.of(level0))

    @cached_property
    def lengths(self) -> np.ndarray | Absent:
        """(elements,) float32 of length.bin: for cosine the original norms, else without meaning."""
        raw = map_file(self.path(layout.LENGTH_FILE))
        if isinstance(raw, Absent):
            return raw
        whole = raw[: raw.size // 4 * 4].view("<f4")
        return whole[: self.elements]

    @cached_property
    def links(self) -> LinkWalk | Absent:
        """The bounded walk over link_lists.bin."""
        if isinstance(self.geometry, Absent):
            return NotAvailable(f"needs a sound header: {self.geometry.reason}")
        raw = map_file(self.path(layout.LINKS_FILE))
        if isinstance(raw, Absent):
            return raw
        count, M = self.geometry.cur_element_count, self.geometry.M
        path = self.path(layout.LINKS_FILE)
        return once(("links", count, M), path, lambda: walk_link_lists(raw, count, M))

    def vectors(self, elements: np.ndarray) -> np.ndarray:
        """(k, dim) float32 copies of the stored vectors of these internal ids. Raises ValueError without level 0."""
        if isinstance(self.level0, Absent):
            raise ValueError(self.level0.reason)
        return np.ascontiguousarray(self.level0["vector"][elements])


@dataclass(frozen=True, slots=True)
class Level0Summary:
    """What checks need of level 0, each (elements,): labels uint64, deleted bool, counts uint16."""

    labels: np.ndarray
    deleted: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, level0: np.ndarray) -> Level0Summary:
        """Copies the three columns, in chunks so that the map is read once, front to back."""
        labels = np.empty(len(level0), dtype=np.uint64)
        deleted = np.empty(len(level0), dtype=bool)
        counts = np.empty(len(level0), dtype=np.uint16)
        for start in range(0, len(level0), 65_536):
            part = slice(start, start + 65_536)
            labels[part] = level0["label"][part]
            deleted[part] = (level0["flags"][part] & layout.DELETED_FLAG) != 0
            counts[part] = level0["count"][part]
        return cls(labels, deleted, counts)

    @property
    def live(self) -> np.ndarray:
        """(elements,) bool: not flagged deleted."""
        return ~self.deleted


def is_stub(files: HnswFiles) -> bool:
    """True for a freshly made segment that was never persisted: no id map, an empty header, no links."""
    header, links = files.header, files.files[layout.LINKS_FILE]
    return (
        not present(files.files[layout.ID_MAP_FILE])
        and present(header)
        and header.cur_element_count == 0
        and (isinstance(links, Absent) or links.size == 0)
    )
