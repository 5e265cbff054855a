"""What embedding again will take: documents, tokens, calls, hours and money, reckoned before the first of it is done."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from forensics.model import Action, Json
from forensics.repair.effects import EMBEDDING_KINDS
from forensics.repair.embedded_kept import keys_of
from forensics.repair.embedding import Embedder
from forensics.repair.holdings import EMBED
from forensics.repair.options import RepairOptions
from forensics.repair.site import Site

PART = 4096
BYTES_PER_TOKEN = 4
"""What a token of English is on average, in UTF-8."""
SPECIAL = 2
"""Tokens that a tokenizer may add to a text."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """How many tokens texts have: counted, or estimated with the most that they can be; `by` says how."""

    count: int
    at_most: int
    by: str

    def plus(self, other: Tokens) -> Tokens:
        """Of both together; estimated as soon as one is."""
        by = self.by if other.count == other.at_most else other.by
        return Tokens(self.count + other.count, self.at_most + other.at_most, by)


def tokens_of(texts: Sequence[str], embedder: Embedder) -> Tokens:
    """By the embedder's own `count_tokens(list[str]) -> list[int]`, where there is one that works; else estimated."""
    count = counter_of(embedder)
    if count is None:
        return _estimated(texts, "the embedder has no count_tokens")
    try:
        total = sum(int(each) for each in count(list(texts)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises, an estimate is what is left
        return _estimated(
            texts, f"its count_tokens raised {type(error).__name__}: {' '.join(str(error).split())}"
        )
    return Tokens(total, total, f"counted by {getattr(count, '__doc__', None) or 'the embedder'}".rstrip("."))


def counter_of(embedder: Embedder) -> Any | None:
    """`count_tokens` of the callable itself or of its module."""
    function = embedder.function
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return getattr(function, "count_tokens", None) or getattr(module, "count_tokens", None)


def _estimated(texts: Sequence[str], why: str) -> Tokens:
    """No tokenizer makes a token of less than a byte."""
    sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
    likely = sum(ceil(size / BYTES_PER_TOKEN) for size in sizes)
    by = f"estimated at {BYTES_PER_TOKEN} bytes of text each, since {why}"
    return Tokens(likely, sum(sizes) + SPECIAL * len(sizes), by)


@dataclass(slots=True)
class _Sum:
    """Documents of one collection: all of them, and those that have to be asked for."""

    documents: int
    kept: int
    asked: int
    tokens: Tokens


def bill(
    sites: Iterable[Site], approved: Sequence[Action], options: RepairOptions
) -> Mapping[str, Json] | None:
    """What the approved actions will ask of the embedder; None where they ask nothing.

    "measured" is of this run: how fast the embedder made the vectors that it was tried on, and the hours that follow.
    """
    rows: list[tuple[Site, _Sum]] = []
    for site in sites:
        kinds = {action.kind for action in approved if action.collection == site.collection.name}
        if kinds & EMBEDDING_KINDS and site.holdings is not None and site.holdings.mask(EMBED).any():
            rows.append((site, _sum(site, site.holdings.named(EMBED))))
    if not rows:
        return None
    return _told(rows, options)


def _sum(site: Site, ids: list[str]) -> _Sum:
    """Equal texts are asked for once, those that the case has not at all."""
    embedder, dim, seen = site.embedder, site.dim or 0, set[bytes]()
    assert embedder is not None
    found, kept = _Sum(len(ids), 0, 0, Tokens(0, 0, "")), embedder.kept()
    for texts in _texts(site, ids):
        new = {key: text for key, text in zip(keys_of(texts), texts, strict=True) if key not in seen}
        seen.update(new)
        asked = [text for key, text in new.items() if not kept.has(key, dim)]
        found.kept += len(new) - len(asked)
        found.asked += len(asked)
        more = tokens_of(asked, embedder) if asked else Tokens(0, 0, found.tokens.by)
        found.tokens = found.tokens.plus(more) if found.tokens.by else more
    return found


def _texts(site: Site, ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), PART):
        yield [text or "" for text in site.texts(ids[start : start + PART])]


def _told(rows: Sequence[tuple[Site, _Sum]], options: RepairOptions) -> dict[str, Json]:
    asked = sum(each.asked for _, each in rows)
    tokens = rows[0][1].tokens
    for _, each in rows[1:]:
        tokens = tokens.plus(each.tokens)
    batches = sum(ceil(each.asked / options.pace.batch) for _, each in rows)
    embedder = rows[0][0].embedder
    return {
        "embedder": options.embedder,
        "collections": [_row(site, each) for site, each in rows],
        "documents": sum(each.documents for _, each in rows),
        "asked": asked,
        "kept": sum(each.kept for _, each in rows),
        "batch_size": options.pace.batch,
        "batches": batches,
        "tokens": tokens.count,
        "tokens_at_most": tokens.at_most,
        "tokens_by": tokens.by,
        "price_per_million_tokens": options.price_per_million_tokens,
        "money": _money(tokens.count, options),
        "money_at_most": _money(tokens.at_most, options),
        "network": "only what the embedder itself uses",
        "measured": _measured(
            None if embedder is None else embedder.kept().per_second, asked, batches, options
        ),
    }


def _row(site: Site, found: _Sum) -> dict[str, Json]:
    trial = site.holdings.trial if site.holdings is not None else None
    return {
        "collection": site.collection.name,
        "documents": found.documents,
        "asked": found.asked,
        "verified": bool(trial is not None and trial.passed),
        "trial": None if trial is None else trial.to_json(),
    }


def _money(tokens: int, options: RepairOptions) -> float | None:
    price = options.price_per_million_tokens
    return None if price is None else round(tokens * price / 1e6, 6)


def _measured(rate: float | None, asked: int, batches: int, options: RepairOptions) -> dict[str, Json]:
    """The slower of what the embedder needs and what the pace allows."""
    paced = (batches - 1) / options.pace.per_minute / 60 if options.pace.per_minute else 0.0
    hours = None if rate is None else max(asked / rate / 3600, paced)
    return {
        "documents_per_second": None if rate is None else float(f"{rate:.2g}"),
        "hours": None if hours is None else float(f"{hours:.2g}"),
    }
