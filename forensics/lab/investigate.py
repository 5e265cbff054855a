"""The walk without a browser: notebooks 00–06 on a store, and what they found, planned, did and left, in the terminal.

    python -m forensics.lab.investigate [STORE] [--yes] [--case DIR] [--embedder MODULE:CALLABLE]

Without STORE it works on a scratch copy of the sample `peek-failure` and repairs it with the sample's embedder. On your
own store it stops at the plan unless `--yes`. Status 0 when every notebook ran to its end and what was asked for was
done; 8 when something could not be completed; 16 for a wrong argument.
"""

from __future__ import annotations

import argparse
import gc
import sys
from dataclasses import dataclass
from pathlib import Path

import forensics as fx
from forensics.case import Case
from forensics.errors import EXIT_INCOMPLETE, ForensicsError
from forensics.lab import books
from forensics.lab.launch import open_case, place, walk_environment
from forensics.lab.session import EMBEDDER
from forensics.model import Diagnosis, Plan
from forensics.repair.options import RepairOptions
from forensics.report.text import diagnosis_text, plan_text, result_text
from forensics.verbs_case import REFUSED


def main(arguments: list[str] | None = None) -> int:
    """Runs the walk; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make investigate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("store", nargs="?", help="a store, or the name of a sample (default: peek-failure)")
    parser.add_argument("--yes", action="store_true", help="carry out what the plan approves")
    parser.add_argument("--case", type=Path, help="the case folder (default: ./forensics-case-<store>-<UTC>)")
    parser.add_argument("--embedder", metavar="MODULE:CALLABLE", help="or path/to/file.py:callable")
    options = parser.parse_args(arguments)
    try:
        return investigate(options.store, yes=options.yes, case=options.case, embedder=options.embedder)
    except ForensicsError as error:
        sys.stderr.write(f"forensics: {error}\n")
        return error.exit_status


@dataclass(frozen=True, slots=True)
class Walk:
    """One investigation: the store, its case, and whether it may be repaired without a person."""

    store: Path
    sample: str | None
    case: Case
    environment: dict[str, str]
    yes: bool


def investigate(
    given: str | None, *, yes: bool, case: Path | None = None, embedder: str | None = None
) -> int:
    """The whole walk over one store; the case holds all of it afterwards, and its path is the last line."""
    store, sample = place(given)
    opened = open_case(store, case, sample)
    environment = walk_environment(store, opened, sample, yes=yes, embedder=embedder)
    walk = Walk(store, sample, opened, environment, yes or sample is not None)
    _say(f"Investigating {f'a scratch copy of the sample {sample}' if sample else store}")
    found, plan = _before(walk)
    failures = _notebooks(walk)
    status = _repair(walk, found, plan)
    report = fx.report(walk.case)
    _section(
        "Left in the case",
        f"notebooks  {walk.case.folder / 'notebooks'} (.ipynb and .html)\nreport     {report}",
    )
    _say(f"case       {walk.case.folder}")
    return EXIT_INCOMPLETE if failures else status


def _before(walk: Walk) -> tuple[Diagnosis, Plan]:
    found = fx.diagnose(walk.store, case=walk.case)
    _section("Findings before", diagnosis_text(found, case=walk.case.folder, brief=True))
    options = RepairOptions(embedder=walk.environment[EMBEDDER] or None)
    plan = fx.plan(walk.store, case=walk.case, diagnosis=found, options=options)
    _section("Plan, and what it will lose", plan_text(plan))
    gc.collect()  # lets go of the files that were looked at: a repair refuses while another process has them open
    return found, plan


def _notebooks(walk: Walk) -> list[str]:
    """Executes the notebooks in the case; returns those that did not come to their end."""
    folder, failures = books.copy_into(walk.case.folder / "notebooks"), list[str]()
    _section("Notebooks", "each in a kernel of its own")
    for name, error in books.execute(folder, walk.environment):
        books.to_html(folder / f"{name}.ipynb")
        _say(f"  {name:<28} {'ran to its end' if error is None else error}")
        if error is not None:
            failures.append(name)
    return failures


def _repair(walk: Walk, found: Diagnosis, plan: Plan) -> int:
    """Says what notebook 05 did and what is left; the status that this comes to."""
    if not plan.approved:
        return _nothing(found, plan)
    if not walk.yes:
        again = "make investigate YES=1 STORE=… makes a case of its own and carries the plan out"
        _section(
            "Repair",
            f"Stopped at the plan: nothing was changed.\n{again}; or: forensics apply --case {walk.case.folder} --yes",
        )
        return 0
    if not walk.case.has("result.json"):
        _section("Repair", f"Not made. {_why_not(walk.case)}")
        return EXIT_INCOMPLETE
    result = walk.case.read_json("result.json")
    _section("Repair and verification", result_text(result))
    _section("Findings after", diagnosis_text(fx.diagnose(walk.store), brief=True))
    return 0 if result["applied"] and result["verified"] else EXIT_INCOMPLETE


def _why_not(case: Case) -> str:
    """What notebook 05 was told when it tried."""
    said = [str(event.get("why", "")) for event in case.events() if event["event"] == REFUSED]
    return said[-1] if said else "Notebook 05 did not come to it; the store is untouched."


def _nothing(found: Diagnosis, plan: Plan) -> int:
    """Nothing was approved: because nothing is wrong, or because nothing can be done without a decision."""
    if not found.codes(notes=False) and not plan.remaining:
        _section("Repair", "Nothing to do: the store was not touched.")
    else:
        _section(
            "Repair",
            "Nothing was changed: what is left needs a decision, or cannot be repaired. The plan says what.",
        )
    return 0


def _section(title: str, text: str) -> None:
    _say(f"\n── {title} {'─' * (96 - len(title))}\n{text}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
