"""A repair on one screen: what was wrong, what was done, what did not come back, how it was verified, and the way back.

Strings without colour, made of the JSON of the stages; the same on every run.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forensics.report.plain import WIDTH, counted, joined, quoted, visible, wrapped
from forensics.report.repair_summary import (
    applied_sentence,
    approval_sentence,
    effect_sentence,
    lost_sentence,
    verified_sentence,
)
from forensics.report.summary import above_notes, as_json, headline

Json = Any
MANY = 8
"""Lines of one kind that are shown; the report has all."""


def notes_text(findings: Sequence[Mapping[str, Json]]) -> str:
    """The notes among the findings, one line for each code; empty without any."""
    notes = [finding for finding in findings if finding["severity"] == "note"]
    if not notes:
        return ""
    by_code = {
        code: [n for n in notes if n["code"] == code] for code in dict.fromkeys(n["code"] for n in notes)
    }
    title = f"{counted(len(notes), 'note')}, no damage (`forensics diagnose -v` tells them whole):"
    return "\n".join([title, *(_note(code, same) for code, same in by_code.items())])


def _note(code: str, same: Sequence[Mapping[str, Json]]) -> str:
    names = [quoted(note["collection"]) for note in same if note["collection"] is not None]
    listed = f"{', '.join(names[:3])} and {len(names) - 3} more" if len(names) > 3 else joined(names)
    place = f" in {listed}" if names else ""
    amount = counted(sum(note["count"] for note in same), same[0]["unit"])
    return f"  {code} {same[0]['name']:<26} {textwrap.shorten(amount + place, WIDTH.get() - 36, placeholder=' …')}"


def repaired_text(
    before: Json, plan: Json, verdict: Mapping[str, Json] | None, result: Mapping[str, Json]
) -> str:
    """All of a repair that was carried out, from what was wrong to how it is taken back."""
    found, planned = as_json(before), as_json(plan)
    blocks = [
        _block(f"What was wrong with {found['store']['path']}", _wrong(found)),
        _block("What was done", _done(planned)),
        _block("What was not done", _left(planned)),
        _block("What was not brought back", _lost(planned)),
        _block("How it stands now", _now(planned, verdict, result)),
    ]
    return _whole(blocks)


def stopped_text(before: Json, plan: Json, why: str) -> str:
    """A repair that was refused or failed: what was wrong, what was to be done, and last why it was not done."""
    found, planned = as_json(before), as_json(plan)
    blocks = [
        _block(f"What is wrong with {found['store']['path']}", _wrong(found)),
        _block("What was to be done", _done(planned)),
        _block("Not repaired; the store was not touched", [("", why)]),
    ]
    return _whole(blocks)


def _whole(blocks: Sequence[str]) -> str:
    return visible("\n\n".join(block for block in blocks if block), keep="\n")


def _block(title: str, lines: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> str:
    """The title and a line per (label, text), as many as a screen holds; empty without any."""
    every = list(lines)
    if not every:
        return ""
    shown = [_line(label, text) for label, text in every[:MANY]]
    more = [f"  and {len(every) - MANY} more, in the report"] if len(every) > MANY else []
    return "\n".join([title, *shown, *more])


def _line(label: str, text: str) -> str:
    head = f"  {label}  " if label else "  "
    return wrapped(visible(text), " " * len(head), head)


def _wrong(found: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for finding in above_notes(found):
        place = "" if finding["collection"] is None else f"{quoted(finding['collection'])}: "
        yield f"{finding['severity']:<7} {finding['code']}", f"{place}{headline(finding)}"
    notes = [finding["code"] for finding in found["findings"] if finding["severity"] == "note"]
    if notes:
        yield f"{'note':<7}", " ".join(dict.fromkeys(notes))


def _done(plan: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for action in plan["actions"]:
        if action["approved"]:
            yield "", _titled(action)


def _left(plan: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """What waits for a decision; housekeeping in one line."""
    idle = [action for action in plan["actions"] if not action["approved"]]
    for action in idle:
        if action["approval"] != "also-fix":
            yield "", f"{_titled(action)}: {approval_sentence(action)}"
    tidy = sorted({code for action in idle if action["approval"] == "also-fix" for code in action["codes"]})
    if tidy:
        yield "", f"Housekeeping, which is done with --also-fix {','.join(tidy)}"


def _titled(action: Mapping[str, Json]) -> str:
    name, codes = action["collection"], " ".join(action["codes"])
    place = "" if name is None or name in action["title"] else f" in {quoted(name)}"
    about = f"{codes}{place}".strip()
    return f"{action['title']} ({about})" if about else str(action["title"])


def _lost(plan: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for loss in plan["losses"]:
        yield "", lost_sentence(loss)
    if any("no embedder was given" in loss["reason"] for loss in plan["losses"]):
        aside = any(effect["set_aside"] for effect in plan["effects"])
        first = "undo this repair, then " if aside else ""
        again = f"forensics repair {plan['store']} --embedder MODULE:CALLABLE"
        yield "", f"With what embedded them before: {first}{again}"


def _now(
    plan: Mapping[str, Json], verdict: Mapping[str, Json] | None, result: Mapping[str, Json]
) -> Iterator[tuple[str, str]]:
    if verdict is None:
        yield "", applied_sentence(result)
    else:
        yield "", f"Repaired. {verified_sentence(verdict)}"
        yield from (
            ("FAIL", f"{test['name']}: {test['detail']}") for test in verdict["tests"] if not test["passed"]
        )
    for effect in (verdict or plan)["effects"]:
        yield "", f"{quoted(effect['collection'])}: {effect_sentence(effect)}."
    lost = sum(effect["lost"] for effect in (verdict or plan)["effects"])
    if lost:
        yield "", still_failing(lost)
    stay = " ".join(result["remaining"])
    yield "", f"Findings that stay: {stay}." if stay else "No finding above a note is left."
    if result.get("written_since"):
        yield "", f"Somebody wrote to the store right after the swap: {result['written_since']}."


def still_failing(lost: int) -> str:
    """What a user meets who asks for a record without a vector."""
    whose = "the record" if lost == 1 else f"one of the {counted(lost, 'record')}"
    return (
        f"Calls that ask for the vector of {whose} without one go on failing: peek, get with embeddings, a filtered"
        " query that lets it through."
    )
