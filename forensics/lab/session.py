"""What every notebook begins with: the store of this walk, its case, its embedder.

By itself a notebook works on a scratch copy of the sample `peek-failure`. `make lab` and `make investigate` choose the
store and share one case between the notebooks through the environment.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

import forensics as fx
from forensics.errors import CannotComplete
from forensics.lab.apart import diagnosed_apart, is_shared
from forensics.lab.recalled import recall, verdict_from_json

if TYPE_CHECKING:
    from forensics.case import Case
    from forensics.model import Diagnosis, Plan, Verdict
    from forensics.store import Collection, Store, VectorSegment

SAMPLE = "peek-failure"
SAMPLE_EMBEDDER = "forensics.testing.embedder:embed"
STORE, CASE, EMBEDDER, YES = "FORENSICS_STORE", "FORENSICS_CASE", "FORENSICS_EMBEDDER", "FORENSICS_YES"
SAMPLE_NAME = "FORENSICS_SAMPLE_NAME"
"""The environment of a walk: the store's path (or a sample's name), the case shared by its notebooks, the embedder,
whether cells may type the confirmation by themselves, and which sample the store is a copy of."""


class Session:
    """One walk over one store. `unattended`: cells type the confirmation of a repair; else only a person does.

    That holds on a sample, and on an own store where it was said beforehand (YES=1).
    """

    def __init__(
        self, store: Path, *, sample: str | None, embedder: str | None, unattended: bool, case: Path | None
    ) -> None:
        self.path, self.sample, self.embedder, self.unattended = store, sample, embedder, unattended
        self._case_folder, self._opened_in = case, 0

    def __repr__(self) -> str:
        what = f"a scratch copy of the sample {self.sample}" if self.sample else self.path.name
        return f"Session on {what}: {self._promise()}"

    def _promise(self) -> str:
        if self.sample:
            return "notebook 05 repairs the copy, verifies it and takes it back"
        if self.unattended:
            return "notebook 05 carries out what its plan approves"
        return "nothing is changed unless you type its name in notebook 05"

    @property
    def name(self) -> str:
        """What the walk is called: the sample, or the store's folder."""
        return self.sample or self.path.name or "store"

    @cached_property
    def store(self) -> Store:
        """The store, opened for reading."""
        self._opened_in = get_ident()
        return fx.open_store(self.path)

    @cached_property
    def case(self) -> Case:
        """The case of this walk; that of a sample has the id `demo`."""
        from forensics.case import Case

        folder = self._case_folder or Path(tempfile.mkdtemp(prefix="forensics-case-")) / "case"
        if (folder / "case.json").exists():
            return Case.open(folder)
        return Case.create(folder, self.path, case_id="demo" if self.sample else None)

    @property
    def is_repaired(self) -> bool:
        """True from the moment the case's plan was applied: what is looked at then is no evidence of the damage."""
        from forensics.verbs_case import was_applied

        return was_applied(self.case)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The findings: those of the case where the store is still what it was then, else found now and kept.

        A store that another process has open is read by a child, which may die of a file that is cut short.
        """
        known, case = recall(self.case, self.path), None if self.is_repaired else self.case
        if known is None and is_shared(self.path):
            return diagnosed_apart(self.path, None if case is None else case.folder)
        return known or fx.diagnose(self.store, case=case)

    def probe(self, *versions: str) -> dict[str, Any]:
        """What each API call does, by the installed chromadb or the releases named; kept in the case.

        Where no call can be tried (no room for a copy, no such release) `collections` is empty and `advice` says why.
        """
        try:
            return fx.probe(self.path, versions=versions, case=self.case)
        except CannotComplete as error:
            return {"schema": 1, "collections": [], "advice": str(error)}

    def plan(self, **choices: Any) -> Plan:
        """A plan for this store with the session's embedder; kept in the case."""
        options: dict[str, Any] = {"embedder": self.embedder, **choices}
        return fx.plan(self.path, case=self.case, **options)

    @property
    def verdict(self) -> Verdict | str:
        """What the verification of the repair saw, as the case holds it; or that there was none."""
        if not self.case.has("verdict.json"):
            return "Nothing was repaired, so there is nothing to verify."
        return verdict_from_json(self.case.read_json("verdict.json"))

    @property
    def collection(self) -> Collection | None:
        """The collection to look at first: the one with most missing records, else the largest; None without any."""
        ranked = sorted(
            self.diagnosis.collections, key=lambda c: (c.missing or 0, c.records or 0), reverse=True
        )
        return next((one for one in self.store.collections if ranked and one.id == ranked[0].id), None)

    @property
    def segment(self) -> VectorSegment | None:
        """The directory to look at first: the collection's own, else the largest that there is."""
        collection, directories = self.collection, self.store.segment_directories
        own = collection.vector_segment_id if collection is not None else None
        ranked = sorted(directories, key=lambda one: (one.id == own, one.files.elements), reverse=True)
        return ranked[0] if ranked else None

    def refresh(self) -> None:
        """What was seen so far is forgotten: the next look at the store is a new one.

        From any thread: JupyterLab answers clicks in another one than cells, and SQLite closes only in its own.
        """
        store = self.__dict__.pop("store", None)
        if store is not None and self._opened_in == get_ident():
            store.close()
        self.__dict__.pop("diagnosis", None)


def open_session(
    store: str | os.PathLike[str] | None = None,
    *,
    embedder: str | None = None,
    environment: Mapping[str, str] | None = None,
    sample: str = SAMPLE,
) -> Session:
    """The session on `store` (a path or a sample's name), on what the environment names, or on the sample `sample`."""
    known = os.environ if environment is None else environment
    given = os.fspath(store) if store is not None else known.get(STORE) or sample
    told = given == known.get(STORE)
    case = Path(known[CASE]) if told and known.get(CASE) else None
    name = given if given in samples_by_name() else (told and known.get(SAMPLE_NAME)) or None
    path = restored(given) if given == name else Path(given)
    chosen = embedder or known.get(EMBEDDER) or (SAMPLE_EMBEDDER if name else None)
    said = known.get(YES, "") not in ("", "0", "no")
    return Session(path, sample=name, embedder=chosen, unattended=said or name is not None, case=case)


def restored(sample: str) -> Path:
    """A scratch copy of that sample, in a folder of its name."""
    from forensics import samples

    folder = Path(tempfile.mkdtemp(prefix="chroma-forensics-"))
    return samples.restore(sample, folder / sample.replace("/", "-"))


def samples_by_name() -> set[str]:
    """The names under which a sample can be asked for; empty where no samples are installed."""
    from forensics import samples

    try:
        full = samples.names()
    except samples.UnknownSample:
        return set()
    bare = [name.split("/")[1] for name in full]
    return {*full, *(name for name in bare if bare.count(name) == 1)}
