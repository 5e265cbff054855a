"""What a plan says of embedding again: by what, how much, how long, at what price. JSON of a plan in, words out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forensics.report.plain import counted, joined, number, quoted, visible, wrapped
from forensics.report.repair_summary import embedder_sentence

Json = Any
MINUTE = 1 / 60


def embedding_text(plan: Mapping[str, Json]) -> str:
    """A paragraph; empty where nothing is embedded again."""
    return wrapped(" ".join(embedding_sentences(plan)))


def embedding_sentences(plan: Mapping[str, Json]) -> tuple[str, ...]:
    """By what, how many documents, how long and at what price; what is unverified; and what uses the network."""
    if not any(effect["reembedded"] for effect in plan["effects"]):
        return ()
    told = plan.get("embedding")
    by = embedder_sentence(plan["options"])
    return (by,) if not told else (by, *_reckoned(told))


def _reckoned(told: Mapping[str, Json]) -> Iterator[str]:
    for row in told["collections"]:
        if not row["verified"]:
            why = visible(row["trial"]["reason"]) if row["trial"] else "nothing was tried"
            yield f"This is UNVERIFIED in {quoted(row['collection'])}: {why}."
    documents = (
        f"{counted(told['documents'], 'document')} {'is' if told['documents'] == 1 else 'are'} embedded again"
    )
    kept = f", {number(told['kept'])} of which this case has already" if told["kept"] else ""
    if not told["asked"]:
        yield f"{documents}; this case has all of them already."
        return
    calls = f"in {counted(told['batches'], 'call')} of at most {number(told['batch_size'])}"
    yield f"{documents}{kept}: {_tokens(told)}, {calls}, {_time(told['measured'])}."
    yield _price(told)
    yield "The network is used by nothing but that embedder, if it uses any."


def _tokens(told: Mapping[str, Json]) -> str:
    if told["tokens"] == told["tokens_at_most"]:
        return f"{counted(told['tokens'], 'token')} ({visible(told['tokens_by'])})"
    most = f"at most {number(told['tokens_at_most'])}"
    return f"about {number(told['tokens'])} tokens, {most} ({visible(told['tokens_by'])})"


def _time(measured: Mapping[str, Json]) -> str:
    hours, rate = measured["hours"], measured["documents_per_second"]
    if hours is None:
        return "in a time that is not known, as nothing was embedded yet"
    if hours < MINUTE:
        return "in less than a minute at the measured rate"
    shown = f"{number(float(hours))} hours" if hours >= 1 else f"{hours * 60:.0f} minutes"
    return f"in about {shown} (measured: {number(float(rate))} documents per second)"


def _price(told: Mapping[str, Json]) -> str:
    price = told["price_per_million_tokens"]
    if price is None:
        return "What it costs is told with --price-per-million-tokens X."
    sums = [told["money"], told["money_at_most"]]
    shown = [f"{value:,.2f}" if value >= 0.1 else f"{value:.4f}" for value in dict.fromkeys(sums)]
    return f"At {number(float(price))} per million tokens it costs {joined(shown, 'to at most')}."
