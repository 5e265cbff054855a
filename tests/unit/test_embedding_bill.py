"""Before anything is embedded again, the plan says how much it will be, how long it takes and what it costs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics.model import Plan
from forensics.repair.embedding import Embedder
from forensics.repair.embedding_bill import tokens_of
from forensics.report.embedding import embedding_sentences
from forensics.report.render import plan_html
from forensics.testing.embedder import embed

Sample = Callable[[str], Path]


def slow(texts: list[str]) -> np.ndarray:
    time.sleep(0.01 * len(texts))
    return embed(texts)


def by_words(texts: list[str]) -> np.ndarray:
    return embed(texts)


def words_of(texts: list[str]) -> list[int]:
    """words"""
    return [len(text.split()) for text in texts]


by_words.count_tokens = words_of  # type: ignore[attr-defined]


def told(store: Path, function: str, **choices: object) -> Plan:
    return fx.plan(store, embedder=f"{__name__}:{function}", **choices)


def test_it_counts_documents_calls_tokens_hours_and_money(sample: Sample) -> None:
    store = sample("1.2.1/peek-failure")
    plan = told(store, "slow", batch_size=10, price_per_million_tokens=20.0)
    bill = plan.embedding
    assert bill is not None
    assert (bill["documents"], bill["asked"], bill["kept"], bill["batches"]) == (279, 279, 0, 28)
    assert 80 < bill["measured"]["documents_per_second"] <= 100
    assert bill["measured"]["hours"] == pytest.approx(279 / 100 / 3600, rel=0.3)
    assert bill["tokens"] < bill["tokens_at_most"]
    assert bill["money"] == pytest.approx(bill["tokens"] * 20 / 1e6, abs=1e-6)
    assert "estimated" in bill["tokens_by"]
    assert bill["collections"][0]["verified"] is True


def test_a_pace_below_the_measured_rate_decides(sample: Sample) -> None:
    bill = told(sample("1.2.1/peek-failure"), "by_words", batch_size=10, requests_per_minute=6000).embedding
    assert bill is not None
    assert bill["measured"]["hours"] == pytest.approx(27 / 6000 / 60, rel=0.1)


def test_tokens_are_counted_where_the_embedder_can(sample: Sample) -> None:
    bill = told(sample("1.2.1/peek-failure"), "by_words").embedding
    assert bill is not None
    assert bill["tokens"] == bill["tokens_at_most"] > 279
    assert bill["tokens_by"] == "counted by words"


def test_an_estimate_says_that_it_is_one_and_what_it_cannot_exceed() -> None:
    found = tokens_of(["twelve bytes", "äöü"], Embedder("mine", embed))
    assert (found.count, found.at_most) == (3 + 2, 12 + 6 + 4)

    def broken(texts: list[str]) -> list[int]:
        raise OSError("no network")

    def function(texts: list[str]) -> np.ndarray:
        return embed(texts)

    function.count_tokens = broken  # type: ignore[attr-defined]
    assert "its count_tokens raised OSError: no network" in tokens_of(["a"], Embedder("mine", function)).by


def test_what_the_case_has_already_is_not_reckoned_again(sample: Sample, tmp_path: Path) -> None:
    store, case = sample("1.2.1/peek-failure"), tmp_path / "case"
    told(store, "by_words", case=case)
    fx.apply(case, yes=True, engine="none")
    fx.undo(case)
    told(store, "by_words", case=tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "embedded")
    shutil.copytree(case / "embedded", tmp_path / "again" / "embedded")
    bill = told(store, "by_words", case=tmp_path / "again").embedding
    assert bill is not None
    assert (bill["documents"], bill["asked"], bill["kept"], bill["tokens"]) == (279, 0, 279, 0)


def test_the_plan_says_so_in_words(sample: Sample) -> None:
    plan = told(sample("1.2.1/peek-failure"), "slow", price_per_million_tokens=20.0)
    said = " ".join(embedding_sentences(plan.to_json()))
    assert "279 documents are embedded again: about " in said
    assert "in 2 calls of at most 256, in less than a minute at the measured rate." in said
    assert "At 20 per million tokens it costs 0.13 to at most 0.5" in said
    assert "The network is used by nothing but that embedder, if it uses any." in said
    assert "279 documents are embedded again" in plan_html(plan)


def test_a_plan_that_embeds_nothing_reckons_nothing(sample: Sample) -> None:
    plan = fx.plan(sample("1.5.9/healthy"), embedder=f"{__name__}:embed")
    assert plan.embedding is None
    assert embedding_sentences(plan.to_json()) == ()
