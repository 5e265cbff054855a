"""Print what a run of .ci/run did: each stage with its seconds, each skip with its reason, and the counts.

Usage: ci_summary.py DIR; DIR holds stages.tsv (name, status, seconds) and a JUnit file of each test stage.
Status 1 when a stage failed, when a test stage left no JUnit file, or when no test ran in one.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

TEST_STAGES = ("test", "server", "hard", "minilm")
TIMED_OUT = (124, 137)


@dataclass(frozen=True, slots=True)
class Stage:
    """One line of stages.tsv."""

    name: str
    status: int
    seconds: int

    @property
    def said(self) -> str:
        if self.status in TIMED_OUT:
            return "TIME-OUT"
        return f"FAILED ({self.status})" if self.status else "ok"


@dataclass(frozen=True, slots=True)
class Tests:
    """What the tests of one stage did."""

    passed: int
    failed: int
    skipped: Counter[str]

    @property
    def ran(self) -> int:
        return self.passed + self.failed


def read_stages(path: Path) -> list[Stage]:
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [Stage(name, int(status), int(seconds)) for name, status, seconds in rows]


def read_tests(path: Path) -> Tests:
    """The outcomes in a JUnit file; an expected failure is counted as passed (xfail is strict here)."""
    passed = failed = 0
    skipped: Counter[str] = Counter()
    for case in ET.parse(path).iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skip is not None and skip.get("type") != "pytest.xfail":
            skipped[skip.get("message") or "no reason given"] += 1
        else:
            passed += 1
    return Tests(passed, failed, skipped)


def tests_of(stages: list[Stage], folder: Path) -> dict[str, Tests]:
    """The tests of each stage that left a JUnit file."""
    files = {stage.name: folder / f"{stage.name}.xml" for stage in stages if stage.name in TEST_STAGES}
    return {name: read_tests(path) for name, path in files.items() if path.exists()}


def complaints(stages: list[Stage], tests: dict[str, Tests]) -> list[str]:
    bad = [f"stage {stage.name}: {stage.said}" for stage in stages if stage.status]
    ran = {name: result.ran for name, result in tests.items()}
    return bad + [f"stage {name}: ran no test" for name in TEST_STAGES if not ran.get(name)]


def table(stages: list[Stage], tests: dict[str, Tests]) -> list[str]:
    lines = []
    for stage in stages:
        counts = ""
        if found := tests.get(stage.name):
            counts = f"{found.passed} passed, {found.failed} failed, {found.skipped.total()} skipped"
        lines.append(f"  {stage.name:<12} {stage.said:<12} {stage.seconds:>5} s  {counts}".rstrip())
    return lines


def skips(tests: dict[str, Tests]) -> list[str]:
    return [
        f"  {count:>4} skipped in {name}: {reason}"
        for name, result in tests.items()
        for reason, count in sorted(result.skipped.items())
    ]


def main(folder: Path) -> int:
    stages = read_stages(folder / "stages.tsv")
    tests = tests_of(stages, folder)
    wrong = complaints(stages, tests)
    print("\n=== summary")
    print("\n".join([*table(stages, tests), *skips(tests), *(f"  {line}" for line in wrong)]))
    print(f"  {sum(stage.seconds for stage in stages)} seconds in all")
    passed = sum(result.passed for result in tests.values())
    failed = sum(result.failed for result in tests.values())
    skipped = sum(result.skipped.total() for result in tests.values())
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if wrong or failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
