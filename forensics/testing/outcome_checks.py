"""What must hold of any repaired store, whatever was wrong with it: silence, each byte back by undo, a graph as good as a
fresh one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from filecmp import cmp
from pathlib import Path

import forensics as fx
from forensics.absent import Absent
from forensics.engine.control import fresh_graph
from forensics.readers.hnsw import HnswFiles
from forensics.recall import measure_recall
from forensics.seal import Manifest, compare, describe, seal
from forensics.testing.showing import diagnosed

SEARCHED = 100
"""ef of the searches that measure recall, as chromadb's own default."""


def sentences(plan: fx.Plan) -> list[str]:
    """Why something stays: the actions that were not approved, and the losses."""
    stay = [
        action for action in plan.actions if not action.approved and set(action.codes) & set(plan.remaining)
    ]
    told = (f"{action.title}: {action.why}" if action.why else action.title for action in stay)
    return [*told, *(str(loss["reason"]) for loss in plan.losses)]


def left_to_a_person(case: Path, plan: fx.Plan) -> list[str]:
    """What the findings that stay mean, and their remedy, where no action is proposed."""
    found = json.loads((case / "diagnosis.json").read_text(encoding="utf-8"))["findings"]
    stay = (each for each in found if each["code"] in plan.remaining and each["severity"] != "note")
    return [f"{each['means']} Left to a person: {each['remedy']['action']}" for each in stay]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def silence(store: Path, plan: fx.Plan, *, deep: bool = False, embedder: bool = False) -> Iterator[str]:
    """What a second diagnosis says that the plan did not leave."""
    asked = embedder or bool(plan.options.get("embedder"))
    said = set(diagnosed(store, deep=deep, embedder=asked).codes(notes=False)) - set(plan.remaining)
    if said:
        yield f"the second diagnosis says {' '.join(sorted(said))}"


def some(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:3])


def undone(store: Path, case: Path, sealed: Manifest, around: set[str]) -> Iterator[str]:
    """Undo gives back each byte, undone again the repair; after the release nothing stands beside store and case."""
    beside = names_in(store.parent) - around
    if len(beside) != 1 and any(not (store / name).exists() for name in beside):
        yield f"beside the store lie {', '.join(sorted(beside))}"
    repaired = seal(store)
    fx.undo(case, nobody_else=True)
    if changes := compare(sealed, seal(store)):
        yield f"undo is not byte for byte: {describe(changes)}"
    fx.undo(case, nobody_else=True)
    if changes := compare(repaired, seal(store)):
        yield f"undoing the undo is not byte for byte: {describe(changes)}"
    fx.release(case)
    if names := names_in(store.parent) - around:
        yield f"after the release: {', '.join(sorted(names))}"


def same_graph(one: Path, other: Path) -> bool:
    """True where the files of the graph are the same, byte for byte."""
    names = ("header.bin", "data_level0.bin", "link_lists.bin")
    pairs = ((one / name, other / name) for name in names)
    return all(a.is_file() and b.is_file() and cmp(a, b, shallow=False) for a, b in pairs)


def recall_of(directory: Path, space: str) -> tuple[str, list[str]]:
    """recall@10 of a repaired index beside that of a fresh build with the same parameters, 95 % intervals of Wilson."""
    if not directory.is_dir():
        return "", []
    files = HnswFiles(directory)
    found, fresh = measure_recall(files, space, SEARCHED), fresh_graph(files, space, SEARCHED)
    if isinstance(found, Absent) or isinstance(fresh, Absent) or fresh.recall is None:
        return "", []
    worse = found.high < fresh.recall.low
    said = f"{found.mean:.4f} [{found.interval}] beside {fresh.recall.mean:.4f} [{fresh.recall.interval}]"
    return said, [f"recall is worse than that of a fresh graph: {said}"] if worse else []
