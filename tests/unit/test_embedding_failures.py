"""Documents that cannot be embedded: the others are repaired and these are listed with their reasons, or nothing is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics.cli import main
from forensics.errors import Refused
from forensics.evidence import read_rows
from forensics.testing.embedder import embed

Sample = Callable[[str], Path]
WORD = "membrane"


def picky(texts: list[str]) -> np.ndarray:
    """A service that refuses a call in which such a text stands."""
    if any(WORD in text for text in texts):
        raise ValueError("the content filter has stopped this")
    return embed(texts)


def planned(store: Path, case: Path, **choices: Any) -> list[str]:
    """The documents that the plan is to embed and that will fail."""
    fx.plan(store, case=case, embedder=f"{__name__}:picky", engine="none", **choices)
    with fx.open_store(store) as opened:
        records = opened.collection("terms").records
        ids = records.ids(records.missing)
        from forensics.sources import documents

        texts = documents(opened.collection("terms"), ids)
    return [name for name, text in zip(ids, texts, strict=True) if WORD in (text or "")]


def test_the_others_are_repaired_and_these_are_listed(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, case = sample("1.2.1/peek-failure"), tmp_path / "case"
    refused = planned(store, case)
    count = len(refused)
    status = main(["apply", "--case", str(case), "--yes", "--engine", "none", "--format", "json"])
    result = json.loads(capsys.readouterr().out)
    assert (status & 4, result["verified"], result["applied"]) == (4, "checks", True)
    assert result["records"]["reembedded"] == 279 - count
    assert result["records"]["lost"] == count
    assert "CF501" in result["remaining"]
    path = case / "evidence" / "not-embedded-terms-add-missing-vectors.csv"
    rows = read_rows(path)
    assert sorted(row[0] for row in rows) == sorted(refused)
    assert {row[1] for row in rows} == {"raised ValueError: the content filter has stopped this"}
    left = [row[0] for row in read_rows(case / "evidence" / "lost-terms.csv")]
    assert sorted(left) == sorted(refused)
    assert fx.verify(case, engine="none").passed
    with fx.open_store(store) as opened:
        records = opened.collection("terms").records
        assert sorted(records.ids(records.missing)) == sorted(refused)


def test_they_are_told_on_the_screen(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, case = sample("1.2.1/peek-failure"), tmp_path / "case"
    count = len(planned(store, case))
    assert main(["apply", "--case", str(case), "--yes", "--engine", "none"]) == 4
    said = " ".join(capsys.readouterr().out.split())
    assert f"{count} records" in said
    assert "of its document the embedder raised ValueError: the content filter has stopped this" in said


def test_a_second_repair_asks_for_them_alone(sample: Sample, tmp_path: Path) -> None:
    store, case = sample("1.2.1/peek-failure"), tmp_path / "case"
    count = len(planned(store, case))
    fx.apply(case, yes=True)
    again = fx.plan(store, embedder="forensics.testing.embedder:embed")
    assert again.effects[0].reembedded == count


def test_nothing_is_done_where_that_is_wished(sample: Sample, tmp_path: Path) -> None:
    store, case = sample("1.2.1/peek-failure"), tmp_path / "case"
    planned(store, case, stop_at_failed_record=True)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    with pytest.raises(Refused, match=r"documents cannot be embedded \(.*content filter.*to stop there"):
        fx.apply(case, yes=True)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
