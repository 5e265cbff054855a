"""Who has the files of a store open or locked, from /proc. Linux only; elsewhere the answer is an Absent.

SQLite's locks belong to a process, not to a connection: closing *any* descriptor of the database drops those
of a live client in the same process. `is_open_here` says when a child must read it therefore (`outside`).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from forensics.absent import Absent, NotAvailable

PROC = Path("/proc")
DRAFT_PREFIX = ".forensics-"
HOLDER = "forensics.repair.holder"
"""The module that holds SQLite's lock for a repair; its handles are the repair's own."""
WALK = "FORENSICS_CASE"
"""The variable by which the notebooks of one walk know their case, and here one another."""
CONTAINERS = ("docker", "containerd", "kubepods", "libpod", "lxc", "crio")
Key = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """One process that has one file of the store open or locked.

    `path` is relative to the store where it lies there. `deleted`: the name is gone, the bytes live on in
    that process. `own`: it is this very process. `writes`: open for writing. `lock` as "POSIX WRITE".
    `fellow`: it is another notebook of the walk that this process belongs to.
    """

    pid: int
    command: str
    path: str
    deleted: bool
    own: bool
    lock: str | None
    writes: bool = False
    fellow: bool = False


class Handles(tuple[Handle, ...]):
    """The handles; `unseen` processes could not be looked into, `contained` of them run in containers."""

    unseen: int
    contained: int

    def __new__(cls, handles: Iterable[Handle] = (), unseen: int = 0, contained: int = 0) -> Handles:
        made = super().__new__(cls, handles)
        made.unseen, made.contained = unseen, contained
        return made

    @property
    def others(self) -> tuple[Handle, ...]:
        """Those of other processes."""
        return tuple(handle for handle in self if not handle.own)

    @property
    def writers(self) -> tuple[Handle, ...]:
        """Those that may change the store: all of others, and those of this walk open for writing or locked."""
        return tuple(each for each in self if each.writes or each.lock or not (each.own or each.fellow))


def open_handles(store: Path) -> Handles | Absent:
    """Every process that has a regular file of `store` open or locked, by pid and path."""
    if not (PROC / "self" / "fd").is_dir():
        return NotAvailable("which processes have the store open cannot be seen on this system")
    root = os.path.realpath(store)
    files = _files(root)
    names = {os.path.basename(path) for path in files.values()}
    found: dict[tuple[int, str], Handle] = {}
    unseen = contained = 0
    for pid in _processes():
        try:
            _add(found, _of_process(pid, root, files, names))
        except PermissionError:
            hidden = not _is_kernel_thread(pid)
            unseen += hidden
            contained += hidden and _is_contained(pid)
    _add(found, _locks(files))
    kept = [handle for handle in found.values() if not _is_our_holder(handle.pid)]
    return Handles(sorted(kept, key=lambda handle: (handle.pid, handle.path)), unseen, contained)


def is_open_here(path: Path) -> bool:
    """True where this process has that very file open, or where the system does not let us know."""
    if sys.platform == "win32":
        return False  # locks belong to the handle there
    try:
        wanted = os.stat(path)
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return any(_same(number, wanted) for number in numbers)


def is_written_here(path: Path) -> bool:
    """True where a descriptor of this process has that very file open for writing: a live client. Linux only."""
    try:
        wanted = os.stat(path)
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return False
    return any(_same(int(number), wanted) and _writes(os.getpid(), number) for number in numbers)


def _same(number: int, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(number), wanted)
    except OSError:  # the descriptor of the listing itself
        return False


def _add(found: dict[tuple[int, str], Handle], handles: Iterable[Handle]) -> None:
    for handle in handles:
        key = (handle.pid, handle.path)
        old = found.get(key)
        found[key] = handle if old is None else _joined(old, handle)


def _joined(old: Handle, new: Handle) -> Handle:
    return replace(old, writes=old.writes or new.writes, lock=old.lock or new.lock)


def _files(root: str) -> Mapping[Key, str]:
    """(device, inode) → relative path of each regular file below `root`, drafts left out."""
    found: dict[Key, str] = {}
    for folder, names, files in os.walk(root):
        if folder == root:
            names[:] = [name for name in names if not name.startswith(DRAFT_PREFIX)]
        for name in files:
            path = os.path.join(folder, name)
            with suppress(OSError):
                facts = os.lstat(path)
                if stat.S_ISREG(facts.st_mode):
                    found[facts.st_dev, facts.st_ino] = os.path.relpath(path, root)
    return found


def _processes() -> list[int]:
    return sorted(int(name) for name in os.listdir(PROC) if name.isdigit())


def _of_process(pid: int, root: str, files: Mapping[Key, str], names: set[str]) -> Iterator[Handle]:
    """The handles of one process; raises PermissionError where it may not be looked into."""
    try:
        numbers = os.listdir(PROC / str(pid) / "fd")
    except (FileNotFoundError, ProcessLookupError):
        return
    for number in numbers:
        found = _of_descriptor(pid, number, root, files, names)
        if found is not None:
            yield found


def _of_descriptor(
    pid: int, number: str, root: str, files: Mapping[Key, str], names: set[str]
) -> Handle | None:
    link = f"{PROC}/{pid}/fd/{number}"
    try:
        target = os.readlink(link)
        bare = target.removesuffix(" (deleted)")
        inside = bare.startswith(root + os.sep)
        if not inside and os.path.basename(bare) not in names:
            return None
        facts = os.stat(link)  # follows to the file itself, also across mount namespaces
    except (FileNotFoundError, ProcessLookupError):
        return None  # closed or ended meanwhile
    relative = files.get((facts.st_dev, facts.st_ino))
    deleted = relative is None and inside and facts.st_nlink == 0 and stat.S_ISREG(facts.st_mode)
    if deleted:
        relative = os.path.relpath(bare, root)
    if relative is None or relative.startswith(DRAFT_PREFIX):
        return None
    return Handle(
        pid=pid,
        command=_command(pid),
        path=Path(relative).as_posix(),
        deleted=deleted,
        own=pid == os.getpid(),
        lock=None,
        writes=_writes(pid, number),
        fellow=_is_fellow(pid),
    )


def _is_fellow(pid: int) -> bool:
    """True where that process was started for the same case as this one."""
    case = os.environ.get(WALK)
    return bool(case) and f"{WALK}={case}" in _text(pid, "environ").split("\0")


def _writes(pid: int, number: str) -> bool:
    """Open for writing, from the flags in fdinfo; unknown counts as yes."""
    for line in _text(pid, f"fdinfo/{number}").splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return True


def _locks(files: Mapping[Key, str]) -> Iterator[Handle]:
    """The file locks that /proc/locks shows on these files."""
    by_inode = {(os.major(dev), os.minor(dev), inode): path for (dev, inode), path in files.items()}
    for words in (line.split() for line in (PROC / "locks").read_text().splitlines()):
        if len(words) < 6 or words[1] == "->":  # a process that waits for a lock
            continue
        major, minor, inode = words[5].split(":")
        path = by_inode.get((int(major, 16), int(minor, 16), int(inode)))
        if path is not None:
            yield _locked(int(words[4]), Path(path).as_posix(), f"{words[1]} {words[3]}")


def _locked(pid: int, path: str, lock: str) -> Handle:
    own = pid == os.getpid()
    return Handle(pid=pid, command=_command(pid), path=path, deleted=False, own=own, lock=lock)


def _command(pid: int) -> str:
    """The first words of the command line, shortened; the name of the program where there is no line."""
    words = [word for word in _text(pid, "cmdline").split("\0") if word]
    if not words:
        return _text(pid, "comm").strip() or "unknown"
    return " ".join(" ".join([os.path.basename(words[0]), *words[1:]]).split())[:80]


def _text(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _is_kernel_thread(pid: int) -> bool:
    return not _text(pid, "cmdline") and (pid == 2 or _parent(pid) == 2)


def _is_contained(pid: int) -> bool:
    groups = _text(pid, "cgroup")
    return any(word in groups for word in CONTAINERS)


def _parent(pid: int) -> int:
    after = _text(pid, "stat").rpartition(")")[2].split()
    return int(after[1]) if len(after) > 1 else 0


def _is_our_holder(pid: int) -> bool:
    """True for the process that holds the lock for a repair which this process is, or is a child of."""
    return HOLDER in _text(pid, "cmdline").split("\0") and _parent(pid) in _ancestors(os.getpid())


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        pid = _parent(pid)
    return found if os.getpid() == 1 else found - {1}  # orphans become children of 1
