"""What must hold of a repair: every vector that was on disk is back, ids are equal, the graph is as good as a fresh one,
bystanders are unchanged by hash, nothing is left lying about, a second look is silent, undo gives back each byte, and the
store's own release lives on with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import forensics as fx
from forensics.errors import ForensicsError
from forensics.seal import compare, describe, seal
from forensics.testing.embedder import embed
from forensics.testing.living_on import Truth, lives_on
from forensics.testing.natural_corpus import interpreter
from forensics.testing.outcome_bases import BYSTANDER, STRUCK, Base
from forensics.testing.outcome_checks import (
    left_to_a_person,
    names_in,
    recall_of,
    same_graph,
    sentences,
    silence,
    some,
    undone,
)
from forensics.testing.outcome_facts import (
    ONE_STEP,
    Rows,
    back,
    collection_hash,
    copied,
    mapped,
    norms_of,
    queued,
    rows_of,
    segments_now,
    set_aside,
)

BY_ITSELF = "did not pass its verification"
"""A plan that its own verification refuses promised too much."""


@dataclass(frozen=True, slots=True)
class Before:
    """The struck store and what is known of it.

    `still`: ids whose vector is on its disk. `rows`: what SQLite shows of it, None where it does not. `named`: the ids of
    its id map and its queue. `older`: the whole store, as a backup of its user would be. `beside`, `was_beside`: the hash
    of the bystander after and before the damage.
    """

    base: Base
    struck: Path
    older: Path
    truth: Truth
    healthy: Rows
    segments: Mapping[str, Mapping[str, str]]
    rows: Rows | None
    still: set[str]
    named: set[str]
    beside: str | None
    was_beside: str | None

    @classmethod
    def of(cls, base: Base, ground: Any, struck: Path) -> Before:
        """Of the base that `ground` knows, after a damage."""
        beside = ground.segments[BYSTANDER]
        return cls(
            base=base,
            struck=struck,
            older=base.store,
            truth=base.truth[STRUCK],
            healthy=ground.rows,
            segments=ground.segments,
            rows=rows_of(struck, ground.segments[STRUCK]),
            still=ground.held.still(struck),
            named={*mapped(struck, ground.segments[STRUCK]), *queued(struck)},
            beside=collection_hash(struck, beside),
            was_beside=collection_hash(base.store, beside),
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """What one repair came to. `left`: codes above a note that stay; `failed`: what does not hold."""

    codes: tuple[str, ...]
    left: tuple[str, ...]
    refused: str = ""
    applied: bool = False
    lost: int = 0
    norms: int = 0
    back: int = 0
    recall: str = ""
    failed: list[str] = field(default_factory=list[str])

    @property
    def outcome(self) -> str:
        if self.failed:
            return "FAILED"
        if self.left or (self.refused and not self.applied):
            return "in part" if self.applied else "refused"
        if not self.applied:
            return "nothing to repair"
        norms = f"healed, {self.norms} norms lost as listed" if self.norms else "healed"
        return f"healed, {self.lost} lost as listed" if self.lost else norms

    @property
    def line(self) -> dict[str, Any]:
        told = {
            "outcome": self.outcome,
            "left": self.left,
            "back": self.back,
            "lost": self.lost,
            "norms": self.norms,
        }
        return told | {"refused": self.refused, "recall": self.recall}


def proof(before: Before, store: Path, case: Path, plan: fx.Plan, *, deep: bool, embedder: bool) -> Proof:
    """The plan of the case, carried out, and everything that must hold afterwards."""
    sealed, around = seal(store), names_in(store.parent)
    sentence = "; ".join(sentences(plan) or left_to_a_person(case, plan))
    try:
        result = fx.apply(case, yes=True, nobody_else=True)
    except ForensicsError as error:
        same = describe(compare(sealed, seal(store)))
        failed = [f"refused, and the store is changed: {same}"] if same else []
        failed += [str(error)] if BY_ITSELF in str(error) else []
        return Proof(plan.findings, plan.remaining or plan.findings, refused=str(error), failed=failed)
    if not result["applied"]:
        same = describe(compare(sealed, seal(store)))
        got = back(store, before.truth, before.segments[STRUCK])
        failed = [f"nothing applied, and the store is changed: {same}"] if same else []
        if not plan.remaining:
            failed += _lives(before, store, STRUCK)
        return Proof(
            plan.findings,
            plan.remaining,
            sentence,
            back=len(got & before.still & wanted(before)),
            failed=failed,
        )
    got = back(store, before.truth, before.segments[STRUCK])
    index = before.segments[STRUCK]["VECTOR"]
    same = same_graph(before.base.store / index, store / index) or same_graph(
        before.struck / index, store / index
    )
    recall, failed = ("", []) if same else recall_of(store / index, before.truth.space)
    if "CF608" in plan.remaining:  # which says that searches miss neighbours
        failed.clear()
    failed += [] if result["verified"] else ["not verified"]
    failed += silence(store, plan, deep=deep, embedder=embedder)
    failed += [*_ids_and_texts(before, store, case, plan), *_vectors(before, plan, got, set_aside(case))]
    failed += [*_beside(before, store, plan), *_litter(before, store)]
    if not plan.remaining and not failed:
        failed += _lives(before, store, STRUCK, _of_norm_one(before, store, plan))
    failed += undone(store, case, sealed, around)
    lost, norms = _lost(before, store, got), len(_of_norm_one(before, store, plan))
    here = len(got & before.still & wanted(before))
    return Proof(plan.findings, plan.remaining, sentence, True, lost, norms, here, recall, failed)


def wanted(before: Before) -> set[str]:
    """The ids that must be there: those that SQLite still shows; all, where it shows nothing or does not hold together."""
    rows = before.healthy if before.rows is None else before.rows
    return {name for name in before.healthy if name in rows} if before.rows is not None else set(rows)


def _lost(before: Before, store: Path, got: set[str]) -> int:
    """How many records are gone or have not the vector that they had; not those that the damage gave another text."""
    rows = rows_of(store, segments_now(store, before.segments[STRUCK])) or {}
    texts = before.truth.documents
    other = {id for id, (_, document, _) in rows.items() if document and document != texts.get(id)}
    return len(wanted(before) - (got & rows.keys()) - other)


def _listed(plan: fx.Plan) -> float:
    """How many records the plan lists as lost; any number, where pages are destroyed and nothing tells how many."""
    counts = [loss["count"] for loss in plan.losses]
    return float("inf") if None in counts else sum(int(str(count)) for count in counts)


def _ids_and_texts(before: Before, store: Path, case: Path, plan: fx.Plan) -> Iterator[str]:
    """Ids are those that SQLite had; each document and each metadata is the one from before the damage, or what it left."""
    now = rows_of(store, segments_now(store, before.segments[STRUCK]))
    if now is None:
        yield "SQLite does not give the rows of the repaired store"
        return
    gone = wanted(before) - now.keys() - set_aside(case)
    if gone & before.named or (before.rows is not None and len(gone) > _listed(plan)):
        yield f"{len(gone)} ids are gone and not listed as lost: {some(gone)}"
    new = now.keys() - before.healthy.keys() - (before.rows or {}).keys()
    if new := {name for name in new if name not in queued(before.struck)}:
        yield f"{len(new)} ids from nowhere: {some(new)}"
    unknown = before.rows is None and _listed(plan) > 0
    for part, name in ((1, "documents"), (2, "metadata")):
        if other := {
            id for id in now.keys() & before.healthy.keys() if not _known(before, now, id, part, unknown)
        }:
            yield f"{len(other)} {name} are neither the old ones nor those that were left: {some(other)}"


def _known(before: Before, now: Rows, id: str, part: int, unknown: bool) -> bool:
    """That of before the damage, or after it; where pages are destroyed and the plan says so, also less of it."""
    here = now[id][part]
    known = [rows[id][part] for rows in (before.healthy, before.rows) if rows is not None and id in rows]
    if here in known or not unknown:
        return here in known
    return here is None or (isinstance(here, dict) and here.items() <= before.healthy[id][2].items())


def _vectors(before: Before, plan: fx.Plan, got: set[str], aside: set[str]) -> Iterator[str]:
    """Every vector that was on the disk is back, or listed; with an embedder there is no excuse."""
    missed = (before.still & wanted(before)) - got - aside
    if missed and plan.options.get("embedder"):
        yield f"{len(missed)} vectors are on the disk and not back, with an embedder: {some(missed)}"
    elif missed and len(missed) > _listed(plan):
        yield f"{len(missed)} vectors are on the disk, not back, and {_listed(plan)} listed as lost: {some(missed)}"


def _beside(before: Before, store: Path, plan: fx.Plan) -> Iterator[str]:
    """The other collection is what it was before the repair; where the damage struck it, that or whole again."""
    now = collection_hash(store, before.segments[BYSTANDER])
    if now in (before.beside, before.was_beside) and now is not None:
        return
    if before.beside == before.was_beside:
        yield "the bystander collection is changed"
    elif not plan.remaining:
        yield from _lives(before, store, BYSTANDER)


def _litter(before: Before, store: Path) -> Iterator[str]:
    """In the store is nothing that was not there, but for files that a segment must have."""
    had = {path.relative_to(before.struck).as_posix() for path in before.struck.rglob("*")}
    now = {path.relative_to(store).as_posix() for path in store.rglob("*")}
    whole = {path.relative_to(before.base.store).as_posix() for path in before.base.store.rglob("*")}
    if new := now - had - whole:
        yield f"litter in the store: {', '.join(sorted(new)[:3])}"


def _of_norm_one(before: Before, store: Path, plan: fx.Plan) -> set[str]:
    """The ids of a cosine index whose norm the plan calls lost: their vectors have the length 1 that it then gives them."""
    lossy = any(action.kind == "restore-lengths" and action.safety == "lossy" for action in plan.approved)
    norms = norms_of(store, before.segments[STRUCK]) if lossy else {}
    true = {id: float(np.linalg.norm(vector)) for id, vector in before.truth.vectors.items()}
    return {id for id, norm in norms.items() if norm == 1 and abs(true.get(id, 1) - 1) > ONE_STEP}


def _lives(before: Before, store: Path, name: str, of_norm_one: Iterable[str] = ()) -> list[str]:
    """Its own release opens a copy, finds what must be there, and goes on."""
    segments = segments_now(store, before.segments[name])
    truth, rows = before.base.truth[name], rows_of(store, segments)
    if rows is None:
        return [f"the rows of {name} cannot be read"]
    given, vectors = queued(store), dict[str, np.ndarray]()
    by_row = {row: id for id, (row, _, _) in before.healthy.items() if row >= 0} if name == STRUCK else {}
    for id, (row, document, _) in rows.items():
        known = id if id in truth.vectors else by_row.get(row)
        if document and truth.documents.get(id) not in (None, document):  # the damage gave it another text
            given[id], known = embed([document])[0], None
        vectors |= {id: truth.vectors[known]} if known is not None else {id: given[id]} if id in given else {}
    vectors |= {id: vectors[id] / np.linalg.norm(vectors[id].astype(np.float64)) for id in of_norm_one}
    expected = Truth(
        truth.space,
        truth.flush,
        {id: document for id, (_, document, _) in rows.items()},
        {id: metadata for id, (_, _, metadata) in rows.items()},
        vectors,
    )
    copy = copied(store, store.with_name(f"lived-{name}"))
    try:
        found = lives_on(copy, {segments.get("name", name): expected}, interpreter(before.base.version))
    finally:
        shutil.rmtree(copy)
    return [f"{before.base.version} does not live on: {text}" for text in found]
