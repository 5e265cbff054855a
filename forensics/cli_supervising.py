"""A store that somebody else uses is read by a child: a file that is cut short under a memory map kills who reads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from forensics.absent import Absent
from forensics.cli_answer import Answer
from forensics.errors import EXIT_INCOMPLETE
from forensics.handles import open_handles
from forensics.outside import child_environment

VARIABLE = "FORENSICS_SUPERVISED"
PROGRAM = (sys.executable, "-P", "-m", "forensics")
READING = ("diagnose", "plan", "repair", "probe", "foretell", "past", "timeline", "classify")


def needs_supervision(options: Namespace) -> bool:
    """True where another process has files of the store open, and this one is not the child already."""
    if options.verb not in READING or os.environ.get(VARIABLE) or not os.path.isdir(options.store):
        return False
    handles = open_handles(Path(options.store))
    return not isinstance(handles, Absent) and bool(handles.others)


def supervised(given: Sequence[str]) -> Answer | int:
    """The exit status of a child that does the same and has said it all; where a signal killed it, an Answer."""
    status = _run([*PROGRAM, *given])
    if status >= 0:
        return status
    name = signal.Signals(-status).name
    text = (
        f"The process that read the store died of {name}: the store is in use, and a file was cut short while it was"
        " read. Stop who uses it and try again; nothing was changed."
    )
    return Answer({"schema": 1, "error": text, "exit": EXIT_INCOMPLETE}, "", EXIT_INCOMPLETE, text)


def _run(command: Sequence[str]) -> int:
    if sys.stdout is not None:
        sys.stdout.flush()
    with subprocess.Popen(command, env={**child_environment(), VARIABLE: "1"}) as child, _passed_on(child):
        return child.wait()


@contextmanager
def _passed_on(child: subprocess.Popen[bytes]) -> Generator[None]:
    """Signals inside the block are for the child; Ctrl-C reaches it by itself, it shares the terminal."""

    def forward(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT or not _is_interactive():
            child.send_signal(number)

    here = threading.current_thread() is threading.main_thread()  # only it may set handlers
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if here and hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in names)}
    try:
        for number in before:
            signal.signal(number, forward)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_interactive() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
