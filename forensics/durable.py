"""Writes that survive a crash: a file appears whole or not at all, a line is appended whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from forensics.errors import NoSpace

FULL = (errno.ENOSPC, errno.EDQUOT)
BINARY = getattr(os, "O_BINARY", 0)


@contextmanager
def room(what: str) -> Generator[None]:
    """Turns a full disk or an exhausted quota inside the block into NoSpace that names `what`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise NoSpace(f"The disk became full while {what}; make room and run it again.") from error


def sync_file(path: Path) -> None:
    """The content of `path` is on the disk."""
    access = os.O_RDWR if os.name == "nt" else os.O_RDONLY  # Windows flushes only what it may write
    descriptor = os.open(path, access | getattr(os, "O_NOFOLLOW", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """The names in `directory` are on the disk. Windows cannot open a directory and needs no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Everything at and below `path` is on the disk; links and special files are left alone."""
    if path.is_symlink():
        return
    if path.is_dir():
        for child in sorted(path.iterdir()):
            sync_tree(child)
        sync_directory(path)
    elif path.is_file():
        sync_file(path)


def write_whole(path: Path, raw: bytes) -> None:
    """`path` holds exactly `raw`, on the disk; killed or out of room before that, it is what it was."""
    beside = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        beside.unlink()
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o666)
        try:
            _write_all(descriptor, raw)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """`path` ends with `line`, on the disk. A line once cut short by a crash is closed off, not joined to."""
    new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and _last_byte(path) != b"\n"
        try:
            _write_all(descriptor, (b"\n" if torn else b"") + line + b"\n")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if new:
        sync_directory(path.parent)


def _last_byte(path: Path) -> bytes:
    with open(path, "rb") as handle:
        handle.seek(-1, os.SEEK_END)
        return handle.read(1)


def _write_all(descriptor: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(descriptor, view) :]
