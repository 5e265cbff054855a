"""apply --in-place: the plan on a draft that lies on another disk, verified, then the store's own files changed."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.case import Case
from forensics.errors import ForensicsError
from forensics.model import Json
from forensics.repair import stages
from forensics.repair.bystanders import exclusive_lock, refuse_users
from forensics.repair.draft import Draft
from forensics.repair.in_place import (
    change_in_place,
    complete_in_place,
    elsewhere,
    refuse_needless,
    require_room_elsewhere,
    resumed,
)
from forensics.repair.in_place_state import is_halfway_in_place, is_in_place
from forensics.seal import DATABASE, Manifest, seal

if TYPE_CHECKING:
    from forensics.repair.apply import Application


def apply_in_place(work: Application, undo_file: str | os.PathLike[str]) -> dict[str, Json]:
    """The files of the index are changed where they stand; what is overwritten is in `undo_file`, on another disk."""
    from forensics.repair.apply import unchanged

    case, store, target = work.case, work.store, Path(os.path.abspath(undo_file))
    with ExitStack() as held:
        refuse_users(store, nobody_else=work.nobody_else)
        held.enter_context(exclusive_lock(store / DATABASE))
        before = unchanged(case)
        refuse_needless(work.plan, store, target)
        require_room_elsewhere(work.plan, store, target)
        draft = Draft.create(store, case, elsewhere(case, target), strict=False)
        try:
            verdict = work.fill(draft)
            after = change_in_place(draft, before, target, lambda: _still(work, before))
        except ForensicsError:
            if not is_halfway_in_place(case):
                draft.discard()
            raise
    return complete_in_place(case, work.plan, verdict, after)


def _still(work: Application, before: Manifest) -> None:
    """Raises where the store changed meanwhile or somebody has it open."""
    from forensics.repair.apply import unchanged

    unchanged(work.case, before)
    refuse_users(work.store, nobody_else=work.nobody_else)


def finished_in_place(case: Case, *, resume: bool, nobody_else: bool) -> dict[str, Json] | None:
    """What an interrupted repair in place came to, which is now finished; None where there is none."""
    if not is_in_place(case) or not resumed(case, resume=resume, nobody_else=nobody_else):
        return None
    plan, verdict = stages.plan_of(case), case.read_json(stages.VERDICT)
    return complete_in_place(case, plan, verdict, seal(case.store, reuse=stages.manifest_before(case)))
