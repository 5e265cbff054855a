"""What is pinned, what the wheel carries, and what a server without the notebooks can still do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = ROOT / "constraints.txt"
LOCK = ROOT / "requirements.lock"
MODEL = ROOT / "constraints-minilm.txt"
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))?(?: \\)?")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
SERVER = ("numpy", "scipy", "pandas", "jinja2", "rich")


def pins(path: Path) -> dict[str, tuple[str, str | None]]:
    """Name → (version, marker) of each pin in `path`; a line that is no pin and no hash fails."""
    found: dict[str, tuple[str, str | None]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if HASH.fullmatch(line):
            continue
        pin = PIN.fullmatch(line)
        assert pin, f"{path.name}: neither a pin nor a hash: {line!r}"
        assert pin["name"] not in found, f"{path.name} pins {pin['name']} twice"
        found[pin["name"]] = (pin["version"], pin["marker"])
    return found


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(but: tuple[str, ...] = ()) -> list[str]:
    """Those of the project and of its extras but these."""
    table = project()["project"]
    assert isinstance(table, dict)
    return [
        *table["dependencies"],
        *(row for extra, rows in table["optional-dependencies"].items() if extra not in but for row in rows),
    ]


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


@pytest.mark.parametrize("path", [PINS, LOCK], ids=lambda path: path.name)
def test_pins_name_no_host_and_no_path(path: Path) -> None:
    assert not re.search(r"://|file:|@|--index|--find|\.(com|org|io|net)\b", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [PINS, LOCK], ids=lambda path: path.name)
def test_pins_cover_every_requirement(path: Path) -> None:
    missing = [row for row in requirements(but=("minilm",)) if name_of(row) not in pins(path)]
    assert not missing, f"run scripts/lock.sh: {missing}"


def test_the_model_has_pins_of_its_own_that_agree() -> None:
    found = pins(MODEL)
    assert not [row for row in requirements() if name_of(row) not in found]
    assert pins(LOCK).items() <= found.items()


def test_constraints_and_lock_agree() -> None:
    locked = pins(LOCK)
    assert locked.items() <= pins(PINS).items()


def test_every_locked_file_has_a_hash() -> None:
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    bare = [
        line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if PIN.fullmatch(line) and not HASH.fullmatch(after)
    ]
    assert not bare


def test_the_engines_are_the_ones_that_were_studied() -> None:
    found = pins(PINS)
    assert found["chromadb"] == ("1.5.9", None)
    assert found["chroma-hnswlib"] == ("0.7.6", "python_full_version < '3.13'")


def test_no_gigabytes_come_along() -> None:
    assert not [
        name for name in pins(PINS) if re.match(r"torch|nvidia-|tensorflow|jax|sentence-transf", name)
    ]


def tracked(*paths: str) -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z", "--", *paths], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"not a git checkout: {done.stderr.strip()}")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def test_no_text_names_the_machine_that_made_it() -> None:
    """Outputs of notebooks and manifests of samples hold no path of a maker's home or scratch folder."""
    path = re.compile(r"(?<![\w.])/(?:root|home/\w+|work)/[\w.-]+")
    kinds = ("*.md", "*.ipynb", "*.json", "*.toml", "*.html", "*.svg", "*.csv")
    named = {
        name: hit[0] for name in tracked(*kinds) if (hit := path.search((ROOT / name).read_text("utf-8")))
    }
    assert not named


# --- the wheel


def run(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    line = [str(word) for word in words]
    return subprocess.run(line, capture_output=True, text=True, timeout=280, check=False, cwd=cwd)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree: the one that FORENSICS_WHEEL names, or built here."""
    given = os.environ.get("FORENSICS_WHEEL")
    if given:
        return Path(given)
    target = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", target, ROOT)
    assert built.returncode == 0, built.stderr
    return next(target.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_carries_every_file_of_the_package(wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    assert len(carried) > 10
    assert not [name for name in tracked("forensics") if name not in carried]
    strangers = [name for name in carried if not name.startswith(("forensics/", "chroma_forensics-"))]
    assert not strangers


@pytest.mark.slow
def test_the_wheel_knows_its_version_and_its_command(wheel: Path) -> None:
    import forensics

    assert wheel.name == f"chroma_forensics-{forensics.__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    points = next(name for name in names if name.endswith("entry_points.txt"))
    assert b"forensics = forensics.cli:main" in zipfile.ZipFile(wheel).read(points)
    assert any(name.endswith("licenses/LICENSE") for name in names)


# --- a server with five packages


@pytest.fixture(scope="session")
def server(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv as on a server: the wheel without its dependencies, five packages and what those need."""
    home = tmp_path_factory.mktemp("server") / "venv"
    made = run(sys.executable, "-m", "venv", home)
    assert made.returncode == 0, made.stderr
    python = home / "bin" / "python"
    for words in ((*SERVER, "-c", PINS), ("--no-deps", wheel)):
        done = run(python, "-m", "pip", "install", "-q", *words)
        assert done.returncode == 0, done.stderr
    return home / "bin" / "forensics"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_diagnoses_and_plans(server: Path, sample: Callable[[str], Path], tmp_path: Path) -> None:
    store = sample("peek-failure")
    found = run(server, "diagnose", store, "--format", "json", cwd=tmp_path)
    assert found.returncode == 4, found.stderr
    assert "CF501" in {row["code"] for row in json.loads(found.stdout)["findings"]}
    planned = run(server, "plan", store, "--case", tmp_path / "case", cwd=tmp_path)
    assert planned.returncode == 4, planned.stderr
    assert json.loads((tmp_path / "case" / "plan.json").read_text(encoding="utf-8"))["actions"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("verb", "package"), [("probe", "chromadb"), ("lab", "jupyterlab")])
def test_a_server_says_in_one_line_what_to_install(
    server: Path, sample: Callable[[str], Path], tmp_path: Path, verb: str, package: str
) -> None:
    done = run(server, verb, sample("peek-failure"), cwd=tmp_path)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode & 24, (done.returncode, done.stderr)
    assert len(lines) == 1, done.stderr
    assert package in lines[0]
    assert "install" in lines[0]
