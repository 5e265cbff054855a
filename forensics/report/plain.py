"""Strings from a store made fit to be read: nothing hidden or reordered, nothing that steers a terminal."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

Json = Any
SHOWN = 3
"""How many items of a list a line shows; the full list is in the case."""
_SUSPECT = re.compile(r"[^ -~]")
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_ID_KEY = re.compile(r"(^|_| )(id|ids|first|last|examples?|collisions?|duplicates?)( |_|$)")
_FREE_KEYS = frozenset({"files", "changed", "kept", "columns", "keys", "tables", "codes", "unsafe_because"})
_TAME = re.compile(r"CF\d{3}|[\w.-]*\.(bin|pickle|sqlite3|parquet)|[0-9a-f]{8}-[0-9a-f-]{27}(/.*)?")


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
    return f"{number(count)} {_singular(unit) if count == 1 else _plural(unit)}"


def _singular(unit: str) -> str:
    if unit.endswith("ies"):
        return unit[:-3] + "y"
    return unit[:-1] if unit.endswith("s") and not unit.endswith("ss") else unit


def _plural(unit: str) -> str:
    one = _singular(unit)
    if one.endswith("y") and one[-2:-1] not in "aeiou":
        return one[:-1] + "ies"
    return one if one.endswith("ss") else f"{one}s"


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


def short(identifier: str) -> str:
    """Enough of an id to find it again and no more: at most 12 letters, then the start of its SHA-256.

    Whoever has the store can tell which id is meant; whoever has only the report cannot.
    """
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{identifier[: min(12, len(identifier) // 2)]}…{digest[:6]}"


def shortened(value: Json, key: str = "") -> Json:
    """Data of a finding with its ids shortened: texts under a key that names ids, and lists of texts."""
    if isinstance(value, Mapping):
        return {name: shortened(item, str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_item(item, key) for item in value]
    return short(value) if isinstance(value, str) and _ID_KEY.search(key) else value


def _item(item: Json, key: str) -> Json:
    if not isinstance(item, str):
        return shortened(item, key)
    return item if key in _FREE_KEYS or _TAME.fullmatch(item) else short(item)


def show(value: Json) -> str:
    """Data of a finding in one line: `missing 270 · examples a, b, c and 7 more`."""
    if isinstance(value, Mapping):
        return " · ".join(_pair(str(key), item) for key, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        return _listed(value)
    return _scalar(value)


def _pair(key: str, value: Json) -> str:
    shown = f"({show(value)})" if isinstance(value, Mapping) else show(value)
    return f"{visible(key.replace('_', ' '))} {shown}"


def _listed(values: Sequence[Json]) -> str:
    if not values:
        return "none"
    nested = (Mapping, list, tuple)
    head = ", ".join(f"({show(v)})" if isinstance(v, nested) else _quoted(v) for v in values[:SHOWN])
    more = len(values) - SHOWN
    return f"{head} and {number(more)} more" if more > 0 else head


def _quoted(value: Json) -> str:
    """An item of a list; a text that white space or a comma would blur is quoted, outer spaces as `␣`."""
    if isinstance(value, str) and (value != value.strip() or not value or "," in value):
        return f'"{_spaces_shown(visible(value))}"'
    return _scalar(value)


def _spaces_shown(text: str) -> str:
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))
    return f"{'␣' * before}{inner}{'␣' * (len(text) - len(inner) - before)}"


def _scalar(value: Json) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, (int, float)) else visible(str(value))
