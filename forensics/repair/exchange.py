"""Two names traded in one step of the kernel: renameat2 with RENAME_EXCHANGE, or a rename that replaces
nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from forensics.durable import sync_directory

AT_FDCWD = -100
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
SYSCALLS = {"x86_64": 316, "aarch64": 276, "riscv64": 276}
"""The number of renameat2, for a C library without the function (musl)."""
FALLOC_FL_KEEP_SIZE = 1


def exchange(one: Path, other: Path) -> None:
    """`one` and `other` are what the other was; both exist at every instant. Raises OSError."""
    _renameat2(one, other, RENAME_EXCHANGE)


def move(source: Path, target: Path) -> None:
    """`target`, which must not exist, is what `source` was. Raises OSError."""
    _renameat2(source, target, RENAME_NOREPLACE)


def trade(one: Path, other: Path) -> None:
    """Each of the two names holds what the other held, be it nothing; both directories are on the disk."""
    if os.path.lexists(one) and os.path.lexists(other):
        exchange(one, other)
    elif os.path.lexists(one):
        move(one, other)
    else:
        move(other, one)
    sync_directory(one.parent)
    sync_directory(other.parent)


def _renameat2(source: Path, target: Path, flags: int) -> None:
    done = _call(os.fsencode(source), os.fsencode(target), flags)
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))


def _call(source: bytes, target: bytes, flags: int) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        return library.renameat2(AT_FDCWD, source, AT_FDCWD, target, ctypes.c_uint(flags))
    number = SYSCALLS.get(platform.machine())
    if number is None:
        ctypes.set_errno(errno.ENOSYS)
        return -1
    return library.syscall(ctypes.c_long(number), AT_FDCWD, source, AT_FDCWD, target, ctypes.c_uint(flags))


def why_no_exchange(folder: Path) -> str | None:
    """Why a file and a directory in `folder` cannot be exchanged; None where they can. Tried, not guessed."""
    trial = Path(tempfile.mkdtemp(prefix="exchange-", dir=folder))
    one, other = trial / "one", trial / "other"
    try:
        one.write_bytes(b"")
        other.mkdir()
        exchange(one, other)
        return None if one.is_dir() and other.is_file() else "the exchange had no effect"
    except (OSError, AttributeError) as error:
        return getattr(error, "strerror", None) or "the system has no renameat2"
    finally:
        shutil.rmtree(trial)


def mount_of(path: Path) -> tuple[int, int] | None:
    """(device, mount id) of what stands at `path`: names can be traded only within one. None: nothing
    there.
    """
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        facts = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
        ids = [int(line.split()[1]) for line in facts.splitlines() if line.startswith("mnt_id:")]
        return os.fstat(descriptor).st_dev, ids[0] if ids else -1
    finally:
        os.close(descriptor)


def reserve(descriptor: int, size: int) -> None:
    """Blocks for `size` bytes belong to the file, its length stays: appending to it needs no room later.

    Where the file system cannot, nothing happens: a full disk then stops the step before it is made.
    """
    library = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None
    if library is not None and hasattr(library, "fallocate"):
        library.fallocate(descriptor, FALLOC_FL_KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(size))
