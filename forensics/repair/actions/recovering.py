"""The database of the draft made anew, before every other action."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.database import DATABASE
from forensics.repair.actions.work import Work
from forensics.repair.recovery.build import recover
from forensics.repair.recovery.ground import dialect_of, source_of

Report = dict[str, Json]


def recover_database(work: Work) -> Report:
    """The draft's database is a sound one with every row that the damaged one still holds, as the plan counted them."""
    made = work.draft.scratch / "recovered.sqlite3"
    made.unlink(missing_ok=True)
    recovered = recover(source_of(work.store), made, dialect_of(work.store))
    if recovered.report != work.action.parameters["report"]:
        raise Refused("the damaged database gives other rows than it gave when the plan was made.")
    shutil.move(made, work.draft.new(DATABASE))
    work.keep_records("lost-rows", recovered.lost_rows)
    return {"tables": {name: row["kept"] for name, row in recovered.tables.items()}, "lost": recovered.lost}


RECOVERING: dict[str, Callable[[Work], Report]] = {"recover-database": recover_database}
