"""Documents that could not be embedded while a plan was carried out: kept with their reasons, and what they change of what
the plan foretold. Nothing of them is lost: they stay as they were, without a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.case import Case
from forensics.errors import Refused
from forensics.evidence import read_rows, safe_name
from forensics.model import Effect, Plan, Test
from forensics.repair.effects import EMBEDDING_KINDS, EXAMPLES
from forensics.words import unit_of

if TYPE_CHECKING:
    from forensics.repair.actions.work import Work

STEM = "not-embedded"
LEFT = frozenset({"CF501", "CF212"})
"""What is found where a record stays without a vector."""


def keep_failures(work: Work, reasons: Mapping[str, str]) -> None:
    """The case lists each id with its reason; of an earlier attempt nothing is left.

    Raises Refused where the plan is to stop at such a record.
    """
    if not reasons:
        work.evidence(STEM, ".csv").unlink(missing_ok=True)
        return
    path = work.keep_rows(STEM, ("id", "reason"), sorted(reasons.items()))
    if work.options.stop_at_failed_record:
        name, why = next(iter(sorted(reasons.items())))
        raise Refused(
            f"{len(reasons)} {unit_of(len(reasons), 'document')} cannot be embedded ({name}: the embedder {why}), and"
            f" the repair was to stop there; {path} lists them."
        )


def failures(case: Case, plan: Plan) -> Iterator[tuple[str, dict[str, str]]]:
    """(collection, id → reason) of each in which something could not be embedded."""
    for action in plan.approved:
        if action.collection is not None and action.kind in EMBEDDING_KINDS:
            rows = read_rows(_path(case, action.collection, action.kind))
            if rows:
                yield action.collection, {row[0]: row[1] for row in rows}


def _path(case: Case, collection: str, kind: str) -> Path:
    return case.evidence(safe_name(f"{STEM}-{collection}-{kind}") + ".csv")


def as_it_went(case: Case, plan: Plan) -> Plan:
    """The plan with what could not be embedded taken out of what it foretold, and listed among what it does not bring
    back.
    """
    failed = dict(failures(case, plan))
    if not failed:
        return plan
    lost = [row for name, reasons in failed.items() for row in _losses(name, reasons)]
    return replace(
        plan,
        effects=tuple(_less(effect, len(failed.get(effect.collection, ()))) for effect in plan.effects),
        promised=tuple(code for code in plan.promised if code not in LEFT),
        remaining=tuple(sorted({*plan.remaining, "CF501"})),
        losses=(*plan.losses, *lost),
    )


def _less(effect: Effect, count: int) -> Effect:
    after = None if effect.after is None else effect.after - count
    return replace(effect, after=after, reembedded=effect.reembedded - count, lost=effect.lost + count)


def _losses(name: str, reasons: Mapping[str, str]) -> Iterator[dict[str, object]]:
    by_reason: dict[str, list[str]] = {}
    for each, reason in reasons.items():
        by_reason.setdefault(reason, []).append(each)
    for reason, ids in sorted(by_reason.items()):
        why = f"its vector exists nowhere, and of its document the embedder {reason}"
        yield {"collection": name, "reason": why, "count": len(ids), "examples": ids[:EXAMPLES]}


def unembedded(case: Case, plan: Plan) -> Iterator[Test]:
    """One line per collection in which something could not be embedded; it is no failure of the repair."""
    for name, reasons in failures(case, plan):
        kinds = "; ".join(sorted(set(reasons.values()))[:3])
        detail = (
            f"listed with their reasons in the case, left without a vector as they were: the embedder {kinds}"
        )
        yield Test(
            name=f"{name}: documents that cannot be embedded", passed=True, detail=detail, count=len(reasons)
        )
