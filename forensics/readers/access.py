"""Who may read and write the files of a store, and what in it is no file or directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ENTRIES = 100_000
"""The walk stops after so many entries: a store has a few dozen, and a folder may hold anything else."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Owner, group and mode of one entry, and whether this process can read it."""

    path: str
    uid: int
    gid: int
    mode: int
    readable: bool


def rights(path: Path, name: str) -> Rights | None:
    """What lstat and access say; None where there is no regular file or directory of that name."""
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        return None
    needed = os.R_OK | (os.X_OK if stat.S_ISDIR(facts.st_mode) else 0)
    return Rights(name, facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode), os.access(path, needed))


class Owner:
    """The user who writes a store: the owner of its database."""

    def __init__(self, database: Rights) -> None:
        self.uid, self.gid = database.uid, database.gid

    @cached_property
    def groups(self) -> frozenset[int]:
        """The groups of that user; only the group of the database where the system does not know them."""
        found = {self.gid}
        with suppress(ImportError, KeyError, OSError, AttributeError):
            import pwd

            found.update(os.getgrouplist(pwd.getpwuid(self.uid).pw_name, self.gid))
        return frozenset(found)

    def may_write(self, entry: Rights) -> bool:
        """By the mode bits alone; root is exempt from them unless it runs without that capability."""
        if entry.uid == self.uid:
            return bool(entry.mode & stat.S_IWUSR)
        if entry.gid in self.groups:
            return bool(entry.mode & stat.S_IWGRP)
        return bool(entry.mode & stat.S_IWOTH)


def has_acl(path: Path) -> bool:
    """True where an access control list may say other than the mode bits."""
    with suppress(OSError, AttributeError):
        return "system.posix_acl_access" in os.listxattr(path, follow_symlinks=False)
    return False


@dataclass(frozen=True, slots=True)
class Special:
    """A link, pipe, socket or device; `target` of a link as it is written."""

    path: str
    kind: str
    target: str | None


def specials(path: Path, name: str) -> Iterator[Special]:
    """`path` itself, if it is special, or what is special below it; a directory met again is a loop."""
    seen: set[tuple[int, int]] = set()
    waiting = [(path, name)]
    left = ENTRIES
    while waiting and left:
        at, relative = waiting.pop()
        left -= 1
        try:
            facts = os.lstat(at)
        except OSError:
            continue
        if stat.S_ISDIR(facts.st_mode):
            if (facts.st_dev, facts.st_ino) in seen:
                yield Special(relative, "directory loop", None)
                continue
            seen.add((facts.st_dev, facts.st_ino))
            waiting.extend(_children(at, relative))
        elif not stat.S_ISREG(facts.st_mode):
            yield Special(relative, _kind(facts.st_mode), _target(at))


def _children(path: Path, relative: str) -> list[tuple[Path, str]]:
    try:
        return [(path / name, f"{relative}/{name}") for name in sorted(os.listdir(path), reverse=True)]
    except OSError:
        return []


def _target(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "link"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
    return next((name for test, name in kinds if test(mode)), "device")
