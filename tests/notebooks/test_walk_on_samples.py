"""The walk runs to its end on every store: healthy, damaged, unreadable, or an index without a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from forensics import samples
from forensics.lab import books
from forensics.lab.launch import open_case, walk_environment
from forensics.lab.session import SAMPLE_EMBEDDER

QUICK = ("1.5.9/pickle-lost", "unreadable database")
ELSE = ("unreadable database", "index without a database", "no embedder", "look only")


def stores() -> list[Any]:
    """Every sample and some stores made of them; all but a few are slow."""
    names = [*samples.names(), *ELSE]
    return [pytest.param(name, id=name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


def make(name: str, folder: Path) -> Path:
    source = {"no embedder": "peek-failure", "look only": "peek-failure"}.get(name, name)
    store = samples.restore("healthy-three-collections" if name in ELSE[:2] else source, folder / "store")
    database = store / "chroma.sqlite3"
    if name == "unreadable database":
        with database.open("r+b") as file:
            file.write(bytes(100))
    if name == "index without a database":
        database.unlink()
    return store


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", stores())
def test_the_walk_runs_to_its_end(name: str, tmp_path: Path) -> None:
    store = make(name, tmp_path)
    case = open_case(store, tmp_path / "case", None)
    embedder = None if name == "no embedder" else SAMPLE_EMBEDDER
    told = walk_environment(store, case, None, yes=name != "look only", embedder=embedder)
    folder = books.copy_into(case.folder / "notebooks")
    assert {name: error for name, error in books.execute(folder, told) if error} == {}
    for path in sorted(folder.glob("*.ipynb")):
        assert_clean(path, tmp_path)
    assert case.has("report.html")
    if name in ("look only", "index without a database"):
        assert not case.has("result.json")
    if name == "unreadable database":
        assert case.read_json("result.json")["verified"]


def assert_clean(path: Path, place: Path) -> None:
    """Nothing went to stderr, and no output says where the store lay."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", ()):
            assert output.get("name") != "stderr", f"{path.name}: {output['text']}"
            assert str(place) not in json.dumps(output), f"{path.name}: {cell.source}"
