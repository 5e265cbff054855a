"""What was foretold beside what came, counted, and as a page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from forensics.foretell.agreeing import Agreement


@dataclass(slots=True)
class Tally:
    """How many calls did what was foretold, or not, or were left open; `missed` vectors that nobody warned of."""

    agree: int = 0
    differ: int = 0
    undefined: int = 0
    missed: int = 0
    lost: int = 0
    differences: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, found: Iterable[Agreement]) -> Tally:
        tally = cls()
        for one in found:
            tally.count(one)
        return tally

    def count(self, one: Agreement) -> None:
        self.agree += one.word == "as foretold"
        self.differ += one.word == "not as foretold"
        self.undefined += one.word == "undefined"
        self.missed += one.missed
        self.lost += one.lost > 0
        if one.word == "not as foretold" or one.missed:
            self.differences.append(f"{one.call}: {one.detail}")

    def add(self, other: Tally) -> None:
        """The other's figures as well."""
        for what in ("agree", "differ", "undefined", "missed", "lost"):
            setattr(self, what, getattr(self, what) + getattr(other, what))

    @property
    def asked(self) -> int:
        return self.agree + self.differ + self.undefined

    @property
    def share(self) -> float:
        """Of the calls that were not left open; 1 where there are none."""
        decided = self.agree + self.differ
        return self.agree / decided if decided else 1.0


@dataclass(slots=True)
class Found:
    """One part: release → store → tally, and why some stores could not be made."""

    title: str
    tallies: dict[str, dict[str, Tally]]
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def every(self) -> list[Tally]:
        return [tally for tallies in self.tallies.values() for tally in tallies.values()]


def whole(tallies: Iterable[Tally]) -> Tally:
    """Their sum, differences aside."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def page(parts: Sequence[Found], command: str) -> str:
    """The figures and what differs, as Markdown, part by part."""
    total = whole(tally for part in parts for tally in part.every)
    head = PAGE.format(
        date=datetime.now(UTC).date().isoformat(),
        command=command,
        calls=total.asked,
        decided=total.agree + total.differ,
        agree=total.agree,
        share=_percent(total),
        open=total.undefined,
        missed=total.missed,
        lost=total.lost,
    )
    return "\n".join([head, *map(_part, parts)])


def _part(part: Found) -> str:
    rows = [_row(release, tallies.values()) for release, tallies in part.tallies.items()]
    differing = [
        f"- {name} under {release}: {text}"
        for release, tallies in part.tallies.items()
        for name, tally in tallies.items()
        for text in tally.differences
    ]
    left_out = [f"- {name}: {why}" for name, why in part.left_out.items()]
    return PART.format(
        title=part.title,
        stores=len({n for tallies in part.tallies.values() for n, tally in tallies.items() if tally.asked}),
        rows="\n".join([*rows, _row("all", part.every)]),
        differing="\n".join(differing) or "Nothing.",
        open="\n".join(_left_open(part.tallies)) or "None.",
        left_out="\nNot made, since this store has no place for them:\n\n" + "\n".join(left_out) + "\n"
        if left_out
        else "",
    )


def _row(name: str, tallies: Iterable[Tally]) -> str:
    total = whole(tallies)
    figures = (total.agree, total.differ, _percent(total), total.undefined, total.lost, total.missed)
    return f"| {' | '.join(map(str, (name, *figures)))} |"


def _percent(tally: Tally) -> str:
    """Rounded down, so that 100 % means all."""
    return f"{math.floor(1000 * tally.share) / 10} %"


def _left_open(found: Mapping[str, Mapping[str, Tally]]) -> Iterator[str]:
    for release, tallies in found.items():
        names = [f"{name} ({tally.undefined})" for name, tally in tallies.items() if tally.undefined]
        if names:
            yield f"- {release}: {', '.join(names)}"


PAGE = """# Foretold, and what came

What each of eight calls (open, count, get, get with embeddings, peek, a query for all, a filtered query, and an add past
a flush with everything asked again by a new process) returns, raises or destroys, told by `forensics foretell` from the
files of a store, beside what the releases then did, each call in its own process on its own copy.

**Of {calls} calls {decided} were foretold, and {agree} of these ({share}) did what was foretold; {open} were left open.
{lost} calls destroyed vectors; {missed} vectors were lost without a warning.** Last run on {date}, made by
`{command}`.

A call agrees where the outcome, the number and the ids that come back (or the text of the error) and the number of
destroyed vectors are all as foretold. Destroyed are vectors that were in level 0 or the queue of the store and are in
neither of the copy after the call. Where the engine reads memory that nobody has written, no answer is foretold: such
calls are counted as left open and not as agreeing, and their destructions are missed unless the foretelling warned.
Where SQLite gives our readers no rows there is no collection to ask; such stores are not counted.
"""
PART = """
## {title}: {stores} stores

| release | as foretold | not as foretold | share | left open | calls that destroyed | vectors lost without warning |
|---|---|---|---|---|---|---|
{rows}

What differs:

{differing}

Left open, with how many calls:

{open}
{left_out}"""
