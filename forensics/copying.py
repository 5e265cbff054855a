"""Copies that keep holes and attributes; blocks are shared where the file system can, never by hard links."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from forensics.attributes import take_on
from forensics.durable import room, sync_directory
from forensics.errors import NoSpace, NotAStore, StoreChanged, UsageError
from forensics.extents import data_extents, digest, open_evidence, pieces
from forensics.handles import DRAFT_PREFIX, is_open_here
from forensics.outside import in_child
from forensics.seal import DATABASE, Entry, Manifest, compare, describe, seal

FICLONE = 0x40049409
MARGIN = 16 << 20
"""What must stay free beyond a prediction: directories, journals and the small files of a case."""

Progress = Callable[[str, float], None]


def copy_file(source: Path, target: Path, *, preserve: bool = True) -> tuple[str, ...]:
    """`target`, which must not exist, holds the bytes and holes of `source`, on the disk.

    Returns what `preserve` could not keep (owner, extended attributes), in words. A database that this
    process has open is copied by a child: closing it here would drop SQLite's locks.
    """
    if source.name.startswith(DATABASE) and is_open_here(source):
        in_child("copying", "copy_bytes", str(source), str(target))
    else:
        copy_bytes(str(source), str(target))
    return take_on(source, target) if preserve else ()


def copy_bytes(source: str, target: str) -> None:
    """The content alone. Nothing is left at `target` when it fails."""
    reading = open_evidence(source)
    try:
        copy_open(reading, target)
    finally:
        os.close(reading)


def copy_open(reading: int, target: str) -> None:
    """The same of a file that is open, whatever its name is or was."""
    writing = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        if not _clone(reading, writing):
            _copy_extents(reading, writing)
        os.fsync(writing)
    except BaseException:
        os.unlink(target)
        raise
    finally:
        os.close(writing)


def _clone(reading: int, writing: int) -> bool:
    """True where the file system shares the blocks (Btrfs, XFS); the later writes of either stay its own."""
    try:
        import fcntl

        fcntl.ioctl(writing, FICLONE, reading)
    except (ImportError, OSError):
        return False
    return True


def can_clone(folder: Path) -> bool:
    """True where files below `folder` can share blocks: then a copy needs no room. Tried, not guessed."""
    try:
        with tempfile.TemporaryFile(dir=folder) as one, tempfile.TemporaryFile(dir=folder) as other:
            os.write(one.fileno(), bytes(4096))
            return _clone(one.fileno(), other.fileno())
    except OSError:  # full, or not to be written: then a copy needs all the room it can get
        return False


def _copy_extents(reading: int, writing: int) -> None:
    size = os.fstat(reading).st_size
    for start, length in data_extents(reading, size):
        position = start
        os.lseek(writing, position, os.SEEK_SET)
        for piece in pieces(reading, start, length):
            view = piece
            while view:
                view = view[os.write(writing, view) :]
    os.ftruncate(writing, size)


def copy_tree(
    source: Path, target: Path, skip: Callable[[str], bool] = lambda path: False
) -> tuple[str, ...]:
    """`target`, which must not exist, is a copy of `source`: a file, a directory with all below, or a link.

    Links are copied as links; special files are left out; `skip` is asked with each path relative to
    `source`. Returns what could not be kept.
    """
    facts = os.lstat(source)
    if stat.S_ISLNK(facts.st_mode):
        os.symlink(os.readlink(source), target)
        if os.utime in os.supports_follow_symlinks:
            os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns), follow_symlinks=False)
        return ()
    if stat.S_ISREG(facts.st_mode):
        return copy_file(source, target)
    return _copy_directory(source, target, skip) if stat.S_ISDIR(facts.st_mode) else ()


def _copy_directory(source: Path, target: Path, skip: Callable[[str], bool]) -> tuple[str, ...]:
    os.mkdir(target, 0o700)
    lacking: list[str] = []
    for child in sorted(os.listdir(source)):
        if not skip(child):
            lacking += copy_tree(source / child, target / child, _below(child, skip))
    lacking += take_on(source, target)  # last: filling a directory changes its mtime
    sync_directory(target)
    return tuple(lacking)


def _below(child: str, skip: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda path: skip(f"{child}/{path}")


def is_draft(path: str) -> bool:
    """True for a draft area inside a store, by its name at the top level."""
    return path.startswith(DRAFT_PREFIX)


def free_bytes(folder: Path) -> int:
    """Bytes that this process may still write below `folder`, which need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_room(folder: Path, needed: int, what: str) -> None:
    """Raises NoSpace where `needed` bytes and a margin do not fit below `folder`; to be asked before a
    write.
    """
    free = free_bytes(folder)
    if needed + MARGIN > free:
        raise NoSpace(
            f"{what} needs {needed + MARGIN:,} bytes below {folder}, where {free:,} are free;"
            " nothing was written."
        )


def copy_store(store: Path, dest: Path, *, progress: Progress | None = None) -> Manifest:
    """`dest` is a copy of `store`, journal included, verified by hash; it appears whole or not at all.

    Raises UsageError where `dest` is in the way, NoSpace before the first write where it does not fit, and
    StoreChanged where the store changed while it was copied. Special files are left out. Returns its seal.
    """
    source = _source(store)
    target = copy_target(source, dest)
    before = seal(source, progress=progress)
    require_room(target, before.allocated, "The copy")
    return place(target, lambda partial: _copied(source, partial, before))


def _copied(source: Path, partial: Path, before: Manifest) -> Manifest:
    copy_tree(source, partial, is_draft)
    changes = compare(before, seal(source, reuse=before))
    if changes:
        raise StoreChanged(f"{source} changed while it was copied: {describe(changes)}; no copy was made.")
    return verified_copy(before, partial)


def place(target: Path, make: Callable[[Path], Manifest]) -> Manifest:
    """`target` is what `make` made at the path it was given, put there by one rename; else nothing is
    left.
    """
    home = target if os.path.ismount(target) else target.parent
    with room(f"{target.name} was written"):
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.partial-", dir=home))
        try:
            made = make(folder / "store")
            if home == target:
                _move_up(folder / "store", target)
            else:
                if target.exists():
                    target.rmdir()
                os.rename(folder / "store", target)
            sync_directory(home)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return replace(made, store=str(target))


def _move_up(made: Path, target: Path) -> None:
    """A mount point cannot be renamed over: what was made is moved into it, the database last."""
    for name in sorted(os.listdir(made), key=lambda name: (name == DATABASE, name)):
        os.rename(made / name, target / name)
    take_on(made, target)


def verified_copy(before: Manifest, copy: Path) -> Manifest:
    """The seal of `copy`, hashed as `before` is. Raises StoreChanged where a byte, size or name differs."""
    sealed = seal(copy, hashes=False)
    entries = tuple(_hashed_like(before.by_path.get(entry.path), entry, copy) for entry in sealed.entries)
    sealed = replace(sealed, entries=entries)
    special = {entry.path for entry in before.entries if entry.kind == "special"}
    kinds = ("added", "removed", "kind", "content", "size")
    changes = [c for c in compare(before, sealed) if c.what in kinds and c.path not in special]
    if changes:
        raise StoreChanged(f"The copy of {before.store} is not what it should be: {describe(changes)}.")
    return sealed


def _hashed_like(model: Entry | None, entry: Entry, copy: Path) -> Entry:
    if entry.kind != "file" or model is None:
        return entry
    try:
        sha256, extents = digest(str(copy / entry.path), model.extents)
    except ValueError as error:
        return replace(entry, sha256="", note=str(error))
    return replace(entry, sha256=sha256, extents=extents)


def _source(store: Path) -> Path:
    source = Path(os.path.realpath(store))
    if not source.is_dir():
        raise NotAStore(f"{store} is no folder; give the folder that holds {DATABASE}.")
    return source


def copy_target(source: Path, dest: Path) -> Path:
    """Where a copy may stand: a name that is free or an empty folder, outside of `source`."""
    target = Path(os.path.realpath(dest))
    if target == source or source in target.parents:
        raise UsageError(f"{dest} lies in the store; give a folder outside of {source}.")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} does not exist; make it first.")
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f"{dest} is not empty; give a folder that does not exist yet.")
    return target
