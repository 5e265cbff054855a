"""Stopped from outside or unheard: pipes that close, signals, streams that are not there, encodings that lack letters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forensics import samples
from forensics.case import Case
from forensics.cli import main
from forensics.errors import CannotComplete
from forensics.repair import swap
from forensics.seal import compare, seal

Sample = Callable[[str], Path]
Say = Callable[..., Any]
EMBEDDER = ("--embedder", "forensics.testing.embedder:embed")
PROGRAM = [sys.executable, "-P", "-m", "forensics"]
WITH_DEFAULTS = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
HEEDING = [sys.executable, "-c", WITH_DEFAULTS]
"""Starts a program that heeds signals although the shell that started these tests ignores them, as under nohup."""
SLOW = "import time\ndef embed(texts):\n    print('begun', flush=True)\n    time.sleep(60)\n"


@pytest.fixture
def place(tmp_path: Path) -> dict[str, Any]:
    """Where a program runs: an empty folder, with one for temporary files."""
    for name in ("cwd", "scratch"):
        (tmp_path / name).mkdir()
    return {"cwd": tmp_path / "cwd", "env": {**os.environ, "TMPDIR": str(tmp_path / "scratch")}}


def left(place: dict[str, Any]) -> list[str]:
    """What is left in both folders."""
    return sorted(path.name for path in (*place["cwd"].iterdir(), *Path(place["env"]["TMPDIR"]).iterdir()))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_reader_that_has_seen_enough(sample: Sample, place: dict[str, Any]) -> None:
    store = sample("1.2.1/peek-failure")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PROGRAM, "diagnose", str(store)], stdout=writing, stderr=subprocess.PIPE, text=True, **place
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (4, "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("name", "says"), [("SIGINT", "Interrupted"), ("SIGTERM", "Stopped by SIGTERM"), ("SIGHUP", "SIGHUP")]
)
def test_a_signal_ends_in_one_sentence_and_leaves_nothing(
    name: str, says: str, sample: Sample, place: dict[str, Any]
) -> None:
    store = sample("0.6.3/pickle-of-0.6")
    before = seal(store)
    (place["cwd"] / "slow.py").write_text(SLOW)
    words = [*HEEDING, *PROGRAM, "repair", str(store), "--embedder", "slow:embed", "--yes"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **place)
    assert child.stderr is not None
    assert child.stderr.readline() == "begun\n"
    child.send_signal(getattr(signal, name))
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (8, "")
    assert err.startswith("forensics: ")
    assert says in err
    assert err.count("\n") == 1
    assert [name for name in left(place) if name != "__pycache__"] == ["slow.py"]
    assert compare(before, seal(store)) == ()


def test_ctrl_c_in_the_middle_of_a_swap_says_how_to_go_on(
    sample: Sample, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sample("1.2.1/peek-failure")
    say("plan", store, *EMBEDDER, "--case", "case")
    real = swap.carry_out

    def stopped(draft: Any, transition: Any) -> None:
        monkeypatch.setattr(swap, "carry_out", real)
        raise KeyboardInterrupt

    monkeypatch.setattr(swap, "carry_out", stopped)
    said = say("apply", "--case", "case", "--yes", "--engine", "none", "--format", "json")
    assert said.status == 8
    assert "--resume" in said.sentence
    assert "undo" in said.data["error"]
    assert say("apply", "--case", "case", "--resume", "--engine", "none", "--yes").status == 0
    assert say("undo", "--case", "case").status == 0
    assert samples.differences("1.2.1/peek-failure", store) == []


def test_ctrl_c_elsewhere_says_that_nothing_was_changed(
    sample: Sample, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensics import diagnosis

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    store = sample("1.5.9/healthy")
    monkeypatch.setattr(diagnosis, "_run_check", stopped)
    for verb in ("diagnose", "plan", "repair"):
        said = say(verb, store)
        assert (said.status, said.out) == (8, "")
        assert said.sentence == "Interrupted; the store was not changed."
    assert list(Path.cwd().iterdir()) == []


def test_what_was_not_foreseen_is_one_sentence_too(
    sample: Sample, say: Say, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from forensics import diagnosis

    def broken(*_: object) -> None:
        raise TypeError("no such luck")

    store = sample("1.5.9/healthy")
    monkeypatch.setattr(diagnosis, "_run_check", broken)
    said = say("diagnose", store, "--format", "json")
    assert said.status == 8
    assert "TypeError: no such luck" in said.data["error"]
    monkeypatch.setenv("FORENSICS_TRACEBACK", "1")
    assert main(["diagnose", str(store)]) == 8
    assert "in broken" in capfd.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="the shell of Windows closes no descriptors")
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_places_for_the_evidence(
    closed: str, sample: Sample, place: dict[str, Any]
) -> None:
    store = sample("1.2.1/peek-failure")
    before = seal(store)
    line = f'"$0" -P -m forensics diagnose "$1" {closed}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, str(store)], capture_output=True, text=True, **place
    )
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert compare(before, seal(store)) == ()
    assert left(place) == []


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_letters_that_the_terminal_lacks_are_escaped(
    encoding: str, sample: Sample, place: dict[str, Any]
) -> None:
    place["env"] |= {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*PROGRAM, "diagnose", str(sample("1.2.1/peek-failure"))], capture_output=True, **place
    )
    assert done.returncode == 4
    assert b"Traceback" not in done.stderr
    assert "CF501" in done.stdout.decode(encoding)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
@pytest.mark.parametrize("name", ["übung 测试\n".encode(), b"latin-\xe9", b"esc\x1b[31m"])
def test_a_store_of_any_name(name: bytes, sample: Sample, say: Say) -> None:
    store = Path(os.fsdecode(os.path.join(os.fsencode(Path.cwd()), name)))
    sample("1.5.9/healthy").rename(store)
    before = seal(store)
    said = say("diagnose", store, "--deep")
    assert said.status == 0
    assert "\x1b" not in said.out
    assert say("diagnose", store, "--format", "json").data["store"]["path"] == str(store)
    assert say("plan", store, "--format", "json").status == 0
    gone = say("diagnose", str(store) + "-gone")
    assert gone.status == 16
    assert "\x1b" not in gone.sentence
    assert compare(before, seal(store)) == ()


def test_no_handler_of_the_caller_is_changed(say: Say) -> None:
    names = [
        number for number in (getattr(signal, n, None) for n in ("SIGINT", "SIGTERM", "SIGHUP")) if number
    ]
    before = [signal.getsignal(number) for number in names]
    say("explain", "CF501")
    assert [signal.getsignal(number) for number in names] == before


def test_two_repairs_of_one_case_do_not_run_at_once(sample: Sample, say: Say) -> None:
    store = sample("1.2.1/peek-failure")
    say("plan", store, *EMBEDDER, "--case", "case")
    with Case.open(Path("case")).lock():
        said = say("apply", "--case", "case", "--yes", "--format", "json")
    assert said.status == 8
    assert said.data["applied"] is False
    assert "working on the case" in said.sentence
    with pytest.raises(CannotComplete, match="working on"), Case.open(Path("case")).lock():
        Case.open(Path("case")).lock().__enter__()


def test_json_and_progress_do_not_meet(sample: Sample, place: dict[str, Any]) -> None:
    """On a terminal stderr has a bar; stdout has the one object."""
    pty = pytest.importorskip("pty", reason="needs pseudo terminals")
    store = sample("1.2.1/peek-failure")
    owner, terminal = pty.openpty()
    done = subprocess.run(
        [*PROGRAM, "diagnose", str(store), "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=terminal,
        **place,
    )
    os.close(terminal)
    time.sleep(0)
    os.close(owner)
    assert json.loads(done.stdout)["schema"] == 1
