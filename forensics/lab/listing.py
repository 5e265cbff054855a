"""What the files of a segment were, concluded from a directory listing alone."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from forensics.lab.sheet import Table
from forensics.readers import layout

UNITS = {
    "": 1,
    "B": 1,
    "K": 2**10,
    "KB": 2**10,
    "M": 2**20,
    "MB": 2**20,
    "G": 2**30,
    "GB": 2**30,
    "T": 2**40,
    "TB": 2**40,
}
"""As `du -h` and `ls -h` print them: powers of 1024, whatever the letter B says."""
SIZE = re.compile(r"\s*(?P<number>\d[\d,]*(?:\.\d+)?)\s*(?P<unit>[A-Za-z]*)\s*")
CANDIDATES = (4, 8, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One file of the listing: what it says, in bytes from `low` to `high` as rounded, and what M explains it needs."""

    name: str
    said: str
    low: int
    high: int
    needed_low: int
    needed_high: int

    @property
    def fits(self) -> bool:
        return self.low <= self.needed_high and self.needed_low <= self.high

    @property
    def needed(self) -> str:
        """The bytes, or the bounds of them where the levels are random."""
        if self.needed_low == self.needed_high:
            return f"{self.needed_low:,}"
        return f"{self.needed_low:,} to {self.needed_high:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """Which M explains all files, and what that means."""

    records: int
    dimension: int
    M: int | None
    readings: tuple[Reading, ...]
    text: str

    def __repr__(self) -> str:
        return f"{self.text}\n{self._table()!r}"

    def _repr_html_(self) -> str:
        return f"<p><b>{html.escape(self.text)}</b></p>{self._table()._repr_html_()}"

    def _table(self) -> Table:
        rows = tuple((one.name, one.said, one.needed, "yes" if one.fits else "no") for one in self.readings)
        return Table(("file", "listed", "a complete index needs, in bytes", "fits"), rows)


def size_range(text: str) -> tuple[int, int]:
    """The bytes that a rounded size such as "57 GB" can stand for; exact for plain numbers.

    `du -h` rounds up and others round to the nearest, so a value of n units stands for more than n - 1 and less than
    n + 0.5 of them. Raises ValueError for a text that is no size.
    """
    found = SIZE.fullmatch(text)
    unit = found["unit"].upper() if found is not None else ""
    unit = {"BYTES": "", "BYTE": ""}.get(unit, unit.replace("IB", "B"))
    if found is None or unit not in UNITS:
        raise ValueError(f"{text!r} is no size; write it like '57 GB' or '100 bytes'")
    value, factor = float(found["number"].replace(",", "")), UNITS[unit]
    if factor == 1:
        return int(value), int(value)
    return math.floor((value - 1) * factor) + 1, math.ceil((value + 0.5) * factor)


def conclude(listing: Mapping[str, str], records: int, dimension: int) -> Conclusion:
    """Which M makes the listed files a complete index of `records` × `dimension`, and whether the links are bloated.

    `listing`: file name → size as printed; files other than the four of the index say nothing and are left out.
    """
    known = {name: said for name, said in listing.items() if name in layout.BINARY_FILES}
    tried = {M: _readings(known, records, dimension, M) for M in CANDIDATES}
    fitting = [M for M, readings in tried.items() if all(one.fits for one in readings)]
    best = fitting[0] if len(fitting) == 1 else None
    shown = tried[fitting[0] if fitting else max(tried, key=lambda M: sum(one.fits for one in tried[M]))]
    text = _text(fitting, shown, f"{records:,} vectors of {dimension:,} dimensions")
    return Conclusion(records=records, dimension=dimension, M=best, readings=shown, text=text)


def _readings(listing: Mapping[str, str], records: int, dimension: int, M: int) -> tuple[Reading, ...]:
    need = layout.expected_sizes(records, dimension, M)
    bounds = {
        layout.HEADER_FILE: (need.header, need.header),
        layout.LEVEL0_FILE: (need.level0, need.level0),
        layout.LENGTH_FILE: (need.length, need.length),
        layout.LINKS_FILE: (need.link_lists_low, need.link_lists_high),
    }
    out = []
    for name, said in listing.items():
        low, high = size_range(said)
        out.append(
            Reading(
                name=name,
                said=said,
                low=low,
                high=high,
                needed_low=bounds[name][0],
                needed_high=bounds[name][1],
            )
        )
    return tuple(out)


def _text(fitting: list[int], readings: tuple[Reading, ...], size: str) -> str:
    if len(fitting) == 1:
        return f"These files were a complete index of {size} with M = {fitting[0]}, and its links are not bloated."
    if fitting:
        return f"These files fit a complete index of {size}; M cannot be told from them: it may be {_either(fitting)}."
    wrong = [one for one in readings if not one.fits]
    if [one.name for one in wrong] == [layout.LINKS_FILE] and wrong[0].low > wrong[0].needed_high:
        times = wrong[0].low / max(1, wrong[0].needed_high)
        return f"A complete index of {size}, but {layout.LINKS_FILE} is bloated: {times:,.0f} times what it needs."
    names = ", ".join(one.name for one in wrong)
    return f"No usual M makes these files a complete index of {size}: {names} does not fit."


def _either(values: list[int]) -> str:
    return f"{', '.join(map(str, values[:-1]))} or {values[-1]}"
