"""What the engine does with a sample: calls in a child on a throw-away copy, compared with what was recorded.

A symptom is a list of cases `{"says", "calls": [{"call", …arguments}], "expect": {…}}`. Each case gets its
own restored copy and its own process, unless it `"continues"` the one before. What is expected concerns the
last call; those before it must succeed, unless they say `"may_fail": true`. In the arguments,
`"documents": "all"` stands for every document that the user believes stored, and `"fresh": n` for n new records.

Expectations: `value` (equal), `length`, `error` (part of the message), `dies` (a signal's name, or true for
any death), `hangs`, `any_of` (a list of these), `vectors_true` (how many vectors are the user's),
`finds_itself` (how many documents find their record first), `elements` (elements of each segment afterwards,
by directory name), `at_least` (bytes that files of a name have afterwards).
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np

from forensics import samples
from forensics.samples import CollectionTruth
from forensics.testing.builder import Engine, EngineDied, EngineHung, EngineRaised, as_json
from forensics.testing.texts import fresh

Json = dict[str, Any]
TIMEOUT = 100.0
EXPECTATIONS = (
    "any_of",
    "value",
    "length",
    "error",
    "dies",
    "hangs",
    "vectors_true",
    "finds_itself",
    "elements",
    "at_least",
)


def case(says: str, call: str, *, collection: str = "terms", **details: Any) -> Json:
    """One case of one call; what is an expectation goes there, the rest are arguments of the call."""
    expect = {key: details.pop(key) for key in EXPECTATIONS if key in details}
    return {"says": says, "calls": [{"call": call, "collection": collection, **details}], "expect": expect}


def together(first: Json, *others: Json) -> list[Json]:
    """Cases that share one copy and one process, in this order."""
    return [first, *({**case, "continues": True} for case in others)]


def works(collection: str, count: int, *, finds_itself: bool = True) -> list[Json]:
    """The cases of a collection that is whole: every call answers, with the user's own vectors."""
    at = {"collection": collection}
    cases = [
        case("count is right", "count", value=count, **at),
        case("every vector comes back", "vectors", vectors_true=count, **at),
        case("peek answers", "peek", limit=10, vectors_true=min(count, 10), **at),
    ]
    if finds_itself:
        says = "every document finds its record"
        cases.append(case(says, "query", documents="all", k=3, finds_itself=count, **at))
    return together(*cases)


def failures(name: str, python: Path | str) -> list[str]:
    """One line for each case of the sample's symptom that the engine does not show; empty when all hold."""
    truth = samples.truth(name)
    found: list[str] = []
    for group in _groups(samples.manifest(name)["symptom"]):
        store = samples.restore(name)
        try:
            with Engine(store, python) as engine:
                for case in group:
                    wrong = _failures(case, store, truth, engine)
                    found += [f"{name}: {case['says']}: {what}" for what in wrong]
        finally:
            shutil.rmtree(store.parent)
    return found


def _groups(cases: list[Json]) -> list[list[Json]]:
    """Cases that share a copy and a process."""
    groups: list[list[Json]] = []
    for case in cases:
        if case.get("continues"):
            groups[-1].append(case)
        else:
            groups.append([case])
    return groups


def _failures(case: Json, store: Path, truth: dict[str, CollectionTruth], engine: Engine) -> list[str]:
    *before, last = case["calls"]
    for call in before:
        outcome = _outcome(engine, call, truth)
        if "value" not in outcome and not call.get("may_fail"):
            return [f"{call['call']} gave {outcome}"]
    outcome = _outcome(engine, last, truth)
    outcome |= {"elements": elements(store), "sizes": _sizes(store)}
    wrong = [key for key, value in case["expect"].items() if not _holds(key, value, outcome, last, truth)]
    return [f"expected {key} {case['expect'][key]!r}, but {_short(outcome)}" for key in wrong]


def _outcome(engine: Engine, call: Json, truth: dict[str, CollectionTruth]) -> Json:
    arguments = {key: value for key, value in call.items() if key not in {"call", "may_fail", "fresh"}}
    if arguments.get("documents") == "all":
        arguments["documents"] = list(truth[call["collection"]].documents)
    if "fresh" in call:
        arguments["records"] = [as_json(record) for record in fresh(call["fresh"])]
    try:
        return {"value": engine.call(call["call"], timeout=TIMEOUT, **arguments)}
    except EngineRaised as raised:
        return {"error": raised.message}
    except EngineDied as died:
        return {"dies": died.how}
    except EngineHung:
        return {"hangs": True}


def _holds(key: str, expected: Any, outcome: Json, call: Json, truth: dict[str, CollectionTruth]) -> bool:
    match key:
        case "error":
            return expected in outcome.get("error", "")
        case "dies":
            return "dies" in outcome and expected in (True, outcome["dies"])
        case "value" | "hangs" | "elements":
            return outcome.get(key) == expected
        case "any_of":
            return any(
                _holds(name, wanted, outcome, call, truth)
                for each in expected
                for name, wanted in each.items()
            )
        case "at_least":
            return all(outcome["sizes"][name] >= size for name, size in expected.items())
        case "length":
            return "value" in outcome and len(outcome["value"]) == expected
        case "vectors_true":
            return "value" in outcome and _true(outcome["value"], truth[call["collection"]]) == expected
        case "finds_itself":
            ids = truth[call["collection"]].ids
            hits = zip(ids, outcome.get("value", []), strict=False)
            return sum(answer[:1] == [id] for id, answer in hits) == expected
        case _:
            raise ValueError(f"unknown expectation {key!r}")


def _true(answer: Json, truth: CollectionTruth) -> int:
    """How many of the returned (id, vector) pairs are the user's, to two float32 steps; those in doubt are
    passed over. -1 if ids and vectors are not of one length, or an id was never written."""
    if len(answer["ids"]) != len(answer["vectors"]):
        return -1
    rows = {id: row for row, id in enumerate(truth.ids)}
    pairs = dict(zip(answer["ids"], answer["vectors"], strict=True))
    if not pairs.keys() <= rows.keys() | set(truth.in_doubt):
        return -1
    known = [id for id in pairs if id in rows]
    shape = len(known), truth.vectors.shape[1]
    given = np.array([pairs[id] for id in known], dtype=np.float32).reshape(shape)
    expected = truth.vectors[np.array([rows[id] for id in known], dtype=np.int64)]
    return int(np.isclose(given, expected, rtol=3e-7, atol=3e-7).all(axis=1).sum())


def elements(store: Path) -> dict[str, int]:
    """cur_element_count of each header.bin, by directory name."""
    headers = sorted(store.glob("*/header.bin"))
    return {path.parent.name: struct.unpack_from("<Q", path.read_bytes(), 20)[0] for path in headers}


def _sizes(store: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in store.rglob("*") if path.is_file()}


def _short(outcome: Json) -> str:
    text = repr(outcome)
    return text if len(text) < 400 else f"{text[:400]} …"
