"""The last hand on a draft: its database settled, its owners and modes those of the store, its bytes on the
disk.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from forensics.attributes import take_on
from forensics.durable import sync_tree
from forensics.errors import Refused
from forensics.handles import DRAFT_PREFIX
from forensics.repair.placing import SIDECARS
from forensics.seal import DATABASE

sync = sync_tree


def settle_database(path: Path) -> None:
    """The draft's database stands by itself: a journal that was copied with it is rolled back or
    checkpointed.

    That is what SQLite does at the next open; here it happens in the draft. A journal of which SQLite took no notice,
    and has left, goes. Raises Refused where it cannot.
    """
    if not any(path.with_name(name).exists() for name in SIDECARS):
        return
    try:
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(path))}?mode=rw", uri=True, isolation_level=None
        )
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Refused(f"SQLite cannot settle the journal of {DATABASE} in the draft: {error}.") from error
    for name in SIDECARS:
        side = path.with_name(name)
        if side.exists() and (side.stat().st_size == 0 or not name.endswith("-wal")):
            side.unlink()


def dress(store: Path, entries: Path, paths: Sequence[str]) -> list[str]:
    """Each entry and all below it has owner, group, mode, ACLs and extended attributes of what it replaces.

    What is new takes those of its like: the same name in another directory, a neighbour, the parent. Returns
    what the system did not permit, in words.
    """
    lacking: list[str] = []
    for path in _all(entries, paths):
        item = entries / path
        if not item.is_symlink():
            lacking += [f"{path}: {what}" for what in take_on(_model(store, path, item), item, mtime=False)]
    return lacking


def _all(entries: Path, paths: Sequence[str]) -> Iterator[str]:
    """The relative paths of the entries and of everything below them, the deepest first."""
    for path in paths:
        top = entries / path
        if not os.path.lexists(top):
            continue  # an entry that will be removed
        for folder, names, files in os.walk(top, topdown=False):
            yield from ((Path(folder) / name).relative_to(entries).as_posix() for name in [*files, *names])
        yield path


def _model(store: Path, path: str, item: Path) -> Path:
    kind = stat.S_IFMT(os.lstat(item).st_mode)
    parent = Path(path).parent
    choices = (
        [store / path],
        sorted(store.glob(f"*/{Path(path).name}")),
        sorted((store / parent).iterdir()) if (store / parent).is_dir() else [],
        [store / DATABASE, *sorted(store.iterdir())],
    )
    for choice in choices:
        for candidate in choice:
            if not candidate.name.startswith(DRAFT_PREFIX) and _kind(candidate) == kind:
                return candidate
    return store


def _kind(path: Path) -> int | None:
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        return None
