"""What every notebook begins with: the store of this walk, its case, its embedder, and whether it may be repaired.

By itself a notebook works on a scratch copy of the sample `peek-failure`. `make lab` and `make investigate` choose the
store and share one case between the notebooks through the environment.
"""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import forensics as fx

if TYPE_CHECKING:
    from forensics.case import Case
    from forensics.model import Diagnosis, Plan
    from forensics.store import Store

SAMPLE = "peek-failure"
SAMPLE_EMBEDDER = "forensics.testing.embedder:embed"
STORE, CASE, EMBEDDER, YES = "FORENSICS_STORE", "FORENSICS_CASE", "FORENSICS_EMBEDDER", "FORENSICS_YES"


class Session:
    """One walk over one store. `may_repair` is True on a sample, and on an own store where it was said beforehand."""

    def __init__(self, store: Path, *, sample: str | None, embedder: str | None, may_repair: bool, case: Path | None) -> None:
        self.path, self.sample, self.embedder, self.may_repair = store, sample, embedder, may_repair
        self._case_folder = case

    def __repr__(self) -> str:
        what = f"a scratch copy of the sample {self.sample}" if self.sample else self.path.name
        allowed = "may be repaired" if self.may_repair else "will not be changed: the walk stops at the plan"
        return f"Session on {what}; it {allowed}"

    @cached_property
    def store(self) -> Store:
        """The store, opened for reading."""
        return fx.open_store(self.path)

    @cached_property
    def case(self) -> Case:
        """The case of this walk; on a sample its id is `demo` and its clock stands still, so that outputs repeat."""
        from forensics.case import Case

        folder = self._case_folder or Path(tempfile.mkdtemp(prefix="forensics-case-")) / "case"
        if (folder / "case.json").exists():
            return Case.open(folder)
        return Case.create(folder, self.path, case_id="demo" if self.sample else None)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The findings, kept in the case."""
        return fx.diagnose(self.store, case=self.case)

    def plan(self, **choices: Any) -> Plan:
        """A plan for this store with the session's embedder; kept in the case."""
        return fx.plan(self.path, case=self.case, **{"embedder": self.embedder, **choices})

    def first_collection(self) -> str | None:
        """The collection to look at first: the one with most missing records, else the largest."""
        ranked = sorted(self.diagnosis.collections, key=lambda c: (c.missing or 0, c.records or 0), reverse=True)
        return ranked[0].name if ranked else None


def open_session(store: str | os.PathLike[str] | None = None, *, embedder: str | None = None) -> Session:
    """The session on `store`, on what the environment names, or on a scratch copy of the sample `peek-failure`."""
    from forensics import samples

    given = store if store is not None else os.environ.get(STORE)
    case = Path(os.environ[CASE]) if os.environ.get(CASE) else None
    chosen = embedder or os.environ.get(EMBEDDER)
    if given is None:
        return Session(samples.restore(SAMPLE), sample=SAMPLE, embedder=chosen or SAMPLE_EMBEDDER, may_repair=True, case=case)
    if str(given) in samples_by_name():
        return Session(samples.restore(str(given)), sample=str(given), embedder=chosen or SAMPLE_EMBEDDER, may_repair=True, case=case)
    sample = os.environ.get("FORENSICS_SAMPLE_NAME") or None
    allowed = os.environ.get(YES, "") not in ("", "0", "no")
    return Session(Path(given), sample=sample, embedder=chosen or (SAMPLE_EMBEDDER if sample else None), may_repair=allowed or bool(sample), case=case)


def samples_by_name() -> set[str]:
    """The names under which a sample can be asked for; empty where no samples are installed."""
    from forensics import samples

    try:
        full = samples.names()
    except samples.UnknownSample:
        return set()
    return {*full, *(name.split("/")[1] for name in full if name.split("/")[1] != "healthy")}


def standing_clock() -> datetime:
    """A clock that stands still, for outputs that repeat."""
    return datetime(2026, 1, 1, tzinfo=UTC)
