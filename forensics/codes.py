"""The catalogue of findings: `findings.csv` as typed rows. Codes are never reused."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from forensics.errors import UsageError


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the catalogue; `remedy_at_best` is safe, lossy or manual, `run` default, deep or embedder."""

    code: str
    name: str
    level: str
    severity: str
    remedy_at_best: str
    run: str
    defect: str
    evidence: str


@cache
def catalogue() -> dict[str, Code]:
    """Every code in file order."""
    text = resources.files("forensics").joinpath("findings.csv").read_text(encoding="utf-8")
    return {row["code"]: Code(**row) for row in csv.DictReader(text.splitlines())}


def lookup(code: str) -> Code:
    """The row of `code`, whatever its case. Raises UsageError for a code that does not exist."""
    row = catalogue().get(code.upper())
    if row is None:
        raise UsageError(f"There is no finding with the code {code!r}; `forensics explain` lists them.")
    return row
