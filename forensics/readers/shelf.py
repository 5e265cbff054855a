"""What was read of a file, kept for as long as one repair goes on and for as long as the file stays as it is.

A repair opens its store many times: to diagnose, to plan, for each action, to compare. Inside `with shelf():` each
file is measured once; outside nothing is kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from forensics.readers.bulk import collector_seldom

SETTLED_NS = 40_000_000
"""A file that was changed less than this ago could be changed again within the same tick of the kernel's clock."""
COARSE_NS = 3_000_000_000
"""The same for a file system that keeps whole seconds."""

Value = TypeVar("Value")
_SHELF: ContextVar[dict[Hashable, Any] | None] = ContextVar("shelf", default=None)


@contextmanager
def shelf() -> Generator[None]:
    """What `once` and `once_of` found is kept until the end of the block; the outermost block counts."""
    if _SHELF.get() is not None:
        yield
        return
    token = _SHELF.set({})
    try:
        with collector_seldom():
            yield
    finally:
        _SHELF.reset(token)


def once(kind: Hashable, path: Path, read: Callable[[], Value], *sides: Path) -> Value:
    """`read()`, or what it gave for the very same file: device, inode, size, mtime and ctime are equal.

    `sides` are files that belong to it (a journal); they count, too, also by not being there.
    """
    kept = _SHELF.get()
    if kept is None:
        return read()
    now = time.time_ns()
    key = (kind, *(_identity(each) for each in (path, *sides)))
    if key in kept:
        return kept[key]
    found = read()
    if all(each is None or is_settled(each[-1], now) for each in key[1:]):
        kept[key] = found
    return found


def is_settled(changed: int, now: int) -> bool:
    """True where what was last changed then (ns) cannot change after `now` without another time of change."""
    return changed < now - (COARSE_NS if changed % 1_000_000_000 == 0 else SETTLED_NS)


def once_of(kind: Hashable, inputs: tuple[object, ...], make: Callable[[], Value]) -> Value:
    """`make()`, or what it gave for the very same objects, which must not change."""
    kept = _SHELF.get()
    if kept is None:
        return make()
    key = (kind, tuple(map(id, inputs)))
    if key not in kept:
        kept[key] = (inputs, make())  # the inputs live as long as their ids count
    return kept[key][1]


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
