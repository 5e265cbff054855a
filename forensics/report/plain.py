"""Strings from a store made fit to be read: nothing hidden or reordered, nothing that steers a terminal."""

from __future__ import annotations

import hashlib
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from contextvars import ContextVar

from forensics.words import unit_of

_SUSPECT = re.compile(r"[^ -~]")
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


WIDTH: ContextVar[int] = ContextVar("WIDTH", default=100)
"""Columns of a text. Only a terminal that is narrower sets it; what goes to a file is the same everywhere."""


def wrapped(text: str, indent: str = "", first: str | None = None) -> str:
    """`text` in lines of WIDTH, none broken within a word; `first` begins the first of them, `indent` the others."""
    return textwrap.fill(
        text,
        WIDTH.get(),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def visible(text: str, *, keep: str = "") -> str:
    """`text` with every control, format, bidirectional, unpaired or odd white character escaped (`\\x1b`)."""
    return _SUSPECT.sub(lambda match: match[0] if match[0] in keep else _shown(match[0]), text)


def _shown(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind in _HIDDEN or kind == "Zs":
        return letter.encode("unicode_escape").decode("ascii")
    return letter


def number(value: int | float | None) -> str:
    """A number with thousands separators; `unknown` for None."""
    if value is None:
        return "unknown"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}"


def counted(count: int, unit: str) -> str:
    """`1 record`, `2 records`: `unit` may come in either form."""
    return f"{number(count)} {unit_of(count, unit)}"


def lowered(sentence: str) -> str:
    """The sentence as it reads after a dash: its first word in lower case, unless it is a name."""
    first = sentence.split(" ", 1)[0]
    return sentence[:1].lower() + sentence[1:] if first.istitle() else sentence


def raised(sentence: str) -> str:
    """The sentence as it begins a line: with a capital, unless its first word is the name of a file."""
    first = sentence.split(" ", 1)[0]
    return sentence if "_" in first or "." in first else sentence[:1].upper() + sentence[1:]


def joined(items: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def quoted(name: str) -> str:
    """A name in quotes, its hidden letters shown."""
    return f'"{visible(name)}"'


def short(identifier: str) -> str:
    """Enough of an id to find it again and no more: at most 12 letters, then the start of its SHA-256.

    Whoever has the store can tell which id is meant; whoever has only the report cannot.
    """
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{identifier[: min(12, len(identifier) // 2)]}…{digest[:6]}"
