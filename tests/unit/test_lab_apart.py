"""A store that somebody else uses is not mapped into the kernel: a child reads it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import forensics as fx
from forensics.errors import CannotComplete
from forensics.lab import apart
from forensics.lab.session import Session

Sample = Callable[[str], Path]
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="who has a file open is seen in /proc only, and SIGBUS is of POSIX"
)
HOLD = "import sys; held = open(sys.argv[1], 'r+b'); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def used(sample: Sample) -> Iterator[Path]:
    """A store of which another process has level 0 open."""
    store = sample("1.5.9/healthy")
    level0 = next(store.glob("*/data_level0.bin"))
    command = [sys.executable, "-c", HOLD, str(level0)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield store
        process.communicate()


def session_on(store: Path, case: Path) -> Session:
    return Session(store, sample=None, embedder=None, unattended=False, case=case)


def test_a_store_in_use_is_diagnosed_by_a_child(used: Path, tmp_path: Path) -> None:
    session = session_on(used, tmp_path / "case")
    found = session.diagnosis
    assert found.codes() == fx.diagnose(used).codes()
    assert "CF005" in found.codes()
    assert session.case.has("diagnosis.json")
    assert "store" not in session.__dict__  # nothing of it was opened here


def test_a_child_that_dies_leaves_the_kernel_alive(
    used: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    death = "import os, signal; os.kill(os.getpid(), signal.SIGBUS)"
    monkeypatch.setattr(apart, "PROGRAM", (sys.executable, "-c", death))
    with pytest.raises(CannotComplete, match="died of SIGBUS"):
        _ = session_on(used, tmp_path / "case").diagnosis
