"""Where a sparse file holds data, and a digest that reads only that."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator

CHUNK = 1 << 18
"""What is read in one go: as much as stays in the cache until it is hashed or written."""
FED_AS_ZEROS = 64 << 20
"""Holes up to this total are fed to the digest as zeros, so that it is what `sha256sum` prints."""

Extent = tuple[int, int]
Extents = tuple[Extent, ...]


def open_evidence(path: str | os.PathLike[str]) -> int:
    """A read-only descriptor of a regular file, never of a link; its atime stays where that is allowed."""
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return descriptor


def data_extents(descriptor: int, size: int) -> Extents:
    """(offset, length) of every stretch of data, in order; the whole file where the system shows no holes."""
    if not hasattr(os, "SEEK_DATA"):
        return ((0, size),) if size else ()
    try:
        return tuple(_seek(descriptor, size))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return ((0, size),) if size else ()


def _seek(descriptor: int, size: int) -> Iterator[Extent]:
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: nothing but a hole up to the end
                raise
            return
        position = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        if position > start:
            yield start, position - start


def hole_bytes(size: int, extents: Extents) -> int:
    """How many bytes of the file lie in holes."""
    return size - sum(length for _, length in extents)


def digest(path: str, like: Extents | None = None) -> tuple[str, Extents]:
    """The SHA-256 of a file and its extents; the extents are empty where the digest covers every byte.

    Where the holes total more than FED_AS_ZEROS, it covers size, the place of each extent and its data.
    `like`: the extents of another file's digest, to be computed in the same way, whatever holes this file
    has. Raises ValueError where it holds anything but zeros outside of them.
    """
    descriptor = open_evidence(path)
    try:
        return digest_open(descriptor, like)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error
    finally:
        os.close(descriptor)


def digest_open(descriptor: int, like: Extents | None = None) -> tuple[str, Extents]:
    """The same of a file that is open, whatever its name is or was."""
    size = os.fstat(descriptor).st_size
    own = data_extents(descriptor, size)
    extents = like if like is not None else () if hole_bytes(size, own) <= FED_AS_ZEROS else own
    if not extents:
        return _whole(descriptor, size, own), ()
    for start, length in gaps(own, extents) if like else ():
        if any(bytes(piece).strip(b"\0") for piece in pieces(descriptor, start, length)):
            raise ValueError(f"holds data at {start:,}, where there should be a hole")
    return _of_extents(descriptor, size, extents), extents


def gaps(have: Extents, known: Extents) -> Iterator[Extent]:
    """The parts of `have` that lie outside of `known`; both in order."""
    for start, length in have:
        position, end = start, start + length
        for other, extent in known:
            if other >= end or other + extent <= position:
                continue
            if other > position:
                yield position, other - position
            position = max(position, other + extent)
        if position < end:
            yield position, end - position


def _of_extents(descriptor: int, size: int, extents: Extents) -> str:
    """The SHA-256 over size, places and data of the given extents."""
    sha = hashlib.sha256(b"extents" + size.to_bytes(8, "little"))
    for start, length in extents:
        sha.update(start.to_bytes(8, "little") + length.to_bytes(8, "little"))
        for piece in pieces(descriptor, start, length):
            sha.update(piece)
    return sha.hexdigest()


def _whole(descriptor: int, size: int, extents: Extents) -> str:
    sha, position = hashlib.sha256(), 0
    for start, length in (*extents, (size, 0)):
        for zeros in _zeros(start - position):
            sha.update(zeros)
        for piece in pieces(descriptor, start, length):
            sha.update(piece)
        position = start + length
    return sha.hexdigest()


def _zeros(count: int) -> Iterator[bytes]:
    block = bytes(min(count, CHUNK))
    while count > 0:
        yield block[:count]
        count -= len(block)


def pieces(descriptor: int, start: int, length: int) -> Iterator[memoryview]:
    """The bytes of one extent, a chunk at a time, in a buffer that is used again."""
    if not length:
        return
    buffer = memoryview(bytearray(min(CHUNK, length)))
    end = start + length
    while start < end:
        count = _read_at(descriptor, buffer[: min(len(buffer), end - start)], start)
        if count == 0:  # the file became shorter while it was read
            return
        yield buffer[:count]
        start += count


def _read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    raw = os.read(descriptor, len(buffer))
    buffer[: len(raw)] = raw
    return len(raw)
