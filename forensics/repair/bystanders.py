"""Nobody else uses the store: looked up, locked, and said where it cannot be seen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from forensics.absent import Absent
from forensics.errors import Refused, StoreInUse
from forensics.handles import CONTAINERS, HOLDER, Handle, Handles, open_handles
from forensics.outside import child_environment
from forensics.repair.holder import BUSY, LOCKED

SHARED_KINDS = (
    "nfs",
    "cifs",
    "smb",
    "fuse",
    "9p",
    "virtiofs",
    "vboxsf",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
)
PATIENCE = 2.0
"""Seconds that the lock of a killed repair may take to vanish."""
PRIVATE_KINDS = ("tmpfs", "overlay", "ramfs")
CLOUD = ("Dropbox", "OneDrive", "Google Drive", "GoogleDrive", "iCloud Drive", "Nextcloud")


def refuse_users(store: Path, *, nobody_else: bool) -> tuple[str, ...]:
    """Raises StoreInUse where somebody has the store open, Refused where that cannot be seen and was not
    promised.

    Returns what the promise covers, in words.
    """
    handles = _settled_handles(store)
    if not isinstance(handles, Absent) and handles.writers:
        raise StoreInUse(
            f"The store is in use by {_who(handles.writers)}. Stop that first; nothing was changed."
        )
    reasons = tuple(_hidden(store, handles))
    if reasons and not nobody_else:
        raise Refused(
            f"Whether somebody else uses the store cannot be seen here: {'; '.join(reasons)}."
            " If nobody does, say so with --nobody-else-uses-it."
        )
    return reasons


def _settled_handles(store: Path) -> Handles | Absent:
    """The handles, once the holder of a repair that was killed a moment ago has noticed and ended."""
    deadline = time.monotonic() + PATIENCE
    while True:
        handles = open_handles(store)
        dying = not isinstance(handles, Absent) and any(HOLDER in each.command for each in handles)
        if not dying or time.monotonic() > deadline:
            return handles
        time.sleep(0.02)


def _who(handles: tuple[Handle, ...]) -> str:
    people = {handle.pid: handle for handle in handles}
    own = "this very process (a Chroma client in it is still alive)"
    words = [own if each.own else f"process {each.pid} ({each.command})" for each in people.values()]
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


def _hidden(store: Path, handles: Handles | Absent) -> Iterator[str]:
    if isinstance(handles, Absent):
        yield handles.reason
        return
    if handles.contained:
        yield f"{handles.contained} processes in containers may not be looked into (root may)"
    yield from hidden_by_place(store)


def hidden_by_place(store: Path) -> Iterator[str]:
    """Why users of a store at that place may be invisible: other machines, other containers, a sync
    service.
    """
    point, kind = mount_point(store)
    if kind.startswith(SHARED_KINDS):
        yield f"{kind} may be used by other machines"
    elif _in_container() and point != "/" and not kind.startswith(PRIVATE_KINDS):
        yield f"{point} is a volume that other containers may use"
    cloud = [part for part in store.parts if part.startswith(CLOUD)]
    if cloud:
        yield f"{cloud[0]} is kept in step with other machines"


def mount_point(path: Path) -> tuple[str, str]:
    """(mount point, kind of file system) of the mount that holds `path`; ("/", "") where it cannot be
    told.
    """
    try:
        rows = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    except OSError:
        return "/", ""
    full = os.path.realpath(path)
    best = ("/", "")
    for row in rows:
        point = row[4].encode("latin-1", "replace").decode("unicode_escape") if "\\" in row[4] else row[4]
        inside = point == "/" or full == point or full.startswith(point + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, row[row.index("-") + 1])
    return best


def _in_container() -> bool:
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return True
    try:
        groups = Path("/proc/1/cgroup").read_text()
    except OSError:
        return False
    return any(word in groups for word in CONTAINERS)


@contextmanager
def exclusive_lock(database: Path) -> Generator[None]:
    """SQLite's exclusive lock is held on the file that stands there now, wherever it is moved, inside the
    block.

    Nothing is written and no journal is rolled back. Where there is no file there is nothing to lock. Raises
    StoreInUse where somebody reads or writes it, Refused where it cannot be locked.
    """
    if database.is_symlink() or not database.is_file():
        yield
        return
    command = [sys.executable, "-P", "-m", HOLDER, str(database)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment(),
        start_new_session=True,  # Ctrl-C reaches the repair, not the lock
    )  # fmt: skip
    try:
        assert child.stdout is not None
        answer = child.stdout.readline().strip()
        if answer == BUSY:
            raise StoreInUse(
                f"Somebody holds a lock on {database.name}; stop that first. Nothing was changed."
            )
        if answer != LOCKED:
            raise Refused(
                f"{database.name} cannot be locked: {answer or 'the process that should do it died'}."
            )
        yield
    finally:
        child.communicate()
