"""Where a draft lies: on the store's own mount, beside the store or inside it."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from forensics.case import Case
from forensics.copying import is_draft
from forensics.durable import sync_directory
from forensics.errors import CannotComplete, Refused
from forensics.handles import DRAFT_PREFIX
from forensics.repair.exchange import mount_of
from forensics.seal import DATABASE

SIDECARS = tuple(f"{DATABASE}{suffix}" for suffix in ("-journal", "-wal", "-shm"))
JOURNAL = "journal.jsonl"
NOTICE = "REPAIR-IN-PROGRESS.txt"
ENTRIES, CLOSED, KEPT, LATER = "entries", "database", "kept", "later"


def candidates(store: Path, case_id: str) -> Iterator[Path]:
    """First choice beside the store, second inside."""
    name = os.fsdecode(os.fsencode(store.name)[:120])
    yield store.parent / f".{name}{DRAFT_PREFIX}{case_id}"
    yield store / f"{DRAFT_PREFIX}{case_id}"


def make_folder(store: Path, case: Case, wanted: Path | None) -> Path:
    """A new folder of mode 0700 for the draft; the case knows of it before it exists."""
    reasons: list[str] = []
    for folder in (wanted,) if wanted is not None else candidates(store, case.id):
        if wanted is None and mount_of(folder.parent) != mount_of(store):
            reasons.append(f"{folder.parent} is another file system")
            continue
        if os.path.lexists(folder):
            raise CannotComplete(
                f"{folder} exists already: a draft of this case; resume, undo or release it."
            )
        case.set_draft(folder, store_mtime_ns=os.stat(store).st_mtime_ns)
        try:
            _mkdir(store, folder)
        except OSError as error:
            reasons.append(f"{folder.parent}: {error.strerror}")
            continue
        return folder
    case.set_draft(None)
    raise Refused(
        f"There is no place for a draft on the file system of the store ({'; '.join(reasons)}); "
        "give --to DIR for a repaired copy elsewhere."
    )


def _mkdir(store: Path, folder: Path) -> None:
    """The mtime of the store stays what it is where the draft lies inside."""
    before = os.stat(store).st_mtime_ns
    folder.mkdir(mode=0o700)
    sync_directory(folder.parent)
    if folder.parent == store:
        set_mtime(store, before)


def set_mtime(path: Path, mtime_ns: int) -> None:
    """The mtime alone is set, where this user may (only the owner may; the files are what counts)."""
    with suppress(PermissionError):
        os.utime(path, ns=(os.stat(path).st_atime_ns, mtime_ns))


def remove_folder(store: Path, folder: Path, mtime_ns: int | None = None) -> None:
    """The folder and all below it are gone; the mtime of the store stays, or is what is given."""
    before = os.stat(store).st_mtime_ns if mtime_ns is None else mtime_ns
    for child in folder.iterdir():  # the journal last: it says what the rest is
        if child.name != JOURNAL:
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    shutil.rmtree(folder)
    sync_directory(folder.parent)
    if folder.parent == store:
        set_mtime(store, before)


def notice(case: Case, folder: Path) -> str:
    """What somebody reads who finds a directory in the place of the database."""
    where = shlex.quote(str(case.folder))
    return (
        "A repair of this Chroma store was interrupted. Nothing is lost.\n\n"
        "This directory stands in the place of chroma.sqlite3 so that no program opens the store half-way.\n"
        "Do not delete or rename anything here. Do one of these two:\n\n"
        f"  forensics apply --case {where} --resume     finishes the repair\n"
        f"  forensics undo --case {where}               brings the old store back\n\n"
        f"The case folder is {case.folder}\n"
        f"The other half of the store, and the journal of every step, is {folder}\n"
    )


def within(path: str, top: str) -> bool:
    """True where `path` is `top` or lies below it."""
    return path == top or path.startswith(f"{top}/")


def checked(store: Path, relative: str) -> str:
    """The path in its plain form. Raises Refused where it leads out of the store or through a link."""
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or is_draft(pure.parts[0]):
        raise Refused(f"{relative!r} is no path in a store.")
    for parent in list(pure.parents)[:-1]:
        full = store / parent
        if os.path.lexists(full) and not stat.S_ISDIR(os.lstat(full).st_mode):
            raise Refused(f"{parent} in the store is no directory; nothing below it is touched.")
    return pure.as_posix()


def topmost_new(store: Path, path: str) -> str:
    """The highest directory on the way to `path` that the store does not have; else `path`."""
    ways = [parent.as_posix() for parent in reversed(PurePosixPath(path).parents)][1:]
    return next((way for way in ways if not os.path.lexists(store / way)), path)


def refuse_strangers(store: Path, folder: Path, path: str, *, strict: bool) -> None:
    """Raises Refused where `path`, or anything below it, cannot be replaced: links, devices, mounts."""
    source = store / path
    if not os.path.lexists(source):
        raise Refused(f"{path} does not exist in the store.")
    for found in (source, *(_below(source) if source.is_dir() and not source.is_symlink() else ())):
        mode = os.lstat(found).st_mode
        relative = found.relative_to(store)
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise Refused(f"{relative} is neither a file nor a directory; it is not replaced.")
        if strict and mount_of(found) != mount_of(folder):
            raise Refused(
                f"{relative} is a mount of its own and cannot be exchanged; give --to DIR for a copy."
            )


def _below(folder: Path) -> Iterator[Path]:
    for parent, names, files in os.walk(folder):
        yield from (Path(parent) / name for name in sorted([*names, *files]))


def allocated(path: Path) -> int:
    """Bytes on disk of a file, or of all files below a directory."""
    found = (path, *_below(path)) if path.is_dir() and not path.is_symlink() else (path,)
    return sum(_blocks(os.lstat(each)) for each in found)


def _blocks(facts: os.stat_result) -> int:
    return getattr(facts, "st_blocks", -(-facts.st_size // 512)) * 512
