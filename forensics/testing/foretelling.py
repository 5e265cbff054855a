"""What was foretold beside what releases did: every call of every sample, counted, and as a page.

    python -P -m forensics.testing.foretelling [--damages] [--answers FOLDER] [--release VERSION]… [--write docs/FORETELL.md]

With `--damages` also every store of the damage menu is asked of 1.5.9, or of the releases named. With `--answers` an
engine that answered before is not asked again, so that the model alone can be tried anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from forensics import samples
from forensics.foretell.agreeing import Agreement, agreement
from forensics.foretell.calls import CALLS, RELEASES
from forensics.foretell.telling import tell
from forensics.store import open_store
from forensics.testing.asking import engine_answers
from forensics.testing.damage import Damage, damage_menu

LATEST = RELEASES[-1]


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

    @property
    def asked(self) -> int:
        return self.agree + self.differ + self.undefined

    @property
    def share(self) -> float:
        """Of the calls that were not left open; 1 where there are none."""
        decided = self.agree + self.differ
        return self.agree / decided if decided else 1.0


def compared(
    store: Path,
    release: str,
    *,
    calls: Sequence[str] = CALLS,
    told_of: Path | None = None,
    answers: Path | None = None,
) -> Iterator[Agreement]:
    """Every call of every collection. `told_of`: another store, of which is foretold; `answers`: where they are kept."""
    with open_store(told_of or store) as opened:
        told = {(one.collection, call.call): call for one in tell(opened, release) for call in one.calls}
    for answer in _answers(store, release, calls, answers):
        foretold = told[(answer["collection"], answer["call"])]
        yield agreement(foretold, answer["processes"], answer["lost"])


def _answers(store: Path, release: str, calls: Sequence[str], kept: Path | None) -> list[dict[str, Any]]:
    if kept is not None and kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    found = engine_answers(store, release, calls)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found), encoding="utf-8")
    return found


Make = Callable[[Path], object]


def sampled() -> dict[str, Make]:
    """Every sample by its name, and how it is made."""
    return {name: partial(samples.restore, name) for name in samples.names()}


def damaged() -> dict[str, Make]:
    """Every damage of the menu on its sample."""
    return {
        f"{name}@{entry.sample}": partial(_damaged, entry)
        for name, entry in damage_menu().items()
        if not name.startswith("database-")  # SQLite gives no rows: there is no collection to ask
    }


def _damaged(entry: Damage, store: Path) -> None:
    samples.restore(entry.sample, store)
    entry(store)


def run(
    stores: dict[str, Make], releases: Sequence[str], answers: Path | None
) -> dict[str, dict[str, Tally]]:
    """release → store → tally; a line to stderr for each."""
    found: dict[str, dict[str, Tally]] = {release: {} for release in releases}
    for name, make in stores.items():
        with tempfile.TemporaryDirectory(prefix="forensics-foretelling-") as folder:
            store = Path(folder) / "store"
            make(store)
            for release in releases:
                kept = None if answers is None else answers / f"{name.replace('/', '_')}--{release}.json"
                tally = found[release][name] = Tally.of(compared(store, release, answers=kept))
                sys.stderr.write(f"{name} under {release}: {tally}\n")
    return found


# --- the page ---


def page(parts: dict[str, dict[str, dict[str, Tally]]]) -> str:
    """The figures and what differs, as Markdown, part by part."""
    head = PAGE.format(date=datetime.now(UTC).date().isoformat())
    return "\n".join([head, *(_part(title, found) for title, found in parts.items())])


def _part(title: str, found: dict[str, dict[str, Tally]]) -> str:
    rows = [_row(release, list(tallies.values())) for release, tallies in found.items()]
    every = [tally for tallies in found.values() for tally in tallies.values()]
    differing = [
        f"- {name} under {release}: {text}"
        for release, tallies in found.items()
        for name, tally in tallies.items()
        for text in tally.differences
    ]
    return PART.format(
        title=title,
        stores=len({name for tallies in found.values() for name, tally in tallies.items() if tally.asked}),
        rows="\n".join([*rows, _row("all", every)]),
        differing="\n".join(differing) or "Nothing.",
        open="\n".join(_left_open(found)) or "None.",
    )


def _row(name: str, tallies: Sequence[Tally]) -> str:
    whole = Tally()
    for what in ("agree", "differ", "undefined", "missed", "lost"):
        setattr(whole, what, sum(getattr(one, what) for one in tallies))
    cells = (
        name,
        whole.agree,
        whole.differ,
        f"{100 * whole.share:.1f} %",
        whole.undefined,
        whole.lost,
        whole.missed,
    )
    return f"| {' | '.join(map(str, cells))} |"


def _left_open(found: dict[str, dict[str, Tally]]) -> Iterator[str]:
    for release, tallies in found.items():
        names = [name for name, tally in tallies.items() if tally.undefined]
        if names:
            yield f"- {release}: {', '.join(names)}"


PAGE = """# Foretold, and what came

What each of eight calls (open, count, get, get with embeddings, peek, a query for all, a filtered query, and an add past
a flush with everything asked again by a new process) returns, raises or destroys, told by `forensics foretell` from the
files of a store, beside what the releases then did, each call in its own process on its own copy. Made by
`python -P -m forensics.testing.foretelling --damages --write docs/FORETELL.md`; last run on {date}.

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

Left open:

{open}
"""


def main() -> int:
    """0 where the aim is met: 99 % as foretold, and no destruction missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--damages", action="store_true")
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--release", action="append", default=[])
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    parts = {"Samples": run(sampled(), options.release or RELEASES, options.answers)}
    if options.damages:
        parts["The damage menu"] = run(damaged(), options.release or [LATEST], options.answers)
    text = page(parts)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    every = [tally for found in parts.values() for tallies in found.values() for tally in tallies.values()]
    agree, differ = sum(one.agree for one in every), sum(one.differ for one in every)
    return int(agree < 0.99 * (agree + differ) or any(one.missed for one in every))


if __name__ == "__main__":
    sys.exit(main())
