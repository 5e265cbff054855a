"""Is a store broken? Judged by what its user was told and by what engines answer on copies; no check is asked.

The symptoms, each with a count: `raises`, `dies`, `hangs` (calls that do); `lost` (acknowledged ids that the engine does
not have); `risen` (ids that were deleted, or never written); `text-stale` (an older document than the acknowledged one);
`vector-absent`, `vector-wrong` (against the embedding of the record's own document); `not-found` (records that a search
for their own text does not find among the first ten); `later-writes-lost` (of new records, after a flush and reopening);
`swells` (files of the index that grow to a hundred times the store by those few records).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from forensics.testing.builder import Engine, EngineDied, EngineHung, EngineRaised, as_json
from forensics.testing.embedder import embed
from forensics.testing.texts import Record, fresh

TIMEOUTS = (30.0, 90.0)
TOLERANCE = 1e-4
BATCH = 50
LATER = 60
NEIGHBOURS = 10
Texts = Sequence[tuple[str, str]]
Ask = Callable[[list[str]], list[list[str]] | None]
UNSEEN_SHARE = 0.02
SWOLLEN, TIMES = 64 << 20, 100
SEGMENTS = "SELECT s.id, c.name FROM segments s JOIN collections c ON c.id = s.collection"


@dataclass(slots=True)
class Verdict:
    """collection → symptom → count, by one release; `errors` are the engine's own words."""

    release: str
    symptoms: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    errors: list[str] = field(default_factory=list[str])

    @property
    def broken(self) -> bool:
        return any(self.symptoms.values())

    def to_json(self) -> dict[str, Any]:
        """Only collections with a symptom."""
        symptoms = {name: dict(count) for name, count in self.symptoms.items() if count}
        return {"release": self.release, "symptoms": symptoms, "errors": self.errors[:4]}


@dataclass(frozen=True, slots=True)
class Told:
    """What the user of one collection knows: id → document, the ids of calls that were never acknowledged, the space."""

    documents: dict[str, str]
    doubtful: frozenset[str]
    space: str

    def to_json(self) -> dict[str, Any]:
        return {"documents": self.documents, "doubtful": sorted(self.doubtful), "space": self.space}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Told:
        return cls(given["documents"], frozenset(given["doubtful"]), given["space"])


def judge(store: Path, told: dict[str, Told], release: str, python: Path, scratch: Path) -> Verdict:
    """The verdict of one release, on a copy below `scratch` that is gone afterwards."""
    copy = scratch / f"judged-by-{release}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store, copy)
    verdict = Verdict(release, {name: Counter() for name in told})
    with Session(copy, python, verdict) as session:
        for name, known in told.items():
            _hear(session, name, known)
    _later_writes(copy, python, list(told), verdict)
    for name in told.keys() & swollen(store, copy):
        verdict.symptoms[name]["swells"] += 1
    shutil.rmtree(copy)
    return verdict


def swollen(store: Path, copy: Path) -> set[str]:
    """The collection of each file in `copy` that is over 64 MiB and a hundred times all of `store`."""
    limit = max(SWOLLEN, TIMES * sum(path.stat().st_size for path in store.rglob("*") if path.is_file()))
    grown = [path.parent.name for path in copy.glob("*/*.bin") if path.stat().st_size > limit]
    if not grown:
        return set()
    with closing(sqlite3.connect(f"file:{copy / 'chroma.sqlite3'}?mode=ro", uri=True)) as database:
        names = dict(database.execute(SEGMENTS))
    return {names[segment] for segment in grown if segment in names}


class Session:
    """Engine processes on one copy, a new one after each that died; what goes wrong is counted in the verdict."""

    def __init__(self, copy: Path, python: Path, verdict: Verdict) -> None:
        self.copy, self.python, self.verdict = copy, python, verdict
        self._engine: Engine | None = None
        self._hung = set[str]()

    def ask(self, name: str, call: str, **arguments: Any) -> Any:
        """The answer, or None after noting what happened instead. A collection that hangs is not asked again."""
        if name in self._hung:
            return None
        try:
            return self._patiently(call, collection=name, **arguments)
        except EngineRaised as error:
            self._note(name, call, "dies" if error.type == "PanicException" else "raises", error)
        except EngineDied as error:
            self._note(name, call, "dies", error)
            self.close()
        except EngineHung as error:
            self._note(name, call, "hangs", error)
            self._hung.add(name)
        return None

    def _patiently(self, call: str, **arguments: Any) -> Any:
        """A second time, in a new process and with more time, where the first gave no answer: machines are busy."""
        try:
            return self._engine_now().call(call, timeout=TIMEOUTS[0], **arguments)
        except EngineHung:
            self._engine = None
        try:
            return self._engine_now().call(call, timeout=TIMEOUTS[1], **arguments)
        except EngineHung:
            self._engine = None
            raise

    def _engine_now(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(self.copy, self.python)
        return self._engine

    def _note(self, name: str, call: str, kind: str, error: Exception) -> None:
        self.verdict.symptoms[name][kind] += 1
        self.verdict.errors.append(f"{call}: {error}"[:200])

    def close(self) -> None:
        """Ends the process, if one is alive."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _hear(session: Session, name: str, told: Told) -> None:
    """Ids, texts, vectors, and a search for every record by its own text."""
    count = session.verdict.symptoms[name]
    texts = session.ask(name, "documents")
    if texts is None:
        return
    _compare_ids(count, texts, told)
    vectors = session.ask(name, "vectors")
    if vectors is not None:
        _compare_vectors(count, texts, vectors)
    _search(session, name, texts, told.space)
    count += Counter()  # in place: zero counts go


def _search(session: Session, name: str, texts: dict[str, str | None], space: str) -> None:
    """A fresh graph, too, has elements that searches do not meet, by inner product many: so few are no symptom."""
    given = [(id, text) for id, text in texts.items() if text]
    own = near(np.array(embed([text for _, text in given])), space)
    unseen = _unseen(lambda part: session.ask(name, "query", documents=part, k=NEIGHBOURS), given, own)
    allowed = max(2, UNSEEN_SHARE * len(given))
    if unseen > allowed and unseen > allowed + 2 * _unseen_when_fresh(session, given, own, space):
        session.verdict.symptoms[name]["not-found"] += unseen


def _unseen(ask: Ask, given: Texts, near: np.ndarray) -> int:
    """How many of those that are `near` themselves are not found by their own text; 0 where a call fails."""
    unseen = 0
    for start in range(0, len(given), BATCH):
        part = given[start : start + BATCH]
        found = ask([text for _, text in part])
        if found is None:
            return 0
        expected = near[start : start + BATCH]
        unseen += sum(
            id not in ids for (id, _), ids, is_near in zip(part, found, expected, strict=True) if is_near
        )
    return unseen


def _unseen_when_fresh(session: Session, given: Texts, near: np.ndarray, space: str) -> int:
    """The same records in a new store of the same release."""
    path = session.copy.with_name(f"{session.copy.name}-fresh")
    shutil.rmtree(path, ignore_errors=True)
    rows = [as_json(Record(id, text, {"control": 1})) for id, text in given]
    with Engine(path, session.python) as engine:
        engine.call("create", collection="fresh", space=space)
        engine.call("write", collection="fresh", how="add", records=rows)
        unseen = _unseen(
            lambda part: engine.call("query", collection="fresh", documents=part, k=NEIGHBOURS), given, near
        )
    shutil.rmtree(path)
    return unseen


def near(vectors: np.ndarray, space: str) -> np.ndarray:
    """(n,) bool: whether a vector is among the ten nearest to itself; by inner product, longer ones may be nearer."""
    if space != "ip" or not len(vectors):
        return np.ones(len(vectors), dtype=bool)
    products = vectors @ vectors.T
    return (products > np.diag(products)[:, None]).sum(axis=1) < NEIGHBOURS


def _compare_ids(count: Counter[str], texts: dict[str, str | None], told: Told) -> None:
    sure = told.documents.keys() - told.doubtful
    count["lost"] += len(sure - texts.keys())
    count["risen"] += len(texts.keys() - told.documents.keys() - told.doubtful)
    count["text-stale"] += sum(texts[name] != told.documents[name] for name in sure & texts.keys())


def _compare_vectors(count: Counter[str], texts: dict[str, str | None], answer: dict[str, Any]) -> None:
    count["vector-absent"] += len(texts) - len(answer["vectors"])
    pairs = [
        (vector, texts[name])
        for name, vector in zip(answer["ids"], answer["vectors"], strict=False)
        if texts.get(name)
    ]
    if not pairs:
        return
    stored = _unit(np.array([vector for vector, _ in pairs]))
    made = _unit(embed([text or "" for _, text in pairs]).astype(np.float64))
    count["vector-wrong"] += int((np.abs(stored - made).max(axis=1) > TOLERANCE).sum())


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)


def _later_writes(copy: Path, python: Path, names: Sequence[str], verdict: Verdict) -> None:
    """New records, enough for several flushes, seen again by another process."""
    batches: Sequence[Sequence[Record]] = [fresh(10, start=90_000 + start) for start in range(0, LATER, 10)]
    with Session(copy, python, verdict) as session:
        taken = [name for name in names if _write(session, name, batches)]
    with Session(copy, python, verdict) as session:
        for name in taken:
            texts = session.ask(name, "documents")
            if texts is not None:
                missing = sum(record.id not in texts for batch in batches for record in batch)
                verdict.symptoms[name]["later-writes-lost"] += missing
    for count in verdict.symptoms.values():
        count += Counter()  # in place: zero counts go


def _write(session: Session, name: str, batches: Sequence[Sequence[Record]]) -> bool:
    """True where the engine took all of them."""
    before = sum(session.verdict.symptoms[name].values())
    for batch in batches:
        session.ask(name, "write", how="add", records=[as_json(record) for record in batch])
        if sum(session.verdict.symptoms[name].values()) > before:
            return False
    return True
