"""Fixtures that every test may use: a sample restored into scratch, and the Python of a chromadb release."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path

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
        parent = tmp_path / f"{name.replace('/', '-')}-{len(list(tmp_path.iterdir()))}"
        return samples.restore(name, parent)

    return restored


@pytest.fixture(scope="session")
def release() -> Release:
    """`release(version)` returns the Python that has that chromadb.

    The installed release is this very Python. Others live in $FORENSICS_RELEASES/<version>/: without the
    variable the test is skipped and says so; with it a release that is not there is a failure.
    """

    def python_of(version: str) -> Path:
        if version == installed_version("chromadb"):
            return Path(sys.executable)
        home = os.environ.get("FORENSICS_RELEASES")
        if not home:
            pytest.skip(f"chromadb {version}: FORENSICS_RELEASES names no folder of old releases")
        python = Path(home) / version / "bin" / "python"
        if not python.exists():
            pytest.fail(f"chromadb {version}: FORENSICS_RELEASES has no such release", pytrace=False)
        return python

    return python_of
