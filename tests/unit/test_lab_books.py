"""Copying, running and printing notebooks."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from forensics.errors import CannotComplete
from forensics.lab import books, launch


def test_a_copy_for_another_store_comes_without_the_outputs(tmp_path: Path) -> None:
    for folder, kept in ((tmp_path / "own", False), (tmp_path / "sample", True)):
        books.copy_into(folder, keep_outputs=kept)
        found = [nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))]
        assert len(found) == len(books.WALK) + len(books.DEPTH)
        assert any(cell.get("outputs") for book in found for cell in book.cells) is kept


def test_notebooks_that_are_there_stay(tmp_path: Path) -> None:
    mine = tmp_path / f"{books.WALK[0]}.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("mine")]), mine)
    books.copy_into(tmp_path)
    assert nbformat.read(mine, as_version=4).cells[0].source == "mine"


def test_where_there_are_no_notebooks_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORENSICS_NOTEBOOKS", str(tmp_path))
    with pytest.raises(CannotComplete, match="no notebooks in"):
        books.notebooks()


def test_a_run_stops_at_the_first_error_and_keeps_what_was_done(tmp_path: Path) -> None:
    cells = [new_code_cell(text) for text in ("print(1)", "raise ValueError('no')", "print(2)")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    assert list(books.execute(tmp_path, {}, ["a"])) == [("a", "ValueError: no")]
    done = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    assert [cell.execution_count for cell in done.cells] == [1, 2, None]


def test_a_kernel_that_dies_is_a_result(tmp_path: Path) -> None:
    book = new_notebook(cells=[new_code_cell("import os; os.kill(os.getpid(), 9)")])
    assert "died" in str(books.run(book, tmp_path, {})).lower()


def test_print_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    books.copy_into(tmp_path, keep_outputs=True)
    for name in books.WALK:
        text = books.to_html(tmp_path / f"{name}.ipynb").read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        loading = re.search(r"<(script|link|iframe|object)\b|<[^>]+ src=\"(?!data:)|@import |url\(", text)
        assert loading is None, (name, loading)
    assert "Repaired and verified" in (tmp_path / "05_repair_and_verify.html").read_text(encoding="utf-8")


def test_jupyterlab_is_on_loopback_and_opens_the_first_notebook(tmp_path: Path) -> None:
    words = launch.command(tmp_path, 8899, browser=False)
    assert "--ServerApp.ip=127.0.0.1" in words
    assert "--no-browser" in words
    assert any(word.endswith("/tree/00_start_here.ipynb") for word in words)


def test_our_settings_come_before_the_user_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/theirs")
    first, second = launch.quiet()["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (Path(first) / "labconfig" / "page_config.json").is_file()
    assert second == "/theirs"
