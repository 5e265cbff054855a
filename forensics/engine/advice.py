"""What may be used until the repair, said in a few sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forensics.model import Diagnosis

NO_OPENING = "Do not open this store with Chroma before it is repaired."
UNKNOWN = "What this store does is not known: the engine was stopped at its limit of memory."
NO_WRITING = "Write nothing until then: a flush makes some losses final."


def advice(collections: Sequence[dict[str, Any]], diagnosis: Diagnosis | None) -> str:
    """What may be used until the repair, in a few sentences; a warning against opening comes first."""
    calls = [call for entry in collections for call in entry["calls"]]
    lost = max((call["destroys"] for call in calls), default=0)
    if lost:
        return f"{NO_OPENING} On the throw-away copy, opening it destroyed {lost:,} vectors."
    if diagnosis is not None and diagnosis.store.get("safe_to_open") is False:
        return f"{NO_OPENING} That a call answered on the copy does not make it safe on the store."
    if any(call["verdict"] == "limit" for call in calls):
        return f"{UNKNOWN} {NO_WRITING}"
    if all(call["safe_to_use"] for call in calls):
        return _all_right(diagnosis)
    if not any(call["safe_to_use"] for call in calls):
        return "No call is safe to use before the repair. Write nothing until then."
    safe, partial, bad = _by_use(calls)
    said = (
        ("Safe to use until the repair", safe),
        ("Answers, but does not reach every record", partial),
        ("Not to be used", bad),
    )
    return " ".join([*(f"{text}: {', '.join(names)}." for text, names in said if names), NO_WRITING])


def _all_right(diagnosis: Diagnosis | None) -> str:
    codes = diagnosis.codes(notes=False) if diagnosis is not None else ()
    if codes:
        return f"Every call returned the truth, yet there is damage ({', '.join(codes)}). {NO_WRITING}"
    return "Every call returned the truth; nothing is in the way of using this store."


def _by_use(calls: Sequence[dict[str, Any]]) -> tuple[list[str], list[str], list[str]]:
    """Call names by their worst use over all collections: safe, incomplete, not to be used."""
    worst: dict[str, int] = {}
    for call in calls:
        rank = 0 if call["safe_to_use"] else 1 if call["verdict"] == "incomplete" else 2
        worst[call["call"]] = max(worst.get(call["call"], 0), rank)
    safe, partial, bad = ([name for name, rank in worst.items() if rank == wanted] for wanted in range(3))
    return safe, partial, bad
