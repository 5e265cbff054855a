"""Whether a store is safe to open is decided by all checks that decide it, whatever was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import forensics as fx
from forensics.checks import load_checks
from forensics.checks.registry import CHECKS
from forensics.report.summary import state, verdict_sentence

Sample = Callable[[str], Path]


@pytest.mark.parametrize("asked", [{"only": ["CF501"]}, {"skip": ["CF401", "CF402", "CF403"]}], ids=str)
def test_what_was_left_out_decides_all_the_same(asked: dict[str, list[str]], sample: Sample) -> None:
    diagnosis = fx.diagnose(sample("pickle-lost"), **asked)
    assert diagnosis.store["safe_to_open"] is False
    assert diagnosis.store["unsafe_because"] == ["CF401"]
    assert "CF401" not in diagnosis.codes()
    assert state(diagnosis.to_json()) == "closed"


def test_a_collection_that_was_not_asked_for_decides_too(sample: Sample) -> None:
    store = sample("healthy-three-collections")
    names = [one.name for one in fx.diagnose(store).collections]
    with fx.open_store(store) as opened:
        directory = opened.collection(names[-1]).vector_segment_id
    (store / str(directory) / "index_metadata.pickle").unlink()
    diagnosis = fx.diagnose(store, collection=names[0])
    assert (diagnosis.codes(notes=False), diagnosis.store["safe_to_open"]) == ((), False)


def test_a_healthy_store_is_safe_whatever_was_asked(sample: Sample) -> None:
    assert fx.diagnose(sample("1.5.9/healthy"), only=["CF601"]).store["safe_to_open"] is True


def test_what_could_not_be_decided_is_not_called_safe(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that decides ends in an error of its own."""

    def broken(view: object) -> None:
        raise RuntimeError(view)

    load_checks()
    monkeypatch.setitem(CHECKS, "CF205", replace(CHECKS["CF205"], function=broken))
    diagnosis = fx.diagnose(sample("1.5.9/healthy"), only=["CF601"])
    assert (diagnosis.codes(), diagnosis.store["safe_to_open"]) == ((), None)
    assert state(diagnosis.to_json()) == "unsure"
    assert verdict_sentence(diagnosis.to_json()).startswith("No damage was found in what could be examined")
    assert "safe to open" in verdict_sentence(diagnosis.to_json())
