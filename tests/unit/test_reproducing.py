"""What an explain page says to type shows its code; and the menu of damages as a teacher types it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from forensics.codes import catalogue
from forensics.errors import ForensicsError
from forensics.explaining import page
from forensics.testing.__main__ import needs, reproduced
from forensics.testing.damage import damage_menu
from forensics.testing.otherwise import NOTES, WAYS, possible

MENU = damage_menu()


def typed(code: str) -> list[list[str]]:
    """The commands at the end of a page."""
    return [
        shlex.split(line) for line in re.findall(r"^    ((?:python|forensics) .*)$", page(code), re.MULTILINE)
    ]


@pytest.mark.parametrize("code", catalogue())
def test_a_page_says_what_to_type(code: str) -> None:
    first, *then = typed(code)
    python, minus, package, name, folder = first
    assert (python, minus, package, folder) == ("python", "-m", "forensics.testing", f"broken-{code}")
    if code in WAYS:
        assert (name, then) == (code, [])
        return
    assert name == NOTES[code] if code in NOTES else MENU[name].code == code
    wanted = shlex.split(f"forensics diagnose {folder}" + (needs(name) if name in MENU else ""))
    assert [[word for word in then[0] if word != "-v"]] == [wanted]
    assert ("-v" in then[0]) == (catalogue()[code].severity == "note" or name == "mostly-deleted")


def show(code: str, folder: Path) -> str:
    """What the commands of a page print, in `folder`."""
    said = ""
    for words in typed(code):
        program = [sys.executable, *words[1:]] if words[0] == "python" else [sys.executable, "-m", *words]
        put = [str(folder) if word == f"broken-{code}" else word for word in program]
        said = subprocess.run(put, capture_output=True, text=True, check=False).stdout
    return said


@pytest.mark.parametrize("code", ["CF210", "CF403", "CF707", "CF901"])
def test_what_is_typed_shows_the_code(code: str, tmp_path: Path) -> None:
    assert code in show(code, tmp_path / "store")


@pytest.mark.slow
@pytest.mark.parametrize("code", catalogue())
def test_what_each_page_says_to_type_shows_its_code(code: str, tmp_path: Path) -> None:
    if why := possible(code):
        pytest.skip(why)
    assert code in show(code, tmp_path / "store")


def test_a_name_that_is_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ForensicsError, match="no-such"):
        reproduced("no-such", tmp_path / "store")
