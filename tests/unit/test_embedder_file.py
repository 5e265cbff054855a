"""An embedder by name or by path: found, written into the plan, loaded from there again, or refused in one sentence."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forensics.errors import UsageError
from forensics.repair.embedder_file import EmbedderFile, load
from forensics.repair.embedding import Embedder
from forensics.repair.options import RepairOptions
from forensics.report.repair_summary import embedder_sentence

Sample = Callable[[str], Path]
Say = Callable[..., Any]
MINE = "from forensics.testing.embedder import embed\n"
STORE = "0.6.3/pickle-of-0.6"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Another folder to work in than the one in which the plan was made."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def planned(say: Say, store: Path, name: str, case: Path) -> dict[str, Any]:
    said = say("plan", store, "--embedder", name, "--case", case, "--format", "json")
    assert said.data["promised"] == ["CF501"], said.err
    return said.data["options"]


@pytest.mark.parametrize("name", ["embedder_of_mine:embed", "sub/by_path.py:embed", "./by_path_too.py:embed"])
def test_what_was_planned_here_is_applied_from_anywhere(
    name: str, sample: Sample, say: Say, tmp_path: Path, elsewhere: Path
) -> None:
    file = Path(name.partition(":")[0]).with_suffix(".py")
    file.parent.mkdir(exist_ok=True)
    file.write_text(MINE)
    store, case = sample(STORE), tmp_path / "case"
    options = planned(say, store, name, case)
    assert options["embedder_file"] == str(file.resolve())
    gc.collect()  # this process lets go of the store

    def there(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "forensics", *map(str, words), "--case", str(case)]
        return subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)

    assert str(file.name) in there("apply").stdout
    exported = there("export")
    assert exported.returncode == 0, exported.stderr
    assert "0 have no vector" in exported.stdout
    said = there("apply", "--yes", "--engine", "none", "--nobody-else-uses-it", "--format", "json")
    assert json.loads(said.stdout)["verified"] == "checks", said.stderr


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda file: file.unlink(), "cannot be read (No such file or directory)"),
        (lambda file: file.write_text(MINE + "# another\n"), "was changed since"),
    ],
)
def test_another_embedder_than_that_of_the_plan_is_refused(
    harm: Callable[[Path], object], why: str, sample: Sample, say: Say, tmp_path: Path
) -> None:
    file = Path(f"embedder_to_harm_{len(why)}.py")
    file.write_text(MINE)
    case = tmp_path / "case"
    planned(say, sample(STORE), f"{file.stem}:embed", case)
    harm(file)
    said = say("apply", "--case", case, "--yes", "--engine", "none", "--nobody-else-uses-it")
    assert said.status == 16
    assert why in said.sentence
    assert "plan again" in said.sentence
    assert not (case / "result.json").exists()


def test_two_modules_of_one_name_are_told_apart(tmp_path: Path) -> None:
    files = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        files.append(folder / "same_name.py")
        files[-1].write_text(f"def f(texts):\n    return {number}\n")
    for number, file in enumerate(files, 1):
        function, found = load(f"{file}:f")
        assert function([]) == number
        assert found is not None
        again, _ = load("same_name:f", found)
        assert again([]) == number


def test_a_module_in_a_package_is_loaded_from_its_place(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "a_package_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(
        "from . import other\nclass Model:\n    encode = staticmethod(other.g)\n"
    )
    (package / "other.py").write_text("def g(texts):\n    return 3\n")
    monkeypatch.chdir(tmp_path)
    function, found = load("a_package_of_mine.inner:Model.encode")
    assert found is not None
    assert found.path == os.path.realpath(package / "inner.py")
    monkeypatch.chdir(elsewhere)
    assert load("a_package_of_mine.inner:Model.encode", found)[0] is function


def test_the_plan_keeps_where_it_was_and_old_plans_are_read(tmp_path: Path) -> None:
    options = RepairOptions(embedder="m:f").having_found(EmbedderFile("/a/m.py", "00"))
    assert RepairOptions.from_json(json.loads(json.dumps(options.to_json()))).embedder_found == EmbedderFile(
        "/a/m.py", "00"
    )
    older = {
        key: value
        for key, value in options.to_json().items()
        if key not in ("embedder_file", "embedder_sha256")
    }
    assert RepairOptions.from_json(older).embedder_found is None
    assert Embedder.of(RepairOptions()) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nocolon", "module:callable or as path/to/file.py:callable"),
        ("a:b:c", "module:callable or as path/to/file.py:callable"),
        (":f", "module:callable"),
        ("m:", "module:callable"),
        ("../no_python.txt:f", "module:callable"),
        ("no_such_module_anywhere:f", "there is no module no_such_module_anywhere, neither in"),
        ("../no_such_file.py:f", "there is no file ../no_such_file.py"),
        ("json:no_such_attribute", "json has no 'no_such_attribute'"),
        ("json:__doc__", "is not callable: it is of type str"),
        ("raises.py:f", "importing it raised RuntimeError: no licence"),
        ("raises:f", "importing it raised RuntimeError: no licence"),
        ("leaves.py:f", "importing it raised SystemExit: 3"),
        ("wrong.py:f", "importing it raised SyntaxError"),
        ("needs.py:f", "importing it raised ModuleNotFoundError: No module named 'not_installed_at_all'"),
    ],
)
def test_what_is_no_embedder_is_one_sentence(name: str, why: str, sample: Sample, say: Say) -> None:
    Path("raises.py").write_text("raise RuntimeError('no\\nlicence.')\n")
    Path("leaves.py").write_text("raise SystemExit(3)\n")
    Path("wrong.py").write_text("def f(:\n")
    Path("needs.py").write_text("import not_installed_at_all\n")
    said = say("plan", sample(STORE), "--embedder", name, "--case", "case")
    assert said.status == 16
    assert why in said.sentence
    assert said.sentence.count("\n") == 0
    assert not Path("case").exists()


def test_a_name_that_is_none_is_refused_by_the_options_already() -> None:
    with pytest.raises(UsageError, match="path/to/file"):
        RepairOptions(embedder="nocolon")


def test_the_embedder_that_comes_with_the_tool_is_named_alike_on_every_machine(tmp_path: Path) -> None:
    """Notebook 05 shows the sentence, and its outputs are compared in other clones."""
    _, ours = load("forensics.testing.embedder:embed")
    mine = tmp_path / "mine.py"
    mine.write_text(MINE)
    _, other = load(f"{mine}:embed")
    assert ours is not None
    assert other is not None
    said = [
        embedder_sentence({"embedder": "m:f", "embedder_file": one.path, "embedder_sha256": one.sha256})
        for one in (ours, other)
    ]
    assert "from this tool's own forensics/testing/embedder.py (SHA-256 " in said[0]
    assert str(Path(__file__).resolve().parents[2]) not in said[0]
    assert f"from {mine.resolve()} (SHA-256 " in said[1]
