"""Experiments that a notebook runs to answer a question: a real engine, on scratch copies of healthy samples."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import forensics as fx
from forensics import samples
from forensics.absent import Absent
from forensics.engine.steps import Step, engine_session
from forensics.lab.sheet import Table
from forensics.report.plain import number
from forensics.store import Collection

PURGED, KEPT = "1.5.9/healthy", "0.4.24/healthy"
"""A store as they are today, whose queue was purged; and one of a release that purged nothing."""
CALLS = ("count()", "get()", 'get(include=["embeddings"])', "peek()", "query(), all records asked for")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What each call gives after the index directory of a healthy store was deleted."""

    sample: str
    records: int
    queued: int
    answers: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join([f"{self.sample}: {self._before()}", repr(self._table())])

    def _repr_html_(self) -> str:
        return f"<p><b>{self.sample}</b>: {self._before()}</p>{self._table()._repr_html_()}"

    def _before(self) -> str:
        return (
            f"{number(self.records)} records, the queue still holds the vectors of {number(self.queued)}; "
            "the index directory is deleted, then Chroma opens the store."
        )

    def _table(self) -> Table:
        return Table(("call", "answer"), tuple(zip(CALLS, self.answers, strict=True)))


@contextmanager
def scratch(sample: str) -> Generator[Path]:
    """A restored sample in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="forensics-experiment-"))
    try:
        yield samples.restore(sample, folder / "store")
    finally:
        shutil.rmtree(folder)


def delete_the_index_directory(sample: str = PURGED) -> Deletion:
    """Deletes the index directory of a copy of a healthy sample and asks the engine, in a child."""
    with scratch(sample) as store:
        with fx.open_store(store) as opened:
            collection = opened.collections[0]
            name, records, queued = collection.name, *_counts(collection)
            directory = collection.vector_segment_id or ""
        shutil.rmtree(store / directory)
        vector = next(iter(samples.truth(sample).values())).vectors[:1]
        steps = engine_session(store, _operations(name, records), arrays={"one.npy": np.asarray(vector)})
    return Deletion(
        sample=sample, records=records, queued=queued, answers=tuple(_said(step) for step in steps)
    )


def _counts(collection: Collection) -> tuple[int, int]:
    """Records of the collection, and how many of them have a vector in the queue."""
    rows, queue = collection.rows, collection.queue.rows()
    held = set() if isinstance(queue, Absent) else {row.id for row in queue if row.vector_bytes}
    ids: Sequence[str] = () if isinstance(rows, Absent) else rows.ids
    return len(ids), len(held.intersection(ids))


def _operations(name: str, records: int) -> list[dict[str, object]]:
    one: dict[str, object] = {"collection": name}
    return [
        {"op": "count", **one},
        {"op": "get", **one},
        {"op": "get", "include": ["embeddings"], **one},
        {"op": "peek", **one},
        {"op": "query", "vectors": "one.npy", "k": records, **one},
    ]


def _said(step: Step) -> str:
    """What came back, in words."""
    if not step.ok:
        return step.text
    match step.op:
        case "count":
            return f"{step.value}"
        case "query":
            return f"{number(len((step.ids or [[]])[0]))} records"
        case _:
            given = "" if step.embeddings is None else f", {number(len(step.embeddings))} embeddings"
            return f"{number(len(step.ids or ()))} ids{given}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild by `fx.rebuild` kept: all ids, and the vectors that the index held before, bit for bit."""

    sample: str
    records: int
    same_ids: bool
    held: int
    same: int
    verified: str | None

    def __repr__(self) -> str:
        ids = "the same ids" if self.same_ids else "OTHER IDS"
        vectors = f"{number(self.same)} of the {number(self.held)} vectors that the index held are the same bit for bit"
        return f"{self.sample}: {number(self.records)} records, {ids}; {vectors}; verified by {self.verified}"


def rebuild_without_loss(sample: str = PURGED) -> Rebuilt:
    """Builds the whole index of a copy of a healthy sample anew, and compares ids and vectors before and after."""
    with scratch(sample) as store:
        ids, vectors = _contents(store)
        result = fx.rebuild(store, case=store.parent / "case")
        ids_after, vectors_after = _contents(store)
    return Rebuilt(
        sample=sample,
        records=len(ids_after),
        same_ids=ids == ids_after,
        held=len(vectors),
        same=sum(vectors_after.get(name) == vector for name, vector in vectors.items()),
        verified=result["verified"],
    )


def _contents(store: Path) -> tuple[set[str], dict[str, bytes]]:
    """The ids of the records, and by id the bytes of the vectors that the index holds."""
    with fx.open_store(store) as opened:
        collection = opened.collections[0]
        records, vector = collection.records, collection.vector
        if isinstance(records, Absent) or isinstance(vector, Absent):
            return set(), {}
        rows = np.flatnonzero(records.indexed)
        vectors = vector.files.vectors(records.elements[rows])
        ids = records.rows.ids
        return set(ids), {ids[row]: one.tobytes() for row, one in zip(rows.tolist(), vectors, strict=True)}
