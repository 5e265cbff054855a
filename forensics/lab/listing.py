"""What the files of a segment were, concluded from a directory listing alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from forensics.readers import layout

UNITS = {"": 1, "B": 1, "K": 2**10, "KB": 2**10, "M": 2**20, "MB": 2**20, "G": 2**30, "GB": 2**30, "T": 2**40, "TB": 2**40}
"""As `du -h` and `ls -h` print them: powers of 1024, whatever the letter B says."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """Which M explains all files, and what that means."""

    records: int
    dimension: int
    M: int | None
    readings: tuple[Reading, ...]
    text: str

    def __repr__(self) -> str:
        lines = [self.text]
        for one in self.readings:
            lines.append(f"  {one.name:<16} {one.said:>9}   needed {one.needed_low:,} to {one.needed_high:,} bytes   {'fits' if one.fits else 'does not fit'}")
        return "\n".join(lines)


def size_range(text: str) -> tuple[int, int]:
    """The bytes that a rounded size such as "57 GB" can stand for; exact for plain numbers.

    `du -h` rounds up and others round to the nearest, so a value of n units stands for more than n - 1 and less than
    n + 0.5 of them. Raises ValueError for a text that is no size.
    """
    words = text.replace(",", "").split()
    number, unit = (words[0], words[1].upper()) if len(words) == 2 else (words[0], "")
    unit = {"BYTES": "", "BYTE": ""}.get(unit, unit)
    if len(words) > 2 or unit not in UNITS:
        raise ValueError(f"{text!r} is no size; write it like '57 GB' or '100 bytes'")
    value, factor = float(number), UNITS[unit]
    if factor == 1:
        return int(value), int(value)
    return math.floor((value - 1) * factor) + 1, math.ceil((value + 0.5) * factor)


def conclude(listing: Mapping[str, str], records: int, dimension: int) -> Conclusion:
    """Which M makes the listed files a complete index of `records` × `dimension`, and whether the links are bloated."""
    best = next((M for M in CANDIDATES if all(one.fits for one in _readings(listing, records, dimension, M))), None)
    shown = best or _nearest(listing, records, dimension)
    readings = _readings(listing, records, dimension, shown)
    return Conclusion(records=records, dimension=dimension, M=best, readings=readings, text=_text(best, readings, records, dimension))


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
        out.append(Reading(name=name, said=said, low=low, high=high, needed_low=bounds[name][0], needed_high=bounds[name][1]))
    return tuple(out)


def _nearest(listing: Mapping[str, str], records: int, dimension: int) -> int:
    return max(CANDIDATES, key=lambda M: sum(one.fits for one in _readings(listing, records, dimension, M)))


def _text(M: int | None, readings: tuple[Reading, ...], records: int, dimension: int) -> str:
    if M is not None:
        return (
            f"These files were a complete index of {records:,} vectors of {dimension:,} dimensions with M = {M}, "
            "and its links are not bloated."
        )
    wrong = ", ".join(one.name for one in readings if not one.fits)
    return f"No usual M makes these files a complete index of {records:,} × {dimension:,}: {wrong} does not fit."
