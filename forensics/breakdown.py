"""Sets of ids broken down: by the prefix that their separator marks off, and by metadata key.

Pure arithmetic over ids, and bounded queries over `embedding_metadata`; knows nothing of why an id is in the
set.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from forensics.absent import Absent
from forensics.readers.database import Database

SEPARATORS = ":/#|@.-_ "
"""In the order in which they are tried; of two that divide equally well the earlier wins."""
SAMPLE = 5_000
"""Ids looked at to find the separator, spread evenly over all of them."""
TOP = 10
MOST_GROUPS = 1_000
"""A separator that marks off more prefixes than this, or one for every other id, divides nothing."""
BATCH = 50_000
DOCUMENT = "chroma:document"
KINDS = ("string_value", "int_value", "float_value", "bool_value")


@dataclass(frozen=True, slots=True)
class Group:
    """How many of the ids with this prefix (or value) are in the set, of how many in all; `of` None =
    unknown."""

    name: str
    count: int
    of: int | None

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "count": self.count, "of": self.of}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Groups, the largest first, cut to a few; `groups` is how many there are in all. `separator` None: no
    prefix."""

    separator: str | None
    parts: int
    groups: int
    top: tuple[Group, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "separator": self.separator,
            "parts": self.parts,
            "groups": self.groups,
            "top": [group.to_json() for group in self.top],
        }


def find_separator(ids: Sequence[str]) -> str | None:
    """The character that divides these ids into few prefixes, or None. At least nine ids in ten must have
    it."""
    step = max(1, len(ids) // SAMPLE)
    sample = ids[::step]
    best: tuple[int, str] | None = None
    text = "\n".join(sample)
    for separator in SEPARATORS:
        if 10 * text.count(separator) < 9 * len(sample):
            continue
        heads = [name[: name.index(separator)] for name in sample if name.find(separator) > 0]
        groups = len(set(heads))
        divides = 1 < groups <= min(MOST_GROUPS, max(2, len(sample) // 2))
        if divides and 10 * len(heads) >= 9 * len(sample) and (best is None or groups < best[0]):
            best = (groups, separator)
    return best[1] if best else None


def prefix(name: str, separator: str, parts: int) -> str:
    """The first `parts` parts of an id; all of it where it has fewer."""
    return separator.join(name.split(separator, parts)[:parts])


def by_prefix(
    ids: Sequence[str],
    everything: Sequence[str],
    *,
    separator: str | None = None,
    parts: int | None = None,
    top: int = TOP,
) -> Breakdown:
    """`ids` by prefix, each against all ids with it. Separator and number of parts are found where not given.

    Two parts are taken where they, too, make few groups (as in `ontology:entityType:iri`).
    """
    separator = separator or find_separator(everything)
    if separator is None:
        return Breakdown(None, 0, 0, ())
    parts = parts or _parts(everything, separator)
    mine = Counter(prefix(name, separator, parts) for name in ids)
    ranked = _top(mine, None, top)
    of = _with_prefixes(everything, [group.name for group in ranked], separator, parts)
    groups = (replace(group, of=count) for group, count in zip(ranked, of, strict=True))
    return Breakdown(separator, parts, len(mine), tuple(groups))


def _with_prefixes(ids: Sequence[str], heads: Sequence[str], separator: str, parts: int) -> list[int]:
    """How many of these ids have each of `heads` as their prefix; one with fewer parts is its own.

    Counted in one text with every id on a line of its own, which takes a tenth of looking at each.
    """
    text = "\n" + "\n\n".join(ids) + "\n"
    if "" in heads or text.count("\n") != 2 * len(ids):
        counts = Counter(prefix(name, separator, parts) for name in ids)
        return [counts[head] for head in heads]
    whole = (head.count(separator) == parts - 1 for head in heads)
    return [
        text.count(f"\n{head}\n") + (text.count(f"\n{head}{separator}") if more else 0)
        for head, more in zip(heads, whole, strict=True)
    ]


def by_pattern(ids: Sequence[str], everything: Sequence[str], pattern: str, *, top: int = TOP) -> Breakdown:
    """`ids` by the first group of a regular expression (the whole match where it has none); no match: "".

    Raises re.error for a pattern that is none.
    """
    compiled = re.compile(pattern)

    def key(name: str) -> str:
        found = compiled.search(name)
        return "" if found is None else found.group(1 if compiled.groups else 0) or ""

    return Breakdown(
        None,
        0,
        len({key(name) for name in ids}),
        _top(Counter(map(key, ids)), Counter(map(key, everything)), top),
    )


def _parts(ids: Sequence[str], separator: str) -> int:
    sample = ids[:: max(1, len(ids) // SAMPLE)]
    pairs = {prefix(name, separator, 2) for name in sample}
    return 2 if len(pairs) <= min(100, len(sample) // 10) and pairs != set(sample) else 1


def _top(mine: Counter[str], all_of: Counter[str] | None, top: int) -> tuple[Group, ...]:
    ranked = sorted(mine.items(), key=lambda item: (-item[1], item[0]))[:top]
    return tuple(Group(name, count, None if all_of is None else all_of[name]) for name, count in ranked)


def by_metadata(database: Database, rowids: Iterable[int], *, top: int = TOP) -> dict[str, Breakdown]:
    """key → the records with these rowids by the value of that key; documents left out, long values cut to
    80.

    A key with a value of its own for nearly every record divides nothing and is left out; at most `top` keys,
    those that most of the records have first. Empty where the table cannot be read.
    """
    counts: dict[str, Counter[str]] = {}
    kinds = [name for name in KINDS if name in database.columns("embedding_metadata")]
    sql = (
        f"SELECT key, coalesce({', '.join(kinds)}, NULL), count(*) FROM embedding_metadata"
        " WHERE id IN (SELECT value FROM json_each(?)) AND key <> ? GROUP BY 1, 2"
    )
    for batch in _batches(list(rowids)):
        found = database.rows(sql, (json.dumps(batch), DOCUMENT))
        if isinstance(found, Absent):
            return {}
        for key, value, count in found:
            counts.setdefault(str(key), Counter())[_short(value)] += count
    dividing = {key: values for key, values in counts.items() if len(values) <= max(2, values.total() // 2)}
    ranked = sorted(dividing, key=lambda key: (-dividing[key].total(), len(dividing[key]), key))[:top]
    return {key: Breakdown(None, 0, len(counts[key]), _top(counts[key], None, top)) for key in ranked}


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _batches(values: list[int]) -> Iterable[list[int]]:
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))
