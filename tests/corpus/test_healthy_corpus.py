"""Stores that are healthy, by every way of writing them that we know: nothing above a note is said of any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics.seal import compare, seal
from forensics.testing.healthy import RELEASES, Recipe, recipes

pytestmark = [pytest.mark.oldchroma, pytest.mark.timeout(900)]
Release = Callable[[str], Path]


def marked(recipe: Recipe) -> object:
    """A big one takes minutes: nightly."""
    return pytest.param(recipe, id=recipe.name, marks=[pytest.mark.slow] if recipe.big else [])


def test_there_are_enough_of_them_and_every_release_wrote_some() -> None:
    made = recipes()
    assert len({recipe.name for recipe in made}) == len(made) >= 40
    assert {release for recipe in made for release in recipe.releases} == set(RELEASES)


@pytest.mark.parametrize("recipe", [marked(recipe) for recipe in recipes()])
def test_health_is_met_with_silence(recipe: Recipe, tmp_path: Path, release: Release) -> None:
    pythons = {version: release(version) for version in recipe.releases}
    store = tmp_path / "store"
    recipe.make(store, pythons.__getitem__)
    before = seal(store)

    found = fx.diagnose(store, deep=True)

    assert found.codes(notes=False) == recipe.leaves
    assert [outcome for outcome in found.checks if outcome.outcome in ("crashed", "partial")] == []
    assert compare(before, seal(store)) == ()
