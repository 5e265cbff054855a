"""Files of which some bytes cannot be read: a failing disk. Which ones, how far, and that nobody maps them.

Touching such a byte through a memory map kills the process (SIGBUS), so the command line lets a child read. Where it
dies, the parent looks with plain reads, which fail with an error instead, and starts the child again with what it found.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

VARIABLE = "FORENSICS_UNREADABLE"
"""In the environment of a child: JSON, a list of the fields of `Gap`."""
PIECE, SECTOR = 1 << 20, 4096
FAILING = (errno.EIO, getattr(errno, "EUCLEAN", errno.EIO), getattr(errno, "ENODATA", errno.EIO))


@dataclass(frozen=True, slots=True)
class Gap:
    """A file with bytes that cannot be read: how many it has, how many of them could be read, where the first could not."""

    path: str
    present: int
    read: int
    first: int

    @property
    def sentence(self) -> str:
        """For people."""
        name = os.path.basename(self.path)
        return f"{name} cannot be read at byte {self.first:,}; {self.read:,} of {self.present:,} bytes could be read"


def look(path: Path) -> Gap | None:
    """Reads the whole file, piece by piece; None where every byte could be read, or the file cannot be opened at all."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        present = os.fstat(descriptor).st_size
        lost = [
            at
            for start in range(0, present, PIECE)
            for at in _lost(descriptor, start, min(PIECE, present - start))
        ]
    finally:
        os.close(descriptor)
    missing = sum(min(SECTOR, present - at) for at in lost)
    return Gap(str(path), present, present - missing, lost[0]) if lost else None


def _lost(descriptor: int, start: int, size: int) -> list[int]:
    """Offsets of the sectors in a piece that cannot be read."""
    if _reads(descriptor, start, size):
        return []
    return [
        at
        for at in range(start, start + size, SECTOR)
        if not _reads(descriptor, at, min(SECTOR, start + size - at))
    ]


def _reads(descriptor: int, start: int, size: int) -> bool:
    try:
        while size > 0:
            piece = os.pread(descriptor, size, start)
            if not piece:
                return True  # the file became shorter: that is no failing disk
            start, size = start + len(piece), size - len(piece)
    except OSError as error:
        if error.errno not in FAILING:
            raise
        return False
    return True


def look_at_all(folder: Path) -> list[Gap]:
    """The gaps of all regular files at and below a folder, by path; links are not followed."""
    files = (Path(where, name) for where, _, names in os.walk(folder) for name in names)
    found = (look(path) for path in sorted(files) if path.is_file() and not path.is_symlink())
    return [gap for gap in found if gap is not None]


def told(gaps: Iterable[Gap]) -> str:
    """What the child is told, for its environment."""
    return json.dumps([asdict(gap) for gap in gaps])


def known_gaps() -> dict[str, Gap]:
    """path → gap of what this process was told when it was started."""
    return _known(os.environ.get(VARIABLE, ""))


@cache
def _known(text: str) -> dict[str, Gap]:
    return {row["path"]: Gap(**row) for row in json.loads(text)} if text else {}
