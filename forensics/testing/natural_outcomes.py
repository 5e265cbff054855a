"""Naturally broken stores, repaired: what their user has of it afterwards, by the oracle that called them broken."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import forensics as fx
from forensics.errors import ForensicsError
from forensics.seal import compare, describe, seal
from forensics.testing.embedder import DIMENSION, embed
from forensics.testing.natural_corpus import Case, interpreter, newest_writer
from forensics.testing.oracle import Told, judge
from forensics.testing.outcome_checks import recall_of, sentences, silence, undone
from forensics.testing.outcome_facts import ONE_STEP, copied, database_of
from forensics.testing.outcome_proof import BY_ITSELF
from forensics.testing.outcomes import commit
from forensics.testing.showing import EMBEDDER

PAST = ("lost", "risen", "text-stale")
"""Symptoms of what was acknowledged and is nowhere on the disk any more: a repair adds none and may leave them."""
ELEMENT = np.dtype([("links", "V132"), ("vector", "<f4", (DIMENSION,)), ("label", "<u8")])
"""An element of level 0 with Chroma's own M of 16, as all of these stores have."""
Json = dict[str, Any]
Symptoms = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Broken:
    """A store of the corpus with what its user knows and what is on its disk."""

    case: Case
    line: Json
    told: dict[str, Told]
    symptoms: Symptoms
    release: str

    @classmethod
    def of(cls, case: Case, line: Json) -> Broken:
        kept = case.told()
        told = {name: Told.from_json(each) for name, each in kept["told"].items()}
        verdict = next((each for each in line["verdicts"] if each["symptoms"]), line["verdicts"][-1])
        return cls(case, line, told, verdict["symptoms"], newest_writer(case, kept["story"]))


def natural_line(case: Case, line: Json, scratch: Path) -> Json:
    """A line of the table: by itself, else with the embedder that wrote the store and what keeps it searchable."""
    broken = Broken.of(case, line)
    heading = {
        "name": case.name,
        "kind": case.kind,
        "commit": commit(),
        "symptoms": broken.symptoms,
        "symptoms_after": {},
    }
    found: Json = {"outcome": "FAILED", "failed": []}
    for number, options in enumerate(_helps()):
        folder = scratch / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        found = _attempt(broken, folder, options) | {"help": sorted(options)}
        shutil.rmtree(folder, ignore_errors=True)
        if found["failed"] or not found["left"]:
            break
    return heading | found


def _helps() -> Iterator[dict[str, Any]]:
    yield {}
    yield {"embedder": EMBEDDER}
    yield {
        "embedder": EMBEDDER,
        "unverified_embedder": True,
        "accept_loss": "CF401,CF403,CF501,CF503,CF505,CF504,CF810",
    }
    yield {"embedder": EMBEDDER, "unverified_embedder": True, "set_aside_unsearchable": True}


def _attempt(broken: Broken, folder: Path, options: Mapping[str, Any]) -> Json:
    store, case = copied(broken.case.store, folder / "store"), folder / "case"
    on_disk, sealed, around = held(store, broken.told), seal(store), {"store", "case"}
    found = fx.diagnose(store, embedder=options.get("embedder"))
    plan = fx.plan(store, case=case, diagnosis=found, engine="none", **options)
    line: Json = {
        "codes": found.codes(notes=False),
        "left": plan.remaining,
        "refused": "; ".join(sentences(plan))[:600],
    }
    line |= {"on_disk": sum(map(len, on_disk.values())), "failed": list[str]()}
    try:
        applied = fx.apply(case, yes=True, nobody_else=True)["applied"]
    except ForensicsError as error:
        failed = [str(error)] if BY_ITSELF in str(error) else []
        return line | {"outcome": "FAILED" if failed else "refused", "refused": str(error), "failed": failed}
    if not applied:
        changes = describe(compare(sealed, seal(store)))
        failed = [f"nothing applied, and the store is changed: {changes}"] if changes else []
        return line | {"outcome": "refused" if plan.remaining else "nothing to repair", "failed": failed}
    failed = [
        *silence(store, plan),
        *_graphs(store, broken.told),
        *_missing(store, broken.told, on_disk, plan),
    ]
    after: Symptoms = {}
    if not plan.remaining:
        after = judge(store, broken.told, broken.release, interpreter(broken.release), folder).to_json()[
            "symptoms"
        ]
        failed += worse(broken.symptoms, after)
    failed += undone(store, case, sealed, around)
    lost = sum(int(str(loss["count"] or 0)) for loss in plan.losses)
    said = "in part" if plan.remaining else f"healed, {lost} lost as listed" if lost else "healed"
    return line | {
        "outcome": "FAILED" if failed else said,
        "failed": failed,
        "symptoms_after": after,
        "lost": lost,
    }


def worse(before: Symptoms, after: Symptoms) -> Iterator[str]:
    """Symptoms that a repaired store must not have: any but of what is past, and of those more than before."""
    for name, counts in after.items():
        for symptom, count in counts.items():
            if symptom not in PAST or count > before.get(name, {}).get(symptom, 0):
                yield f"{name}: {symptom} {count} after the repair"


def _graphs(store: Path, told: Mapping[str, Told]) -> Iterator[str]:
    for name, directory in directories(store).items():
        if name in told:
            yield from recall_of(directory, told[name].space)[1]


def _missing(
    store: Path, told: Mapping[str, Told], on_disk: Mapping[str, set[str]], plan: fx.Plan
) -> Iterator[str]:
    """Records of SQLite whose vector was on the disk and is in no place of their collection any more."""
    now, listed = held(store, told, own=True), sum(int(str(loss["count"] or 0)) for loss in plan.losses)
    for name, ids in on_disk.items():
        missed = (ids & ids_of(store, name)) - now.get(name, set())
        if len(missed) > listed:
            yield f"{name}: {len(missed)} vectors were on the disk and are not back: {', '.join(sorted(missed)[:3])}"


def held(store: Path, told: Mapping[str, Told], *, own: bool = False) -> dict[str, set[str]]:
    """collection → ids whose true vector stands in any level 0 of the store (`own`: in its own) or in the queue."""
    owner = directories(store)
    elements = {path.parent: _elements(path) for path in store.glob("*/data_level0.bin")}
    queue = _queue(store)
    found: dict[str, set[str]] = {}
    for name, known in told.items():
        ids = sorted(known.documents)
        vectors = embed([known.documents[id] for id in ids])
        units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
        wanted = units if known.space == "cosine" else vectors
        places = [rows for folder, rows in elements.items() if not own or owner.get(name) == folder]
        there = np.zeros(len(ids), dtype=bool)
        for rows in places:
            there |= np.array(
                [bool((np.abs(rows - each) <= ONE_STEP).all(axis=1).any()) for each in wanted], dtype=bool
            )
        found[name] = {
            id
            for id, is_there, each in zip(ids, there, vectors, strict=True)
            if is_there or each.tobytes() in queue
        }
    return found


def _elements(path: Path) -> np.ndarray:
    """(n, dim) float32 of every whole element of the file, counted or not."""
    count = path.stat().st_size // ELEMENT.itemsize
    return np.fromfile(path, dtype=ELEMENT, count=count)["vector"]


def _queue(store: Path) -> set[bytes]:
    try:
        with database_of(store) as database:
            return {
                raw
                for (raw,) in database.execute("SELECT vector FROM embeddings_queue WHERE vector IS NOT NULL")
            }
    except sqlite3.Error:
        return set()


def directories(store: Path) -> dict[str, Path]:
    """collection → the directory of its vector segment; empty where SQLite does not give them."""
    sql = "SELECT c.name, s.id FROM segments s JOIN collections c ON c.id = s.collection WHERE s.scope = 'VECTOR'"
    try:
        with database_of(store) as database:
            return {name: store / segment for name, segment in database.execute(sql)}
    except sqlite3.Error:
        return {}


def ids_of(store: Path, name: str) -> set[str]:
    """The ids that SQLite has of a collection."""
    sql = (
        "SELECT e.embedding_id FROM embeddings e JOIN segments s ON s.id = e.segment_id"
        " JOIN collections c ON c.id = s.collection WHERE c.name = ?"
    )
    try:
        with database_of(store) as database:
            return {id for (id,) in database.execute(sql, (name,))}
    except sqlite3.Error:
        return set()
