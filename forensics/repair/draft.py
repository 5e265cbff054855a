"""The draft: the replacement of a store, built beside the original from changed entries only.

entries/<path>             what will stand at <path> in the store; after the swap what stood there before
database/chroma.sqlite3/   the directory that closes the store during a swap
kept/<path>                copies of unchanged files, so that an undo can discard later writes
later/<n>/<path>           what an undo moved aside
scratch/                   room for temporary files of the repair
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from forensics.case import Case
from forensics.copying import can_clone, copy_tree, is_draft, require_room
from forensics.durable import room, write_whole
from forensics.errors import CannotComplete, Refused
from forensics.repair import dressing, placing
from forensics.repair.journal import Journal
from forensics.repair.placing import CLOSED, ENTRIES, JOURNAL, NOTICE, SIDECARS, within
from forensics.seal import DATABASE

if TYPE_CHECKING:
    from forensics.model import Plan

EntryKind = Literal["replace", "create", "remove"]


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """One path of the store that the swap will touch, and how."""

    path: str
    kind: EntryKind


@dataclass(frozen=True, slots=True)
class DraftTree:
    """The store as it will be after the swap, for the readers (a `store.Tree`)."""

    draft: Draft

    def names(self) -> list[str]:
        return self.draft.names()

    def resolve(self, relative: str) -> Path:
        return self.draft.resolve(relative)


class Draft:
    """The draft of a case in `folder`. `strict`: owners and ACLs must be kept (not so for a copy
    elsewhere).
    """

    def __init__(self, store: Path, case: Case, folder: Path, *, strict: bool = True) -> None:
        self.store, self.case, self.folder, self.strict = store, case, folder, strict
        self.journal = Journal(folder / JOURNAL)
        self._entries: dict[str, DraftEntry] = {}
        self._clones: bool | None = None

    @classmethod
    def create(cls, store: Path, case: Case, folder: Path | None = None, *, strict: bool = True) -> Draft:
        """An empty draft beside `store` (or inside, see `placing`), or at `folder`; the case knows where.

        Raises Refused where neither place can be written, CannotComplete where a draft of this case is there.
        """
        with room("the draft was made"):
            made = cls(store, case, placing.make_folder(store, case, folder), strict=strict)
            made.journal.create()
            made.mirror_journal()
            closed = made.folder / CLOSED / DATABASE
            closed.mkdir(parents=True)
            write_whole(closed / NOTICE, os.fsencode(placing.notice(case, made.folder)))
            (made.folder / ENTRIES).mkdir()
            dressing.sync(made.folder)
        return made

    @classmethod
    def open(cls, case: Case) -> Draft:
        """The draft of `case` with its entries. Raises Refused where there is none."""
        folder = case.draft
        if folder is None or not folder.is_dir():
            where = f" at {folder}" if folder is not None else ""
            raise Refused(f"The case {case.folder} has no draft{where}: not applied yet, or released.")
        found = cls(case.store, case, folder)
        if not found.journal.path.exists() and (folder / ENTRIES).exists() and case.has(JOURNAL):
            write_whole(found.journal.path, case.path(JOURNAL).read_bytes())
        with suppress(FileNotFoundError):
            rows = json.loads((folder / "draft.json").read_bytes())["entries"]
            found._entries = {path: DraftEntry(path, kind) for path, kind in rows}
        return found

    @property
    def scratch(self) -> Path:
        """A folder for temporary files, on the store's file system; gone when the draft is finished."""
        path = self.folder / "scratch"
        path.mkdir(exist_ok=True)
        return path

    def mirror_journal(self) -> None:
        """The case has the journal as it is now: enough to finish a swap if that of the draft is lost."""
        write_whole(self.case.path(JOURNAL), self.journal.path.read_bytes())

    def entries(self) -> tuple[DraftEntry, ...]:
        """What the swap will touch, by path."""
        return tuple(self._entries[path] for path in sorted(self._entries))

    @property
    def is_disposable(self) -> bool:
        """True where it holds nothing that was ever part of the store: no swap was made or is under way."""
        if not self.journal.path.exists():
            return not (self.folder / ENTRIES).exists()  # killed while it was made
        return all(transition.outcome == "unmade" for transition in self.journal.transitions())

    def discard(self) -> None:
        """The draft is gone. Raises CannotComplete where it may hold the only original."""
        if not self.is_disposable:
            raise CannotComplete(f"{self.folder} may hold the original of the store and is not thrown away.")
        placing.remove_folder(self.store, self.folder, self.case.store_mtime_ns)
        self.case.set_draft(None)

    def copy_in(self, relative: str) -> Path:
        """The path of a copy of that file or directory, to be changed in place. The database comes with its
        journal.

        Raises Refused for links, special files and what does not exist, NoSpace before it is copied where it
        does not fit.
        """
        path = placing.checked(self.store, relative)
        slot = self.folder / ENTRIES / path
        if self._cover(path) is not None:
            if not slot.exists():
                raise Refused(f"{path} was taken out of the draft; it cannot be changed.")
            return slot
        placing.refuse_strangers(self.store, self.folder, path, strict=self.strict)
        with room(f"{path} was copied into the draft"):
            inner = self._set_aside_children(path, slot)
            for name in (path, *self._sides(path, self.store)):
                self._copy(name)
            self._put_children_back(path, inner)
        self._entries[path] = DraftEntry(path, "replace")
        return slot

    def new(self, relative: str) -> Path:
        """The path for something to be made by the caller; its parent directories exist in the draft.

        What stands there in the store will be replaced as a whole; what the draft had changed below is gone.
        """
        path = placing.checked(self.store, relative)
        slot = self.folder / ENTRIES / path
        below = [known for known in self._entries if within(known, path) and known != path]
        if below:
            shutil.rmtree(slot, ignore_errors=True)
            self._entries = {known: entry for known, entry in self._entries.items() if known not in below}
        with room(f"room for {path} was made in the draft"):
            slot.parent.mkdir(parents=True, exist_ok=True)
        if self._cover(path) is None:
            top = placing.topmost_new(self.store, path)
            self._entries[top] = DraftEntry(top, "replace" if os.path.lexists(self.store / top) else "create")
        return slot

    def remove(self, relative: str) -> None:
        """That entry will vanish from the store on the swap; the original is kept."""
        path = placing.checked(self.store, relative)
        if path == DATABASE:
            raise Refused("A store without its database is no repair.")
        slot = self.folder / ENTRIES / path
        shutil.rmtree(slot) if slot.is_dir() else slot.unlink(missing_ok=True)
        cover = self._cover(path)
        if cover is not None and cover != path:
            return  # part of a directory that will be replaced as a whole
        self._entries = {known: entry for known, entry in self._entries.items() if not within(known, path)}
        if os.path.lexists(self.store / path):
            slot.parent.mkdir(parents=True, exist_ok=True)
            self._entries[path] = DraftEntry(path, "remove")

    def finish(self) -> None:
        """The draft is whole, on the disk, and has owners, modes and ACLs of what it replaces.

        Raises Refused where the system does not permit that.
        """
        for entry in self.entries():
            if entry.kind != "remove" and not os.path.lexists(self.folder / ENTRIES / entry.path):
                raise Refused(f"{entry.path} was to be made anew in the draft, and was not.")
        with room("the draft was finished"):
            dressing.settle_database(self.folder / ENTRIES / DATABASE)
            lacking = dressing.dress(self.store, self.folder / ENTRIES, [e.path for e in self.entries()])
            if lacking and self.strict:
                raise Refused(
                    f"The replacement cannot be given what the original has: {'; '.join(lacking[:3])}."
                )
            dressing.sync(self.folder / ENTRIES)
            rows = [[entry.path, entry.kind] for entry in self.entries()]
            write_whole(self.folder / "draft.json", json.dumps({"schema": 1, "entries": rows}).encode())
            shutil.rmtree(self.folder / "scratch", ignore_errors=True)

    def resolve(self, relative: str) -> Path:
        """Where that path of the store as it will be stands now; it may not exist. For reading only."""
        path = PurePosixPath(relative).as_posix()
        covered = self._cover(path) is not None
        return self.folder / ENTRIES / path if covered else self.store / path

    def names(self) -> list[str]:
        """The names at the top level of the store as it will be, sorted."""
        found = {name for name in os.listdir(self.store) if not is_draft(name) and self._cover(name) is None}
        found |= {name for name in os.listdir(self.folder / ENTRIES) if self._cover(name) is not None}
        return sorted(found)

    def tree(self) -> DraftTree:
        """The store as it will be, for `store.Store(path, tree=…)`."""
        return DraftTree(self)

    def materialise(self, dest: Path, relative: str = ".") -> Path:
        """`dest`, which must not exist, is a copy of the store as it will be, or of one directory of it.

        Sparse, with reflinks where the file system has them; nothing in it shares an inode with the store.
        """
        top = "" if relative == "." else f"{placing.checked(self.store, relative)}/"
        with room("a copy of the draft was made"):
            if top and self._cover(top[:-1]) is not None:
                copy_tree(self.folder / ENTRIES / top, dest)
                return dest
            copy_tree(self.store / top, dest, lambda path: self._is_elsewhere(top + path))
            for entry in self.entries():
                if entry.path.startswith(top) and entry.kind != "remove":
                    for path in (entry.path, *self._sides(entry.path, self.folder / ENTRIES)):
                        copy_tree(self.folder / ENTRIES / path, dest / path.removeprefix(top))
        return dest

    def _cover(self, path: str) -> str | None:
        """The entry that `path` is, belongs to, or lies in."""
        if path in SIDECARS and DATABASE in self._entries:
            return DATABASE
        return next((known for known in self._entries if within(path, known)), None)

    def _is_elsewhere(self, path: str) -> bool:
        return is_draft(path) or self._cover(path) is not None

    def _sides(self, path: str, folder: Path) -> list[str]:
        """What SQLite needs beside the database in `folder`: journal and WAL (it makes -shm anew)."""
        names = [name for name in SIDECARS if path == DATABASE and not name.endswith("-shm")]
        return [name for name in names if _is_file(folder / name)]

    def _copy(self, path: str) -> None:
        slot = self.folder / ENTRIES / path
        if self._clones is None:
            self._clones = can_clone(self.folder)
        if not self._clones:
            require_room(self.folder, placing.allocated(self.store / path), f"The draft copy of {path}")
        slot.parent.mkdir(parents=True, exist_ok=True)
        lacking = copy_tree(self.store / path, slot)
        if lacking and self.strict:
            raise Refused(
                f"A copy of {path} cannot be given {lacking[0]}; be the owner of the store, or root."
            )

    def _set_aside_children(self, path: str, slot: Path) -> Path | None:
        """Entries below a directory that is about to be copied as a whole are taken out of its way."""
        if not slot.exists():
            return None
        aside = self.scratch / "children"
        os.rename(slot, aside)
        return aside

    def _put_children_back(self, path: str, inner: Path | None) -> None:
        """They take the places of their copies, and stop to be entries of their own."""
        for entry in [entry for entry in self.entries() if within(entry.path, path) and entry.path != path]:
            slot = self.folder / ENTRIES / entry.path
            if entry.kind != "create":
                shutil.rmtree(slot) if slot.is_dir() else slot.unlink()
            if entry.kind != "remove" and inner is not None:
                os.rename(inner / PurePosixPath(entry.path).relative_to(path), slot)
            del self._entries[entry.path]
        if inner is not None:
            shutil.rmtree(inner)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftContext:
    """What an action works on: the original (read only), the draft (the only place to write), case and
    plan.
    """

    store: Path
    case: Case
    draft: Draft
    plan: Plan
    progress: Callable[[str, float], None] | None = None
