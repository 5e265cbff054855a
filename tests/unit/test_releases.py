"""The finder of chromadb releases looks where it says, and installs nothing unasked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from forensics.engine import releases


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No release anywhere: an empty cache, an empty folder, and none beside the interpreter."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(releases.VARIABLE, str(tmp_path / "given"))
    monkeypatch.setattr(releases, "installed_beside", lambda: None)
    return tmp_path


def environment(folder: Path, holds: str) -> Path:
    """Something that looks like a virtual environment with chromadb in it; returns its python."""
    (folder / "lib" / "python3.11" / "site-packages" / f"chromadb-{holds}.dist-info").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    return python


def test_the_running_interpreter_serves_its_own_release() -> None:
    beside = releases.installed_beside()
    if beside is None:
        pytest.skip("chromadb is not installed beside this interpreter")
    assert releases.release_python(beside) == Path(sys.executable)


def test_nothing_is_found_or_made_where_there_is_nothing(nowhere: Path) -> None:
    assert releases.release_python("1.2.1") is None
    assert list(nowhere.iterdir()) == []


def test_the_given_folder_comes_before_the_cache(nowhere: Path) -> None:
    cached = environment(nowhere / "cache" / "chroma-forensics" / "releases" / "1.2.1", holds="1.2.1")
    assert releases.release_python("1.2.1") == cached
    given = environment(nowhere / "given" / "1.2.1", holds="1.2.1")
    assert releases.release_python("1.2.1") == given


def test_a_folder_that_holds_another_release_is_passed_over(nowhere: Path) -> None:
    environment(nowhere / "given" / "1.2.1", holds="1.5.9")
    assert releases.release_python("1.2.1") is None


def test_a_failed_installation_leaves_nothing_behind(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(command: list[str]) -> None:
        raise RuntimeError(command[0])

    monkeypatch.setattr(releases, "_run", fails)
    with pytest.raises(RuntimeError):
        releases.release_python("1.2.1", create=True)
    assert list((nowhere / "cache" / "chroma-forensics" / "releases").iterdir()) == []


@pytest.mark.parametrize("version", ["", "../1.2.1", "1.2.1;rm", "1..2"])
def test_what_is_no_release_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="not a chromadb release"):
        releases.release_python(version)
