"""How much room a repair will need, before its first write, and what the seal of the store will be after its swap."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.copying import can_clone, require_room
from forensics.model import Plan
from forensics.repair.needs import draft_bytes
from forensics.repair.placing import ENTRIES
from forensics.seal import Entry, Manifest, seal
from forensics.store import open_store

if TYPE_CHECKING:
    from forensics.repair.draft import Draft


def require_predicted_room(plan: Plan, store: Path, folder: Path, extra: int = 0) -> None:
    """Raises NoSpace where the draft of `plan`, and `extra` bytes, would not fit below `folder`."""
    writable = folder if os.access(folder, os.W_OK) else store
    shared = extra == 0 and os.access(writable, os.W_OK) and can_clone(writable)
    needed = predicted_bytes(plan, store, copies=not shared)
    require_room(writable, needed + extra, "The repair")


def predicted_bytes(plan: Plan, store: Path, *, copies: bool = True) -> int:
    """Bytes of the draft: copies of the database and of the touched indexes, and what is added to them."""
    with open_store(store) as opened:
        return draft_bytes(opened, plan.approved, plan.effects, copies=copies)


def foreseen(draft: Draft, before: Manifest) -> Manifest:
    """What the seal will be after the swap: unchanged entries as they are, the others as they lie in the
    draft.
    """
    entries = [entry for entry in before.entries if draft.resolve(entry.path) == draft.store / entry.path]
    lying = seal(draft.folder / ENTRIES)
    covered = [
        e for e in lying.entries if e.path != "." and draft.resolve(e.path) == draft.folder / ENTRIES / e.path
    ]
    return Manifest(store=before.store, entries=_in_order([*entries, *covered]))


def _in_order(entries: list[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.path != ".", entry.path)))
