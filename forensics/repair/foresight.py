"""How much room a repair will need, before its first write."""

from __future__ import annotations

import os
from pathlib import Path

from forensics.copying import can_clone, require_room
from forensics.model import Plan
from forensics.repair.needs import draft_bytes
from forensics.store import open_store


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
