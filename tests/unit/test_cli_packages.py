"""On a server with five packages: what works there, and that the rest says in one line what to install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from forensics.cli import main
from forensics.seal import compare, seal

Sample = Callable[[str], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[2]
SERVER = ("numpy", "scipy", "pandas", "jinja2", "rich")
THEIRS = ("markupsafe", "markdown-it-py", "mdurl", "pygments", "python-dateutil", "six", "pytz", "tzdata")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to these packages and to what they need, and to no other."""
    folder = tmp_path_factory.mktemp("server")
    for name in (*SERVER, *THEIRS):
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            assert name in THEIRS, f"{name} is not installed"
            continue
        for top in {path.parts[0] for path in files} - {"..", "__pycache__"}:
            (folder / top).symlink_to(metadata.distribution(name).locate_file(top))
    return folder


@pytest.fixture
def run(packages: Path, tmp_path: Path) -> Run:
    """`run("diagnose", store)` in a Python that has nothing else."""
    (tmp_path / "cwd").mkdir()
    paths = os.pathsep.join([str(packages), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}

    def of(*words: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-S", "-P", "-W", "error", "-m", "forensics", *map(str, words)]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path / "cwd", env=environment)

    return of


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that says what to install."""
    assert done.returncode == 8, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "pip install" in done.stderr
    return done.stderr


def test_the_server_has_nothing_else(packages: Path) -> None:
    absent = ("chromadb", "hnswlib", "ipywidgets", "jupyterlab", "matplotlib", "pyarrow")
    code = f"from importlib.util import find_spec; print([name for name in {absent} if find_spec(name)])"
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "[]\n"


def test_what_needs_an_engine_or_a_notebook_says_so(run: Run, sample: Sample) -> None:
    store = sample("1.2.1/peek-failure")
    before = seal(store)
    assert "chromadb" in one_line(run("probe", store))
    assert "jupyterlab" in one_line(run("lab", store))
    words = (
        "--embedder",
        "forensics.testing.embedder:embed",
        "--yes",
        "--case",
        "case",
        "--nobody-else-uses-it",
    )
    assert "chroma-hnswlib" in one_line(run("repair", store, *words))
    assert "pyarrow" in one_line(run("export", "--case", "case", "--to", "parquet"))
    assert compare(before, seal(store)) == ()


def test_reading_planning_reporting_and_what_needs_no_engine_work(
    run: Run, sample: Sample, tmp_path: Path
) -> None:
    store = sample("1.5.9/pickle-truncated")
    found = run("diagnose", store, "--deep", "--format", "json")
    assert (
        found.returncode & 4,
        "CF403" in {row["code"] for row in json.loads(found.stdout)["findings"]},
    ) == (4, True)
    assert run("plan", store, "--case", "case").returncode == 4
    assert run("report", "--case", "case").returncode == 0
    assert run("export", "--case", "case", "--to", "npz").returncode == 0
    done = run("apply", "--case", "case", "--yes", "--nobody-else-uses-it", "--format", "json")
    assert (done.returncode, json.loads(done.stdout)["verified"]) == (0, "checks"), done.stderr
    assert run("undo", "--case", "case").returncode == 0


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("jinja2", ["report", "--case", "case"]),
        ("chromadb", ["probe", "STORE"]),
        ("jupyterlab", ["lab", "STORE"]),
        ("ipywidgets", ["lab", "STORE"]),
        ("pyarrow", ["export", "--case", "case", "--to", "parquet"]),
    ],
)
def test_one_package_alone_is_missed(
    package: str,
    words: list[str],
    sample: Sample,
    say: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = sample("1.5.9/healthy")
    assert main(["plan", str(store), "--case", "case"]) == 0
    monkeypatch.setitem(sys.modules, package, None)
    said = say(*[word.replace("STORE", str(store)) for word in words])
    assert said.status == 8
    assert f"pip install '{package}'" in said.sentence


@pytest.mark.parametrize("package", ["rich", "jinja2", "pandas", "matplotlib", "chromadb", "hnswlib"])
def test_a_diagnosis_does_without_any_of_them(
    package: str, sample: Sample, say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said = say("diagnose", sample("1.5.9/healthy"))
    assert said.status == 0
