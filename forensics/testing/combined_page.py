"""Combined damages as a page: every seed, and what became of each damage. Writes docs/COMBINED.md.

python -m forensics.testing.combined_page [--seeds N] [--rows FILE] [--out FILE]

`--rows` keeps a line of JSON for each seed; those that it has already are not made again.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forensics.testing.combined import BASES, LOST, Combined, Told, combined
from forensics.words import counted

PAGE = Path(__file__).resolve().parents[2] / "docs" / "COMBINED.md"
SAYS = {
    "found": "its code is found",
    "masked": "another finding names its code among those that follow from it, or cannot be seen beside it",
    "one finding": "a finding of its code is there, and is the same with and without it",
    "overwritten": "the other damages alone leave the very same store: bytes, rows and free pages of the database",
    "skipped": "its check could not run, and no finding says why",
    "missed": "none of these",
}
LINE = re.compile(r"^- (?P<seed>\d+) (?P<base>\S+): (?P<told>.*)$")
ONE = re.compile(r"^(?P<damage>\S+) (?P<code>CF\d{3}) (?P<fate>[a-z ]+?)(?: by (?P<by>\S.*))?$")


@dataclass(frozen=True, slots=True)
class Row:
    """One seed: the sample, what became of each damage, the checks that crashed."""

    seed: int
    base: str
    told: tuple[Told, ...]
    crashed: tuple[str, ...] = ()
    passed_over: tuple[Told, ...] = ()

    @property
    def text(self) -> str:
        """The row as a line of the page; `read` makes it a row again."""
        crashed = f" · crashed: {' '.join(self.crashed)}" if self.crashed else ""
        return f"- {self.seed} {self.base}: {' · '.join(map(_said, self.told))}{crashed}"


def _said(one: Told) -> str:
    return f"{one.damage} {one.code} {one.fate}" + (f" by {one.by}" if one.by else "")


def row_of(found: Combined) -> Row:
    """A combined damage without its diagnosis."""
    crashed = tuple(one.code for one in found.found.checks if one.outcome == "crashed")
    return Row(found.seed, found.base, found.told, crashed, found.passed_over)


def read(page: str) -> dict[int, Row]:
    """seed → its row, of a page."""
    lines = (LINE.match(line) for line in page.splitlines())
    return {int(found["seed"]): _row(found) for found in lines if found}


def _row(line: re.Match[str]) -> Row:
    told = (ONE.match(part) for part in line["told"].split(" · "))
    parts = (Told(one["damage"], one["code"], one["fate"], one["by"] or "") for one in told if one)  # pyright: ignore[reportArgumentType]
    return Row(int(line["seed"]), line["base"], tuple(parts))


def markdown(rows: Sequence[Row], date: str) -> str:
    """The page."""
    return "\n".join(_lines(rows, date)) + "\n"


def _lines(rows: Sequence[Row], date: str) -> Iterator[str]:
    yield from ("# Two or three faults at once", "")
    yield f"Measured on {date} by `python -m forensics.testing.combined_page`, which writes this page."
    yield ""
    yield from headline(rows)
    yield ""
    yield "Each store is a healthy sample, one after another of those below, with two or three damages of the menu drawn by"
    yield "its seed. Each of them changes something when it is done and is a fault in that store by itself, or others are"
    yield "drawn. Not drawn are damages that only the user's embedder or a fresh graph shows (CF608), and flipped bits, of"
    yield "which some can be seen by nobody (docs/CORPUS.md). The diagnosis is that of `--deep`."
    yield ""
    yield from _table(("what became of it", "damages", "that is"), _fates(rows))
    yield ""
    yield from _table(("sample", "stores", *SAYS), _bases(rows))
    yield from ("", "## Masked, by which finding", "")
    yield from _table(("code", "masked by (times)"), _masked(rows))
    yield from ("", "## One finding for both, and overwritten", "")
    yield from _table(("damage", "what became of it", "by", "seeds"), _stood_in(rows))
    yield from ("", "## Drawn and put back", "")
    yield "Damages that a diagnosis does not name in that store even when they are the only one: norms and lengths where"
    yield "the space is not cosine, rows of the queue that are applied already, room that a release reserves behind the"
    yield "elements."
    yield ""
    yield from _table(("damage", "in (times)"), _put_back(rows))
    yield from ("", "## Every seed", "")
    yield from (row.text for row in rows)


def headline(rows: Iterable[Row]) -> Iterator[str]:
    """The figures as list items."""
    rows = list(rows)
    told = [one for row in rows for one in row.told]
    fates = Counter(one.fate for one in told)
    bases = len({row.base for row in rows})
    yield f"- Stores: {len(rows)}, seeds {rows[0].seed} to {rows[-1].seed}, of {counted(bases, 'samples')}."
    yield f"- Damages: {len(told)}; {', '.join(f'{fates[fate]} {fate}' for fate in SAYS)}."  # pyright: ignore[reportArgumentType]
    yield f"- Checks that crashed: {sum(len(row.crashed) for row in rows)}."


def _fates(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    fates = Counter(str(one.fate) for row in rows for one in row.told)
    return [(fate, str(fates[fate]), says) for fate, says in SAYS.items()]


def _bases(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [(base, *_figures([row for row in rows if row.base == base])) for base in BASES]


def _figures(rows: Sequence[Row]) -> tuple[str, ...]:
    fates = Counter(str(one.fate) for row in rows for one in row.told)
    return str(len(rows)), *(str(fates[fate]) for fate in SAYS)


def _masked(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    pairs = Counter((one.code, one.by) for row in rows for one in row.told if one.fate == "masked")
    return [
        (code, _times({by: n for (c, by), n in pairs.items() if c == code}))
        for code in sorted({c for c, _ in pairs})
    ]


def _stood_in(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    seeds: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        for one in row.told:
            if one.fate in ("one finding", "overwritten"):
                seeds.setdefault((one.damage, one.fate, one.by), []).append(row.seed)
    return [(*key, ", ".join(map(str, found))) for key, found in sorted(seeds.items())]


def _put_back(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    pairs = Counter((one.damage, row.base) for row in rows for one in row.passed_over)
    return [
        (name, _times({base: n for (d, base), n in pairs.items() if d == name}))
        for name in sorted({d for d, _ in pairs})
    ]


def _times(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for cells in rows:
        yield f"| {' | '.join(cells)} |"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m forensics.testing.combined_page", description="Combined damages as a page."
    )
    parser.add_argument("--seeds", type=int, default=500, help="how many stores")
    parser.add_argument("--rows", type=Path, help="keep the rows here, and go on where they end")
    parser.add_argument("--out", type=Path, default=PAGE)
    asked = parser.parse_args(words)
    kept = _kept(asked.rows)
    rows = [kept.get(seed) or _measured(seed, asked.rows) for seed in range(asked.seeds)]
    asked.out.write_text(markdown(rows, datetime.now(UTC).date().isoformat()), encoding="utf-8")
    return int(any(row.crashed or any(one.fate in LOST for one in row.told) for row in rows))


def _measured(seed: int, rows: Path | None) -> Row:
    row = row_of(combined(seed))
    sys.stdout.write(row.text + "\n")
    sys.stdout.flush()
    if rows is not None:
        with rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
    return row


def _kept(rows: Path | None) -> dict[int, Row]:
    if rows is None or not rows.exists():
        return {}
    found = (_from_json(json.loads(line)) for line in rows.read_text(encoding="utf-8").splitlines())
    return {row.seed: row for row in found}


def _from_json(row: dict[str, Any]) -> Row:
    told, passed_over = (tuple(Told(**one) for one in row[name]) for name in ("told", "passed_over"))
    return Row(row["seed"], row["base"], told, tuple(row["crashed"]), passed_over)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
