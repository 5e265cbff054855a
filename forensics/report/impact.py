"""What the damage means for the users of each collection, and what the repair made of it, in their words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forensics.report.casefiles import CaseFiles
from forensics.report.plain import counted, number
from forensics.report.repair_summary import effect_sentence
from forensics.report.standing import phase_of

Json = Any
_AFTER = {
    "repaired": "After the repair",
    "copied": "In the repaired copy",
    "undone": "While it was repaired, before the undo:",
}
"""How a phase begins the sentence about the verified effect; any other phase has none."""
_TOLD = frozenset({"CF408", "CF501", "CF503"})
"""What the numbers of a collection tell already."""
MOST = 3
"""How many other findings are told here; the rest stand among the findings."""


def impact(files: CaseFiles) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(collection, sentences in the user's words) for every collection of the diagnosis."""
    diagnosis = files.get("diagnosis")
    if diagnosis is None:
        return ()
    found = [
        f for f in diagnosis["findings"] if f["severity"] in ("fatal", "error") and f["code"] not in _TOLD
    ]
    after = _AFTER.get(phase_of(files), "")
    known = (files.get("verdict") or {}).get("effects", ()) if after else ()
    effects = {effect["collection"]: f"{after} {effect_sentence(effect)}." for effect in known}
    return tuple(
        (row["name"], tuple(_impact(row, _besides(found, row["name"]), effects.get(row["name"], ""))))
        for row in diagnosis["collections"]
    )


def _besides(found: list[Json], collection: str) -> tuple[str, ...]:
    """What the worst findings of a collection mean that its numbers do not tell."""
    mine = [
        f"{finding['means']} ({finding['code']}, {counted(finding['count'], finding['unit'])})"
        for finding in found
        if finding["collection"] == collection
    ]
    return tuple(mine[:MOST])


def _impact(row: Mapping[str, Json], besides: tuple[str, ...], after: str) -> Iterator[str]:
    held = counted(row["records"], "record") if row["records"] is not None else "an unknown number of records"
    if row["missing"] is None:
        yield f"Which of its {held} search still finds cannot be said: id map or rows are lost."
    elif row["missing"]:
        yield f"Search silently omits {number(row['missing'])} of its {held}."
        yield "peek() and get() with embeddings fail as soon as they meet one of them."
        yield "count(), and get() without embeddings, answer from SQLite as if nothing had happened."
    elif besides:
        yield f"By its ids, each of its {held} should be found; what stands in the way:"
    else:
        yield f"Search can find each of its {held}, as far as the ids tell."
    yield from besides
    if row["ghosts"]:
        yield f"Its index holds {counted(row['ghosts'], 'id')} without a record; a search can return them."
    if row["pending"]:
        wait = (
            "waits in the queue for its turn" if row["pending"] == 1 else "wait in the queue for their turn"
        )
        yield f"{counted(row['pending'], 'record')} {wait}; that is healthy."
    if after:
        yield after
