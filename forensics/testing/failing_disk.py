"""A disk with sectors that cannot be read: a loop device whose backing file is cut short under a mounted file system."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 1 << 20
SIZE, FILLER, BLOCK = 48 * MEGABYTE, 8 * MEGABYTE, 4096
CAP_SYS_ADMIN = 21
TOOLS = ("mkfs.ext4", "losetup", "filefrag")


def lacking() -> str:
    """What is needed for such a disk and not here; nothing where all of it is."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if sys.platform != "linux" or os.geteuid() != 0:
        missing.insert(0, "root on Linux")
    elif not _may_mount():
        missing.insert(0, "the right to mount")
    if missing:
        return " and ".join(missing)
    free = subprocess.run(["losetup", "-f"], capture_output=True, text=True, check=False)
    return "" if free.returncode == 0 else f"a loop device ({free.stderr.strip()})"


def _may_mount() -> bool:
    """Root of a container is often not let."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(held.split()[1], 16) >> CAP_SYS_ADMIN & 1)


@contextmanager
def failing_disk(store: Path, pattern: str, folder: Path) -> Generator[Path]:
    """A copy of the store on a disk, mounted in `folder`, from which the one file of that pattern cannot be read."""
    image, point = folder / "disk.img", folder / "disk"
    point.mkdir()
    image.write_bytes(bytes(SIZE))
    _run("mkfs.ext4", "-q", "-b", BLOCK, "-O", "^has_journal", image)
    try:
        _run("mount", "-o", "loop", image, point)
        first = _copied(store, pattern, point)
        _run("umount", point)
        _run("mount", "-o", "loop", image, point)
        for path in [point / "store", *sorted((point / "store").rglob("*"))]:
            path.stat()
        os.truncate(image, first)
        yield point / "store"
    finally:
        os.truncate(image, SIZE)
        subprocess.run(["umount", str(point)], check=False, capture_output=True)


def _copied(store: Path, pattern: str, point: Path) -> int:
    """Where on the disk the file of that pattern begins; it is the last of the copy."""
    (wanted,) = store.glob(pattern)
    shutil.copytree(store, point / "store", ignore=shutil.ignore_patterns(wanted.name))
    (point / "filler").write_bytes(b"x" * FILLER)
    target = point / "store" / wanted.relative_to(store)
    shutil.copy2(wanted, target)
    _run("sync")
    told = _run("filefrag", "-v", target)
    first = re.search(r"^\s*0:\s+0\.\.\s+\d+:\s+(\d+)\.\.", told, re.MULTILINE)
    if first is None:
        raise OSError(f"filefrag does not say where {target.name} is: {told}")
    return int(first[1]) * BLOCK


def _run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout
