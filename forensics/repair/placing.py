"""Where a draft lies: on the store's own mount, beside the store or inside it."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from forensics.case import Case
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
        case.set_draft(folder)
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
    before = os.stat(folder.parent)
    folder.mkdir(mode=0o700)
    sync_directory(folder.parent)
    if folder.parent == store:
        os.utime(store, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove_folder(store: Path, folder: Path) -> None:
    """The folder and all below it are gone; the mtime of the store stays."""
    before = os.stat(folder.parent)
    for child in folder.iterdir():  # the journal last: it says what the rest is
        if child.name != JOURNAL:
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    shutil.rmtree(folder)
    sync_directory(folder.parent)
    if folder.parent == store:
        os.utime(store, ns=(before.st_atime_ns, before.st_mtime_ns))


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


def refuse_unlike_draft(store: Path, folder: Path, path: str, *, strict: bool) -> None:
    """Raises Refused where `path`, or anything below it, cannot be replaced: links, devices, mount points."""
    source = store / path
    for found in (source, *(_below(source) if source.is_dir() and not source.is_symlink() else ())):
        mode = os.lstat(found).st_mode
        relative = found.relative_to(store)
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise Refused(
                f"{relative} is neither a file nor a directory; it is not followed and not replaced."
            )
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
    return sum(os.lstat(each).st_blocks * 512 for each in found)
