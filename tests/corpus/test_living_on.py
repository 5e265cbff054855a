"""A store of every release is repaired in its own dialect, and its own release then lives on with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.testing.damage import damage_menu
from forensics.testing.living_on import Truth, lives_on
from forensics.testing.nursery import preloaded

EMBEDDER = "forensics.testing.embedder:embed"
CHOSEN = (
    ("0.4.24", "oldest-lost"),
    ("0.5.23", "header-zeroed"),
    ("1.0.20", "vector-watermark-poisoned"),
)
"""Releases of three dialects; all six are in the cells of test_outcomes.py and in docs/OUTCOMES.md."""


def repaired(version: str, damage: str, folder: Path) -> Path:
    store = samples.restore(f"{version}/healthy", folder / "store")
    damage_menu()[damage](store)
    result = fx.reconcile(store, case=folder / "case", embedder=EMBEDDER, engine="none", nobody_else=True)
    assert result["remaining"] == []
    return store


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    truth = Truth.of_sample("1.5.9/healthy")
    first, second = list(truth.documents)[:2]
    truth.documents[first], truth.vectors[second] = "another", truth.vectors[first]
    told = lives_on(store, {"terms": truth.without(list(truth.documents)[-1:])}, sys.executable)
    expected = ("count 300 of 299", "1 ids too many", "1 documents are others", "1 vectors are others")
    assert [line.split(": ")[:2] for line in told] == [["at first", "terms"]] * 5
    assert all(text in line for text, line in zip(expected, told, strict=False)), told


@pytest.mark.oldchroma
@pytest.mark.parametrize(("version", "damage"), CHOSEN)
def test_its_own_release_lives_on(version: str, damage: str, release: Any, tmp_path: Path) -> None:
    python = release(version)
    store = repaired(version, damage, tmp_path)
    assert not fx.diagnose(store).codes(notes=False)
    with preloaded():
        assert lives_on(store, {"terms": Truth.of_sample(f"{version}/healthy")}, python) == []
