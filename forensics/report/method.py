"""Method, coverage and limits: what was looked at, what was not, and what that leaves open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forensics.codes import catalogue
from forensics.report.casefiles import CaseFiles
from forensics.report.data import Reveal, redacted
from forensics.report.plain import counted
from forensics.report.repair_summary import lost_sentence
from forensics.report.summary import code_ranges

Json = Any
OUTCOMES = ("found", "crashed", "partial", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """The outcome of one check of the catalogue."""

    code: str
    name: str
    outcome: str
    reason: str


def check_rows(diagnosis: Mapping[str, Json]) -> tuple[CheckRow, ...]:
    """Every check that found or missed something, those that found something first."""
    rows = [check for check in diagnosis["checks"] if check["outcome"] in OUTCOMES]
    rows.sort(key=lambda check: (OUTCOMES.index(check["outcome"]), check["code"]))
    return tuple(
        CheckRow(code=row["code"], name=_name(row["code"]), outcome=row["outcome"], reason=row["reason"])
        for row in rows
    )


def _name(code: str) -> str:
    row = catalogue().get(code)
    return "" if row is None else row.name


def codes_of(diagnosis: Mapping[str, Json], outcome: str) -> str:
    """The codes with that outcome, neighbours joined."""
    return code_ranges([check["code"] for check in diagnosis["checks"] if check["outcome"] == outcome])


def masked_rows(diagnosis: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """(codes, the finding that they follow from), one row for each such finding."""
    rows = [check for check in diagnosis["checks"] if check["outcome"] == "masked"]
    reasons = dict.fromkeys(row["reason"] for row in rows)
    return tuple(
        (code_ranges([row["code"] for row in rows if row["reason"] == reason]), reason) for reason in reasons
    )


def loss_lines(plan: Mapping[str, Json] | None, reveal: Reveal) -> Iterator[str]:
    """What the plan does not bring back, a line for each collection and reason."""
    for loss in (plan or {}).get("losses", ()):
        yield f"{lost_sentence(redacted(loss, reveal))}."


def limit_lines(files: CaseFiles, reveal: Reveal) -> Iterator[str]:
    diagnosis, verdict = files.get("diagnosis"), files.get("verdict")
    yield from (f"A file of the case could not be used: {reason}." for reason in files.damaged)
    if diagnosis is None:
        return
    if not diagnosis["store"].get("unchanged", True):
        yield "The store changed while it was read; every finding is only possible."
    rest = sum(check["outcome"] == "not-asked" for check in diagnosis["checks"])
    if rest:
        yield f"{counted(rest, 'code')} of the catalogue were not looked for (see Method and coverage)."
    if files.get("probe") is None:
        yield "What each API call does was not tried; causes that only a call can show stay open."
    if verdict is not None and verdict["verified"] == "checks":
        yield "The repair was proved by the checks alone; the engine itself was not asked."
    yield "Times are modification times of files; whoever copies or restores files can change them."
    if not reveal.ids:
        yield "Ids are shortened to their start and some of their SHA-256; the case folder has them whole."
    if not reveal.documents:
        yield "Document texts and values of metadata are left out or shortened; the report can be shared."
