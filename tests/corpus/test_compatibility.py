"""What is said of releases and what they do: every answer of the table is tried with the release itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics.compatibility import RELEASES, openings
from forensics.testing.builder import Engine, EngineRaised
from forensics.testing.healthy import RELEASES as BUILT
from forensics.testing.healthy import recipes

Release = Callable[[str], Path]
LIVES = ("0.4.24-life", "0.6.3-life", "0.5.23-to-1.0.0", "1.2.1-life", "1.5.9-life")
OPENERS = ("0.4.24", "0.5.0", "0.5.5", "0.6.3", "1.0.20", "1.2.1", "1.2.2", "1.5.9")


def test_the_table_speaks_of_the_releases_that_the_corpus_has() -> None:
    assert RELEASES == BUILT


def what_it_does(store: Path, python: Path) -> str:
    """opens, fails or panics, by trying."""
    with Engine(store, python) as engine:
        try:
            engine.call("open")
            engine.call("vectors", collection="terms")
            engine.call("query", collection="terms", documents=["a term"], k=3)
        except EngineRaised as error:
            return "panics" if error.type == "PanicException" else "fails"
    return "opens"


@pytest.mark.oldchroma
@pytest.mark.timeout(600)
@pytest.mark.parametrize("life", LIVES)
def test_each_release_does_what_the_table_says(life: str, tmp_path: Path, release: Release) -> None:
    store = tmp_path / "store"
    (recipe,) = (each for each in recipes() if each.name == life)
    recipe.make(store, release)
    with fx.open_store(store) as opened:
        told = {each.release: each for each in openings(opened, OPENERS)}

    for opener in OPENERS:
        copy = tmp_path / opener
        shutil.copytree(store, copy)
        assert what_it_does(copy, release(opener)) == told[opener].outcome.replace("migrates", "opens"), told[
            opener
        ]


def test_a_store_without_a_database_is_unknown(tmp_path: Path, sample: Callable[[str], Path]) -> None:
    store = sample("1.5.9/healthy")
    (store / "chroma.sqlite3").write_bytes(b"")
    with fx.open_store(store) as opened:
        assert {each.outcome for each in openings(opened)} == {"unknown"}
