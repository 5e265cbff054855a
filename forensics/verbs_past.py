"""The verb `past`, and what it leaves in a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics.evidence import safe_name, write_rows
from forensics.selection import select
from forensics.verbs_inputs import StoreLike, store_of

if TYPE_CHECKING:
    from forensics.account import Past
    from forensics.case import Case
    from forensics.remains import Trace

PAST = "past.json"


def past(
    store: StoreLike,
    *,
    collection: str | None = None,
    segment: str | None = None,
    case: Any = None,
) -> Past:
    """What the store once acknowledged and has nowhere any more, as far as that can be proved. Reads only.

    With `case` it is kept there, as `past.json`, with the full lists as evidence/past-*.csv.
    """
    from forensics.account import account
    from forensics.readers.bulk import collector_seldom

    with store_of(store) as opened:
        chosen = select(opened, collection, segment)
        if case is None:
            with collector_seldom():
                return account(opened, chosen)
        from forensics.verbs_case import filling

        with filling(case, opened.path, applied_too=True) as folder:
            found = account(opened, chosen)
            keep_past(folder, found)
    return found


def keep_past(case: Case, found: Past) -> None:
    """The case holds the account and its lists; those of an earlier one are gone."""
    for old in case.path("evidence").glob("past-*.csv"):
        old.unlink()
    for number, trace in enumerate(found.traces, start=1):
        if trace.ids or trace.rows:
            _write(case, number, trace)
    case.write_json(PAST, found.to_json())
    case.log("accounted", traces=[trace.kind for trace in found.traces])


def _write(case: Case, number: int, trace: Trace) -> None:
    label = "-".join(filter(None, (trace.kind, trace.collection)))
    path = case.evidence(f"past-{number:02d}-{safe_name(label)}.csv")
    write_rows(path, trace.columns, trace.rows or [(name,) for name in trace.ids])
