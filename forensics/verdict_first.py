"""The first verdict of a diagnosis: what files, ids, maps, header and watermarks say, before vectors and graph are read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from forensics.model import SEVERITIES, Finding, Json
from forensics.words import counted

SAYS = "first verdict"
"""What the text of the progress begins with when it is one."""


@dataclass(slots=True)
class Stopwatch:
    """When the first verdict stood and when the diagnosis ended, in seconds since it began and in CPU seconds of the
    process since its start."""

    began: float = field(default_factory=time.perf_counter)
    took: dict[str, Json] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """True until there was a first verdict."""
        return not self.took

    def first(
        self,
        findings: Iterable[Finding],
        lacking: int,
        tell: Callable[[str, float], None] | None,
        share: float,
    ) -> None:
        """Now the first verdict stands, with `lacking` checks that could not run; `tell` gets it as a sentence."""
        self.took["first_verdict"] = self._now()
        if tell is not None:
            tell(_sentence(self.took["first_verdict"]["seconds"], list(findings), lacking), share)

    def end(self) -> dict[str, Json]:
        """`took` of the JSON."""
        return {**self.took, "whole": self._now()}

    def _now(self) -> dict[str, float]:
        return {
            "seconds": round(time.perf_counter() - self.began, 3),
            "cpu_seconds": round(time.process_time(), 3),
        }


def _sentence(seconds: float, findings: list[Finding], lacking: int) -> str:
    above = [finding for finding in findings if finding.severity != "note"]
    numbers = Counter(finding.severity for finding in above)
    worst = ", ".join(counted(numbers[severity], severity) for severity in SEVERITIES if numbers[severity])
    codes = " ".join(sorted({finding.code for finding in above}))
    said = f"{worst} ({codes})" if above else "no damage in files, ids, maps, header and watermarks"
    rest = f", but {counted(lacking, 'checks')} could not look" if lacking else ""
    return f"{SAYS} after {seconds:.1f} s: {said}{rest}; vectors and graph are next"
