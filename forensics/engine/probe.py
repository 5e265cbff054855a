"""The calls that users make, and what each answer is worth against the truth that our own readers know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from forensics.engine.steps import Step
from forensics.engine.truth import Expected
from forensics.engine.verify import differing, same_vectors

Word = Literal["right", "incomplete", "wrong", "error", "dies", "limit"]
MOST_RESULTS = 20_000
"""Results or embeddings asked for in one call."""
SAMPLE = 100
"""Records that are searched by their own vector."""
TOLERATED = 0.005
"""Share of reachable records that a search for all may leave out: a healthy graph of many elements does, too.
"""
LARGE = 2000
"""From this many records on, a filter that lets few through may also leave out one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one call did: right · incomplete (reaches x of y) · wrong · error · dies · limit (ours, so nothing is known)."""

    verdict: Word
    detail: str = ""
    reaches: int | None = None
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call as a user makes it: its operations on a collection, and the judge of their steps."""

    name: str
    code: str
    operations: Callable[[Expected], list[dict[str, Any]]]
    judge: Callable[[Expected, Sequence[Step]], Verdict]
    needs: Callable[[Expected], bool] = field(default=lambda one: True)


def judged(call: Call, one: Expected, steps: Sequence[Step]) -> Verdict:
    """The verdict on the steps of one call; an error of any of them is its verdict, and a death comes before
    errors.
    """
    failed = [
        (_label(step, operation), step) for step, operation in zip(steps, call.operations(one), strict=False)
    ]
    failed = [(label, step) for label, step in failed if not step.ok]
    if not failed:
        return call.judge(one, steps)
    fatal = any(step.died is not None or (step.error or ("",))[0] == "PanicException" for _, step in failed)
    return Verdict("dies" if fatal else "error", "; ".join(label + step.text for label, step in failed))


def _label(step: Step, operation: dict[str, Any]) -> str:
    return f"k={operation['k']}: " if "k" in operation else ""


def arrays_of(one: Expected) -> dict[str, np.ndarray]:
    """The files of vectors that the operations name: one to search with, and the sample."""
    known = np.flatnonzero(one.known)
    if known.size == 0:
        sample = np.ones((1, one.dimension or 1), dtype=np.float32)
    else:
        sample = one.vectors[known[_spread(known.size)]]
    return {file_of(one, "one"): sample[:1], file_of(one, "sample"): sample}


def file_of(one: Expected, which: str) -> str:
    """A file name for vectors of that collection; names of collections may hold anything, so their bytes in
    hex.
    """
    return f"{one.name.encode('utf-8', 'surrogateescape').hex()[:120]}-{which}.npy"


def sampled_ids(one: Expected) -> list[str]:
    """The ids of the rows in the sample, in its order."""
    known = np.flatnonzero(one.known)
    chosen = known[_spread(known.size)] if known.size else known
    return [one.ids[row] for row in one.rows[chosen].tolist()]


def _spread(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).round().astype(np.int64))


# --- the judges ---


def _count(one: Expected, steps: Sequence[Step]) -> Verdict:
    value, wanted = steps[0].value, len(one.ids)
    if value == wanted:
        return Verdict("right", f"{value} records")
    return Verdict("wrong", f"says {value}; SQLite holds {wanted}", value, wanted)


def _get(one: Expected, steps: Sequence[Step]) -> Verdict:
    return _id_verdict(steps[0].ids or [], one.ids)


def _id_verdict(got: Sequence[str], wanted: Sequence[str]) -> Verdict:
    extra, lacking = set(got) - set(wanted), set(wanted) - set(got)
    reached = len(wanted) - len(lacking)
    if extra or len(got) != len(set(got)):
        return Verdict("wrong", f"returns {len(extra)} ids that have no record", reached, len(wanted))
    if lacking:
        return Verdict("incomplete", f"reaches {reached:,} of {len(wanted):,}", reached, len(wanted))
    return Verdict("right", f"all {len(wanted):,} records", reached, len(wanted))


def _embeddings(one: Expected, steps: Sequence[Step]) -> Verdict:
    """Every record with its own vector, and no vector for a record that has none."""
    return _paired(one, steps[0], min(len(one.ids), MOST_RESULTS))


def _peek(one: Expected, steps: Sequence[Step]) -> Verdict:
    return _paired(one, steps[0], min(len(one.ids), 10))


def _paired(one: Expected, step: Step, wanted: int) -> Verdict:
    given = 0 if step.embeddings is None else len(step.embeddings)
    got = step.ids or []
    if len(got) != given:
        return Verdict("wrong", f"{len(got)} ids and {given} embeddings, not paired", given, wanted)
    among = np.flatnonzero(one.known & np.isin(one.rows, _positions(one, got)))
    ids = [one.ids[row] for row in one.rows[among].tolist()]
    wrong = differing(step, ids, one.vectors[among], one.space)
    if wrong:
        return Verdict(
            "wrong", f"{wrong} of {len(ids)} vectors are not those on disk", len(ids) - wrong, wanted
        )
    if len(got) < wanted:
        return Verdict("incomplete", f"reaches {len(got):,} of {wanted:,}", len(got), wanted)
    return Verdict("right", f"{len(got):,} records, each with its vector", len(got), wanted)


def _positions(one: Expected, ids: Sequence[str]) -> np.ndarray:
    wanted = set(ids)
    return np.array([row for row, name in enumerate(one.ids) if name in wanted], dtype=np.int64)


def _query(one: Expected, steps: Sequence[Step]) -> Verdict:
    """A search for all reaches all, and each record of the sample is found by its own vector."""
    found, steps = _self_hits(one, steps[0]), steps[1:]
    if len(one.ids) > MOST_RESULTS:
        reach = Verdict(
            "right" if one.reachable == len(one.ids) else "incomplete", "", one.reachable, len(one.ids)
        )
    else:
        reach = _id_verdict((steps[0].ids or [[]])[0], one.ids)
    searched = f"{found[0]} of {found[1]} sampled records find themselves"
    reach = _as_a_healthy_graph(one, reach)
    if reach.verdict == "right" and found[0] < 0.9 * found[1] and one.space != "ip":
        return Verdict("wrong", searched, reach.reaches, reach.of)
    detail = reach.detail or f"reaches {reach.reaches:,} of {reach.of:,}"
    return Verdict(reach.verdict, f"{detail}; {searched}" if found[1] else detail, reach.reaches, reach.of)


def _as_a_healthy_graph(one: Expected, found: Verdict) -> Verdict:
    """`found`, or right where the index holds everything and no more is left out than a healthy graph leaves
    out.
    """
    lacking = (found.of or 0) - (found.reaches or 0)
    spared = TOLERATED * (found.of or 0) + (len(one.ids) >= LARGE)
    if found.verdict != "incomplete" or one.reachable != len(one.ids) or lacking > spared:
        return found
    return Verdict("right", f"{found.detail}, as a healthy graph may", found.reaches, found.of)


def _self_hits(one: Expected, step: Step) -> tuple[int, int]:
    """(found, asked) of the sample; an identical vector that comes first counts as well."""
    ids = sampled_ids(one)
    held = {name: row for row, name in enumerate(one.ids[row] for row in one.rows.tolist())}
    hits = 0
    for name, results in zip(ids, step.ids or [], strict=False):
        twins = np.array([held[other] for other in results if other in held], dtype=np.int64)
        own = one.vectors[[held[name]]]
        same = (
            twins.size > 0
            and same_vectors(one.vectors[twins], np.repeat(own, len(twins), 0), one.space).any()
        )
        hits += name in results or bool(same)
    return hits, len(ids)


def _filtered(one: Expected, steps: Sequence[Step]) -> Verdict:
    assert one.filter is not None
    wanted = sorted(one.filter.ids)
    found = _as_a_healthy_graph(one, _id_verdict((steps[0].ids or [[]])[0], wanted))
    return Verdict(found.verdict, f"{dict(one.filter.where)}: {found.detail}", found.reaches, found.of)


# --- the calls ---


def _ask_query(one: Expected) -> list[dict[str, Any]]:
    """The ten nearest of each of the sample, and all records (of a large collection, ten) nearest to one
    vector.
    """
    everything = len(one.ids) if len(one.ids) <= MOST_RESULTS else 10
    return [
        {"op": "query", "vectors": file_of(one, "sample"), "k": min(10, len(one.ids)), **one.address},
        {"op": "query", "vectors": file_of(one, "one"), "k": everything, **one.address},
    ]


def _ask_filtered(one: Expected) -> list[dict[str, Any]]:
    assert one.filter is not None
    asked = {"vectors": file_of(one, "one"), "k": len(one.filter.ids), "where": dict(one.filter.where)}
    return [{"op": "query", **asked, **one.address}]


def _ask_embeddings(one: Expected) -> list[dict[str, Any]]:
    limit = {"limit": MOST_RESULTS} if len(one.ids) > MOST_RESULTS else {}
    return [{"op": "get", "include": ["embeddings"], **limit, **one.address}]


def _searchable(one: Expected) -> bool:
    return bool(one.ids) and one.dimension is not None


CALLS: tuple[Call, ...] = (
    Call("count", "count()", lambda one: [{"op": "count", **one.address}], _count),
    Call("get", "get()", lambda one: [{"op": "get", **one.address}], _get),
    Call("get with embeddings", 'get(include=["embeddings"])', _ask_embeddings, _embeddings),
    Call("peek", "peek()", lambda one: [{"op": "peek", **one.address}], _peek),
    Call("query", "query(query_embeddings=…)", _ask_query, _query, _searchable),
    Call(
        "filtered query",
        "query(query_embeddings=…, where=…)",
        _ask_filtered,
        _filtered,
        lambda one: _searchable(one) and one.filter is not None and len(one.filter.ids) <= MOST_RESULTS,
    ),
)
