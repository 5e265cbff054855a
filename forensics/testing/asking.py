"""What releases really answer to the eight calls that are foretold, each on a fresh copy, and what that cost the copy.

Answers are plain dicts, so that they can be kept in a file and compared again when only the model has changed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from forensics.copying import copy_store
from forensics.engine.child import HERE, run_child, signal_name
from forensics.engine.limits import default_file_size
from forensics.engine.probe import arrays_of, file_of
from forensics.engine.steps import engine_python
from forensics.engine.truth import Expected, expected_of
from forensics.engine.verify import fresh_records
from forensics.foretell.calls import CALLS
from forensics.foretell.holding import held_vectors, lost_vectors
from forensics.store import open_store

TIMEOUT = 25.0
MEMORY = 8 << 30
Operations = list[dict[str, Any]]


@dataclass(slots=True)
class Ask:
    """One call on one collection on its own copy: the operations of one process, or of two."""

    collection: str
    call: str
    store: Path
    processes: list[Operations]
    folder: Path
    arrays: Mapping[str, np.ndarray] = field(repr=False)


def engine_answers(store: Path, release: str, calls: Sequence[str] = CALLS) -> list[dict[str, Any]]:
    """One dict per collection and call: {"collection", "call", "processes": [[step, …], …], "lost"}.

    A step is {"op", "ok", "error", "died", "value", "ids", "embeddings"}; `lost` counts the vectors that were in the
    store and are nowhere in the copy any more. The store itself is only read.
    """
    return answers_of([store], release, calls)[0]


def answers_of(
    stores: Sequence[Path], release: str, calls: Sequence[str] = CALLS
) -> list[list[dict[str, Any]]]:
    """The same of several stores, from one interpreter of the release: to start it costs more than to ask."""
    with tempfile.TemporaryDirectory(prefix="forensics-asking-") as scratch:
        folders = [Path(scratch) / str(number) for number in range(len(stores))]
        asks = [list(_asks(store, folder, calls)) for store, folder in zip(stores, folders, strict=True)]
        _do([ask for some in asks for ask in some], release, max(map(default_file_size, stores)))
        return [_answers(store, some) for store, some in zip(stores, asks, strict=True)]


def _answers(store: Path, asks: Sequence[Ask]) -> list[dict[str, Any]]:
    before = held_vectors(store)
    return [_answer(ask, before) for ask in asks]


def _asks(store: Path, scratch: Path, calls: Sequence[str]) -> Iterator[Ask]:
    with open_store(store) as opened:
        expected = expected_of(opened)
    for one in expected.values():
        for call in calls:
            processes = _operations(one, call)
            if processes:
                folder = scratch / f"{one.name}-{call}".replace("/", "_")
                folder.mkdir(parents=True)
                copy_store(store, folder / "copy")
                vectors = fresh_records(one, 0)[1]
                arrays = {**arrays_of(one), "fresh.npy": vectors, "first.npy": vectors[:1]}
                yield Ask(one.name, call, folder / "copy", processes, folder, arrays)


def _operations(one: Expected, call: str) -> list[Operations]:
    at = one.address
    nearest = {"op": "query", "vectors": file_of(one, "one"), **at}
    simple: dict[str, Operations] = {
        "open": [{"op": "open"}],
        "count": [{"op": "count", **at}],
        "get": [{"op": "get", **at}],
        "get with embeddings": [{"op": "get", "include": ["embeddings"], **at}],
        "peek": [{"op": "peek", **at}],
        "query": [{**nearest, "k": max(1, len(one.ids))}],
    }
    if call == "filtered query":
        chosen = one.filter
        if chosen is None or not chosen.ids:
            return []
        return [[{**nearest, "k": len(chosen.ids), "where": dict(chosen.where)}]]
    if call != "add and reopen":
        return [simple[call]]
    ids, _ = fresh_records(one, 0)
    add = {"op": "add", "ids": ids, "vectors": "fresh.npy", "step": len(ids), **at}
    first = {"op": "query", "vectors": "first.npy", "k": len(one.ids) + len(ids), **at}
    look = [{"op": "count", **at}, {"op": "get", **at}, {"op": "get", "include": ["embeddings"], **at}, first]
    return [[add], look]


def _do(asks: Sequence[Ask], release: str, file_size: int) -> None:
    """Every process of every ask, the first ones first, all forked from one interpreter of that release."""
    parts = [(ask, number) for number in (0, 1) for ask in asks if len(ask.processes) > number]
    told = [_prepared(ask, number) for ask, number in parts]
    request = {"session": str(HERE / "session.py"), "asks": told, "timeout": TIMEOUT}
    found = run_child(
        "forensics.engine.forked",
        request,
        timeout=60 + TIMEOUT * len(told),
        memory=MEMORY,
        file_size=file_size,
        python=engine_python(release),
    )
    for (ask, number), end in zip(parts, found["ends"], strict=True):
        (ask.folder / str(number) / "end.json").write_text(json.dumps(end), encoding="utf-8")


def _prepared(ask: Ask, number: int) -> dict[str, Any]:
    """The request of one process, with the arrays that it names in its folder."""
    folder = ask.folder / str(number)
    folder.mkdir()
    for name, array in ask.arrays.items():
        np.save(folder / name, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
    return {"store": str(ask.store), "operations": ask.processes[number], "first": 0, "folder": str(folder)}


def _answer(ask: Ask, before: Mapping[str, np.ndarray]) -> dict[str, Any]:
    parts = [_steps(ask.folder / str(number), part) for number, part in enumerate(ask.processes)]
    lost = lost_vectors(before, held_vectors(ask.store, everything=True))
    shutil.rmtree(ask.store)
    return {"collection": ask.collection, "call": ask.call, "processes": parts, "lost": lost}


def _steps(folder: Path, operations: Operations) -> list[dict[str, Any]]:
    """The steps of one process: all of them, or those up to the one that it died over."""
    path = folder / "steps.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    steps = [_step(folder, line, operations) for line in lines if "end" in line]
    if len(steps) < len(operations):
        end = json.loads((folder / "end.json").read_text(encoding="utf-8"))
        steps.append({"op": operations[len(steps)]["op"], "ok": False, "died": _death(end)})
    return steps


def _step(folder: Path, line: dict[str, Any], operations: Operations) -> dict[str, Any]:
    number = line["end"]
    ids, rows = folder / f"{number}-ids.json", folder / f"{number}-embeddings.npy"
    return {
        "op": operations[number]["op"],
        "ok": line["ok"],
        "error": line.get("error"),
        "value": line.get("value"),
        "ids": json.loads(ids.read_text(encoding="utf-8")) if ids.exists() else None,
        "embeddings": list(np.load(rows).shape) if rows.exists() else None,
    }


def _death(end: int | None) -> str:
    if end is None:
        return "hangs"
    return signal_name(-end) if end < 0 else f"status {end}"
