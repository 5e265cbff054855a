"""The timeline of a store as one record: its events, the releases that have touched it, those that can open it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from typing import Any

from forensics.compatibility import Opening, openings
from forensics.history import Event, history
from forensics.store import Store
from forensics.touched import Touch, touched

EXPLAINED = {
    "opens": "opens it as it is",
    "migrates": "opens it and moves it up; older releases may then fail",
    "fails": "calls on a collection raise",
    "panics": "the client cannot be made",
    "unknown": "cannot be told",
}


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive releases, of those that were tried, that make the same of the store."""

    first: str
    last: str
    outcome: str
    why: str

    @property
    def releases(self) -> str:
        return self.first if self.first == self.last else f"{self.first} – {self.last}"


def spans(answers: Sequence[Opening]) -> tuple[Span, ...]:
    """The answers with neighbours that are alike put together, in the order given."""
    groups = ([*group] for _, group in groupby(answers, key=lambda one: (one.outcome, one.why)))
    return tuple(
        Span(group[0].release, group[-1].release, group[0].outcome, group[0].why) for group in groups
    )


@dataclass(frozen=True, slots=True)
class Chronicle:
    """What `fx.timeline` tells. In a notebook it shows itself; iterating gives the events."""

    events: tuple[Event, ...]
    touched: tuple[Touch, ...]
    openings: tuple[Opening, ...]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __repr__(self) -> str:
        return import_module("forensics.report.chronicle").text(self)

    def _repr_html_(self) -> str:
        return import_module("forensics.report.chronicle").html(self)

    def to_json(self) -> dict[str, Any]:
        parts = {"events": self.events, "touched": self.touched, "openings": self.openings}
        return {"schema": 1, **{name: [one.to_json() for one in part] for name, part in parts.items()}}


def chronicle(store: Store) -> Chronicle:
    """The timeline of that store. Reads; never starts an engine."""
    events = tuple(
        event for event in history(store) if event.source != "migrations"
    )  # `touched` says it better
    return Chronicle(events, touched(store), openings(store))
