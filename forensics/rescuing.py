"""Files of a store that were deleted while a living process has them open, copied out of /proc before it ends."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forensics.collection import UUID
from forensics.copying import copy_open
from forensics.durable import room, sync_tree
from forensics.errors import CannotComplete, Refused, UsageError
from forensics.extents import digest, digest_open
from forensics.handles import PROC
from forensics.model import Json
from forensics.outside import in_child
from forensics.readers import layout
from forensics.seal import DATABASE

GONE = " (deleted)"
ATTEMPTS = 3
UNLIKE = "the copy is not what was read again"
NAMES = frozenset(
    {layout.HEADER_FILE, layout.LEVEL0_FILE, layout.LENGTH_FILE, layout.LINKS_FILE, layout.ID_MAP_FILE}
)


@dataclass(frozen=True, slots=True)
class Held:
    """One deleted file that a process has open: `link` in /proc, the store it lay in, its path there."""

    link: str
    store: str
    path: str


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of one file. `sha256` of the copy; `changed`: the process wrote it each time while it was copied."""

    path: str
    size: int
    sha256: str
    changed: bool

    def to_json(self) -> Json:
        return {"path": self.path, "size": self.size, "sha256": self.sha256, "changed": self.changed}


def held_files(pid: int) -> tuple[Held, ...]:
    """The deleted files of stores that this process has open, by path; the first descriptor of each.

    Raises UsageError where there is no such process, Refused where it may not be looked into or holds nothing.
    """
    folder = PROC / str(pid) / "fd"
    try:
        numbers = sorted(os.listdir(folder), key=int)
    except FileNotFoundError as error:
        what = "no process" if (PROC / "self").exists() else "no /proc on this system to look into process"
        raise UsageError(f"There is {what} {pid}.") from error
    except PermissionError as error:
        raise Refused(f"Process {pid} belongs to another user: run this as that user, or as root.") from error
    found: dict[tuple[str, str], Held] = {}
    for number in numbers:
        held = _held(f"{folder}/{number}")
        if held is not None:
            found.setdefault((held.store, held.path), held)
    if not found:
        raise Refused(
            f"Process {pid} has no deleted file of a Chroma store open; there is nothing to copy out of it."
        )
    return tuple(found[key] for key in sorted(found))


def _held(link: str) -> Held | None:
    """What a descriptor names, where that is a deleted file of a segment directory, or a deleted database."""
    try:
        target, facts = os.readlink(link), os.stat(link)
    except OSError:  # closed meanwhile
        return None
    if not target.endswith(GONE) or facts.st_nlink or not stat.S_ISREG(facts.st_mode):
        return None
    path = Path(target.removesuffix(GONE))
    if path.name in NAMES and UUID.fullmatch(path.parent.name):
        return Held(link, str(path.parent.parent), f"{path.parent.name}/{path.name}")
    return Held(link, str(path.parent), path.name) if path.name.startswith(DATABASE) else None


def copy_out(held: Sequence[Held], folder: Path) -> tuple[Copied, ...]:
    """`folder` holds a copy of each of these files (of one store) under its own name, holes kept, verified by hash.

    All are copied again where the process wrote to one meanwhile, up to three times; then that is said of each.
    """
    with room("the files were copied out of the process"):
        for _ in range(ATTEMPTS - 1):
            copies = _all_copied(held, folder)
            if not any(each.changed for each in copies):
                break
        else:
            copies = _all_copied(held, folder)
        sync_tree(folder)
    return copies


def _all_copied(held: Sequence[Held], folder: Path) -> tuple[Copied, ...]:
    before = _stamps(held)
    copies = [_copied(each, folder / each.path) for each in held]
    stood = [a == b for a, b in zip(before, _stamps(held), strict=True)]
    return tuple(
        Copied(each.path, size, sha, not still or sha == UNLIKE)
        for each, (size, sha), still in zip(held, copies, stood, strict=True)
    )


def _stamps(held: Sequence[Held]) -> list[tuple[int, int]]:
    """(size, mtime) of each. Raises CannotComplete where the process has closed one."""
    try:
        return [(facts.st_size, facts.st_mtime_ns) for each in held for facts in (os.stat(each.link),)]
    except FileNotFoundError as error:
        raise CannotComplete("The process ended or closed its files while they were copied.") from error


def _copied(held: Held, target: Path) -> tuple[int, str]:
    """(size, SHA-256) of the copy; UNLIKE in its place where the file was another when it was read again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    source = os.open(held.link, os.O_RDONLY)
    try:
        copy_open(source, str(target))
        sha256, extents = digest_open(source)
    finally:
        os.close(source)
    return target.stat().st_size, sha256 if digest(str(target), extents)[0] == sha256 else UNLIKE


def copy_database(store: Path, folder: Path) -> str | None:
    """`folder` also has the database of the store that is left, as it is at one moment; else why not."""
    if not (store / DATABASE).is_file() or (folder / DATABASE).exists():
        return None if (folder / DATABASE).exists() else f"{store} has no {DATABASE} any more"
    return in_child("readers.backup", "backup", str(store / DATABASE), str(folder / DATABASE))
