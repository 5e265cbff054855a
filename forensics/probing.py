"""The live symptom: what each API call does on a throw-away copy, in a child, judged by what is on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.engine.advice import advice
from forensics.engine.copies import Copies, scratch
from forensics.engine.holdings import Holdings, holdings_below, holdings_of
from forensics.engine.limits import (
    allocated,
    default_file_size,
    default_memory,
    lacking_memory,
    told_by_limit,
)
from forensics.engine.probe import CALLS, MOST_RESULTS, Call, Verdict, Word, arrays_of, judged
from forensics.engine.releases import installed_beside
from forensics.engine.steps import Step, engine_session
from forensics.engine.truth import Expected, expected_collection
from forensics.errors import NoSpace
from forensics.foretell.agreeing import beside
from forensics.foretell.foretold import Foretold
from forensics.foretell.telling import tell
from forensics.model import Diagnosis
from forensics.store import Collection, open_store

OWN_COPY = 256 << 20
"""Up to this size every call gets its own fresh copy; a larger store is copied once."""
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Truth:
    """What is on disk before anything is asked: per collection what the engine should show and what it can
    lose.
    """

    expected: dict[str, Expected]
    holdings: dict[str, Holdings]
    causes: dict[str, list[dict[str, Any]]]
    unread: tuple[str, ...]


def probe(
    store: Path,
    *,
    versions: Sequence[str] | None = None,
    diagnosis: Diagnosis | None = None,
    collection: str | None = None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """count, get, get with embeddings, peek, query and a filtered query, each judged: right · incomplete ·
    wrong · error · dies · limit (the child reached its limit of memory, so nothing is known); JSON-ready, with
    what is safe to use until the repair.

    `versions` are chromadb releases (None: the installed one; others are installed if need be). The store
    itself is only read. Raises CannotComplete where a release, the room for a copy or the memory for the
    engine is not to be had.
    """
    truth = truth_of(store, collection)
    runs = [_run(store, truth, version, timeout) for version in versions or [None]]
    collections = [entry for run in runs for entry in run]
    names = [version or installed_beside() or "" for version in versions or [None]]
    return {
        "schema": 1,
        "store": str(store),
        "chromadb": ", ".join(names),
        "collections": collections,
        "advice": advice(collections, diagnosis),
    }


def exit_status(result: dict[str, Any]) -> int:
    """0: every call returned the truth; bit 4: one did not; bit 8: what one does is not known (limit)."""
    verdicts = {call["verdict"] for entry in result["collections"] for call in entry["calls"]}
    return (4 if verdicts - {"right", "limit"} else 0) | (8 if "limit" in verdicts else 0)


def truth_of(path: Path, collection: str | None = None) -> Truth:
    """The truth of every collection, or of one, by our readers."""
    with open_store(path) as store:
        chosen = store.collections if collection is None else (store.collection(collection),)
        known = {one.name: (one, expected_collection(one)) for one in chosen}
        return Truth(
            {name: expected for name, (_, expected) in known.items() if expected is not None},
            {name: holdings_of(one) for name, (one, _) in known.items()},
            {name: trace(one) for name, (one, _) in known.items()},
            tuple(name for name, (_, expected) in known.items() if expected is None),
        )


def trace(collection: Collection, limit: int = SHOWN) -> list[dict[str, Any]]:
    """The first `limit` records, in the order in which `peek` takes them, that have no vector: id, position
    and why.

    1.x gives up at the first of them: `peek` is `get` with embeddings of the first ten.
    """
    records = collection.records
    if isinstance(records, Absent) or not records.known:
        return []
    lacking = np.flatnonzero(records.missing)[:limit].tolist()
    return [{"id": records.rows.ids[row], "position": row, "why": _why(records, row)} for row in lacking]


def _why(records: Any, row: int) -> str:
    label, element = int(records.labels[row]), int(records.elements[row])
    if label < 0:
        return "the id map has no label for it"
    if element < 0:
        return f"its label {label} is on no element of level 0"
    return f"its element {element} (label {label}) is flagged deleted"


# --- asking ---


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict, and how many vectors of the copy were destroyed while it was found."""

    verdict: Verdict
    destroys: int
    last: Step | None = None


def _run(store: Path, truth: Truth, version: str | None, timeout: float | None) -> list[dict[str, Any]]:
    """One entry per collection for one release."""
    lacking = lacking_memory(store)
    if lacking is not None:
        raise NoSpace(f"The store was not probed: {lacking}.")
    size = allocated(store)
    with scratch(2 * size) as folder:
        copies = Copies(store, folder, each_its_own=size <= OWN_COPY)
        engine = _Engine(copies, truth, version, timeout)
        found = {name: engine.answers(one) for name, one in truth.expected.items()}
        told = _foretold(store, version or installed_beside() or "")
        answers = {
            name: _compared(_entries(each, truth.causes[name]), each, told.get(name, {}))
            for name, each in found.items()
        }
        if truth.unread or not answers:
            answers[""] = [_opening(engine, truth)]
    beside = version or installed_beside()
    return [{"name": name, "chromadb": beside, "calls": calls} for name, calls in answers.items()]


def _foretold(store: Path, release: str) -> dict[str, dict[str, Foretold]]:
    """Collection → call → what our readers foretell of this release, without it."""
    with open_store(store) as opened:
        return {one.collection: {call.call: call for call in one.calls} for one in tell(opened, release)}


def _compared(
    entries: list[dict[str, Any]], found: Sequence[tuple[Call, Answer]], told: dict[str, Foretold]
) -> list[dict[str, Any]]:
    """The entries, each with what was foretold of its call and whether it came so."""
    for entry, (call, answer) in zip(entries, found, strict=True):
        if call.name in told and answer.last is not None and entry["verdict"] != "limit":
            step = {name: getattr(answer.last, name) for name in ("op", "ok", "died", "value", "ids")}
            step["error"] = dict(zip(("type", "text"), answer.last.error or ("", ""), strict=True))
            word, differs = beside(told[call.name], step, MOST_RESULTS)
            entry["foretold"] = {**told[call.name].to_json(), "agrees": word, "differs": differs}
    return entries


def _opening(engine: _Engine, truth: Truth) -> dict[str, Any]:
    """Whether the store opens and names its collections: asked where SQLite gives our readers no rows to
    judge by.
    """
    call = Call("list_collections", "list_collections()", lambda one: [], lambda one, steps: Verdict("right"))
    with engine.copies.copy() as copy:
        step = engine_session(copy, [{"op": "list_collections"}], version=engine.version, create=True)[0]
    known = sorted({*truth.expected, *truth.unread})
    if not step.ok:
        fatal = step.died is not None or (step.error or ("",))[0] == "PanicException"
        return _entry(call, Verdict("dies" if fatal else "error", step.text), 0, [])
    word: Word = "right" if step.value == known and known else "wrong"
    return _entry(call, Verdict(word, f"names {step.value}; SQLite holds {known}"), 0, [])


class _Engine:
    """One release, asked call by call. A call that fails ends its process and its copy; the next gets fresh
    ones.
    """

    def __init__(self, copies: Copies, truth: Truth, version: str | None, timeout: float | None) -> None:
        self.copies, self.truth, self.version, self.timeout = copies, truth, version, timeout

    def answers(self, one: Expected) -> list[tuple[Call, Answer]]:
        """What every call does on this collection. Where vectors are destroyed, each is asked by itself."""
        left = [call for call in CALLS if call.needs(one)]
        found: list[tuple[Call, Answer]] = []
        while left:
            answered = self.ask(one, left)
            if len(answered) > 1 and any(answer.destroys for _, answer in answered):
                answered = [pair for call, _ in answered for pair in self.ask(one, [call])]
            found += answered
            left = left[len(answered) :]
        return found

    def ask(self, one: Expected, calls: Sequence[Call]) -> list[tuple[Call, Answer]]:
        """The answers up to the first call that failed, at least one; in one process on one copy."""
        parts = [call.operations(one) for call in calls]
        operations = [{**step, "group": n} for n, part in enumerate(parts) for step in part]
        with self.copies.copy() as copy:
            memory = default_memory(copy)
            steps = engine_session(
                copy,
                operations,
                version=self.version,
                arrays=arrays_of(one),
                timeout=self.timeout or 60 + len(one.ids) / 200,
                memory=memory,
                file_size=default_file_size(copy),
                create=True,
            )
            after = holdings_below(copy).get(one.name, Holdings(frozenset(), 0))
            lost = self.truth.holdings[one.name].lost_to(after)
            answered: list[tuple[Call, Answer]] = []
            for call, part in zip(calls, parts, strict=True):
                if steps:
                    verdict = _within(judged(call, one, steps[: len(part)]), copy, memory)
                    answered.append((call, Answer(verdict, lost, steps[: len(part)][-1])))
                steps = steps[len(part) :]
        return answered


def _within(found: Verdict, copy: Path, memory: int) -> Verdict:
    """`found`; but what failed for our own limit says nothing of the store."""
    limit = told_by_limit(copy, memory, found.detail) if found.verdict in ("error", "dies") else None
    return found if limit is None else Verdict("limit", f"{limit}, so what the call does is not known")


def _entries(found: Sequence[tuple[Call, Answer]], causes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per call. Where `count` itself fails, no answer of another call can be relied on."""
    failed = [call.name for call, answer in found if answer.verdict.verdict in ("error", "dies")]
    by_chance = "count" in failed
    entries = [_entry(call, answer.verdict, answer.destroys, causes) for call, answer in found]
    for entry in entries:
        if by_chance and entry["call"] not in failed:
            entry["safe_to_use"] = False
            entry["detail"] += f"; but {' and '.join(failed)} failed on an identical copy, so this is chance"
    return entries


def _entry(call: Call, verdict: Verdict, lost: int, causes: list[dict[str, Any]]) -> dict[str, Any]:
    detail = verdict.detail
    if lost:
        detail += f"; on the copy this call destroyed {lost:,} vectors"
    failed = verdict.verdict in ("error", "wrong", "dies") and call.name in ("peek", "get with embeddings")
    first = [cause for cause in causes if cause["position"] < 10] if call.name == "peek" else causes
    return {
        "call": call.name,
        "code": call.code,
        "verdict": verdict.verdict,
        "reaches": verdict.reaches,
        "of": verdict.of,
        "detail": detail,
        "destroys": lost,
        "because": first if failed else [],
        "safe_to_use": verdict.verdict == "right" and not lost,
    }
