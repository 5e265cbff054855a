"""Numbers with their nouns, for the sentences of findings."""

from __future__ import annotations


def counted(count: int, unit: str) -> str:
    """`1 record`, `2 records`: `unit` may come in either form; its last word is the noun."""
    return f"{count} {unit_of(count, unit)}"


def unit_of(count: int, unit: str) -> str:
    """`unit` as it stands after `count`."""
    return singular(unit) if count == 1 else plural(unit)


def singular(unit: str) -> str:
    """`entries` → `entry`, `records` → `record`; what is singular stays."""
    if unit.endswith("ies"):
        return unit[:-3] + "y"
    return unit[:-1] if unit.endswith("s") and not unit.endswith("ss") else unit


def plural(unit: str) -> str:
    """`entry` → `entries`, `record` → `records`; what is plural stays."""
    one = singular(unit)
    if one.endswith("y") and one[-2:-1] not in "aeiou":
        return one[:-1] + "ies"
    return one if one.endswith("ss") else f"{one}s"
