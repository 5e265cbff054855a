"""The seal of a store: what every file was, down to its bytes, without writing or following anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from forensics.extents import Extents, digest, open_evidence
from forensics.handles import DRAFT_PREFIX, Handle, Handles, is_open_here, open_handles
from forensics.model import Json
from forensics.outside import in_child
from forensics.readers.shelf import once

__all__ = [
    "Change", "Entry", "Fingerprint", "Handle", "Handles", "Manifest", "compare", "describe", "fingerprint",
    "open_handles", "seal", "stat_fingerprint",
]  # fmt: skip

DATABASE = "chroma.sqlite3"
Kind = Literal["file", "directory", "link", "special"]
What = Literal["added", "removed", "kind", "content", "size", "mode", "owner", "mtime"]
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in a store. `path` is relative and posix, "." the store itself; sizes in bytes, times in ns.

    `sha256` is None for what is no file, was not hashed or cannot be read (then `note` says why). It is what
    `sha256sum` prints unless `extents` are given: then it covers size, extents and their data.
    """

    path: str
    kind: Kind
    size: int
    allocated: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str | None = None
    extents: Extents = ()
    target: str | None = None
    note: str | None = None

    def to_json(self) -> Json:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> Entry:
        fields: dict[str, Any] = dict(row)
        fields["extents"] = tuple((start, length) for start, length in row["extents"])
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Every entry of a store by path, the store's own directory first."""

    store: str
    entries: tuple[Entry, ...]

    @cached_property
    def by_path(self) -> Mapping[str, Entry]:
        return {entry.path: entry for entry in self.entries}

    @property
    def allocated(self) -> int:
        """Bytes on disk of all files."""
        return sum(entry.allocated for entry in self.entries if entry.kind == "file")

    def to_json(self) -> Json:
        return {"schema": 1, "store": self.store, "entries": [entry.to_json() for entry in self.entries]}

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Manifest:
        return cls(store=value["store"], entries=tuple(Entry.from_json(row) for row in value["entries"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One way in which an entry differs between two seals."""

    path: str
    what: What
    before: Json = None
    after: Json = None


def seal(
    store: Path, *, hashes: bool = True, reuse: Manifest | None = None, progress: Progress | None = None
) -> Manifest:
    """The manifest of `store`: data extents only are read, links never followed, drafts inside left out.

    A hash of `reuse` is taken over where inode, size, mtime and ctime are what they were then.
    """
    root = Path(os.path.realpath(store))
    entries = [entry for path in _walk(root) if (entry := _entry(root, path)) is not None]
    if hashes:
        known = reuse.by_path if reuse is not None else {}
        entries = list(_hashed(root, entries, known, progress))
    return Manifest(store=str(root), entries=tuple(entries))


def _walk(root: Path) -> Iterator[str]:
    """Relative paths of everything in the store, sorted within each directory; "." first."""
    yield "."
    for folder, names, files in os.walk(root):
        relative = os.path.relpath(folder, root)
        if relative == ".":
            names[:] = [name for name in names if not name.startswith(DRAFT_PREFIX)]
        names.sort()
        for name in sorted([*names, *files]):
            yield name if relative == "." else f"{Path(relative).as_posix()}/{name}"


def _entry(root: Path, path: str) -> Entry | None:
    """What lstat says; None where it vanished meanwhile (the next seal will differ)."""
    full = root / path
    try:
        facts = os.lstat(full)
    except FileNotFoundError:
        return None
    kind = _kind(facts.st_mode)
    listing = kind == "directory" and not os.access(full, os.R_OK | os.X_OK)
    return Entry(
        path=path,
        kind=kind,
        size=facts.st_size,
        allocated=getattr(facts, "st_blocks", -(-facts.st_size // 512)) * 512,
        mode=stat.S_IMODE(facts.st_mode),
        uid=facts.st_uid,
        gid=facts.st_gid,
        mtime_ns=facts.st_mtime_ns,
        ctime_ns=facts.st_ctime_ns,
        inode=facts.st_ino,
        target=os.readlink(full) if kind == "link" else None,
        note="the directory cannot be listed" if listing else None,
    )


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "special"


def _hashed(
    root: Path, entries: list[Entry], known: Mapping[str, Entry], progress: Progress | None
) -> Iterator[Entry]:
    total = sum(entry.allocated for entry in entries if entry.kind == "file") or 1
    done = 0
    for entry in entries:
        if entry.kind != "file":
            yield entry
            continue
        if progress is not None:
            progress("sealing", done / total)
        old = known.get(entry.path)
        if old is not None and _is_same(old, entry):
            yield replace(entry, sha256=old.sha256, extents=old.extents)
        else:
            yield _with_hash(root, entry)
        done += entry.allocated


def _is_same(old: Entry, new: Entry) -> bool:
    fields = ("kind", "inode", "size", "mtime_ns", "ctime_ns")
    return old.sha256 is not None and all(getattr(old, name) == getattr(new, name) for name in fields)


def _with_hash(root: Path, entry: Entry) -> Entry:
    try:
        sha256, extents = hash_file(root / entry.path)
    except OSError as error:
        return replace(entry, note=f"cannot be read: {error.strerror}")
    return replace(entry, sha256=sha256, extents=extents)


def hash_file(path: Path) -> tuple[str, Extents]:
    """`extents.digest`; by a child for a database open in this process, or its locks would be dropped."""
    return once("digest", path, lambda: _hashed_now(path))


def _hashed_now(path: Path) -> tuple[str, Extents]:
    if not (path.name.startswith(DATABASE) and is_open_here(path)):
        return digest(str(path))
    sha256, extents = in_child("extents", "digest", str(path))
    return sha256, tuple((start, length) for start, length in extents)


def compare(before: Manifest, after: Manifest) -> tuple[Change, ...]:
    """Everything that differs, by path. Where a hash is missing, size, mtime and inode stand in for it."""
    old, new = before.by_path, after.by_path
    found: list[Change] = []
    for path in sorted({*old, *new}):
        if path not in new:
            found.append(Change(path=path, what="removed", before=old[path].kind))
        elif path not in old:
            found.append(Change(path=path, what="added", after=new[path].kind))
        else:
            found.extend(_differences(old[path], new[path]))
    return tuple(found)


def _differences(old: Entry, new: Entry) -> Iterator[Change]:
    def change(what: What, *names: str) -> Iterator[Change]:
        a, b = ([getattr(entry, name) for name in names] for entry in (old, new))
        if a != b:
            single = len(names) == 1
            yield Change(path=new.path, what=what, before=a[0] if single else a, after=b[0] if single else b)

    if old.kind != new.kind:
        yield from change("kind", "kind")
        return
    if old.kind == "file":
        yield from change("size", "size")
        hashed = old.sha256 is not None and new.sha256 is not None
        yield from change("content", *(("sha256",) if hashed else ("size", "mtime_ns", "inode")))
    yield from change("content", "target")
    yield from change("mode", "mode")
    yield from change("owner", "uid", "gid")
    yield from change("mtime", "mtime_ns")


def describe(changes: Iterable[Change], limit: int = 5) -> str:
    """The changes in words: `chroma.sqlite3 (content, mtime), x (added) and 3 more`."""
    words: dict[str, list[str]] = {}
    for change in changes:
        words.setdefault(change.path, []).append(change.what)
    shown = [f"{path} ({', '.join(what)})" for path, what in list(words.items())[:limit]]
    rest = len(words) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A cheap look: (size, mtime_ns, inode) of every file, and SQLite's change counter (None: no header)."""

    files: Mapping[str, tuple[int, int, int]]
    change_counter: int | None

    def differences(self, other: Fingerprint) -> tuple[str, ...]:
        """The paths that differ, sorted; the database where only its change counter does."""
        old, new = self.files, other.files
        paths = {path for path in {*old, *new} if old.get(path) != new.get(path)}
        if self.change_counter != other.change_counter:
            paths.add(DATABASE)
        return tuple(sorted(paths))


def fingerprint(store: Path) -> Fingerprint:
    """What size, mtime, inode and change counter are now; to be compared with what they are later."""
    root = Path(os.path.realpath(store))
    found: dict[str, tuple[int, int, int]] = {}
    for path in _walk(root):
        try:
            facts = os.lstat(root / path)
        except FileNotFoundError:  # vanished while we looked: the next fingerprint will differ
            continue
        if path != "." and not stat.S_ISDIR(facts.st_mode):
            found[path] = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
    return Fingerprint(files=found, change_counter=_change_counter(root / DATABASE))


stat_fingerprint = fingerprint


def _change_counter(path: Path) -> int | None:
    try:
        text = in_child("seal", "header_of", str(path)) if is_open_here(path) else header_of(str(path))
    except OSError:
        return None
    raw = bytes.fromhex(text)
    return int.from_bytes(raw[24:28], "big") if len(raw) >= 28 else None


def header_of(path: str) -> str:
    """The first 100 bytes of a regular file, in hex."""
    descriptor = open_evidence(path)
    try:
        return os.read(descriptor, 100).hex()
    finally:
        os.close(descriptor)
