"""One way to write a file: beside its place, to the disk, then renamed. Nobody ever sees half of it."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from forensics.durable import sync_directory


@contextmanager
def replacing(path: Path) -> Generator[BinaryIO]:
    """A new file that stands at `path` after the block, whole and on the disk; after an error `path` is as it
    was.

    Mode, owner and group of a file that it replaces are kept, as far as the system permits.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), "w+b") as handle:
            _keep_identity(path, handle.fileno())
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_bytes(path: Path, raw: bytes) -> None:
    """`path` holds exactly `raw`, on the disk."""
    with replacing(path) as handle:
        handle.write(raw)


def _keep_identity(path: Path, descriptor: int) -> None:
    try:
        old = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return
    new = os.fstat(descriptor)
    if hasattr(os, "fchown") and (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid) and os.geteuid() == 0:
        os.fchown(descriptor, old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, old.st_mode & 0o7777)
