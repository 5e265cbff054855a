"""Every sample is repaired as planned: what was promised is gone, every vector is back, undo brings the bytes
back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.engine.truth import Expected, expected_of
from forensics.samples import CollectionTruth

EMBEDDER = "forensics.testing.embedder:embed"
NO_ENGINE = "none"

RELINK = "relink-elements"
PLANS: dict[str, list[str]] = {
    "0.6.3/pickle-of-0.6": ["add-missing-vectors", RELINK],
    "1.2.1/peek-failure": ["add-missing-vectors", RELINK, "trim-ids"],
    "1.2.1/peek-failure-few": ["rebuild-id-map", "mend-id-map"],
    "1.5.9/flush-cut": ["rebuild-header", "rewrite-link-lists", "drop-bad-neighbours", RELINK],
    "1.5.9/flush-cut-reopened": [
        "drop-phantom-elements",
        "rewrite-link-lists",
        "drop-bad-neighbours",
        RELINK,
    ],
    "1.5.9/link-lists-bloated": ["rewrite-link-lists"],
    "1.5.9/neighbour-out-of-range": ["drop-bad-neighbours", RELINK],
    "1.5.9/pickle-lost": ["rebuild-id-map"],
    "1.5.9/pickle-truncated": ["rebuild-id-map"],
    "1.5.9/set-aside": ["add-missing-vectors", RELINK],
    "1.5.9/sql-only-orphans": ["drop-bad-neighbours", "add-missing-vectors", RELINK],
    "1.5.9/watermark-poisoned": ["restore-watermark", "restore-watermark"],
}
"""The approved actions of each damaged sample, in order."""

EFFECTS: dict[str, dict[str, int | None]] = {
    "0.6.3/pickle-of-0.6": {"before": 260, "after": 300, "reattached": 0, "reembedded": 40, "lost": 0},
    "1.2.1/peek-failure": {"before": 21, "after": 300, "reattached": 0, "reembedded": 279, "lost": 0},
    "1.2.1/peek-failure-few": {"before": 295, "after": 300, "reattached": 5, "reembedded": 0, "lost": 0},
    "1.5.9/flush-cut": {"before": 300, "after": 300, "reattached": 0, "reembedded": 0, "lost": 0},
    "1.5.9/flush-cut-reopened": {"before": 300, "after": 300, "reattached": 0, "reembedded": 0, "lost": 0},
    "1.5.9/pickle-lost": {"before": None, "after": 300, "reattached": 279, "reembedded": 0, "lost": 0},
    "1.5.9/pickle-truncated": {"before": None, "after": 300, "reattached": 280, "reembedded": 0, "lost": 0},
    "1.5.9/set-aside": {"before": 41, "after": 300, "reattached": 259, "reembedded": 0, "lost": 0},
    "1.5.9/sql-only-orphans": {"before": 250, "after": 300, "reattached": 50, "reembedded": 0, "lost": 0},
    "1.5.9/watermark-poisoned": {"before": 280, "after": 300, "reattached": 20, "reembedded": 0, "lost": 0},
}


def damaged() -> list[str]:
    return [name for name in samples.names() if not is_healthy(name)]


def is_healthy(name: str) -> bool:
    return name.split("/")[1].startswith("healthy")


def renamed(name: str) -> str:
    """The id that a repair with the default options leaves of an id."""
    return name.strip()


def vectors_of(expected: Expected) -> dict[str, np.ndarray]:
    ids = [expected.ids[row] for row in expected.rows.tolist()]
    return {
        name: row for name, row, known in zip(ids, expected.vectors, expected.known, strict=True) if known
    }


def assert_whole(store: Path, truth: dict[str, CollectionTruth]) -> None:
    """Every record that its user believes stored has its very vector; cosine to one step of float32."""
    with fx.open_store(store) as opened:
        shown = expected_of(opened)
    for name, believed in truth.items():
        found = vectors_of(shown[name])
        doubtful = {renamed(each) for each in believed.in_doubt}
        assert {renamed(each) for each in believed.ids} <= set(shown[name].ids)
        assert set(shown[name].ids) <= {renamed(each) for each in believed.ids} | doubtful
        for each, vector in zip(believed.ids, believed.vectors, strict=True):
            if believed.space == "cosine":
                np.testing.assert_allclose(found[renamed(each)], vector, rtol=0, atol=1e-6)
            else:
                assert np.array_equal(found[renamed(each)], vector), each


def repair(store: Path, case: Path, **options: Any) -> tuple[fx.Plan, dict[str, Any]]:
    plan = fx.plan(store, case=case, **{"embedder": EMBEDDER, "engine": NO_ENGINE, **options})
    return plan, fx.apply(case, yes=True, nobody_else=True)


@pytest.mark.parametrize("name", damaged())
def test_a_damaged_sample_is_repaired(name: str, sample: Any, tmp_path: Path) -> None:
    store, case = sample(name), tmp_path / "case"
    plan, result = repair(store, case)
    assert [action.kind for action in plan.approved] == PLANS[name]
    assert plan.remaining == ()
    assert result["applied"]
    assert result["verified"] == "checks"
    assert result["remaining"] == []
    total = sum(len(each.ids) for each in samples.truth(name).values())
    whole = {"before": total, "after": total, "reattached": 0, "reembedded": 0, "lost": 0}
    wanted = EFFECTS.get(name, whole)
    assert result["records"] == wanted
    after = fx.diagnose(store)
    assert not set(after.codes(notes=False)) & {*plan.promised, *plan.findings}
    assert_whole(store, samples.truth(name))
    tests = json.loads((case / "verdict.json").read_text())["tests"]
    assert [test for test in tests if "skipped" in test["detail"]] == [tests[-1]], (
        "only the engine was not asked"
    )
    fx.undo(case)
    assert samples.differences(name, store) == []


@pytest.mark.parametrize("name", [name for name in samples.names() if is_healthy(name)])
def test_a_healthy_sample_is_left_alone(name: str, sample: Any, tmp_path: Path) -> None:
    store = sample(name)
    plan, result = repair(store, tmp_path / "case")
    assert plan.approved == ()
    assert plan.promised == plan.remaining == ()
    assert not result["applied"]
    assert result["records"]["before"] == result["records"]["after"]
    assert samples.differences(name, store) == []


@pytest.mark.parametrize("name", ["1.2.1/peek-failure", "1.5.9/flush-cut-reopened"])
def test_the_engine_agrees(name: str, sample: Any, tmp_path: Path) -> None:
    _, result = repair(sample(name), tmp_path / "case", engine=None)
    assert result["verified"] == "checks+engine"


@pytest.mark.oldchroma
@pytest.mark.parametrize("newest", [False, True], ids=["own-release", "1.5.9"])
@pytest.mark.parametrize("name", damaged())
def test_its_own_release_and_the_newest_agree(
    name: str, newest: bool, sample: Any, release: Any, tmp_path: Path
) -> None:
    version = "1.5.9" if newest else samples.manifest(name)["chroma"]
    release(version)
    _, result = repair(sample(name), tmp_path / "case", engine=version)
    assert result["verified"] == "checks+engine"


def test_a_second_repair_of_the_same_store_gives_the_same_bytes(sample: Any, tmp_path: Path) -> None:
    stores = [sample("1.5.9/set-aside"), sample("1.5.9/set-aside")]
    for number, store in enumerate(stores):
        repair(store, tmp_path / f"case-{number}")
    one, other = (
        {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()}
        for store in stores
    )
    assert one == other


@pytest.mark.parametrize("name", ["1.2.1/peek-failure", "0.6.3/pickle-of-0.6"])
def test_without_an_embedder_the_lost_are_listed_and_nothing_is_invented(
    name: str, sample: Any, tmp_path: Path
) -> None:
    store = sample(name)
    plan = fx.plan(store, case=tmp_path / "case")
    assert "CF501" in plan.remaining
    assert sum(loss["count"] for loss in plan.losses) == EFFECTS[name]["reembedded"]
    assert all("no embedder was given" in str(loss["reason"]) for loss in plan.losses)
    offered = next(action for action in plan.actions if action.kind == "set-aside-records")
    assert offered.approval == "choice"
    assert not offered.approved


def test_an_embedder_that_reproduces_nothing_is_refused_with_figures(sample: Any, tmp_path: Path) -> None:
    plan = fx.plan(sample("0.6.3/pickle-of-0.6"), embedder=f"{__name__}:wrong_embedder")
    assert "CF501" in plan.remaining
    assert "does not reproduce" in str(plan.losses[0]["reason"])
    assert "lowest cosine" in str(plan.losses[0]["reason"])


def wrong_embedder(texts: list[str]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((len(texts), 32)).astype(np.float32)


def test_unsearchable_records_are_set_aside_when_chosen(sample: Any, tmp_path: Path) -> None:
    store, case = sample("0.6.3/pickle-of-0.6"), tmp_path / "case"
    plan, result = repair(store, case, embedder=None, set_aside_unsearchable=True)
    assert result["verified"] == "checks"
    assert plan.remaining == ()
    assert plan.effects[0].set_aside == 40
    kept = (case / "evidence" / "set-aside-terms-set-aside-records.jsonl").read_text().splitlines()
    assert len(kept) == 40
    assert all(json.loads(line)["rows"]["embedding_metadata"] for line in kept)
    with fx.open_store(store) as opened:
        assert len(opened.collection("terms").rows) == 260
