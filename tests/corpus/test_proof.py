"""`verify.py` in a case proves the repair with the standard library alone, and tells whatever was tampered with."""

from __future__ import annotations

import ast
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import forensics as fx
from forensics import samples
from forensics.evidence import read_rows
from forensics.proof import standalone
from forensics.testing.damage import damage_menu
from forensics.testing.tampering import ALL, FACTS, detected, outcome
from forensics.testing.tampering_stores import Finished

EMBEDDER = "forensics.testing.embedder:embed"
REPAIRS: dict[str, dict[str, Any]] = {
    "1.2.1/peek-failure": {},
    "1.5.9/set-aside": {"embedder": EMBEDDER},
    "0.6.3/pickle-of-0.6": {"set_aside_unsearchable": True},
    "1.5.9/sql-only-orphans": {},
}
"""Losses and trimmed ids; cosine, another directory and pending rows; records set aside; the queue alone."""
NIGHTLY = bool(os.environ.get("FORENSICS_NIGHTLY"))
SEEDS = range(1000) if NIGHTLY else range(7, 1000, 25)


def finished(folder: Path, name: str, options: dict[str, Any], damage: str = "") -> Finished:
    """That sample repaired below `folder`, with a copy of what it was."""
    store = samples.restore(name, folder / "new")
    if damage:
        damage_menu()[damage](store)
    shutil.copytree(store, folder / "old")
    fx.plan(store, case=folder / "case", engine="none", **options)
    seal = fx.apply(folder / "case", yes=True, nobody_else=True)["seal"]
    fx.report(folder / "case")
    return Finished(folder / "case", folder / "old", folder / "new", seal)


@pytest.fixture(scope="module")
def repaired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Finished]]:
    folder = tmp_path_factory.mktemp("repaired")
    yield [finished(folder / str(at), *item) for at, item in enumerate(REPAIRS.items()) if NIGHTLY or at < 2]
    shutil.rmtree(folder)


def program(case: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python alone, without any package, runs the program of a case."""
    command = [sys.executable, "-I", "-S", str(case / "verify.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_everybody_can_run_it_on_the_kept_original_or_a_copy(
    repaired: list[Finished], tmp_path: Path
) -> None:
    for done in repaired:
        assert outcome(done, printed=True) == []
    done = repaired[1]
    alone = program(done.case)
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert {line.split(maxsplit=1)[0] for line in alone.stdout.splitlines()[:-1]} == {"OK"}
    for name in ("case", "old", "new"):
        shutil.copytree(getattr(done, name), tmp_path / name)
    copied = program(tmp_path / "case", str(tmp_path / "old"), str(tmp_path / "new"), "--seal", done.seal)
    assert copied.returncode == 0, copied.stdout
    assert "NOT TOLD" in program(tmp_path / "case", "-", str(tmp_path / "new")).stdout
    other = program(tmp_path / "case", str(tmp_path / "old"), str(tmp_path / "new"), "--seal", "0" * 64)
    assert other.returncode == 1
    assert "FAILED" in other.stdout


def test_it_fits_three_hundred_lines_and_python_3_8() -> None:
    text = Path(standalone.__file__).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    tree = ast.parse(text, feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names)


def test_every_tampering_is_told(repaired: list[Finished], tmp_path: Path) -> None:
    facts, missed = {each.__name__ for each in FACTS}, []
    for seed in SEEDS:
        name, put_right, alone, with_seal = detected(repaired[seed % len(repaired)], seed, tmp_path / "work")
        if not with_seal or (not alone and (not put_right or name in facts)):
            missed.append((seed, name, put_right, alone, with_seal))
    assert missed == []
    assert {ALL[seed % len(ALL)] for seed in SEEDS} == set(ALL)


@pytest.mark.parametrize("form", ["released", "copied"])
def test_a_released_original_and_a_repaired_copy_have_their_proof(
    form: str, sample: Callable[[str], Path], tmp_path: Path
) -> None:
    store, case = sample("1.5.9/sql-only-orphans"), tmp_path / "case"
    fx.plan(store, case=case, engine="none")
    target = tmp_path / "copy" if form == "copied" else None
    fx.apply(case, yes=True, nobody_else=True, to=target)
    if form == "released":
        fx.release(case)
    said = program(case)
    assert said.returncode == 0, said.stdout + said.stderr
    assert ("NOT TOLD" in said.stdout) == (form == "released")


def test_records_of_a_database_made_anew_are_those_that_index_and_queue_of_before_knew(
    tmp_path: Path,
) -> None:
    done = finished(tmp_path, "1.5.9/healthy", {"accept_loss": ["CF102"]}, damage="table-page-zeroed")
    lines = list(standalone.run(done.case, done.old, done.new, done.seal))
    assert [line for line in lines if line[1] is False] == []
    assert done.read("proof.json")["anew"]
    with closing(sqlite3.connect(done.new / "chroma.sqlite3")) as database:
        database.execute("UPDATE embeddings SET embedding_id = 'new' WHERE id = 7")
        database.commit()
    assert any(line[1] is False for line in standalone.run(done.case, done.old, done.new, done.seal))


def test_the_provenance_of_every_record_is_there_as_parquet_too(repaired: list[Finished]) -> None:
    for done in repaired:
        for path in done.evidence("provenance-terms.csv"):
            rows = read_rows(path)
            table = pd.read_parquet(path.with_suffix(".parquet")).fillna("")
            assert table.to_numpy().tolist() == rows
            assert len(rows) in (260, 300)


def test_an_id_map_that_names_a_function_calls_none(tmp_path: Path) -> None:
    path = tmp_path / "index_metadata.pickle"
    path.write_bytes(b"cos\nsystem\n(S'touch harmed'\ntR.")
    with open(path, "rb") as handle, pytest.raises(ValueError, match=r"names os\.system"):
        standalone.IdMap(handle).load()
