"""Copies of files that a swap leaves in place, so that a later undo can also discard what was written to
them since.

They cost nothing where blocks can be shared. Elsewhere they may cost as much as the draft itself, or 64
MiB: the cost follows the damage, not the size of the store. Without the database there is no use in any.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from forensics.attributes import take_on
from forensics.copying import can_clone, copy_tree, free_bytes
from forensics.durable import room, sync_tree
from forensics.repair.draft import Draft
from forensics.repair.placing import KEPT, SIDECARS, allocated
from forensics.seal import DATABASE, Entry, Manifest

CHEAP = 64 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept (paths) and how many files were too large for that."""

    paths: tuple[str, ...]
    left_out: int


def keep(draft: Draft, manifest: Manifest) -> Kept:
    """Copies of the unchanged files are in the draft, the database first, then the smallest, as far as they
    fit.
    """
    wanted = sorted((e for e in manifest.entries if _is_wanted(draft, e)), key=_order)
    budget = None if can_clone(draft.folder) else _budget(draft)
    chosen = tuple(entry.path for entry in _affordable(wanted, budget))
    with room("copies of unchanged files were kept"):
        for path in chosen:
            target = draft.folder / KEPT / path
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_tree(draft.store / path, target)
        _make_folders(draft, manifest)
        if chosen:
            sync_tree(draft.folder / KEPT)
    return Kept(chosen, len(wanted) - len(chosen))


def _make_folders(draft: Draft, manifest: Manifest) -> None:
    """Every directory that stays is there as well, the deepest dressed first (what is put in changes its
    mtime).
    """
    folders = [e.path for e in manifest.entries if e.kind == "directory" and e.path != "."]
    staying = [path for path in folders if draft.resolve(path) == draft.store / path]
    for path in staying:
        (draft.folder / KEPT / path).mkdir(parents=True, exist_ok=True)
    for path in sorted(staying, reverse=True):
        take_on(draft.store / path, draft.folder / KEPT / path)


def _is_wanted(draft: Draft, entry: Entry) -> bool:
    """A file that will stay where it is."""
    return entry.kind == "file" and draft.resolve(entry.path) == draft.store / entry.path


def _order(entry: Entry) -> tuple[bool, int, str]:
    return entry.path not in (DATABASE, *SIDECARS), entry.allocated, entry.path


def _budget(draft: Draft) -> int:
    cost = allocated(draft.folder)
    return min(max(cost, CHEAP), free_bytes(draft.folder) // 4)


def _affordable(wanted: list[Entry], budget: int | None) -> Iterator[Entry]:
    for entry in wanted:
        if budget is not None:
            budget -= entry.allocated
            if budget < 0:
                return
        yield entry


def is_kept(draft: Draft, path: str) -> bool:
    """True where the draft has a copy of that file."""
    return os.path.lexists(draft.folder / KEPT / path)
