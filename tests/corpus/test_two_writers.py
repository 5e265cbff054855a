"""Two processes write one store: labels are given twice, and records get the vectors of others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics.repair.foreign import UNMAP, VOUCH
from forensics.testing.builder import StoreBuilder
from forensics.testing.embedder import embed
from forensics.testing.index import Index
from forensics.testing.texts import records

EMBEDDER = "forensics.testing.embedder:embed"
SYNC, TIMES = 50, 10


def write_in_turns(store: Path) -> None:
    """A has the index of before in memory; B writes, A flushes over it, B flushes over that, each 50 new records."""
    texts = records()
    with StoreBuilder(store) as first:
        first.create("terms", space="l2", sync_threshold=SYNC, batch_size=10)
        first.add("terms", texts[:100], step=10)
    with StoreBuilder(store, model=first.model) as a:
        a.engine.call("query", collection="terms", documents=[texts[0].document], k=3)
        with a.peer() as b:
            for start, writer in ((100, b), (150, a), (200, b)):
                writer.add("terms", texts[start : start + SYNC], step=10)


def not_its_own(store: Path) -> set[str]:
    """The ids whose stored vector is not that of their document, by reading the files."""
    texts, vectors = Index(store).documents(), Index(store).vectors()
    made = embed([texts[name] for name in vectors])
    same = (np.stack(list(vectors.values())) == made).all(axis=1)
    return {name for name, own in zip(vectors, same.tolist(), strict=True) if not own}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a store. Threads of hnswlib decide which elements are hit: it is built until some are."""
    store = tmp_path_factory.mktemp("two-writers") / "store"
    for _ in range(TIMES):
        shutil.rmtree(store, ignore_errors=True)
        write_in_turns(store)
        if not_its_own(store):
            return store
    raise AssertionError(f"in {TIMES} attempts no vector was overwritten")


@pytest.fixture
def store(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "store"))


def look(store: Path, embedder: str | None) -> dict[str, Any]:
    return {one.code: one for one in fx.diagnose(store, embedder=embedder).findings}


def verdict(case: Path) -> dict[str, Any]:
    return json.loads((case / "verdict.json").read_text())


def test_the_embedder_names_exactly_the_overwritten(store: Path) -> None:
    assert {"CF408", "CF410", "CF501"} <= set(look(store, None))
    assert "CF505" not in look(store, None), "nobody can see it without an embedder"
    findings = look(store, EMBEDDER)
    assert set(findings["CF505"].lists["ids"]) == not_its_own(store)
    assert "CF810" not in findings


def test_without_an_embedder_the_plan_says_how_many_are_in_doubt(store: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    plan = fx.plan(store, case=case, engine="none", accept_loss=["CF410", "CF501"])
    doubt = next(action for action in plan.actions if action.kind == VOUCH)
    wrong = not_its_own(store)
    assert (doubt.approved, doubt.approval) == (False, "manual")
    assert int(str(doubt.parameters["records"])) >= len(wrong)
    assert f"{doubt.parameters['records']} records cannot be shown" in doubt.title
    assert "CF505" in plan.remaining
    result = fx.apply(case, yes=True, nobody_else=True)
    assert "CF505" in result["remaining"]
    line = next(one for one in verdict(case)["tests"] if "whose each vector is" in one["name"])
    assert line["detail"].startswith(f"not shown for {doubt.parameters['records']} records")


def test_with_the_embedder_every_record_gets_its_own_vector(store: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    result = fx.reconcile(store, case=case, embedder=EMBEDDER, nobody_else=True)
    assert (result["verified"], result["remaining"]) == ("checks+engine", [])
    assert not_its_own(store) == set()
    assert len(Index(store).vectors()) == len(Index(store).documents()) == 250
    kinds = [one["kind"] for one in json.loads((case / "plan.json").read_text())["actions"]]
    assert UNMAP in kinds
    assert VOUCH not in kinds
    assert any("found by its text" in one["name"] and one["count"] for one in verdict(case)["tests"])
    after = fx.diagnose(store, embedder=EMBEDDER)
    assert after.codes(notes=False) == ()
    assert fx.plan(store, diagnosis=after, embedder=EMBEDDER).approved == ()


def test_with_another_embedder_nothing_is_vouched_for(store: Path) -> None:
    plan = fx.plan(store, embedder=f"{__name__}:backwards")
    assert VOUCH in [action.kind for action in plan.actions]
    assert UNMAP not in [action.kind for action in plan.actions]


def backwards(texts: list[str]) -> np.ndarray:
    """Another embedder of the same dimension."""
    return np.ascontiguousarray(embed(texts)[:, ::-1])
