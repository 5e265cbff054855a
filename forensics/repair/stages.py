"""What the case says of a repair, as records again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forensics.case import Case
from forensics.errors import UsageError
from forensics.model import Action, Effect, Json, Plan
from forensics.readers.shelf import is_settled
from forensics.seal import Manifest

BEFORE, AFTER = "manifest.json", "manifest-after.json"
PLAN, VERDICT, RESULT = "plan.json", "verdict.json", "result.json"


def plan_of(case: Case) -> Plan:
    """The plan of the case. Raises UsageError where there is none or it is not one."""
    row = case.read_json(PLAN)
    try:
        return plan_from_json(row)
    except (KeyError, TypeError) as error:
        raise UsageError(f"{case.path(PLAN)} is not a plan: {error}.") from error


def plan_from_json(row: Mapping[str, Json]) -> Plan:
    """The record that `Plan.to_json` was made of."""
    return Plan(
        store=row["store"],
        findings=tuple(row["findings"]),
        actions=tuple(_action(each) for each in row["actions"]),
        effects=tuple(Effect(**each) for each in row["effects"]),
        promised=tuple(row["promised"]),
        remaining=tuple(row["remaining"]),
        losses=tuple(row["losses"]),
        alternatives=tuple(row.get("alternatives", ())),  # a plan of before has none
        embedding=row.get("embedding"),
        room=row.get("room", {}),
        options=row["options"],
    )


def _action(row: Mapping[str, Json]) -> Action:
    several = {name: tuple(row.get(name, ())) for name in ("codes", "requires", "heals")}
    fields: dict[str, Any] = {**row, **several}
    return Action(**fields)


def manifest_before(case: Case) -> Manifest:
    """The seal made when the plan was made."""
    return Manifest.from_json(case.read_json(BEFORE))


def settled_before(case: Case, sealed: Manifest) -> Manifest:
    """The part of that seal that holds for as long as inode, size and times of a file stay: what was not just changed
    when the seal was made.
    """
    made = case.path(BEFORE).stat().st_mtime_ns
    kept = tuple(entry for entry in sealed.entries if is_settled(entry.ctime_ns, made))
    return Manifest(store=sealed.store, entries=kept)


def manifest_after(case: Case) -> Manifest:
    """The seal of the repaired store, as it was right after the swap."""
    return Manifest.from_json(case.read_json(AFTER))


def result(case: Case, plan: Plan, verdict: Mapping[str, Json] | None, **facts: Json) -> dict[str, Json]:
    """The JSON of `apply` and `repair`. Without a verdict nothing was verified, and nothing was applied."""
    effects = (verdict or {}).get("effects") or [effect.to_json() for effect in plan.effects]
    remaining = verdict["remaining"] if verdict is not None else list(plan.remaining)
    return {
        "schema": 1,
        "applied": verdict is not None,
        "verified": verdict["verified"] if verdict is not None else None,
        "records": {name: _total(effects, name) for name in _COUNTS},
        "remaining": list(remaining),
        "case": str(case.folder),
        "report": str(case.folder / "report.html") if case.has("report.html") else None,
        **facts,
    }


_COUNTS = ("before", "after", "reattached", "reembedded", "lost")


def _total(effects: list[Mapping[str, Json]], name: str) -> int | None:
    """The sum over the collections; None where it is unknown for one."""
    values = [effect[name] for effect in effects]
    return None if any(value is None for value in values) else sum(values)
