"""How the command line looks on a terminal: colours, and a bar while it works. Elsewhere plain text."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TextIO

from forensics.report.plain import WIDTH, visible
from forensics.verdict_first import SAYS

STYLES = (
    ("fatal", "bold red"),
    ("error", "red"),
    ("warning", "yellow"),
    ("note", "cyan"),
    ("Do not open", "bold white on red"),
)
Progress = Callable[[str, float], None]


def fit_terminal() -> None:
    """Texts are made as narrow as the terminal on stdout is, from 60 to 100 columns; elsewhere they have 100."""
    stream = sys.stdout
    if stream is not None and stream.isatty():  # pyright: ignore[reportUnnecessaryComparison] - None where it was closed
        WIDTH.set(max(60, min(100, shutil.get_terminal_size().columns)))


def show(text: str, *, plain: bool = False) -> None:
    """The text stands on stdout, whole; for a terminal, lines that begin with a severity have its colour."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - so it is where it was closed
        return
    if plain or not _is_terminal(sys.stdout):
        _write(sys.stdout, text.rstrip("\n") + "\n")
        return
    from rich.console import Console

    console = Console(highlight=False)
    for line in text.rstrip("\n").split("\n"):
        style = next((style for word, style in STYLES if line.startswith(word)), None)
        console.print(line, style=style, markup=False, soft_wrap=True)


def complain(sentence: str, style: str = "bold red") -> None:
    """One line on stderr; nothing in it steers the terminal."""
    line = f"forensics: {visible(sentence)}"
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - so it is where it was closed
        return
    if not _is_terminal(sys.stderr):
        _write(sys.stderr, line + "\n")
        return
    from rich.console import Console

    Console(stderr=True, highlight=False).print(line, style=style, markup=False, soft_wrap=True)


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and find_spec("rich") is not None


def _write(stream: TextIO, text: str) -> None:
    """Letters that the stream cannot encode are escaped."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


@contextmanager
def progress(*, wanted: bool) -> Generator[Progress | None]:
    """A bar on stderr where somebody is looking."""
    if not wanted or sys.stderr is None or not _is_terminal(sys.stderr):  # pyright: ignore[reportUnnecessaryComparison]
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def tell(text: str, share: float) -> None:
            if text.startswith(SAYS):  # it stays on the screen
                bar.console.print(visible(text), markup=False, highlight=False)
            bar.update(task, description=visible(text)[:48], completed=share)

        yield tell
