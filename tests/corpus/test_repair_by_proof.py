"""An id map and level 0 that differ by one, and a segment without its sibling: repaired with the proof shown, or refused
in one sentence.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.model import Plan
from forensics.testing.damage import damage_menu
from forensics.testing.index import Index

EMBEDDER = "forensics.testing.embedder:embed"
STRANGER = "11111111-1111-1111-1111-111111111111"


def one_less(store: Path) -> str:
    """The id map lacks one id whose element is as it was; the id."""
    index = Index(store)
    with index.id_map() as state:
        name = list(state["id_to_label"])[40]
    index.unmap([name])
    return name


def one_more(store: Path) -> str:
    """The id map has one id whose label no element carries any more; the id."""
    index = Index(store)
    with index.id_map() as state:
        name = list(state["id_to_label"])[40]
        label = state["id_to_label"][name]
    with index.level0() as level0:
        level0["label"][int((level0["label"] == label).argmax())] = 9999
    return name


def provenance(case: Path) -> dict[str, str]:
    """id → the proof that the case holds of it."""
    rows: dict[str, str] = {}
    for path in (case / "evidence").glob("provenance*.csv"):
        with open(path, encoding="utf-8", newline="") as handle:
            rows |= {row["id"]: row["proof"] for row in csv.DictReader(handle) if row.get("proof")}
    return rows


def repaired(store: Path, case: Path, **choices: Any) -> dict[str, Any]:
    return fx.reconcile(store, case=case, engine="none", nobody_else=True, **choices)


@pytest.mark.parametrize(
    ("sample", "damage", "embedder", "proof"),
    [
        ("1.5.9/healthy", one_less, None, "order"),
        ("0.6.3/healthy", one_less, EMBEDDER, "re-embedding"),
        ("1.5.9/healthy", one_more, EMBEDDER, "re-embedding"),
        ("0.6.3/healthy", one_more, EMBEDDER, "re-embedding"),
    ],
)
def test_a_difference_of_one_is_repaired_with_its_proof(
    sample: str, damage: Callable[[Path], str], embedder: str | None, proof: str, tmp_path: Path
) -> None:
    store, case = samples.restore(sample, tmp_path / "store"), tmp_path / "case"
    vectors = Index(store).vectors()
    name = damage(store)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    answer = repaired(store, case, embedder=embedder)
    assert (answer["verified"], answer["remaining"]) == ("checks", [])
    assert provenance(case)[name] == proof
    assert np.array_equal(Index(store).vectors()[name], vectors[name])
    fx.undo(case)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("sample", "damage", "because"),
    [
        ("1.5.9/healthy-churned", one_less, "elements were deleted"),
        ("0.6.3/healthy", one_less, "releases before 1.0 give labels in no order"),
        ("1.5.9/healthy", one_more, "its document could be embedded again"),
        ("0.6.3/healthy", one_more, "its document could be embedded again"),
    ],
)
def test_a_difference_of_one_without_a_proof_is_refused(
    sample: str, damage: Callable[[Path], str], because: str, tmp_path: Path
) -> None:
    """One id and one element are left over, and still nobody guesses that they belong together."""
    store = samples.restore(sample, tmp_path / "store")
    name = damage(store)
    plan = fx.plan(store)
    (loss,) = plan.losses
    assert loss["count"] == 1
    assert because in loss["reason"]
    assert loss["examples"] == [name]
    assert "CF501" in plan.remaining


# --- a vector segment without its METADATA sibling ------------------------------------------------------------


def orphaned(store: Path, ids: list[str]) -> None:
    """Rows of `embeddings` under a segment that nobody knows."""
    with sqlite3.connect(store / "chroma.sqlite3") as database:
        sql = "INSERT INTO embeddings(segment_id, embedding_id, seq_id) SELECT ?, ?, seq_id FROM embeddings LIMIT 1"
        database.executemany(sql, [(STRANGER, name) for name in ids])
    database.close()


def reasons(plan: Plan, code: str) -> str:
    (row,) = [row for row in plan.alternatives if row["code"] == code]
    return next(way["why"] for way in row["ways"] if way["chosen"])


@pytest.mark.parametrize("sample", ["0.6.3/healthy", "1.5.9/healthy"])
def test_a_lost_sibling_is_found_by_the_ids_of_the_index(sample: str, tmp_path: Path) -> None:
    """Beside a stranger that shares three ids with the index."""
    store, case = samples.restore(sample, tmp_path / "store"), tmp_path / "case"
    names = list(Index(store).vectors())[:3]
    damage_menu()["metadata-segment-row-deleted"](store)
    orphaned(store, names)
    plan = fx.plan(store)
    (action,) = [action for action in plan.approved if action.kind == "mend-segment-rows"]
    assert "ids of the index are records of it" in action.why
    answer = repaired(store, case)
    assert (answer["verified"], answer["records"]["after"]) == ("checks", 300)
    assert answer["remaining"] == []


@pytest.mark.parametrize("sample", ["0.6.3/healthy", pytest.param("1.5.9/healthy", marks=pytest.mark.slow)])
@pytest.mark.parametrize("also", ["the same ids", "the rows are gone"])
def test_a_sibling_that_nothing_proves_is_refused(sample: str, also: str, tmp_path: Path) -> None:
    store = samples.restore(sample, tmp_path / "store")
    names = list(Index(store).vectors())
    with sqlite3.connect(store / "chroma.sqlite3") as database:
        ids = [row[0] for row in database.execute("SELECT embedding_id FROM embeddings")]
    database.close()
    damage_menu()["metadata-segment-row-deleted"](store)
    if also == "the same ids":
        orphaned(store, ids)
    else:
        with sqlite3.connect(store / "chroma.sqlite3") as database:
            database.execute("DELETE FROM embeddings")
        database.close()
        orphaned(store, names[:3])
    plan = fx.plan(store)
    assert not [action for action in plan.approved if action.kind == "mend-segment-rows"]
    why = reasons(plan, "CF110")
    assert why.startswith("nothing proves which METADATA segment terms had: ")
    assert ". " not in why


# --- zero vectors under cosine --------------------------------------------------------------------------------


def test_a_zero_vector_gets_the_one_of_its_document(tmp_path: Path) -> None:
    """Two elements are zero; the embedder reproduces the others, so its vectors of their documents take the place."""
    store, case = samples.restore("1.5.9/healthy", tmp_path / "store"), tmp_path / "case"
    vectors = Index(store).vectors()
    damage_menu()["vectors-zeroed"](store)
    assert not any(action.kind == "replace-vectors" for action in fx.plan(store).approved)
    assert "an embedder" in reasons(fx.plan(store), "CF705")
    answer = repaired(store, case, embedder=EMBEDDER)
    assert (answer["verified"], answer["remaining"]) == ("checks", [])
    after = Index(store).vectors()
    assert all(np.allclose(after[name], vector, atol=1e-6) for name, vector in vectors.items())
    assert fx.diagnose(store).codes(notes=False) == ()


def test_a_configuration_gets_back_the_type_that_clients_before_1_0_look_for(tmp_path: Path) -> None:
    damage = damage_menu()["config-type-removed"]
    store = samples.restore(damage.sample, tmp_path / "store")
    damage(store)
    assert "CF805" in fx.diagnose(store).codes()
    answer = repaired(store, tmp_path / "case")
    assert (answer["applied"], answer["verified"]) == (True, "checks")
    assert "CF805" not in fx.diagnose(store).codes()
