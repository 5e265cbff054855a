"""The first verdict of a diagnosis: what files, ids, maps, header and watermarks say, before vectors and graph are read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from forensics.model import SEVERITIES, Finding
from forensics.words import counted

SAYS = "first verdict"
"""What the text of the progress begins with when it is one."""


class FirstVerdict:
    """Says the first verdict once, with the seconds since the diagnosis began."""

    def __init__(self) -> None:
        self._began, self.is_due = time.perf_counter(), True

    def say(
        self,
        findings: Iterable[Finding],
        lacking: int,
        tell: Callable[[str, float], None] | None,
        share: float,
    ) -> None:
        """Now it stands, with `lacking` checks that could not run; `tell` gets it as a sentence."""
        self.is_due = False
        if tell is not None:
            tell(_sentence(time.perf_counter() - self._began, list(findings), lacking), share)


def _sentence(seconds: float, findings: list[Finding], lacking: int) -> str:
    above = [finding for finding in findings if finding.severity != "note"]
    numbers = Counter(finding.severity for finding in above)
    worst = ", ".join(counted(numbers[severity], severity) for severity in SEVERITIES if numbers[severity])
    codes = " ".join(sorted({finding.code for finding in above}))
    said = f"{worst} ({codes})" if above else "no damage in files, ids, maps, header and watermarks"
    rest = f", but {counted(lacking, 'checks')} could not look" if lacking else ""
    return f"{SAYS} after {seconds:.1f} s: {said}{rest}; vectors and graph are next"
