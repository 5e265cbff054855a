"""The last lines of a CI run say what failed, what was skipped and why, and never call an empty run good."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "ci_summary.py"
PASSED = '<testcase name="a"/>'
FAILED = '<testcase name="b"><failure message="no"/></testcase>'
SKIPPED = '<testcase name="c"><skipped type="pytest.skip" message="no such release"/></testcase>'
XFAILED = '<testcase name="d"><skipped type="pytest.xfail" message="known"/></testcase>'


def summary(folder: Path, stages: str, **cases: str) -> tuple[int, list[str]]:
    """Exit status and lines of the summary of `stages` ("name status seconds; …") and their cases."""
    rows = (row.split() for row in stages.split(";"))
    (folder / "stages.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    for name, body in cases.items():
        (folder / f"{name}.xml").write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert not done.stderr
    return done.returncode, [line.strip() for line in done.stdout.splitlines()]


GOOD = "lint 0 3; test 0 9; server 0 2; hard 0 5; minilm 0 1"


def test_all_good(tmp_path: Path) -> None:
    status, lines = summary(
        tmp_path, GOOD, test=PASSED * 3 + XFAILED, server=PASSED, hard=PASSED + SKIPPED, minilm=PASSED
    )
    assert status == 0
    assert lines[-1] == "7 passed, 0 failed, 1 skipped"
    assert "1 skipped in hard: no such release" in lines
    assert "20 seconds in all" in lines


def test_a_failed_stage_fails_the_run(tmp_path: Path) -> None:
    status, lines = summary(
        tmp_path, GOOD.replace("lint 0", "lint 2"), test=PASSED, server=PASSED, hard=PASSED, minilm=PASSED
    )
    assert status == 1
    assert "stage lint: FAILED (2)" in lines


def test_a_stage_out_of_time_says_so(tmp_path: Path) -> None:
    status, lines = summary(tmp_path, GOOD.replace("hard 0", "hard 124"), test=PASSED, server=PASSED)
    assert status == 1
    assert "stage hard: TIME-OUT" in lines


def test_a_failed_test_fails_the_run(tmp_path: Path) -> None:
    status, lines = summary(tmp_path, GOOD, test=PASSED + FAILED, server=PASSED, hard=PASSED)
    assert status == 1
    assert lines[-1] == "3 passed, 1 failed, 0 skipped"


def test_a_stage_that_ran_no_test_fails_the_run(tmp_path: Path) -> None:
    status, lines = summary(tmp_path, GOOD, test=PASSED, server=SKIPPED)
    assert status == 1
    assert {"stage server: ran no test", "stage hard: ran no test"} <= set(lines)
