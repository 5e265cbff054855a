"""CONTRIBUTING.md is true: its four steps give a check that works, and its commands are there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<path>\S+))?\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [(block["kind"], block["path"], block["body"]) for block in BLOCK.finditer(TEXT)]
STEPS = [(path, body) for _, path, body in BLOCKS if path]
COMMANDS = [
    shlex.split(line, comments=True) for kind, _, body in BLOCKS if kind == "sh" for line in body.splitlines()
]


def run(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [str(word) for word in words]
    return subprocess.run(
        line, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of its tests' fixtures with the blocks of the four steps appended."""
    home = tmp_path_factory.mktemp("contributed")
    shutil.copytree(ROOT / "forensics", home / "forensics", ignore=shutil.ignore_patterns("__pycache__"))
    (home / "tests" / "unit").mkdir(parents=True)
    for name in ("pyproject.toml", "tests/conftest.py", "tests/unit/test_explaining.py"):
        shutil.copy(ROOT / name, home / name)
    for path, body in STEPS:
        with (home / path).open("a", encoding="utf-8") as file:
            file.write("\n\n" + body if path.endswith(".py") else body)
    return home


def environment(home: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(home), "FORENSICS_SAMPLES": str(ROOT / "data" / "sample_segments")}


def test_there_are_four_steps() -> None:
    folders = [Path(path).parent.as_posix() for path, _ in STEPS]
    assert folders == ["forensics", "forensics/checks", "forensics/explain", "tests/unit"]


def test_the_example_takes_nobodys_code() -> None:
    assert "CF899" not in (ROOT / "forensics" / "findings.csv").read_text(encoding="utf-8")


def test_the_four_steps_make_a_check_that_works(copy: Path) -> None:
    done = run(sys.executable, "-m", "pytest", "-q", STEPS[3][0], cwd=copy, **environment(copy))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_page_is_what_explain_prints(copy: Path) -> None:
    done = run(sys.executable, "-m", "forensics", "explain", "CF899", cwd=copy, **environment(copy))
    assert done.returncode == 0, done.stderr
    assert "somebody has put it aside" in done.stdout


def test_the_page_has_the_parts_that_every_page_must_have(copy: Path) -> None:
    pages = run(
        sys.executable, "-m", "pytest", "-q", "-k", "CF899", "tests/unit/test_explaining.py",
        cwd=copy, **environment(copy),
    )  # fmt: skip
    assert pages.returncode == 0, pages.stdout + pages.stderr
    assert "2 passed" in pages.stdout


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_is_there(words: list[str]) -> None:
    if words[0] == "make":
        done = run("make", "-n", *words[1:], cwd=ROOT)
        assert done.returncode == 0, done.stderr
    else:
        assert words[:2] == ["bash", ".ci/run"]
        script = (ROOT / words[1]).read_text(encoding="utf-8")
        assert all(f"stage_{stage}()" in script for stage in words[2:])


def test_files_that_are_named_are_there() -> None:
    named = re.findall(r"`((?:scripts|forensics|tests|data)/[\w./-]+\w)`", TEXT)
    assert len(named) > 3
    assert not [path for path in named if not (ROOT / path).exists() and path != "tests/NIGHTLY.md"]
