"""Experiments that a notebook runs to answer a question: a real engine, on scratch copies of healthy samples."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forensics as fx
from forensics import samples
from forensics.absent import Absent
from forensics.store import Collection


@dataclass(frozen=True, slots=True)
class Deleted:
    """What happens when an index directory is deleted: what each call does before and after, and how far query reaches."""

    records: int
    queued: int
    before: dict[str, str]
    after: dict[str, str]
    reaches: int | None

    def __repr__(self) -> str:
        lines = [f"{self.records} records, of which the queue still holds {self.queued}; then the index directory is deleted.", ""]
        lines += [f"  {call:<22} before: {self.before[call]:<12} after: {self.after[call]}" for call in self.before]
        lines += ["", f"A query now reaches {self.reaches} of {self.records}: what the queue still held, and nothing else."]
        return "\n".join(lines)


def delete_the_index_directory(name: str = "1.5.9/healthy") -> Deleted:
    """Deletes the index directory of a copy of a healthy sample and asks the engine again."""
    scratch = Path(tempfile.mkdtemp(prefix="forensics-experiment-"))
    try:
        store = samples.restore(name, scratch / "store")
        before = fx.probe(store)["collections"][0]
        with fx.open_store(store) as opened:
            collection = opened.collections[0]
            records, queued = _counts(collection)
            directory = collection.vector_segment_id or ""
        shutil.rmtree(store / directory)
        after = fx.probe(store)["collections"][0]
    finally:
        shutil.rmtree(scratch)
    reach = next(call["reaches"] for call in after["calls"] if call["call"] == "query")
    return Deleted(records, queued, _verdicts(before), _verdicts(after), reach)


def _counts(collection: Collection) -> tuple[int, int]:
    """Records of the collection, and ids whose vector the queue still holds."""
    rows, queue = collection.rows, collection.queue.rows()
    held = set() if isinstance(queue, Absent) else {row.id for row in queue if row.vector_bytes}
    return 0 if isinstance(rows, Absent) else len(rows), len(held)


def _verdicts(collection: dict[str, Any]) -> dict[str, str]:
    return {call["call"]: call["verdict"] for call in collection["calls"]}
