"""The plan: pure, in order, cheapest first, approved only as far as was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.errors import UsageError
from forensics.model import Plan
from forensics.repair.options import HOUSEKEEPING, RepairOptions
from forensics.repair.planner import make_plan
from forensics.repair.proposals import ORDER, STRUCTURAL, merged, propose
from forensics.testing.damage import damage_menu

EMBEDDER = "forensics.testing.embedder:embed"


def plan_of(store: Path, **options: Any) -> Plan:
    with fx.open_store(store) as opened:
        return make_plan(opened, fx.diagnose(opened), RepairOptions(**options))


def damaged(tmp_path: Path, *names: str, sample: str = "1.5.9/healthy") -> Path:
    store = samples.restore(sample, tmp_path / "store")
    for name in names:
        damage_menu()[name](store)
    return store


def kinds(plan: Plan) -> list[str]:
    return [action.kind for action in plan.approved]


# --- options ----------------------------------------------------------------------------------------------


def test_options_travel_as_json() -> None:
    options = RepairOptions(
        embedder=EMBEDDER, also=Path("a"), accept_loss="cf501, CF408", also_fix=["CF007"], ids="keep"
    )
    assert options.also == ("a",)
    assert options.accept_loss == ("CF408", "CF501")
    assert RepairOptions.from_json(options.to_json()) == options


@pytest.mark.parametrize(
    "wrong",
    [
        {"accept_loss": ["CF999"]},
        {"also_fix": ["CF501"]},
        {"ids": "burn"},
        {"threads": 0},
        {"max_elements": 0},
        {"embedder": "no colon"},
    ],
)
def test_a_choice_that_does_not_exist_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RepairOptions(**wrong)


def test_unknown_options_in_json_are_refused() -> None:
    with pytest.raises(UsageError, match="everything"):
        RepairOptions.from_json({"everything": True})


def test_an_embedder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    store = damaged(tmp_path, "oldest-lost")
    with pytest.raises(UsageError, match="no_such_module"):
        plan_of(store, embedder="no_such_module:embed")


# --- proposals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("approval", "options", "approved"),
    [
        ("yes", {}, True),
        ("accept-loss", {}, False),
        ("accept-loss", {"accept_loss": "CF501"}, True),
        ("accept-loss", {"accept_loss": "CF408"}, False),
        ("choice", {}, False),
        ("manual", {"accept_loss": "CF501"}, False),
    ],
)
def test_only_what_was_chosen_is_approved(approval: Any, options: dict[str, Any], approved: bool) -> None:
    made = propose(
        "add-missing-vectors", "terms", {"CF501"}, "Add", RepairOptions(**options), approval=approval
    )
    assert made.action.approved is approved


@pytest.mark.parametrize("code", sorted(HOUSEKEEPING))
def test_housekeeping_needs_its_code(code: str) -> None:
    without = propose("vacuum", None, {code}, "Tidy", RepairOptions(), approval="also-fix")
    given = propose("vacuum", None, {code}, "Tidy", RepairOptions(also_fix=code), approval="also-fix")
    assert (without.action.approved, given.action.approved) == (False, True)


def test_the_same_action_is_proposed_once_with_all_its_codes() -> None:
    options = RepairOptions()
    parts = [propose("rebuild-full-text", None, {code}, "Build", options) for code in ("CF106", "CF105")]
    (one,) = merged(parts)
    assert one.action.codes == ("CF105", "CF106")
    assert one.heals == {"CF105", "CF106"}


def test_structural_kinds_are_in_the_order() -> None:
    assert set(ORDER) >= STRUCTURAL
    assert len(set(ORDER)) == len(ORDER)


# --- plans ------------------------------------------------------------------------------------------------


def test_a_healthy_store_gets_an_empty_plan(tmp_path: Path) -> None:
    plan = plan_of(damaged(tmp_path), embedder=EMBEDDER)
    assert plan.actions == plan.promised == plan.remaining == plan.losses == ()
    assert plan.effects[0].before == plan.effects[0].after == 300


def untimed(plan: Plan) -> dict[str, object]:
    """Its JSON without how long the embedder took in this run, and without what is free at this moment."""
    told = plan.to_json()
    embedding = {**(told["embedding"] or {}), "measured": None}
    return {**told, "embedding": embedding, "room": {**told["room"], "free": None}}


def test_planning_writes_nothing_and_is_the_same_each_time(tmp_path: Path) -> None:
    store = damaged(tmp_path, "label-doubled", "ids-padded", "neighbour-out-of-range")
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    first, second = (untimed(plan_of(store, embedder=EMBEDDER)) for _ in range(2))
    assert first == second
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_actions_come_in_the_order_in_which_they_compose(tmp_path: Path) -> None:
    store = damaged(tmp_path, "middle-lost", "neighbour-out-of-range", "counter-lowered", "ids-padded")
    ranks = [ORDER.index(kind) for kind in kinds(plan_of(store, embedder=EMBEDDER))]
    assert ranks == sorted(ranks)
    assert len(ranks) >= 5


def test_a_missing_record_costs_an_addition_not_a_new_index(tmp_path: Path) -> None:
    plan = plan_of(damaged(tmp_path, "middle-lost"), embedder=EMBEDDER)
    assert "add-missing-vectors" in kinds(plan)
    assert "rebuild-segment" not in kinds(plan)


def test_a_new_index_makes_its_repairs_unnecessary(tmp_path: Path) -> None:
    plan = plan_of(damaged(tmp_path, "level0-removed", "counter-lowered"), embedder=EMBEDDER)
    assert kinds(plan)[0] == "rebuild-segment"
    assert not STRUCTURAL - {"relink-elements"} & set(kinds(plan))


def test_a_declined_code_is_left_and_said(tmp_path: Path) -> None:
    store = damaged(tmp_path, "neighbour-out-of-range", "ids-padded")
    plan = plan_of(store, decline="CF701")
    assert "trim-ids" not in kinds(plan)
    assert plan.remaining == ("CF701",)


def test_only_the_codes_asked_for_are_repaired(tmp_path: Path) -> None:
    plan = plan_of(damaged(tmp_path, "neighbour-out-of-range", "ids-padded"), only="CF701")
    assert kinds(plan) == ["trim-ids"]
    assert plan.remaining == ("CF601",)


def test_a_refused_proof_is_told_and_needs_its_loss_accepted(tmp_path: Path) -> None:
    store = damaged(tmp_path, "id-map-removed")
    plan = plan_of(store)
    assert kinds(plan) == []
    assert plan.remaining == ("CF401",)
    lost = plan.losses[0]
    assert lost["count"] == 249
    assert "confirm the order of the log" in str(lost["reason"])
    accepted = plan_of(store, accept_loss="CF401")
    assert "rebuild-id-map" in kinds(accepted)
    assert accepted.effects[0].lost == 249


def test_an_unverified_embedder_needs_a_confirmation_of_its_own(tmp_path: Path) -> None:
    store = damaged(tmp_path, "directory-removed")
    with fx.open_store(store) as opened:
        opened.collection("terms")
    import sqlite3

    with sqlite3.connect(store / "chroma.sqlite3") as database:
        database.execute("UPDATE embeddings_queue SET vector = NULL, operation = 1")
    refused = plan_of(store, embedder=EMBEDDER)
    assert "unverified" in str(refused.losses[0]["reason"])
    assert "rebuild-segment" not in kinds(refused)
    confirmed = plan_of(store, embedder=EMBEDDER, unverified_embedder=True)
    built = next(action for action in confirmed.approved if action.kind == "rebuild-segment")
    assert built.safety == "lossy"


def test_colliding_ids_are_kept_and_said(tmp_path: Path) -> None:
    store = damaged(tmp_path)
    import sqlite3

    with sqlite3.connect(store / "chroma.sqlite3") as database:
        first, second = (
            row[0] for row in database.execute("SELECT embedding_id FROM embeddings ORDER BY id LIMIT 2")
        )
        database.execute(
            "UPDATE embeddings SET embedding_id = ? WHERE embedding_id = ?", (f"{first} ", second)
        )
    plan = plan_of(store, embedder=EMBEDDER)
    assert "trim-ids" not in kinds(plan)
    assert "CF701" in plan.remaining
    kept = next(action for action in plan.actions if action.kind == "keep-ids")
    assert kept.title == "Leave 1 malformed id as it is"
    assert "the id of another record" in kept.why


@pytest.mark.parametrize(
    ("ids", "wanted"), [("keep", []), ("delete", ["delete-ids"]), ("trim", ["trim-ids"])]
)
def test_what_becomes_of_malformed_ids_is_a_choice(ids: str, wanted: list[str], tmp_path: Path) -> None:
    plan = plan_of(damaged(tmp_path, "ids-padded"), ids=ids)
    assert kinds(plan) == wanted
    said = [action.why for action in plan.actions if action.codes == ("CF701",)]
    assert len(said) == 1
    assert "peek" in said[0]


def test_other_copies_are_used_when_named(tmp_path: Path) -> None:
    other = samples.restore("1.5.9/healthy", tmp_path / "other")
    store = damaged(tmp_path, "oldest-lost")
    plan = plan_of(store, also=[other])
    added = next(action for action in plan.approved if action.kind == "add-missing-vectors")
    assert added.parameters["from_also"] == 40
    assert plan.effects[0].reattached == 40


def half_wrong(texts: list[str]) -> np.ndarray:
    from forensics.testing.embedder import embed

    vectors = embed(texts)
    vectors[::2] = vectors[::2][:, ::-1]
    return vectors


def test_an_embedder_that_is_right_half_of_the_time_is_refused(tmp_path: Path) -> None:
    plan = plan_of(damaged(tmp_path, "oldest-lost"), embedder=f"{__name__}:half_wrong")
    assert "add-missing-vectors" not in kinds(plan)
    assert "0.999 is needed" in str(plan.losses[0]["reason"])


# --- the user's own files ---------------------------------------------------------------------------------


def own_file(tmp_path: Path, *, spoiled: bool = False) -> Path:
    truth = samples.truth("1.5.9/healthy")["terms"]
    vectors = truth.vectors[:, ::-1] if spoiled else truth.vectors
    path = tmp_path / "own.npz"
    np.savez(path, ids=np.array(truth.ids), vectors=vectors)
    return path


def test_a_source_that_agrees_with_survivors_gives_the_missing_vectors(tmp_path: Path) -> None:
    store, path = damaged(tmp_path, "oldest-lost"), own_file(tmp_path)
    plan = plan_of(store, source=[path])
    added = next(action for action in plan.approved if action.kind == "add-missing-vectors")
    assert added.parameters["from_source"] == 40
    result = fx.reconcile(store, case=tmp_path / "case", source=[path], engine="none", nobody_else=True)
    assert result["verified"] == "checks"
    assert result["records"]["reattached"] == 40
    assert (tmp_path / "case/evidence/provenance-terms.csv").read_text().count(str(path)) == 40


def test_a_source_that_disagrees_is_refused_with_figures(tmp_path: Path) -> None:
    plan = plan_of(damaged(tmp_path, "oldest-lost"), source=[own_file(tmp_path, spoiled=True)])
    assert "add-missing-vectors" not in kinds(plan)
    assert "the source was refused" in str(plan.losses[0]["reason"])
    assert "lowest cosine" in str(plan.losses[0]["reason"])


def test_a_source_of_json_lines(tmp_path: Path) -> None:
    import json

    truth = samples.truth("1.5.9/healthy")["terms"]
    path = tmp_path / "own.jsonl"
    lines = (
        json.dumps({"id": i, "embedding": v.tolist()}) for i, v in zip(truth.ids, truth.vectors, strict=True)
    )
    path.write_text("\n".join(lines))
    assert plan_of(damaged(tmp_path, "oldest-lost"), source=[path]).effects[0].reattached == 40


@pytest.mark.parametrize(("name", "text"), [("x.csv", "a,b"), ("x.jsonl", "{}"), ("x.npz", "no zip")])
def test_a_file_that_holds_no_vectors_is_refused(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=name):
        plan_of(damaged(tmp_path, "oldest-lost"), source=[path])
