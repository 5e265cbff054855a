"""The engine's own word on a repaired store: asked in a child, on a throw-away copy, against what our readers
see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forensics.engine.limits import default_file_size, default_memory
from forensics.engine.steps import Step, engine_session
from forensics.engine.truth import Expected
from forensics.model import Test

PAGE = 2000
"""Records whose embeddings are asked for in one call."""
FINDABLE = 0.9
"""Share of new random vectors that must find themselves. A sound hnswlib graph leaves a few that no search reaches, more of
them far from all others; where writes vanish, or the graph is broken, it is nearly none.
"""
MOST_WRITES = 20_000
SEED = 20240501


@dataclass(frozen=True, slots=True)
class Asked:
    """The engine behind one store copy, of one release, with its limits."""

    store: Path
    version: str | None
    timeout: float
    memory: int
    file_size: int

    def steps(
        self, operations: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray] | None = None
    ) -> list[Step]:
        return engine_session(
            self.store,
            operations,
            version=self.version,
            arrays=arrays,
            timeout=self.timeout,
            memory=self.memory,
            file_size=self.file_size,
        )


def verify_with_engine(
    store_copy: Path,
    expected: Mapping[str, Expected],
    version: str | None = None,
    *,
    timeout: float = 900.0,
    memory: int | None = None,
) -> list[Test]:
    """Whether chromadb `version` (None: the installed one) shows every collection of `expected`, writes and
    reopens.

    `store_copy` is thrown away by the caller: it is written to. Per collection one process asks for the count, every
    id, the embeddings (bit for bit; for cosine to one step of float32) and a filter, writes past a flush and is
    killed; the next one looks whether an id is missing.
    """
    room = memory or default_memory(store_copy)
    asked = Asked(store_copy, version, timeout, room, default_file_size(store_copy))
    collections = list(expected.values())
    reading = [_reading(one) for one in collections]
    writing = _writing(collections)
    steps = asked.steps([*(op for part in reading for op in part), *writing.operations], writing.arrays)
    tests: list[Test] = []
    for one, part in zip(collections, reading, strict=True):
        tests += _reads(one, steps[: len(part)])
        steps = steps[len(part) :]
    return tests + _written(collections, writing, steps)


# --- reading ---


def _reading(one: Expected) -> list[dict[str, Any]]:
    at = one.address
    operations: list[dict[str, Any]] = [{"op": "count", **at}, {"op": "get", **at}, {"op": "peek", **at}]
    operations += [{"op": "get", "ids": ids, "include": ["embeddings"], **at} for ids, _, _ in _pages(one)]
    if one.filter is not None:
        operations.append({"op": "get", "where": dict(one.filter.where), **at})
    return operations


def _reads(one: Expected, steps: Sequence[Step]) -> Iterator[Test]:
    count, ids, peek, *rest = steps
    pages = _pages(one)
    yield _test(
        one, "count", count, count.value == len(one.ids), f"{count.value} of {len(one.ids)}", len(one.ids)
    )
    yield _test(
        one, "every id", ids, _same_ids(ids.ids, one.ids), _id_difference(ids.ids, one.ids), len(one.ids)
    )
    yield _peek(one, peek)
    yield _embeddings(one, rest[: len(pages)], pages)
    if one.filter is not None:
        passed = rest[-1].ids is not None and frozenset(rest[-1].ids) == one.filter.ids
        detail = f"{dict(one.filter.where)} lets {len(rest[-1].ids or [])} of {len(one.filter.ids)} through"
        yield _test(one, "a filter", rest[-1], passed, detail, len(one.filter.ids))


def _pages(one: Expected) -> list[tuple[list[str], np.ndarray, np.ndarray]]:
    """(ids, vectors, positions in `rows`) of the records with a vector, in pages."""
    known = np.flatnonzero(one.known)
    parts = (known[start : start + PAGE] for start in range(0, len(known), PAGE))
    return [([one.ids[row] for row in one.rows[part].tolist()], one.vectors[part], part) for part in parts]


def _peek(one: Expected, step: Step) -> Test:
    wanted = min(10, len(one.ids))
    given = 0 if step.embeddings is None else len(step.embeddings)
    detail = f"{given} embeddings of {wanted}"
    lost = not bool(one.known[:wanted].all())
    return _test(one, "peek", step, lost or given == wanted, detail, wanted, excused=lost)


def _embeddings(
    one: Expected, steps: Sequence[Step], pages: Sequence[tuple[list[str], np.ndarray, np.ndarray]]
) -> Test:
    name = "embeddings" if one.chosen else "every embedding"
    failed = next((step for step in steps if not step.ok), None)
    if failed is not None:
        return _test(one, name, failed, False, "", int(one.known.sum()))
    wrong = sum(
        differing(step, ids, vectors, one.space) for step, (ids, vectors, _) in zip(steps, pages, strict=True)
    )
    total = int(one.known.sum())
    detail = f"{total - wrong} of {total} equal {'to one step of float32' if one.space == 'cosine' else 'bit for bit'}"
    if len(one.rows) > total:
        detail += f"; {len(one.rows) - total} have none to compare"
    if one.chosen:
        detail += f"; asked: {one.chosen}; the rest by our own checks of the files alone"
    return Test(name=f"engine: {one.name}: {name}", passed=wrong == 0, detail=detail, count=total)


def differing(step: Step, ids: Sequence[str], vectors: np.ndarray, space: str) -> int:
    """How many of `vectors` (k, dim), belonging to `ids`, the engine did not return as they are."""
    if step.ids is None or step.embeddings is None or len(step.ids) != len(step.embeddings):
        return len(ids)
    place = {name: row for row, name in enumerate(step.ids)}
    rows = np.fromiter((place.get(name, -1) for name in ids), dtype=np.int64, count=len(ids))
    if step.embeddings.ndim != 2 or step.embeddings.shape[1] != vectors.shape[1]:
        return len(ids)
    return int((~same_vectors(step.embeddings[rows], vectors, space) | (rows < 0)).sum())


def same_vectors(left: np.ndarray, right: np.ndarray, space: str) -> np.ndarray:
    """(n,) bool: equal bit for bit (a zero's sign aside); for cosine within 2e-6 of the norm, as normalising
    rounds.
    """
    equal = ((left == right) | (np.isnan(left) & np.isnan(right))).all(axis=1)
    if space != "cosine":
        return equal
    norms = np.maximum(np.linalg.norm(right.astype(np.float64), axis=1), 1e-30)
    away = np.linalg.norm(left.astype(np.float64) - right.astype(np.float64), axis=1)
    return equal | (away <= 2e-6 * norms)


# --- writing ---


@dataclass(frozen=True, slots=True)
class Writing:
    """One process adds to every collection past a flush and is killed; the next one looks what is there."""

    fresh: Sequence[tuple[list[str], np.ndarray]]
    operations: Sequence[Mapping[str, Any]]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The files that the operations name."""
        return {f"{number}.npy": vectors for number, (_, vectors) in enumerate(self.fresh)}


def _writing(collections: Sequence[Expected]) -> Writing:
    fresh = [fresh_records(one, number) for number, one in enumerate(collections)]
    adds: list[dict[str, Any]] = []
    looks: list[dict[str, Any]] = []
    for number, (one, (ids, _)) in enumerate(zip(collections, fresh, strict=True)):
        at, file = one.address, f"{number}.npy"
        adds.append({"op": "add", "ids": ids, "vectors": file, **at})
        looks += [{"op": "count", **at}, {"op": "get", **at}]
        looks += [{"op": "get", "ids": ids[:PAGE], "include": ["embeddings"], **at}]
        looks += [{"op": "query", "vectors": file, "k": 1, **at}]
    return Writing(fresh, [*adds, {"op": "kill"}, *looks])


def _written(collections: Sequence[Expected], writing: Writing, steps: Sequence[Step]) -> list[Test]:
    written, seen = steps[: len(collections)], steps[len(collections) + 1 :]
    tests: list[Test] = []
    for number, (one, (ids, vectors)) in enumerate(zip(collections, writing.fresh, strict=True)):
        tests += _writes(one, ids, vectors, written[number], seen[4 * number : 4 * number + 4])
    return tests


def _writes(
    one: Expected, added: list[str], vectors: np.ndarray, write: Step, after: Sequence[Step]
) -> Iterator[Test]:
    """Everything that was there before and all that was added is there."""
    count, ids, embeddings, query = after
    total, asked = len(one.ids) + len(added), min(len(added), PAGE)
    reached = "past a flush" if len(added) >= one.sync_threshold else "short of a flush"
    yield _test(
        one, f"{len(added)} writes {reached}", write, True, f"sync_threshold {one.sync_threshold}", len(added)
    )
    yield _test(
        one, "count after SIGKILL and reopen", count, count.value == total, f"{count.value} of {total}", total
    )
    wanted = [*one.ids, *added]
    complete, difference = _same_ids(ids.ids, wanted), _id_difference(ids.ids, wanted)
    yield _test(one, "no id missing after reopen", ids, complete, difference, total)
    wrong = differing(embeddings, added[:PAGE], vectors[:PAGE], one.space)
    yield _test(
        one,
        "new vectors after reopen",
        embeddings,
        wrong == 0,
        f"{asked - wrong} of {asked} come back",
        asked,
    )
    found = sum(row == [name] for row, name in zip(query.ids or [], added, strict=False))
    enough = found >= FINDABLE * len(added) or one.space == "ip"
    yield _test(
        one, "new records are found", query, enough, f"{found} of {len(added)} find themselves", len(added)
    )


def fresh_records(one: Expected, number: int) -> tuple[list[str], np.ndarray]:
    """New ids and random unit vectors, as many as force a flush (at most 20,000)."""
    count = min(one.sync_threshold + 2 * one.batch_size, MOST_WRITES)
    generator = np.random.default_rng(SEED + number)
    vectors = generator.normal(size=(count, one.dimension or 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    taken = set(one.ids)
    names = (f"forensics-verification-{number}-{n}" for n in range(count + len(taken)))
    return [name for name in names if name not in taken][:count], vectors


def _test(
    one: Expected, name: str, step: Step, passed: bool, detail: str, count: int, *, excused: bool = False
) -> Test:
    """A line of the verdict. `excused`: the step may raise, as what it asks for is known to be lost."""
    ok = (step.ok and passed) or (excused and step.died is None)
    return Test(
        name=f"engine: {one.name}: {name}", passed=ok, detail=detail if step.ok else step.text, count=count
    )


def _same_ids(got: Sequence[str] | None, wanted: Sequence[str]) -> bool:
    """Each id as often as it should be; mostly they come in the same order already."""
    return got is not None and (list(got) == list(wanted) or sorted(got) == sorted(wanted))


def _id_difference(got: Sequence[str] | None, wanted: Sequence[str]) -> str:
    if got == list(wanted):
        return "0 missing, 0 too many"
    lacking, extra = set(wanted) - set(got or ()), set(got or ()) - set(wanted)
    examples = [*sorted(lacking)[:3], *sorted(extra)[:3]]
    return f"{len(lacking)} missing, {len(extra)} too many" + (f": {', '.join(examples)}" if examples else "")
