"""Fixtures that every test may use: a sample restored into scratch, and the Python of a chromadb release."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Examples are the same in every run and are not timed: two cores may be busy. `make nightly` looks further.
settings.register_profile("quick", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("nightly", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("FORENSICS_HYPOTHESIS", "quick"))

Sample = Callable[[str], Path]
Release = Callable[[str], Path]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """`sample(name)` restores that sample below `tmp_path`, anew at each call, and returns the store."""
    from forensics import samples

    def restored(name: str) -> Path:
        store = tmp_path / f"{name.replace('/', '-')}-{len(list(tmp_path.iterdir()))}"
        return samples.restore(name, store)

    return restored


@pytest.fixture(scope="session")
def release() -> Release:
    """`release(version)` returns the Python that has that chromadb.

    One that is not on this machine skips the test, with the reason; where FORENSICS_RELEASES promises the old
    releases, as in .ci/run, it fails the test.
    """
    from forensics.engine.releases import release_python

    def python_of(version: str) -> Path:
        python = release_python(version)
        if python is None and os.environ.get("FORENSICS_RELEASES"):
            pytest.fail(f"chromadb {version} is not in FORENSICS_RELEASES", pytrace=False)
        if python is None:
            pytest.skip(f"chromadb {version} is not on this machine: scripts/make_releases.py {version}")
        return python

    return python_of


@dataclass(frozen=True, slots=True)
class Said:
    """What one run of the command line said and returned."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one strict JSON object on stdout."""
        return json.loads(self.out, parse_constant=pytest.fail)

    @property
    def sentence(self) -> str:
        """The one line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("forensics: "), self.err
        return lines[0].removeprefix("forensics: ")


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """`say("diagnose", store)` runs the command line in this process, in an empty folder `cwd`.

    Whatever happens, no traceback is shown and nothing is left in the folder for temporary files.
    """
    from forensics.cli import main

    for name in ("cwd", "scratch"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def run(*words: object) -> Said:
        capfd.readouterr()
        status = main([str(word) for word in words])
        said = Said(status, *capfd.readouterr())
        assert "Traceback" not in said.err
        assert list((tmp_path / "scratch").iterdir()) == []
        return said

    return run
