"""A repair that is not what was promised is not swapped in, whatever went wrong with it."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.case import Case
from forensics.errors import Refused, UsageError
from forensics.model import Action
from forensics.readers import layout
from forensics.repair.actions import kinds, run_action
from forensics.repair.apply import apply_plan
from forensics.repair.draft import DraftContext
from forensics.repair.foreign import VOUCH
from forensics.repair.proposals import ORDER
from forensics.repair.restoring import RESTORE

EMBEDDER = "forensics.testing.embedder:embed"
SAMPLE = "1.2.1/peek-failure"
Spoil = Callable[[DraftContext, Path], None]


def planned(tmp_path: Path, name: str = SAMPLE) -> tuple[Path, Case]:
    store, folder = samples.restore(name, tmp_path / "store"), tmp_path / "case"
    fx.plan(store, case=folder, embedder=EMBEDDER, engine="none")
    return store, Case.open(folder)


def apply_with(case: Case, run: Callable[[Action, DraftContext], Any]) -> dict[str, Any]:
    return apply_plan(case, nobody_else=True, run=run)


def test_every_kind_of_action_can_be_done_and_has_its_place() -> None:
    by_itself = {RESTORE}  # a plan of its own, with no other action
    assert set(kinds()) - by_itself == set(ORDER) - {VOUCH, "keep-ids"}, "only the user can do that"


def test_an_action_that_did_nothing_is_noticed(tmp_path: Path) -> None:
    store, case = planned(tmp_path)
    with pytest.raises(Refused, match="promised findings are gone: still found: CF501"):
        apply_with(
            case, lambda action, context: run_action(action, context) if action.kind == "trim-ids" else None
        )
    assert samples.differences(SAMPLE, store) == []


def segment_of(context: DraftContext) -> Path:
    with fx.open_store(context.store) as store:
        segment = store.collections[0].vector_segment_id
    assert segment is not None
    return context.draft.copy_in(segment)


def flip_a_bit(context: DraftContext, store: Path) -> None:
    """Of a vector that was in the index before."""
    directory = segment_of(context)
    header = layout.Header.from_bytes((directory / "header.bin").read_bytes())
    raw = np.memmap(directory / "data_level0.bin", dtype=np.uint8, mode="r+")
    raw[3 * header.size_data_per_element + header.offset_data] ^= 1
    raw.flush()


def change_a_document(context: DraftContext, store: Path) -> None:
    with sqlite3.connect(context.draft.copy_in("chroma.sqlite3")) as database:
        database.execute(
            "UPDATE embedding_metadata SET string_value = 'forged' WHERE id = 7 AND key = 'label'"
        )


def raise_a_watermark(context: DraftContext, store: Path) -> None:
    with sqlite3.connect(context.draft.copy_in("chroma.sqlite3")) as database:
        database.execute("UPDATE max_seq_id SET seq_id = seq_id + 5")


def lose_an_id(context: DraftContext, store: Path) -> None:
    import pickle

    path = segment_of(context) / "index_metadata.pickle"
    state = pickle.loads(path.read_bytes())
    name = next(iter(state["id_to_label"]))
    del state["label_to_id"][state["id_to_label"].pop(name)]
    path.write_bytes(pickle.dumps(state, protocol=3))


def cut_a_link(context: DraftContext, store: Path) -> None:
    """Element 5 is linked by nobody and links nobody."""
    directory = segment_of(context)
    header = layout.Header.from_bytes((directory / "header.bin").read_bytes())
    dtype = layout.level0_dtype(header.dim, header.M)
    level0 = np.memmap(
        directory / "data_level0.bin", dtype=dtype, mode="r+", shape=(header.cur_element_count,)
    )
    for element in range(len(level0)):
        links = [link for link in level0["links"][element][: level0["count"][element]] if link != 5]
        level0["links"][element, : len(links)] = links
        level0["count"][element] = len(links)
    level0.flush()


def give_a_strangers_vector(context: DraftContext, store: Path) -> None:
    """To a record that was embedded again: it finds itself, but not by its text."""
    directory = segment_of(context)
    header = layout.Header.from_bytes((directory / "header.bin").read_bytes())
    dtype = layout.level0_dtype(header.dim, header.M)
    level0 = np.memmap(
        directory / "data_level0.bin", dtype=dtype, mode="r+", shape=(header.cur_element_count,)
    )
    level0["vector"][-1] = level0["vector"][-2]
    level0.flush()


@pytest.mark.parametrize(
    ("spoil", "test"),
    [
        (give_a_strangers_vector, "what was embedded again or replaced is found by its text"),
        (flip_a_bit, "vectors that were in the index are unchanged"),
        (change_a_document, "tables that no action is about are unchanged"),
        (raise_a_watermark, "watermarks"),
        (lose_an_id, "ids of SQLite and index are equal"),
        (cut_a_link, "every vector finds itself"),
    ],
)
def test_a_spoiled_draft_is_refused(spoil: Spoil, test: str, tmp_path: Path) -> None:
    store, case = planned(tmp_path)
    last = case.read_json("plan.json")["actions"]
    kept = [action["kind"] for action in last if action["approved"]]

    def run(action: Action, context: DraftContext) -> Any:
        done = run_action(action, context)
        if action.kind == kept[-1]:
            spoil(context, store)
        return done

    with pytest.raises(Refused, match="did not pass its verification"):
        apply_with(case, run)
    failed = [line["name"] for line in case.read_json("verdict.json")["tests"] if not line["passed"]]
    assert any(test in name for name in failed), failed
    assert samples.differences(SAMPLE, store) == []


def test_the_case_holds_the_origin_of_every_record(tmp_path: Path) -> None:
    store, case = planned(tmp_path, "1.5.9/set-aside")
    apply_plan(case, nobody_else=True)
    with open(case.evidence("provenance-terms.csv"), newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    with fx.open_store(store) as opened:
        assert [row["id"] for row in rows] == opened.collection("terms").rows.ids
    origins = [row["origin"] for row in rows]
    assert origins.count("set-aside") == 259
    assert set(origins) == {"set-aside", "kept in the index", "pending in the queue"}


def test_the_verb_looks_again_after_the_swap(tmp_path: Path) -> None:
    store, case = planned(tmp_path)
    with pytest.raises(UsageError, match="not been applied"):
        fx.verify(case)
    apply_plan(case, nobody_else=True)
    verdict = fx.verify(case, engine="none")
    assert verdict.passed
    assert verdict.verified == "checks"
    with sqlite3.connect(store / "chroma.sqlite3") as database:
        database.execute("UPDATE max_seq_id SET seq_id = seq_id + 500")
    assert not fx.verify(case, engine="none").passed


def test_what_is_lost_is_listed_in_the_case(tmp_path: Path) -> None:
    store, folder = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    plan = fx.plan(store, case=folder, engine="none")
    assert [action.kind for action in plan.approved] == ["trim-ids"]
    result = fx.apply(folder, yes=True, nobody_else=True)
    assert result["remaining"] == ["CF501"]
    assert result["records"]["lost"] == 279
    rows = (folder / "evidence" / "lost-terms.csv").read_text().splitlines()
    assert len(rows) == 280
    assert "no embedder was given" in rows[1]


def test_quarantined_records_can_be_read_back(tmp_path: Path) -> None:
    from forensics.testing.damage import damage_menu

    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    with fx.open_store(store) as opened:
        before = opened.collection("terms").records
        vectors = opened.collection("terms").vector.files.vectors(before.elements[before.indexed])
        known = dict(zip(before.ids(before.indexed), vectors, strict=True))
    damage_menu()["rows-deleted"](store)
    fx.reconcile(store, case=tmp_path / "case", engine="none", nobody_else=True)
    path = tmp_path / "case" / "evidence" / "quarantined-terms-quarantine-ghosts.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 5
    for line in lines:
        unit = np.array(line["vector"]) / np.linalg.norm(line["vector"])
        assert np.allclose(unit, known[line["id"]], atol=1e-6)


def test_rebuild_makes_a_new_index_of_the_same_vectors(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy-three-collections", tmp_path / "store")
    dry = fx.rebuild(store, "terms", case=tmp_path / "dry", engine="none", dry_run=True)
    assert not dry["applied"]
    assert samples.differences("1.5.9/healthy-three-collections", store) == []
    result = fx.rebuild(store, "terms", case=tmp_path / "case", threads=1, engine="none", nobody_else=True)
    assert result["verified"] == "checks"
    touched = {
        line.partition(":")[0] for line in samples.differences("1.5.9/healthy-three-collections", store)
    }
    with fx.open_store(store) as opened:
        others = {c.vector_segment_id for c in opened.collections if c.name != "terms"}
    assert not any(str(path).startswith(tuple(map(str, others))) for path in touched), (
        "bystanders are as they were"
    )
    fx.undo(tmp_path / "case")
    assert samples.differences("1.5.9/healthy-three-collections", store) == []
