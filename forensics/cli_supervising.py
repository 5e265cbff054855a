"""A store is read by a child: a byte that cannot be read under a memory map kills who reads it.

Either somebody else uses the store and cut a file short, or the disk is failing: then the files are looked through, and
the child is started again and told what to leave alone (CF903).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from forensics.absent import Absent
from forensics.cli_answer import Answer
from forensics.errors import EXIT_INCOMPLETE
from forensics.handles import open_handles
from forensics.outside import child_environment
from forensics.readers.sectors import VARIABLE as UNREADABLE
from forensics.readers.sectors import Gap, look_at_all, told

VARIABLE = "FORENSICS_SUPERVISED"
READING = ("diagnose", "plan", "repair", "probe", "foretell", "past", "timeline", "classify", "embedder")


def needs_supervision(options: Namespace, *, as_program: bool) -> bool:
    """True where a child shall read: always in a program of its own, else where others have files of the store open."""
    if options.verb not in READING or os.environ.get(VARIABLE) or not os.path.isdir(options.store or ""):
        return False
    return as_program or _in_use(options.store)


def _in_use(store: str) -> bool:
    handles = open_handles(Path(store))
    return not isinstance(handles, Absent) and bool(handles.others)


def supervised(given: Sequence[str], options: Namespace) -> Answer | int:
    """The exit status of a child that does the same and has said it all; where a signal killed it, an Answer."""
    status = _run(given)
    gaps = look_at_all(Path(options.store)) if -status == signal.SIGBUS else []
    if gaps and options.verb != "repair":  # a repair is not begun twice
        status = _run(given, {UNREADABLE: told(gaps)})
    return status if status >= 0 else _died(signal.Signals(-status).name, gaps, options)


def _died(name: str, gaps: Sequence[Gap], options: Namespace) -> Answer:
    why, advice = "it ended without a word", "Try again, with FORENSICS_TRACEBACK=1"
    if gaps:
        why, advice = (
            gaps[0].sentence,
            "Copy the store with a tool that goes on after errors, and diagnose the copy",
        )
    elif _in_use(options.store):
        why, advice = (
            "the store is in use, and a file was cut short while it was read",
            "Stop who uses it and try again",
        )
    text = f"The process that read the store died of {name}: {why}. {advice}; nothing was changed."
    return Answer({"schema": 1, "error": text, "exit": EXIT_INCOMPLETE}, "", EXIT_INCOMPLETE, text)


def program() -> list[str]:
    """This interpreter with its own options, and this package as a program."""
    given = {"-S": sys.flags.no_site, "-E": sys.flags.ignore_environment, "-s": sys.flags.no_user_site}
    flags = [flag for flag, is_set in given.items() if is_set]
    return [sys.executable, *flags, *(f"-W{option}" for option in sys.warnoptions), "-P", "-m", "forensics"]


def _run(given: Sequence[str], told_it: Mapping[str, str] | None = None) -> int:
    if sys.stdout is not None:
        sys.stdout.flush()
    command = [*program(), *given]
    environment = {**child_environment(), VARIABLE: "1", **(told_it or {})}
    with subprocess.Popen(command, env=environment) as child, _passed_on(child):
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
