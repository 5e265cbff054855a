"""The walk without a browser, end to end: what it prints, what it leaves in the case, what it does to the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

import forensics as fx
from forensics.lab import books
from forensics.lab.investigate import main
from forensics.lab.session import SAMPLE_EMBEDDER
from forensics.seal import compare, seal

Sample = Callable[[str], Path]
SHORT = ("05_repair_and_verify", "06_write_the_report")

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]  # .ci/run walks once by itself


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the notebooks that repair and report; the whole walk is a slow test."""
    monkeypatch.setattr(books, "WALK", SHORT)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases go to the working folder, and no variable of ours comes from outside."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("STORE", "CASE", "EMBEDDER", "YES", "SAMPLE_NAME"):
        monkeypatch.delenv(f"FORENSICS_{name}", raising=False)


def case_of(printed: str) -> Path:
    """The case, from the last line."""
    word, path = printed.rstrip("\n").split("\n")[-1].split(maxsplit=1)
    assert word == "case"
    return Path(path)


def assert_left(case: Path, names: tuple[str, ...]) -> None:
    """The executed notebooks, also as HTML that loads nothing, and the report."""
    for name in names:
        book = nbformat.read(case / "notebooks" / f"{name}.ipynb", as_version=4)
        assert all(cell.execution_count for cell in book.cells if cell.cell_type == "code")
        assert "default-src 'none'" in (case / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
    assert "<main>" in (case / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("short")
def test_on_an_own_store_it_stops_at_the_plan(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    store = sample("peek-failure-few")
    before = seal(store)
    assert main([str(store)]) == 0
    printed = capsys.readouterr().out
    for heading in ("Findings before", "Plan, and what it will lose", "Notebooks", "Stopped at the plan"):
        assert heading in printed
    assert "Findings after" not in printed
    assert compare(before, seal(store)) == ()
    case = case_of(printed)
    assert not (case / "result.json").exists()
    assert_left(case, SHORT)


@pytest.mark.usefixtures("short")
def test_with_yes_it_repairs_and_verifies(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    store = sample("peek-failure")
    assert main([str(store), "--yes", "--embedder", SAMPLE_EMBEDDER]) == 0
    printed = capsys.readouterr().out
    order = [
        printed.index(f"── {title} ")
        for title in (
            "Findings before",
            "Plan, and what it will lose",
            "Notebooks",
            "Repair and verification",
            "Findings after",
        )
    ]
    assert order == sorted(order)
    assert "279 embedded again" in printed
    assert "Repaired and verified by the checks and by the engine." in printed
    assert fx.diagnose(store).codes(notes=False) == ()
    assert_left(case_of(printed), SHORT)


@pytest.mark.usefixtures("short")
def test_without_an_embedder_it_does_what_can_be_done_and_says_the_rest(
    sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    store = sample("peek-failure")
    assert main([str(store), "--yes"]) == 0
    printed = capsys.readouterr().out
    assert "These stay: CF501" in printed
    assert "CF501" in fx.diagnose(store).codes()


@pytest.mark.usefixtures("short")
def test_a_healthy_store_is_left_alone(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    store = sample("1.5.9/healthy")
    before = seal(store)
    assert main([str(store), "--yes"]) == 0
    printed = capsys.readouterr().out
    assert "Nothing to do: the store was not touched." in printed
    assert compare(before, seal(store)) == ()


@pytest.mark.parametrize("what", ["absent", "empty folder", "file"])
def test_what_is_no_store_is_one_sentence(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "thing"
    if what == "empty folder":
        path.mkdir()
    if what == "file":
        path.write_text("x")
    assert main([str(path)]) == 16
    printed = capsys.readouterr()
    assert printed.err.startswith("forensics: ")
    assert printed.err.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.usefixtures("short")
def test_a_notebook_that_fails_is_said_and_kept(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORENSICS_NOTEBOOKS", str(broken(tmp_path / "books")))
    assert main([str(sample("1.5.9/healthy"))]) == 8
    printed = capsys.readouterr().out
    assert "ZeroDivisionError" in printed
    assert (case_of(printed) / "report.html").exists()


def broken(folder: Path) -> Path:
    """The notebooks, the first of them with a mistake."""
    folder.mkdir()
    for name in SHORT:
        book = nbformat.read(books.notebooks() / f"{name}.ipynb", as_version=4)
        if name == SHORT[0]:
            book.cells.insert(1, nbformat.v4.new_code_cell("1 / 0"))
        nbformat.write(book, folder / f"{name}.ipynb")
    return folder


@pytest.mark.slow
def test_the_whole_walk_on_the_sample(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "a scratch copy of the sample peek-failure" in printed
    assert printed.count("ran to its end") == len(books.WALK)
    assert "No damage found" in printed[printed.index("Findings after") :]
    case = case_of(printed)
    assert "peek-failure" in case.name
    assert_left(case, books.WALK)
