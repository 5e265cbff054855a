"""The database of the draft made anew, before every other action."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.database import DATABASE
from forensics.repair.actions.work import Work
from forensics.repair.recovery.ground import KINDS, RECOVER, RESTORE, make_anew

Report = dict[str, Json]
STEMS = {RECOVER: "lost-rows", RESTORE: "restored-records"}
"""kind → what the file in the case is called that has a line for each of these."""


def make_database_anew(work: Work) -> Report:
    """The draft's database is the one that the plan was made for; what is known of lost rows is in the case."""
    target = work.draft.scratch / f"{work.action.kind}.sqlite3"
    target.unlink(missing_ok=True)
    made = make_anew(work.action.kind, work.store, target, work.options)
    if made.report != work.action.parameters["report"]:
        raise Refused("the store gives another database than it gave when the plan was made.")
    shutil.move(target, work.draft.new(DATABASE))
    if made.lines:
        work.keep_records(STEMS.get(work.action.kind, "rows"), made.lines)
    return {"lines": len(made.lines)}


RECOVERING: dict[str, Callable[[Work], Report]] = dict.fromkeys(KINDS, make_database_anew)
