"""What holds of every committed notebook: executed from top to bottom, short, introduced, and free of this machine."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from forensics.lab import books

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
PLACES = re.compile(
    r"(?<![\w/.:-])/(?:tmp|home|root|var|usr|work|mnt|Users|private)/|[A-Z]:\\\\|0x[0-9a-f]{8,}"
)
"""Absolute paths and memory addresses."""
QUESTIONS = {
    "How does `peek()` work?": "01_reproduce_the_failure",
    "What happens when an index directory is deleted?": "01_reproduce_the_failure",
    "Does a rebuild rely on the queue or on SQLite?": "01_reproduce_the_failure",
    "Is there an integrity check?": "00_start_here",
    "How do I rebuild without losing data?": "05_repair_and_verify",
}
"""The headings that README links to."""


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def book(request: pytest.FixtureRequest) -> Any:
    notebook = nbformat.read(request.param, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def test_the_walk_is_there() -> None:
    assert {path.stem for path in PATHS} == {*books.WALK, *books.DEPTH}


def test_every_cell_was_executed_in_order(book: Any) -> None:
    """A cleared notebook passes nbval without anything being compared."""
    counts = [cell.execution_count for cell in code_cells(book)]
    assert counts == list(range(1, len(counts) + 1))


def test_it_shows_results(book: Any) -> None:
    shown = [cell for cell in code_cells(book) if cell.outputs]
    assert len(shown) >= len(code_cells(book)) - 2
    assert not [output for cell in shown for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in shown for output in cell.outputs if output.get("name") == "stderr"]


def test_any_python3_kernel_runs_it(book: Any) -> None:
    assert book.metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert book.metadata.language_info == {"name": "python"}
    assert "widgets" not in book.metadata


def test_it_is_short(book: Any) -> None:
    assert len(book.cells) <= 25
    assert not [
        cell for cell in code_cells(book) if re.search(r"^\s*(def|class) ", cell.source, re.MULTILINE)
    ]


def test_it_begins_with_the_question_and_ends_with_the_way_on(book: Any) -> None:
    first, last = book.cells[0].source, book.cells[-1].source
    for word in ("**Question:**", "**You will learn**", "**Minutes:**"):
        assert word in first
    linked = re.search(r"\*\*Next:\*\* \[(\w+)\]\((\w+\.ipynb)\)", last)
    assert linked is not None
    assert (FOLDER / linked[2]).is_file()


def test_the_store_can_be_given_as_a_parameter(book: Any) -> None:
    cell = code_cells(book)[0]
    assert cell.source.startswith("STORE = None")
    assert "parameters" in cell.metadata["tags"]


def test_no_cell_hides_its_value_with_a_semicolon(book: Any) -> None:
    assert not [cell.source for cell in code_cells(book) if cell.source.rstrip().endswith(";")]


def test_outputs_name_no_place_of_the_machine_that_made_them(book: Any) -> None:
    for cell in code_cells(book):
        for output in cell.outputs:
            data = {key: value for key, value in output.get("data", {}).items() if key != "image/png"}
            found = PLACES.search(json.dumps(data) + output.get("text", ""))
            assert found is None, f"{cell.source}\n{found}"


@pytest.mark.parametrize(("question", "name"), QUESTIONS.items())
def test_each_question_has_a_heading_and_a_cell_that_shows_the_answer(question: str, name: str) -> None:
    cells = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells
    at = [n for n, cell in enumerate(cells) if f"## {question}" in cell.source.split("\n")]
    assert len(at) == 1
    answer = cells[at[0] + 1]
    assert answer.cell_type == "code"
    assert answer.outputs


def test_nbval_overlooks_next_to_nothing() -> None:
    """nbval drops a pair with an empty replacement without a word, so each is read as nbval reads it."""
    file = Path(__file__).with_name("sanitize.cfg")
    parser = configparser.ConfigParser()
    parser.read(file)
    assert len(parser.sections()) < 5
    for section in parser.sections():
        assert re.compile(parser.get(section, "regex"))
        assert parser.get(section, "replace")
