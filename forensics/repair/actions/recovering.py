"""The database of the draft made anew, before every other action."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.database import DATABASE
from forensics.repair.actions.work import Work
from forensics.repair.recovery.ground import KINDS, make_anew

Report = dict[str, Json]


def make_database_anew(work: Work) -> Report:
    """The draft's database is the one that the plan was made for; what is known of lost rows is in the case."""
    target = work.draft.scratch / f"{work.action.kind}.sqlite3"
    target.unlink(missing_ok=True)
    made = make_anew(work.action.kind, work.store, target, work.options)
    if made.report != work.action.parameters["report"]:
        raise Refused("the store gives another database than it gave when the plan was made.")
    shutil.move(target, work.draft.new(DATABASE))
    if made.lost_rows:
        work.keep_records("lost-rows", made.lost_rows)
    return {"lost_rows": len(made.lost_rows)}


RECOVERING: dict[str, Callable[[Work], Report]] = dict.fromkeys(KINDS, make_database_anew)
