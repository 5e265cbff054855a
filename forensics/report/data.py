"""`expected` and `found` of a finding as readable lines; ids and content shortened for a shared report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forensics.report.plain import counted, number, short, visible

Json = Any
SHOWN, GROUPS, KEYS = 3, 5, 3
"""How many items of a list, groups of a breakdown and keys of metadata are shown; the case holds all."""
_ID_KEY = re.compile(r"(^|_)(ids?|first|last|examples?|collisions?|duplicates?)(_|$)")
_CONTENT_KEY = re.compile(r"(^|_)(documents?|texts?|values?|metadata)(_|$)")
_FREE_KEYS = frozenset(
    {"actions", "changed", "checks", "codes", "columns", "files", "findings", "hidden", "kept", "keys"}
    | {"missing", "obstacles", "present", "problems", "reasons", "tables"}
)
_QUOTED = re.compile(r"\{('[^']*'|\"[^\"]*\"): [^{}]*\}")
_TAME = re.compile(r"CF\d{3}|[\w.-]*\.(bin|pickle|sqlite3|parquet)|[0-9a-f]{8}-[0-9a-f-]{27}(/.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """What a view may show in full: ids, and content (document texts and values of metadata)."""

    ids: bool = True
    documents: bool = True


EVERYTHING = Reveal()


def redacted(value: Json, reveal: Reveal, key: str = "", *, content: bool = False) -> Json:
    """The data with ids and content shortened unless revealed: texts under keys that name them, lists."""
    content = content or bool(_CONTENT_KEY.search(key))
    if key == "by_metadata" and not reveal.documents:
        return {name: {**part, "top": ()} for name, part in value.items()}
    if isinstance(value, Mapping):
        by_id = bool(_ID_KEY.search(key)) and not reveal.ids
        inner = {name: redacted(item, reveal, str(name), content=content) for name, item in value.items()}
        return {short(str(name)): item for name, item in inner.items()} if by_id else inner
    if isinstance(value, (list, tuple)):
        return [_item(item, key, reveal, content) for item in value]
    return short(value) if isinstance(value, str) and _hides(key, reveal, content) else value


def without_content(text: str, reveal: Reveal) -> str:
    """A sentence without the values of the metadata that it quotes: `{'kind': …}`."""
    return text if reveal.documents else _QUOTED.sub(r"{\1: …}", text)


def _nested(value: Json) -> bool:
    return isinstance(value, (Mapping, list, tuple))


def _hides(key: str, reveal: Reveal, content: bool) -> bool:
    return (content and not reveal.documents) or (bool(_ID_KEY.search(key)) and not reveal.ids)


def _item(item: Json, key: str, reveal: Reveal, content: bool) -> Json:
    """An item of a list. A list of texts counts as ids unless its key or its form says what else it is."""
    if _nested(item):
        return redacted(item, reveal, key, content=content)
    if not isinstance(item, str):
        return item
    tame = key in _FREE_KEYS or (_TAME.fullmatch(item) is not None and not _ID_KEY.search(key))
    hidden = not reveal.documents if content else not reveal.ids
    return short(item) if hidden and not tame else item


def lines(value: Json) -> tuple[tuple[str, str], ...]:
    """Data as (label, text) lines: the single values of a mapping together, then each part on its own."""
    return tuple(_lines(value))


def _lines(value: Json) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield "", show(value)
        return
    known = {str(key): item for key, item in value.items() if item is not None}
    single = [_pair(key, item) for key, item in known.items() if not _nested(item)]
    if single:
        yield "", " · ".join(single)
    for key, item in known.items():
        if key == "by_metadata" and isinstance(item, Mapping):
            for name, part in list(item.items())[:KEYS]:
                yield f"by {_worded(str(name))}", _groups(part)
        elif _nested(item) and item:
            yield _worded(key), _part(key, item)


def _part(key: str, item: Json) -> str:
    if key == "sequence":
        return _sequence(item)
    return _groups(item) if isinstance(item, Mapping) and "top" in item else show(item)


def _sequence(at: Mapping[str, Json]) -> str:
    """Where the missing lie: `oldest · 279 of 300 · in 1 gap · rowid 1 … 279 · seq_id 1 … 279`."""
    parts = [
        str(at["name"]),
        f"{number(at['missing'])} of {number(at['settled'])} that the index should hold",
        f"in {number(at['runs'])} unbroken {'run' if at['runs'] == 1 else 'runs'}",
        f"rowid {number(at['first_row'])} … {number(at['last_row'])}",
    ]
    if at["highest_seq"] >= 0:
        parts.append(f"seq_id {number(at['lowest_seq'])} … {number(at['highest_seq'])}")
    if at["indexed_later"]:
        parts.append(f"{number(at['indexed_later'])} indexed ones are newer")
    return " · ".join(parts)


def _groups(breakdown: Mapping[str, Json]) -> str:
    """`go:class (50 of 60), kb:article (30 of 31) and 3 more`."""
    top = breakdown["top"]
    if not top:
        return f"{counted(breakdown['groups'], 'value')} (left out)" if breakdown["groups"] else "no groups"
    named = [f"{visible(str(g['name'])) or '(empty)'} ({_share(g)})" for g in top[:GROUPS]]
    more = breakdown["groups"] - len(named)
    return ", ".join(named) + (f" and {number(more)} more" if more > 0 else "")


def _share(group: Mapping[str, Json]) -> str:
    return (
        number(group["count"])
        if group["of"] is None
        else f"{number(group['count'])} of {number(group['of'])}"
    )


def show(value: Json) -> str:
    """Data in one line: `missing 270 · examples a, b, c and 7 more`."""
    if isinstance(value, Mapping):
        return " · ".join(_pair(str(key), item) for key, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        return _listed(value)
    return _scalar(value)


def _pair(key: str, value: Json) -> str:
    shown = f"({show(value)})" if isinstance(value, Mapping) else show(value)
    return f"{_worded(key)} {shown}"


def _worded(key: str) -> str:
    return visible(key.replace("_", " "))


def _listed(values: Sequence[Json]) -> str:
    if not values:
        return "none"
    head = ", ".join(f"({show(value)})" if _nested(value) else _quoted(value) for value in values[:SHOWN])
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
