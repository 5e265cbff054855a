"""What a plan can do, one short function per kind. Each works on the draft alone and leaves it consistent.

Preconditions are checked again on the draft: nothing is taken over from the plan but the choices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from forensics.errors import Refused
from forensics.model import Action, Json
from forensics.repair.actions.work import Work, open_draft
from forensics.repair.draft import DraftContext
from forensics.repair.options import RepairOptions
from forensics.repair.preconditions import require


@cache
def kinds() -> dict[str, Callable[[Work], dict[str, Json]]]:
    """kind → the function that does it; what needs hnswlib loads it in a child only."""
    from forensics.repair.actions.catalogue import CATALOGUE
    from forensics.repair.actions.database import DATABASE_ACTIONS
    from forensics.repair.actions.directories import DIRECTORIES
    from forensics.repair.actions.fitting import FITTING
    from forensics.repair.actions.foreign import FOREIGN
    from forensics.repair.actions.frame import FRAME
    from forensics.repair.actions.full_text import FULL_TEXT_ACTIONS
    from forensics.repair.actions.marks import MARKS
    from forensics.repair.actions.names import NAMES
    from forensics.repair.actions.parameters import PARAMETERS
    from forensics.repair.actions.purging import PURGING
    from forensics.repair.actions.recovering import RECOVERING
    from forensics.repair.actions.restoring import RESTORING
    from forensics.repair.actions.rows import ROWS
    from forensics.repair.actions.vectors import VECTORS

    return {
        **CATALOGUE,
        **DATABASE_ACTIONS,
        **DIRECTORIES,
        **FRAME,
        **FULL_TEXT_ACTIONS,
        **FITTING,
        **FOREIGN,
        **NAMES,
        **RECOVERING,
        **RESTORING,
        **VECTORS,
        **ROWS,
        **MARKS,
        **PARAMETERS,
        **PURGING,
    }


def run_action(action: Action, context: DraftContext) -> dict[str, Json]:
    """The draft is as `action` promises; what was done is returned.

    Raises Refused where a precondition does not hold in the draft, ChildFailed, NoSpace.
    """
    function = kinds().get(action.kind)
    if function is None:
        raise Refused(
            f"There is no way yet to do {action.kind!r}; decline {', '.join(action.codes)} to go on."
        )
    options = RepairOptions.from_json(context.plan.options)
    with open_draft(context.draft) as store:
        require(action, store)
        return function(Work(context, action, options, store))
