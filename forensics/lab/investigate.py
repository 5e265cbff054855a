"""The walk without a browser: notebooks 00–06 on a store, and what they found, planned, did and left, in the terminal.

    python -m forensics.lab.investigate [STORE] [--yes] [--case DIR] [--embedder MODULE:CALLABLE]

Without STORE it works on a scratch copy of the sample `peek-failure` and repairs it with the sample's embedder. On your
own store it stops at the plan unless `--yes`. Status 0 when every notebook ran to its end and what was asked for was done.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import forensics as fx
from forensics import samples
from forensics.case import Case
from forensics.errors import ForensicsError
from forensics.lab import books
from forensics.lab.session import CASE, EMBEDDER, SAMPLE, SAMPLE_EMBEDDER, STORE, YES
from forensics.report.text import diagnosis_text, plan_text, result_text
from forensics.repair.options import RepairOptions

SAMPLE_NAME = "FORENSICS_SAMPLE_NAME"


def main(arguments: list[str] | None = None) -> int:
    """Runs the walk; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make investigate", description=__doc__)
    parser.add_argument("store", nargs="?")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--case", type=Path)
    parser.add_argument("--embedder")
    options = parser.parse_args(arguments)
    try:
        return investigate(options.store, yes=options.yes, case=options.case, embedder=options.embedder)
    except ForensicsError as error:
        print(f"forensics: {error}", file=sys.stderr)
        return error.exit_status


def investigate(given: str | None, *, yes: bool, case: Path | None, embedder: str | None) -> int:
    """The whole walk over one store; the case holds all of it afterwards."""
    sample = SAMPLE if given is None else None
    store = samples.restore(SAMPLE) if given is None else Path(given)
    chosen = embedder or (SAMPLE_EMBEDDER if sample else None)
    may_repair = yes or sample is not None
    with fx.open_store(store) as opened:
        folder = Case.create(case, opened.path, case_id="demo" if sample else None)
    _say(f"Investigating {sample or store} in the case {folder.folder}")
    found = fx.diagnose(store, case=folder)
    _section("Findings before", diagnosis_text(found))
    made = fx.plan(store, case=folder, diagnosis=found, options=RepairOptions(embedder=chosen))
    _section("Plan, and what it will lose", plan_text(made))
    failures = _walk(folder, store, sample, chosen, may_repair)
    status = _afterwards(folder, store, may_repair, bool(made.approved)) if not failures else 8
    report = fx.report(folder)
    _say(f"\nNotebooks  {folder.folder / 'notebooks'}\nReport     {report}\nCase       {folder.folder}")
    return status


def _walk(case: Case, store: Path, sample: str | None, embedder: str | None, may_repair: bool) -> list[str]:
    """Executes the notebooks in the case; returns those that failed."""
    environment = {STORE: str(store), CASE: str(case.folder), YES: "1" if may_repair else "0", EMBEDDER: embedder or "", SAMPLE_NAME: sample or ""}
    folder, failures = books.copy_into(case.folder / "notebooks"), []
    _say("\nNotebooks")
    for name, error in books.execute(folder, environment):
        books.to_html(folder / f"{name}.ipynb")
        _say(f"  {name:<28} {'ran to its end' if error is None else error}")
        if error is not None:
            failures.append(name)
    return failures


def _afterwards(case: Case, store: Path, may_repair: bool, planned: bool) -> int:
    """Says what was done and what is left."""
    if not planned:
        _section("Repair", "Nothing was approved, so nothing was changed.")
        return 0
    if not may_repair:
        _section("Repair", "Stopped at the plan: nothing was changed. To carry it out, add YES=1.")
        return 0
    result = case.read_json("result.json")
    _section("Repair and verification", result_text(result))
    after = fx.diagnose(store)
    _section("Findings after", diagnosis_text(after))
    return 0 if result.get("verified") else 8


def _section(title: str, text: str) -> None:
    _say(f"\n── {title} " + "─" * (76 - len(title)) + f"\n{text}")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
