"""How much room a repair will need, before its first write."""

from __future__ import annotations

import os
from pathlib import Path

from forensics.absent import Absent
from forensics.copying import can_clone, require_room
from forensics.model import Plan
from forensics.repair.placing import SIDECARS, allocated
from forensics.seal import DATABASE
from forensics.store import Collection, open_store

NODE = 512
"""Bytes of one more element beside its vector: links, label, its share of id map and database, rounded up."""


def require_predicted_room(plan: Plan, store: Path, folder: Path, extra: int = 0) -> None:
    """Raises NoSpace where the draft of `plan`, and `extra` bytes, would not fit below `folder`."""
    writable = folder if os.access(folder, os.W_OK) else store
    shared = extra == 0 and os.access(writable, os.W_OK) and can_clone(writable)
    needed = predicted_bytes(plan, store, copies=not shared)
    require_room(writable, needed + extra, "The repair")


def predicted_bytes(plan: Plan, store: Path, *, copies: bool = True) -> int:
    """Bytes of the draft: copies of the database and of the touched indexes, and what is added to them."""
    touched = {action.collection for action in plan.approved if action.collection is not None}
    added = {effect.collection: effect.reattached + effect.reembedded for effect in plan.effects}
    database = sum(allocated(store / name) for name in (DATABASE, *SIDECARS) if (store / name).is_file())
    with open_store(store) as opened:
        collections = [each for each in opened.collections if each.name in touched]
        grown = sum(_grown(each, added.get(each.name, 0)) for each in collections)
        copied = sum(_copied(each, store) for each in collections) + database
    return grown + (copied if copies else 0)


def _grown(collection: Collection, added: int) -> int:
    return added * (4 * (collection.dimension or 0) + NODE)


def _copied(collection: Collection, store: Path) -> int:
    segment = collection.vector
    if isinstance(segment, Absent) or not (store / segment.relative).is_dir():
        return 0
    return allocated(store / segment.relative)
