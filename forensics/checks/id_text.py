"""Ids as text: which are malformed, and which look alike. Linear in their length; fast where nothing is
wrong."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from forensics.readers.columns import line_parts

LIKENESS = ("white space", "Unicode form", "case")
_JOINERS = "\u200c\u200d"
"""Needed between letters of Persian, of Indian scripts, and in emoji; without meaning beside Latin ones."""
_LATIN_END = 0x250
_INVISIBLE = frozenset("\u00ad\u180e\u200b\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff")
_BIDI = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
_EDGE = re.compile(r"^\s|\s$")
_DELETE = "\x7f"


def lines(ids: Sequence[str]) -> str:
    """The ids, each on a line of its own (unless one holds a line break)."""
    return "\n".join(ids)


def malformed(ids: Sequence[str], text: str | None = None) -> dict[int, tuple[str, ...]]:
    """Position → what is wrong with that id, of those with which something is. `text`: their `lines`, if known."""
    if all_plain(len(ids), lines(ids) if text is None else text):
        return {}
    found = ((row, _faults(name)) for row, name in enumerate(ids) if not _is_plain(name))
    return {row: faults for row, faults in found if faults}


def all_plain(count: int, text: str) -> bool:
    """True where one look at `count` ids, as their `lines`, shows that every one is plain."""
    return not count or sum(map(_plain_lines, line_parts(text))) == count


def _plain_lines(text: str) -> int:
    """How many lines these are; 0 where one of them is not plain."""
    if " " in text and ("\n " in text or " \n" in text or text[0] == " " or text[-1] == " "):
        return 0
    if not text.isascii():
        found = text.split("\n")
        return len(found) if "" not in found and "".join(found).isprintable() else 0
    codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    breaks = np.flatnonzero(codes < ord(" "))
    empty = np.diff(breaks, prepend=-1, append=len(codes)) == 1
    odd = empty.any() or (codes[breaks] != ord("\n")).any() or _DELETE in text
    return 0 if odd else len(breaks) + 1


def _is_plain(name: str) -> bool:
    return name.isprintable() and bool(name) and name[0] != " " and name[-1] != " "


def _faults(name: str) -> tuple[str, ...]:
    if not name:
        return ("empty",)
    kinds = (
        ("white space at an end", _EDGE.search(name) is not None),
        ("control character", any(unicodedata.category(c) in ("Cc", "Cs") for c in name)),
        ("zero-width character", any(_is_invisible(name, at) for at in range(len(name)))),
    )
    return tuple(kind for kind, holds in kinds if holds)


def _is_invisible(name: str, at: int) -> bool:
    character = name[at]
    if character in _JOINERS:
        return at == 0 or ord(name[at - 1]) < _LATIN_END
    return character in _INVISIBLE or character in _BIDI


def trimmed(name: str) -> str:
    """The id without white space at its ends, and without control and zero-width characters."""
    kept = (
        character
        for at, character in enumerate(name)
        if unicodedata.category(character) not in ("Cc", "Cs") and not _is_invisible(name, at)
    )
    return "".join(kept).strip()


def all_folded(count: int, text: str) -> bool:
    """True where one look at `count` ids, as their `lines`, shows that each is as a reader sees it: none can be alike."""
    folded = text.isascii() and " " not in text and not _has_inner_space(text)
    return not count or (folded and sum(map(_folded_lines, line_parts(text))) == count)


def _folded_lines(text: str) -> int:
    """How many lines of ASCII these are; 0 where there is a capital letter in them."""
    return text.count("\n") + 1 if text == text.lower() else 0


def alike(ids: Sequence[str], text: str | None = None) -> list[tuple[str, list[str]]]:
    """(what they differ in, the ids) of each group of distinct ids that look alike, in order of first
    appearance. `text`: their `lines`, where these are known."""
    text = lines(ids) if text is None else text
    keys = ids if all_folded(len(ids), text) else _keys(ids, text)
    if keys is ids or len(set(keys)) == len(ids):
        return []
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for key, name in zip(keys, ids, strict=True):
        groups[key].append(name)
    distinct = (list(dict.fromkeys(names)) for names in groups.values() if len(names) > 1)
    return [(_difference(names), names) for names in distinct if len(names) > 1]


def _keys(ids: Sequence[str], text: str) -> Sequence[str]:
    """Each id as a reader sees it: without white space, in one Unicode form, in one case."""
    if text.isascii() and not _has_inner_space(text):
        keys = text.lower().replace(" ", "").split("\n")
        if len(keys) == len(ids):
            return keys
    return ["".join(unicodedata.normalize("NFKC", name).casefold().split()) for name in ids]


def _has_inner_space(text: str) -> bool:
    return any(character in text for character in "\t\r\v\f\x1c\x1d\x1e\x1f")


def _difference(names: Sequence[str]) -> str:
    """The first of LIKENESS that, taken away, makes two of them the same."""
    if len({"".join(name.split()) for name in names}) < len(names):
        return "white space"
    if len({unicodedata.normalize("NFKC", "".join(name.split())) for name in names}) < len(names):
        return "Unicode form"
    return "case"
