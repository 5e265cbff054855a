"""An undo file: every byte of the store that a repair in place will overwrite or cut off, before the first is written.

A line of JSON that says what stands where, with a SHA-256 of each piece, then the pieces one after the other. It is
read back only where every piece is what its SHA-256 says.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from forensics.copying import require_room
from forensics.durable import room, sync_directory
from forensics.errors import CannotComplete, Refused
from forensics.extents import Extent, data_extents, open_evidence, pieces
from forensics.model import Json

MAGIC = "chroma-forensics undo file 1"
BLOCK = 4096
STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """`length` bytes at `offset` of a file of the store, at `at` of the pieces."""

    offset: int
    length: int
    at: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Patched:
    """One file: its sizes before (None: it did not exist) and after, when it was last written, and its old bytes."""

    path: str
    old_size: int | None
    new_size: int
    mtime_ns: int
    pieces: tuple[Piece, ...]

    @property
    def grown(self) -> int:
        """Bytes that it gains."""
        return max(0, self.new_size - (self.old_size or 0))

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> Patched:
        found = tuple(Piece(**each) for each in row["pieces"])
        return cls(row["path"], row["old_size"], row["new_size"], row["mtime_ns"], found)


def differing(old: int, new: int) -> Iterator[Extent]:
    """(offset, length) of what must be kept of the file open as `old` before it becomes that open as `new`: blocks that
    differ, and data behind its new end. Holes are not read.
    """
    old_size, new_size = os.fstat(old).st_size, os.fstat(new).st_size
    shared, extents = min(old_size, new_size), data_extents(old, old_size)
    yield from _joined(_blocks(old, new, merged([*extents, *data_extents(new, new_size)], shared)), shared)
    for start, length in extents:
        if start + length > new_size and old_size > new_size:
            begin = max(start, new_size)
            yield begin, start + length - begin


def merged(extents: list[Extent], end: int) -> Iterator[Extent]:
    """The union of these extents below `end`, in order."""
    reached = 0
    for start, length in sorted(extents):
        begin, stop = max(start, reached), min(start + length, end)
        if stop > begin:
            yield begin, stop - begin
            reached = stop


def _blocks(old: int, new: int, spans: Iterator[Extent]) -> Iterator[int]:
    """The numbers of the blocks that differ, rising; one may come twice."""
    for start, length in spans:
        first = start // BLOCK * BLOCK
        for at in range(first, start + length, STEP):
            size = min(STEP, start + length - at)
            one, other = (np.frombuffer(os.pread(each, size, at), dtype=np.uint8) for each in (old, new))
            both = min(len(one), len(other))
            unlike = np.unique(np.flatnonzero(one[:both] != other[:both]) // BLOCK)
            yield from (unlike + at // BLOCK).tolist()


def _joined(blocks: Iterator[int], end: int) -> Iterator[Extent]:
    """Runs of neighbouring blocks as extents, none beyond `end`."""
    start, stop = -1, -1
    for block in blocks:
        if block == stop:
            stop += 1
        elif block > stop:
            if start >= 0:
                yield start * BLOCK, min(stop * BLOCK, end) - start * BLOCK
            start, stop = block, block + 1
    if start >= 0:
        yield start * BLOCK, min(stop * BLOCK, end) - start * BLOCK


def record(store: Path, path: str, new: Path, at: int) -> Patched:
    """What the undo file must hold of that file; its pieces begin `at` bytes behind those of others."""
    standing = store / path
    if not os.path.lexists(standing):
        return Patched(path, None, new.stat().st_size, 0, ())
    reading, other = open_evidence(standing), open_evidence(new)
    try:
        facts, found = os.fstat(reading), []
        for offset, length in differing(reading, other):
            found.append(Piece(offset, length, at, _digest(reading, offset, length)))
            at += length
        return Patched(path, facts.st_size, os.fstat(other).st_size, facts.st_mtime_ns, tuple(found))
    finally:
        os.close(reading)
        os.close(other)


def write_undo_file(target: Path, store: Path, case_id: str, files: tuple[Patched, ...]) -> None:
    """`target` holds all of it, on the disk; it appears whole or not at all. Raises NoSpace before the first write."""
    require_room(target.parent, sum(p.length for each in files for p in each.pieces), "The undo file")
    head = {"magic": MAGIC, "case": case_id, "store": str(store), "files": [asdict(each) for each in files]}
    partial = target.with_name(f".{target.name}.partial")
    with room("the undo file was written"), open(partial, "wb") as handle:
        handle.write(json.dumps(head).encode() + b"\n")
        for each in files:
            _append(handle.write, store / each.path, each)
        handle.flush()
        os.fsync(handle.fileno())
    check_undo_file(partial)
    os.rename(partial, target)
    sync_directory(target.parent)


def _append(write: object, path: Path, patched: Patched) -> None:
    if not patched.pieces:
        return
    reading = open_evidence(path)
    try:
        for piece in patched.pieces:
            for part in pieces(reading, piece.offset, piece.length):
                write(part)  # type: ignore[operator]
    finally:
        os.close(reading)


def read_undo_file(path: Path) -> tuple[tuple[Patched, ...], int]:
    """(the files, the offset at which the pieces begin). Raises CannotComplete where it is none."""
    try:
        with open(path, "rb") as handle:
            head = json.loads(handle.readline())
            begin = handle.tell()
        if head["magic"] != MAGIC:
            raise ValueError("another magic")
        return tuple(Patched.from_json(row) for row in head["files"]), begin
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotComplete(
            f"{path} is no undo file, or cannot be read ({error}); bring it back first."
        ) from error


def check_undo_file(path: Path) -> tuple[Patched, ...]:
    """Its files, where every piece is what its SHA-256 says. Raises CannotComplete where one is not."""
    files, begin = read_undo_file(path)
    reading = open_evidence(path)
    try:
        for each in files:
            for piece in each.pieces:
                if _digest(reading, begin + piece.at, piece.length) != piece.sha256:
                    raise CannotComplete(
                        f"{path} is damaged: the old bytes of {each.path} are not what they were."
                    )
    finally:
        os.close(reading)
    return files


def put_new(target: Path, patched: Patched, new: Path) -> None:
    """`target` holds the bytes of `new`, on the disk: what differs is written, nothing else."""
    spans = [(piece.offset, piece.length) for piece in patched.pieces]
    with _changed(target, create=patched.old_size is None) as writing, _opened(new) as reading:
        _take_room(writing, patched.new_size)
        for start, length in (*spans, (patched.old_size or 0, patched.grown)):
            _copy(reading, writing, start, min(length, max(0, patched.new_size - start)), start)
        os.ftruncate(writing, patched.new_size)
        os.fsync(writing)


def put_old(target: Path, patched: Patched, undo_file: Path) -> None:
    """`target` holds what it held before, on the disk, with its old time of change; it is gone where it did not exist."""
    if patched.old_size is None:
        target.unlink(missing_ok=True)
        return
    _, begin = read_undo_file(undo_file)
    with _changed(target) as writing, _opened(undo_file) as reading:
        os.ftruncate(writing, patched.old_size)
        for piece in patched.pieces:
            _copy(reading, writing, begin + piece.at, piece.length, piece.offset)
        os.fsync(writing)
    os.utime(target, ns=(os.stat(target).st_atime_ns, patched.mtime_ns))


class _changed:
    """A file open for changes, never through a link."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path, self.flags = path, os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0)

    def __enter__(self) -> int:
        try:
            self.descriptor = os.open(self.path, self.flags, 0o600)
        except OSError as error:
            raise Refused(f"{self.path.name} cannot be changed in place: {error.strerror}.") from error
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


class _opened(_changed):
    """A file open for reading."""

    def __enter__(self) -> int:
        self.descriptor = open_evidence(self.path)
        return self.descriptor


def _take_room(writing: int, size: int) -> None:
    """The blocks of what the file gains are its own before anything in it is changed."""
    have = os.fstat(writing).st_size
    if size > have:
        os.posix_fallocate(writing, have, size - have)


def _copy(reading: int, writing: int, start: int, length: int, to: int) -> None:
    for part in pieces(reading, start, length):
        view = part
        while view:
            done = os.pwrite(writing, view, to)
            to, view = to + done, view[done:]


def _digest(descriptor: int, start: int, length: int) -> str:
    sha = hashlib.sha256()
    for part in pieces(descriptor, start, length):
        sha.update(part)
    return sha.hexdigest()
