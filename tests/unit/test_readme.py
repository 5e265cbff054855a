"""README says what is so: its finding, its commands, its options, its links, and the five questions."""

from __future__ import annotations

import argparse
import re
import struct
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

import forensics as fx
from forensics.cli_arguments import build_parser
from forensics.report.text import diagnosis_text

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"\]\(([^)#]+)(?:#((?:[^()]|\(\))+))?\)", TEXT)))
COMMANDS = re.findall(
    r"forensics ((?:diagnose|probe|plan|apply|repair|verify|undo|report|case|export|explain|lab|copy)[^`|]*)`",
    TEXT,
)


def test_the_finding_is_printed_as_it_stands_there(sample: Callable[[str], Path]) -> None:
    printed = next(block for block in TEXT.split("```") if "CF501 ids-missing-from-index" in block).strip(
        "\n"
    )
    told = diagnosis_text(fx.diagnose(sample("peek-failure"))).splitlines()
    strange = [line for line in printed.splitlines() if line not in told]
    assert strange == []


def test_picture_finding_and_commands_fit_on_the_first_screen() -> None:
    """In lines of 20 pixels, the picture counted as wide as it is shown; a screen has about 50 of them."""
    shown = re.search(r'<img src="(docs/[\w-]+\.png)" width="(\d+)"', TEXT)
    assert shown is not None
    wide, high = struct.unpack(">II", (ROOT / shown[1]).read_bytes()[16:24])
    first = TEXT[: TEXT.index("make investigate")]
    assert first.index("<img") < first.index("CF501 ids-missing-from-index") < first.index("make lab")
    assert len(first.splitlines()) + int(shown[2]) * high / wide / 20 < 52


@pytest.mark.parametrize(("target", "fragment"), LINKS, ids=lambda part: part or "-")
def test_links_lead_somewhere(target: str, fragment: str) -> None:
    assert (ROOT / target).exists()
    if fragment:
        cells = nbformat.read(ROOT / target, as_version=4).cells
        headings = re.findall(
            r"^#+ (.+)$", "\n".join(c.source for c in cells if c.cell_type == "markdown"), re.MULTILINE
        )
        assert fragment in {heading.strip().replace("`", "").replace(" ", "-") for heading in headings}


def test_each_question_leads_to_its_cell() -> None:
    questions = TEXT[TEXT.index("## The five questions") : TEXT.index("## If you had six scripts")]
    assert len(re.findall(r"^\d\. \*\*", questions, re.MULTILINE)) == 5
    assert len(re.findall(r"\.ipynb#", questions)) == 5


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_commands_are_those_of_the_program(command: str) -> None:
    verbs = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    verb, *words = command.split()
    known = {option for action in verbs[verb]._actions for option in action.option_strings}
    assert {word for word in words if word.startswith("-")} <= known


def test_there_are_commands_to_look_at() -> None:
    assert len(set(COMMANDS)) >= 8


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", TEXT, re.MULTILINE))
def test_make_knows_what_is_named(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_lines_of_python_are_verbs() -> None:
    code = next(block for block in TEXT.split("```") if block.startswith("python\n"))
    assert set(re.findall(r"fx\.(\w+)\(", code)) == {"diagnose", "plan", "apply", "undo"}
    assert all(callable(getattr(fx, name)) for name in re.findall(r"fx\.(\w+)\(", TEXT))
