"""The closed state: no release of the engine opens such a store, none changes it, and it can still be finished."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from forensics.case import Case
from forensics.repair import swap
from forensics.repair.draft import Draft, DraftContext
from forensics.repair.exchange import trade
from forensics.repair.stages import plan_of
from forensics.repair.undo import undo
from forensics.seal import compare, describe, seal

Sample = Callable[[str], Path]
Release = Callable[[str], Path]
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="apply exchanges names on Linux only"
)
OPEN = """
import sys, chromadb
from chromadb.config import Settings
try:
    client = chromadb.PersistentClient(sys.argv[1], settings=Settings(anonymized_telemetry=False))
    print("opened", [getattr(each, "name", each) for each in client.list_collections()])
except BaseException as error:
    print("refused", type(error).__name__, error)
"""


@pytest.fixture
def closed(sample: Sample, worker: ModuleType, tmp_path: Path) -> Case:
    """A case whose swap stopped after its first step, as a kill leaves it; with a journal beside the database."""
    store = sample("1.5.9/sql-only-orphans")
    (store / "chroma.sqlite3-journal").write_bytes(b"a journal of the old database")
    case = worker.planned(store, tmp_path / "case", worker.MIXED)
    draft = Draft.create(store, case)
    plan = plan_of(case)
    for action in plan.approved:
        if action.kind != "database":
            worker.run(action, DraftContext(store=store, case=case, draft=draft, plan=plan))
    draft.finish()
    begun = swap.begin(draft, "apply", "repaired", swap.steps_of(draft))
    trade(store / begun.steps[0][0], draft.folder / begun.steps[0][1])
    assert swap.is_closed(draft)
    return case


@pytest.mark.parametrize(
    "version",
    [
        "1.5.9",
        *(
            pytest.param(v, marks=pytest.mark.oldchroma)
            for v in ("0.4.24", "0.5.23", "0.6.3", "1.0.20", "1.2.1")
        ),
    ],
)
def test_no_engine_opens_it(closed: Case, release: Release, version: str) -> None:
    before = seal(closed.store)
    python = release(version)
    done = subprocess.run(
        [str(python), "-c", OPEN, str(closed.store)], capture_output=True, text=True, check=False
    )
    assert "refused" in done.stdout, (done.stdout, done.stderr)
    assert "unable to open database file" in done.stdout + done.stderr
    assert describe(compare(before, seal(closed.store))) == ""


def test_it_can_be_finished_both_ways(closed: Case, worker: ModuleType) -> None:
    assert undo(closed, nobody_else=True)["as_before"] is True
    journal = closed.store / "chroma.sqlite3-journal"
    assert journal.read_bytes() == b"a journal of the old database"


def test_a_notice_says_how(closed: Case) -> None:
    text = (closed.store / "chroma.sqlite3" / "REPAIR-IN-PROGRESS.txt").read_text("utf-8")
    assert f"forensics apply --case {closed.folder} --resume" in text
    assert f"forensics undo --case {closed.folder}" in text
    assert str(closed.draft) in text
