"""`forensics embedder --check`: whether an embedder makes what survives, or that nobody can tell."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.cli import main
from forensics.embedder_check import EmbedderCheck
from forensics.errors import UsageError
from forensics.testing.builder import StoreBuilder
from forensics.testing.damage import damage_menu
from forensics.testing.embedder import embed
from forensics.testing.texts import records

Sample = Callable[[str], Path]
RIGHT = "forensics.testing.embedder:embed"
WRONG = "forensics.testing.embedder:embed_backwards"


def longer(texts: list[str]) -> np.ndarray:
    """The right directions at five times the length."""
    return 5 * embed(texts)


def wider(texts: list[str]) -> np.ndarray:
    return np.tile(embed(texts), 2)


def nothing(texts: list[str]) -> np.ndarray:
    return np.zeros((len(texts), 32), dtype=np.float32)


def raising(texts: list[str]) -> np.ndarray:
    raise ValueError("no model")


def bare(tmp_path: Path) -> Path:
    """A store of which no vector survives: its index is gone, and its queue holds none."""
    store = samples.restore("1.5.9/healthy", tmp_path / "bare")
    damage_menu()["directory-removed"](store)
    with sqlite3.connect(store / "chroma.sqlite3") as database:
        database.execute("UPDATE embeddings_queue SET vector = NULL, operation = 1")
    return store


def checked(store: Path, name: str) -> Any:
    """What is said of the only collection of a store."""
    told = fx.embedder(store, name)
    assert isinstance(told, EmbedderCheck)
    (only,) = told.collections
    return only


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any, str]:
    """(status, the JSON object, stderr)."""
    status = main(["embedder", *map(str, words), "--format", "json"])
    told = capsys.readouterr()
    return status, json.loads(told.out), told.err


@pytest.mark.parametrize(
    ("function", "status", "verdict"), [(RIGHT, 0, "reproduces"), (WRONG, 4, "does not reproduce")]
)
def test_it_is_held_against_what_survives(
    function: str, status: int, verdict: str, sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    store = sample("1.2.1/peek-failure")
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    found, data, _ = said(capsys, "--check", store, "--embedder", function)
    assert found == status
    row = data["collections"][0]
    assert (row["verdict"], row["trial"]["sample"], row["dimension"]) == (verdict, 21, 32)
    assert data["reproduces"] is (status == 0)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_what_the_queue_still_rewrites_is_not_held_against_it(tmp_path: Path) -> None:
    """The index has the vectors of the documents of yesterday until the next flush: nothing is wrong with them."""
    known, store = records()[:50], tmp_path / "store"
    with StoreBuilder(store) as builder:
        builder.create("docs", space="l2", sync_threshold=40)
        builder.add("docs", known)
        builder.add("docs", [replace(r, document=f"{r.document} (today)") for r in known[:12]], how="upsert")
    trial = checked(store, RIGHT).trial
    assert trial is not None
    assert (trial.sample, trial.missed) == (38, {})


def test_where_nothing_survives_nobody_can_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, data, told = said(capsys, "--check", bare(tmp_path), "--embedder", RIGHT)
    assert (status, data["reproduces"], data["collections"][0]["verdict"]) == (8, None, "no survivor")
    assert "only dimension and lengths could be checked: those of 64 documents have 32 components" in told


@pytest.mark.parametrize(
    ("function", "verdict", "why"),
    [
        ("wider", "does not reproduce", "gave an array of shape"),
        ("nothing", "does not reproduce", "it gives vectors of length 0"),
        ("raising", "not tried", "raised ValueError: no model"),
    ],
)
def test_dimension_and_lengths_can_refuse(function: str, verdict: str, why: str, tmp_path: Path) -> None:
    found = fx.embedder(bare(tmp_path), f"{__name__}:{function}")
    assert isinstance(found, EmbedderCheck)
    assert found.collections[0].verdict == verdict
    assert why in found.collections[0].reason


def test_lengths_that_are_left_refuse_another_scale(tmp_path: Path) -> None:
    """Of a cosine collection length.bin tells how long the vectors were."""
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    with sqlite3.connect(store / "chroma.sqlite3") as database:
        database.execute("UPDATE embeddings_queue SET vector = NULL, operation = 1")
    directory = next(store.glob("*/data_level0.bin")).parent
    (directory / "data_level0.bin").unlink()
    right, wrong = (checked(store, name) for name in (RIGHT, f"{__name__}:longer"))
    assert (right.verdict, wrong.verdict) == ("no survivor", "does not reproduce")
    assert "length.bin says that the vectors had lengths of" in wrong.reason


def test_a_plan_with_such_an_embedder_is_called_unverified_until_it_is_confirmed(tmp_path: Path) -> None:
    store = bare(tmp_path)
    plan = fx.plan(store, embedder=RIGHT)
    assert "the embedder is unverified" in str(plan.losses[0]["reason"])
    assert not any(action.kind == "rebuild-segment" for action in plan.approved)
    confirmed = fx.plan(store, embedder=RIGHT, unverified_embedder=True)
    title = next(action.title for action in confirmed.approved if action.kind == "rebuild-segment")
    assert "300 embedded again, unverified" in title
    assert confirmed.embedding is not None
    assert confirmed.embedding["collections"][0]["verified"] is False


def test_one_collection_is_named(sample: Sample) -> None:
    store = sample("1.5.9/healthy-three-collections")
    whole = fx.embedder(store, RIGHT)
    assert isinstance(whole, EmbedderCheck)
    assert [each.collection for each in whole.collections] != ["terms"]
    one = fx.embedder(store, RIGHT, collection="terms")
    assert isinstance(one, EmbedderCheck)
    assert [(each.collection, each.verdict) for each in one.collections] == [("terms", "reproduces")]
    assert one.exit_status == 0


def test_it_shows_itself_and_is_kept_in_a_case(sample: Sample, tmp_path: Path) -> None:
    found = fx.embedder(sample("1.2.1/peek-failure"), RIGHT, case=tmp_path / "case")
    assert '"terms" (300 records, 32 dimensions): it makes these vectors' in repr(found)
    kept = json.loads((tmp_path / "case" / "embedder.json").read_text(encoding="utf-8"))
    assert kept["collections"][0]["verdict"] == "reproduces"


def test_what_makes_no_sense_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embedder", "--check"]) == 16
    assert main(["embedder", "--template", "nothing"]) == 16
    assert "there are: chromadb-default, openai, sentence-transformers" in capsys.readouterr().err
    with pytest.raises(UsageError, match="Say which store"):
        fx.embedder()
