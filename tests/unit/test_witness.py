"""An embedder says whose the stored vectors are; it is believed where it makes a quorum of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.model import Finding
from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles
from forensics.repair.embedding import Embedder, try_embedder
from forensics.repair.foreign import UNMAP
from forensics.sources import documents
from forensics.store import open_store
from forensics.testing.damage import damage_menu
from forensics.testing.damage_embedder import MIXED, SWAPPED
from forensics.testing.embedder import embed
from forensics.testing.index import Index

EMBEDDER = "forensics.testing.embedder:embed"
HEALTHY = "1.5.9/healthy"


def backwards(texts: list[str]) -> np.ndarray:
    """Another embedder of the same dimension."""
    return np.ascontiguousarray(embed(texts)[:, ::-1])


def longer(texts: list[str]) -> np.ndarray:
    """The same directions, twice as long."""
    return 2 * embed(texts)


def narrow(texts: list[str]) -> np.ndarray:
    """An embedder of another dimension."""
    return embed(texts)[:, :8]


def damaged(tmp_path: Path, *damages: str) -> Path:
    store = samples.restore(HEALTHY, tmp_path / "store")
    for name in damages:
        damage_menu()[name](store)
    return store


def found(store: Path, embedder: str | None = EMBEDDER) -> dict[str, Finding]:
    return {one.code: one for one in fx.diagnose(store, embedder=embedder).findings}


def outcome(store: Path, code: str, embedder: str | None) -> tuple[str, str]:
    check = next(one for one in fx.diagnose(store, embedder=embedder).checks if one.code == code)
    return check.outcome, check.reason


def not_its_own(store: Path) -> set[str]:
    """The ids whose stored vector is not that of their document, read without any of the code under test."""
    texts, vectors = Index(store).documents(), Index(store).vectors()
    raw = embed([texts[name] for name in vectors])
    made = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    away = np.abs(np.stack(list(vectors.values())) - made).max(axis=1)
    return {name for name, far in zip(vectors, away.tolist(), strict=True) if far > 1e-6}


def repaired(store: Path, case: Path, **choices: Any) -> dict[str, Any]:
    return fx.reconcile(
        store, case=case, nobody_else=True, **{"engine": "none", "embedder": EMBEDDER, **choices}
    )


def kinds(case: Path) -> list[str]:
    actions = json.loads((case / "plan.json").read_text())["actions"]
    return [action["kind"] for action in actions if action["approved"]]


# --- what it says -----------------------------------------------------------------------------------------


def test_without_an_embedder_nobody_is_asked(tmp_path: Path) -> None:
    store = damaged(tmp_path, "vectors-swapped", "embedders-mixed")
    assert outcome(store, "CF810", None)[0] == "not-asked"
    assert not {"CF505", "CF810"} & set(found(store, None))
    only = fx.diagnose(store, only=["CF810"])
    assert next(one for one in only.checks if one.code == "CF810").outcome == "not-asked"


def test_of_a_healthy_store_it_says_nothing(tmp_path: Path) -> None:
    store = damaged(tmp_path)
    assert not {"CF505", "CF810"} & set(found(store))
    assert outcome(store, "CF505", EMBEDDER)[0] == outcome(store, "CF810", EMBEDDER)[0] == "clean"


def test_vectors_of_each_other_are_named_with_their_owners(tmp_path: Path) -> None:
    store = damaged(tmp_path, "vectors-swapped")
    findings = found(store)
    assert "CF810" not in findings
    finding = findings["CF505"]
    assert set(finding.lists["ids"]) == set(finding.lists["owners"]) == not_its_own(store)
    assert (finding.count, finding.confidence, finding.remedy.safety) == (SWAPPED, "certain", "safe")
    assert finding.found["compared"] == finding.found["of"], (
        "one that is not reproduced, and all are compared"
    )


def test_vectors_of_another_embedder_are_a_block(tmp_path: Path) -> None:
    store = damaged(tmp_path, "embedders-mixed")
    findings = found(store)
    assert "CF505" not in findings
    finding = findings["CF810"]
    assert set(finding.lists["ids"]) == not_its_own(store)
    assert [count for *_, count in finding.found["blocks_of_seq_ids"]] == [MIXED]
    assert finding.remedy.safety == "manual"


def test_no_vector_is_both(tmp_path: Path) -> None:
    store = damaged(tmp_path, "embedders-mixed", "vectors-swapped")
    findings = found(store)
    foreign, mixed = (set(findings[code].lists["ids"]) for code in ("CF505", "CF810"))
    assert not foreign & mixed
    assert foreign | mixed == not_its_own(store)


@pytest.mark.parametrize(
    ("function", "says", "status"),
    [("backwards", "reproduces 0 of", 8), ("narrow", "not applicable", 0)],
)
def test_an_embedder_of_other_vectors_accuses_nobody(
    function: str, says: str, status: int, tmp_path: Path
) -> None:
    store = damaged(tmp_path)
    diagnosis = fx.diagnose(store, embedder=f"{__name__}:{function}")
    assert not {"CF505", "CF810"} & set(diagnosis.codes())
    assert says in next(one.reason for one in diagnosis.checks if one.code == "CF810")
    assert diagnosis.exit_status == status


def test_the_embedder_of_one_collection_says_nothing_of_another(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy-three-collections", tmp_path / "store")
    with open_store(store) as opened:
        other = next(one for one in opened.collections if one.vector.state == "persisted")
        files = HnswFiles(other.vector.directory)
        path, header = files.path("data_level0.bin"), files.geometry
    shape, dtype = (header.cur_element_count,), layout.level0_dtype(header.dim, header.M)
    level0 = np.memmap(path, dtype=dtype, mode="r+", shape=shape)
    level0["vector"] = level0["vector"][:, ::-1]
    level0.flush()
    del level0
    diagnosis = fx.diagnose(store, embedder=EMBEDDER)
    assert "CF810" not in diagnosis.codes()
    assert outcome(store, "CF810", EMBEDDER)[0] == "clean", "not skipped: the other collection has its own"
    assert outcome(store, "CF810", f"{__name__}:backwards")[0] == "clean"
    assert not diagnosis.exit_status & 8


def test_where_the_embedder_can_be_asked_equal_documents_do_not_guess(tmp_path: Path) -> None:
    """Of two records with one document the later one is named by guess, the wrong one by the embedder."""
    store = damaged(tmp_path, "vectors-exchanged")
    assert found(store, None)["CF505"].confidence == "likely"
    wrong = not_its_own(store)
    finding = found(store)["CF505"]
    assert (set(finding.lists["ids"]), finding.confidence) == (wrong, "certain")


# --- what is done about it --------------------------------------------------------------------------------


def test_vectors_of_each_other_come_back_from_level_0(tmp_path: Path) -> None:
    store, case = damaged(tmp_path, "vectors-swapped"), tmp_path / "case"
    result = repaired(store, case)
    assert result["verified"] == "checks"
    assert result["records"]["reembedded"] == 0
    assert kinds(case) == [UNMAP, "rebuild-id-map"]
    assert not_its_own(store) == set()
    assert not {"CF505", "CF810", "CF409"} & set(found(store))
    assert fx.plan(store, embedder=EMBEDDER).approved == (), "a second repair has nothing to do"


def test_a_vector_that_is_overwritten_is_embedded_again_and_found_by_its_text(tmp_path: Path) -> None:
    store, case = damaged(tmp_path, "vectors-exchanged"), tmp_path / "case"
    wrong = not_its_own(store)
    assert len(wrong) == 1
    result = repaired(store, case)
    assert (result["verified"], result["records"]["reembedded"]) == ("checks", 1)
    assert not_its_own(store) == set()
    tests = json.loads((case / "verdict.json").read_text())["tests"]
    assert any("found by its text" in one["name"] and one["count"] == 1 for one in tests)
    kept = (case / "evidence" / f"unmapped-terms-{UNMAP}.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in kept} == wrong
    fx.undo(case, nobody_else=True)
    assert not_its_own(store) == wrong


def test_vectors_of_another_embedder_are_left_to_a_person(tmp_path: Path) -> None:
    store, case = damaged(tmp_path, "embedders-mixed", "oldest-lost"), tmp_path / "case"
    before = not_its_own(store)
    result = repaired(store, case)
    assert (result["verified"], result["remaining"]) == ("checks", ["CF810"])
    assert not_its_own(store) == before


def test_a_plan_from_a_diagnosis_without_the_embedder_is_verified_without_it(tmp_path: Path) -> None:
    store, case = damaged(tmp_path, "embedders-mixed", "oldest-lost"), tmp_path / "case"
    fx.plan(store, case=case, diagnosis=fx.diagnose(store), embedder=EMBEDDER, engine="none")
    assert fx.apply(case, yes=True, nobody_else=True)["verified"] == "checks"


# --- the trial --------------------------------------------------------------------------------------------


def tried(store: Path, function: Any, wrong: int = 0) -> Any:
    """The trial of `function` on 64 stored vectors, the first `wrong` of which are another's."""
    with open_store(store) as opened:
        collection = opened.collections[0]
        records = collection.records
        ids = records.rows.ids[:64]
        vectors = HnswFiles(collection.vector.directory).vectors(records.elements[:64]).copy()
        assert all(documents(collection, ids))
        vectors[:wrong] = vectors[:wrong][:, ::-1]
        return try_embedder(collection, Embedder("mine", function), ids, vectors)


def test_a_stale_survivor_does_not_make_the_right_embedder_wrong(tmp_path: Path) -> None:
    trial = tried(damaged(tmp_path), embed, wrong=3)
    assert trial.passed is True
    assert not trial.flawless
    assert (trial.reproduced, trial.sample, len(trial.missed)) == (61, 64, 3)
    assert trial.reason.startswith("it reproduced 61 of 64 surviving vectors (median cosine 1.000000)")
    assert all(f"{name}" in trial.reason for name in trial.missed)
    assert max(trial.missed.values()) < 0.999
    assert json.loads(json.dumps(trial.to_json()))["missed"] == dict(trial.missed)


@pytest.mark.parametrize(("wrong", "passed"), [(0, True), (12, True), (13, False), (64, False)])
def test_a_quorum_is_needed(wrong: int, passed: bool, tmp_path: Path) -> None:
    trial = tried(damaged(tmp_path), embed, wrong=wrong)
    assert trial.passed is passed
    assert trial.flawless is (wrong == 0)
    assert f"reproduced {64 - wrong} of 64" in trial.reason
    assert ("is needed" in trial.reason) is not passed


def test_a_wrong_embedder_is_always_refused(tmp_path: Path) -> None:
    trial = tried(damaged(tmp_path), backwards)
    assert (trial.passed, trial.reproduced) == (False, 0)
    assert "does not reproduce" in trial.reason


def test_where_lengths_are_kept_they_count(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/sql-only-orphans", tmp_path / "store")
    plan = fx.plan(store, embedder=f"{__name__}:longer")
    assert UNMAP not in [action.kind for action in plan.actions]
    assert outcome(store, "CF810", f"{__name__}:longer")[0] == "skipped"
    assert outcome(store, "CF810", EMBEDDER)[0] == "clean"


def test_with_swapped_survivors_the_right_embedder_brings_the_lost_ones_back(tmp_path: Path) -> None:
    """Both at once: the trial passes, the lost are embedded, the swapped get their own."""
    store, case = damaged(tmp_path, "oldest-lost", "vectors-swapped"), tmp_path / "case"
    result = repaired(store, case)
    assert (result["verified"], result["remaining"]) == ("checks", [])
    assert result["records"]["reembedded"] == 40
    assert not_its_own(store) == set()


def test_vectors_that_are_not_finite_are_of_no_other_embedder(sample: Any) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["vectors-not-finite"](store)
    assert fx.diagnose(store, embedder=EMBEDDER).codes(notes=False) == ("CF704",)
