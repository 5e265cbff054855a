"""The engine is asked on a copy, on slices where a copy does not fit, or not at all; and it says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensics import samples
from forensics.copying import copy_store
from forensics.errors import CannotComplete
from forensics.repair.actions import asking
from forensics.repair.actions.asking import ask_engine, was_skipped
from forensics.store import open_store


def ask(tmp_path: Path, version: str | None) -> list[asking.Test]:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    with open_store(store) as opened:
        return list(ask_engine(opened, version, lambda dest: copy_store(store, dest), tmp_path / "engine"))


def test_nobody_is_asked_when_none_is_wanted(tmp_path: Path) -> None:
    tests = ask(tmp_path, "none")
    assert was_skipped(tests)
    assert not (tmp_path / "engine").exists()


def test_a_release_that_is_not_here_fails_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotComplete, match=r"chromadb 0\.4\.1 is not at hand"):
        ask(tmp_path, "0.4.1")
    assert not (tmp_path / "engine").exists()


def test_where_a_copy_does_not_fit_a_slice_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_available_memory", lambda: 1 << 20)
    tests = ask(tmp_path, None)
    assert tests[0].name == "engine: on slices"
    assert "MiB" in tests[0].detail
    assert all(test.passed for test in tests)
    assert not was_skipped(tests)
    assert any("on a slice of 300 of 300 records" in test.detail for test in tests)
    assert not (tmp_path / "engine").exists()
