"""A check that raises is a result: CF901 says so, the others run on, and the exit status has the bit for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forensics.checks import load_checks
from forensics.checks.registry import CHECKS

Sample = Callable[[str], Path]
Say = Callable[..., Any]


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`breaks(code…)`: the check of that code ends in an error of its own from now on."""

    def function(view: object) -> None:
        raise LookupError("no such luck")

    def made(*codes: str) -> None:
        load_checks()
        for code in codes:
            monkeypatch.setitem(CHECKS, code, replace(CHECKS[code], function=function))

    return made


def test_the_run_goes_on_and_nothing_is_called_clean(
    breaks: Callable[..., None], sample: Sample, say: Say, tmp_path: Path
) -> None:
    breaks("CF601", "CF606")
    said = say("diagnose", sample("peek-failure"), "--case", tmp_path / "case", "--format", "json")
    assert said.status == 4 | 8
    found = {finding["code"]: finding for finding in said.data["findings"]}
    assert found.keys() >= {"CF501", "CF701", "CF901"}
    assert (found["CF901"]["count"], found["CF901"]["severity"]) == (2, "error")
    assert found["CF901"]["found"] == "; ".join(["LookupError: no such luck"] * 2)
    outcomes = {check["code"]: check["outcome"] for check in said.data["checks"]}
    assert (outcomes["CF601"], outcomes["CF606"], outcomes["CF602"]) == ("crashed", "crashed", "clean")


def test_a_healthy_store_is_not_called_healthy_and_the_traceback_is_kept(
    breaks: Callable[..., None], sample: Sample, say: Say, tmp_path: Path
) -> None:
    breaks("CF601")
    said = say("diagnose", sample("1.5.9/healthy"), "--case", tmp_path / "case")
    assert said.status & 8
    assert "CF901" in said.out
    assert "No damage found" not in said.out
    kept = (tmp_path / "case" / "evidence" / "CF901-terms-traceback.csv").read_text()
    assert "Traceback" in kept
    assert "no such luck" in kept
