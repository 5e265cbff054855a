"""Arguments → verbs → exit status. The only module that prints, with what it takes from `cli_text`.

Exit status is a bit field: 0 nothing above a note is left · 4 something is · 8 could not complete · 16 usage. Whatever
happens, stdout holds the answer alone (with `--format json` exactly one object) and stderr one sentence, no traceback.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from forensics.readers.bulk import collector_seldom

if TYPE_CHECKING:
    from forensics.cli_answer import Answer

TRACEBACK = "FORENSICS_TRACEBACK"
"""Set in the environment, an error that was not foreseen shows where it happened."""


_HOMES = {
    **dict.fromkeys(("diagnose", "past", "probe", "foretell", "copy", "explain", "lab"), "cli_looking"),
    **dict.fromkeys(("plan", "apply", "repair"), "cli_repairing"),
    **dict.fromkeys(("verify", "undo", "report", "case", "export"), "cli_cases"),
    **dict.fromkeys(("timeline", "classify"), "cli_telling"),
    **dict.fromkeys(("rescue", "restore-quarantined"), "cli_saving"),
    "embedder": "cli_embedder",
}
"""The module in which the answer of a verb is a function of its name."""


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP: as Ctrl-C, so that what was begun is put in order."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status. Everything but the answer goes to stderr."""
    given = list(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # our matrices are small: more threads would wait busily
    as_json = "--format=json" in given or ("--format", "json") in pairwise(given)
    _open_streams()
    try:
        with _stoppable(), collector_seldom():
            answer = _answer(given, as_program=argv is None)
    except SystemExit as leaving:  # --help and --version have said what they had to
        _flush(sys.stdout)
        return leaving.code if isinstance(leaving.code, int) else 0
    except BaseException as error:  # noqa: BLE001 - each becomes one sentence and an exit status
        answer = _failure(error)
    return answer if isinstance(answer, int) else _say(answer, as_json)


def _answer(given: list[str], *, as_program: bool) -> Answer | int:
    """What the verb gives; a status where a child has said it. Modules are loaded here: Ctrl-C is one sentence from
    the start.
    """
    from forensics.cli_arguments import build_parser, unheeded

    options = build_parser().parse_args(given)
    from forensics.cli_supervising import needs_supervision, supervised

    if needs_supervision(options, as_program=as_program):
        return supervised(given, options)
    from forensics.cli_text import fit_terminal

    fit_terminal()
    module = import_module(f"forensics.{_HOMES[options.verb]}")
    with _stdout_for_the_answer():
        try:
            answer = getattr(module, options.verb.replace("-", "_"))(options)
        except SystemExit as error:
            raise RuntimeError(f"something that was called left with status {error.code}") from error
    return replace(answer, notes=(*answer.notes, *unheeded(options)))


def _failure(error: BaseException) -> Answer:
    """The sentence and the exit status that an exception comes to."""
    from forensics.cli_answer import Answer
    from forensics.errors import EXIT_INCOMPLETE, ForensicsError

    if os.environ.get(TRACEBACK):
        sys.excepthook(type(error), error, error.__traceback__)
    status = error.exit_status if isinstance(error, ForensicsError) else EXIT_INCOMPLETE
    sentence = _sentence(error)
    return Answer({"schema": 1, "error": sentence, "exit": status}, "", status, sentence)


def _sentence(error: BaseException) -> str:
    from forensics.errors import ForensicsError

    if isinstance(error, ForensicsError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return f"{error.args[0] if error.args else 'Interrupted'}; the store was not changed."
    if isinstance(error, OSError) and error.strerror:
        return f"{os.fsdecode(error.filename) if error.filename else 'The system'}: {error.strerror}."
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; the store was not changed."
    return f"Not foreseen: {type(error).__name__}: {error} ({TRACEBACK}=1 shows where)."


# --- what is said, and where ---


def _say(answer: Answer, as_json: bool) -> int:
    """The answer stands on stdout, its sentence on stderr; the exit status."""
    from forensics.cli_text import complain, show
    from forensics.model import plain

    with suppress(BrokenPipeError):  # nobody reads stderr
        for note in answer.notes:
            complain(note, style="yellow")
        if answer.error is not None:
            complain(answer.error)
    try:
        if as_json:
            data = {**answer.data, **({} if answer.error is None else {"error": answer.error})}
            show(json.dumps(plain(data), allow_nan=False, ensure_ascii=True), plain=True)
        elif answer.text:
            show(answer.text)
    except BrokenPipeError:  # `| head` has seen enough
        _silence(sys.stdout)
    return answer.status


def _silence(stream: TextIO) -> None:
    """What Python still flushes to the stream at its end goes nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _flush(stream: TextIO | None) -> None:
    try:
        if stream is not None:
            stream.flush()
    except BrokenPipeError:
        _silence(sys.stdout)


@contextmanager
def _stdout_for_the_answer() -> Generator[None]:
    """What an embedder, a library or a child prints inside the block goes to stderr."""
    if sys.stdout is None or sys.stderr is None:
        yield
        return
    _flush(sys.stdout)
    with redirect_stdout(sys.stderr), _descriptor(1, 2):
        yield


@contextmanager
def _descriptor(number: int, other: int) -> Generator[None]:
    """Inside the block what is written to the one descriptor goes to the other."""
    try:
        kept = os.dup(number)
        os.dup2(other, number)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def _open_streams() -> None:
    """The first three descriptors are taken: else a file of the store could become where output is written."""
    with suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)


@contextmanager
def _stoppable() -> Generator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, where nobody else handles them."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    numbers = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(f"Stopped by {signal.Signals(number).name}")


if __name__ == "__main__":
    sys.exit(main())
