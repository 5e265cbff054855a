"""The corpus as a page: codes × (found when injected, silent when healthy, silent after repair), and Lucene's blows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One code: its damages, how many of them were found with exactly their codes, what healthy stores say."""

    code: str
    name: str
    severity: str
    damages: tuple[str, ...]
    found: int
    total: int
    healthy: int
    alarms: tuple[str, ...]
    after: tuple[str, ...]
    why: str

    @property
    def holds(self) -> bool:
        """Found wherever it was injected, silent wherever it was not, and gone or left to a person afterwards."""
        return (
            self.found == self.total and not self.alarms and not any("still" in each for each in self.after)
        )

    @property
    def cells(self) -> tuple[str, ...]:
        shown = f"{self.found} of {self.total}" if self.total else "–"
        silent = f"{self.healthy - len(self.alarms)} of {self.healthy}"
        how = ", ".join(self.damages) or self.why
        return f"{self.code} {self.name}", self.severity, shown, silent, " · ".join(self.after) or "–", how

    @property
    def text(self) -> str:
        return "  ".join(self.cells)


@dataclass(frozen=True, slots=True)
class Blow:
    """One of Lucene's blows to one file, and what was said: codes → how often."""

    name: str
    file: str
    how: str
    said: Counter[tuple[str, ...]]
    unseen: str

    @property
    def cells(self) -> tuple[str, ...]:
        several = sum(self.said.values()) > 1
        says = [
            (" ".join(codes) or "nothing") + (f" ({count})" if several else "")
            for codes, count in self.said.most_common()
        ]
        return f"{self.file}, {self.how}", " · ".join(says), self.unseen


@dataclass(frozen=True, slots=True)
class Page:
    """What was measured on one day."""

    date: str
    rows: tuple[Row, ...]
    blows: tuple[Blow, ...]
    healthy: int

    @property
    def holds(self) -> bool:
        return all(row.holds for row in self.rows) and not any(
            "CF901" in codes for b in self.blows for codes in b.said
        )


def markdown(page: Page) -> str:
    """The page as it is committed."""
    return "\n".join(_lines(page)) + "\n"


def _lines(page: Page) -> Iterator[str]:
    shown = [row for row in page.rows if row.total]
    yield "# The corpus"
    yield ""
    yield f"Measured on {page.date} by `python -m forensics.testing.corpus`, which writes this page."
    yield ""
    yield f"- Codes: {len(page.rows)}; shown: {len(shown)}, found each time: {sum(r.found == r.total for r in shown)}."
    yield f"- Damages: {sum(len(row.damages) for row in page.rows)}, each with exactly the codes that the menu names."
    yield f"- Healthy stores: {page.healthy}; false alarms above a note: {sum(len(row.alarms) for row in page.rows)}."
    yield ""
    yield "*After the repair*: `silent`, the code is no longer found; `a person`, the plan names it and leaves it to one;"
    yield "`note`, there is nothing to repair. Repairs are those that lose nothing, with the samples' embedder."
    yield ""
    yield from _table(
        ("code", "severity", "found", "silent when healthy", "after the repair", "shown by"),
        [r.cells for r in page.rows],
    )
    yield ""
    yield "## Lucene's six blows to each file"
    yield ""
    yield "With `--deep`; where a bit was flipped also with the embedder, by as many seeds as the numbers add up to."
    yield ""
    yield from _table(
        ("blow", "what a diagnosis says", "what cannot be seen"), [blow.cells for blow in page.blows]
    )


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for cells in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
