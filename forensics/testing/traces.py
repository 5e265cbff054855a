"""Did a loss leave any trace on disk? Read from the files by SQLite and the id map alone; no check is asked.

A store is said to have no trace of what it lost only where all of this is shown: no journal lies beside the database; in
every collection SQLite, the id map and the queue speak of the same ids; no watermark is above the highest number that the
queue gave; and ids and documents are, to the last one, those that the user could read after an earlier call. Such a store
is the sound store of that moment.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from forensics.absent import Absent
from forensics.readers.id_map import IdMap
from forensics.readers.record_rows import SeqId
from forensics.store import Collection, open_store
from forensics.testing.embedder import embed
from forensics.testing.natural import Content, content_of
from forensics.testing.natural_corpus import Case

HEAD = 40  # bytes of a vector: ten numbers, before a row in SQLite may go on elsewhere
OF_THE_PAST = {"lost", "risen", "text-stale"}
DOCUMENTS = """
    SELECT c.name, e.embedding_id, m.string_value FROM embeddings e
    JOIN segments s ON s.id = e.segment_id AND s.scope = 'METADATA' JOIN collections c ON c.id = s.collection
    LEFT JOIN embedding_metadata m ON m.id = e.id AND m.key = 'chroma:document'"""


@dataclass(frozen=True, slots=True)
class Trace:
    """left: something on disk tells of the loss. shown: what was seen, a line each."""

    left: bool
    shown: tuple[str, ...]


def left_no_trace(case: Case, symptoms: set[tuple[str, str]]) -> Trace:
    """What of the four conditions fails; where none does, the call after which the user had just this content."""
    kinds = {symptom for _, symptom in symptoms}
    seen = (
        [f"not only the past is missed: {', '.join(sorted(kinds - OF_THE_PAST))}"]
        if kinds - OF_THE_PAST
        else []
    )
    if (wrong := _wrong(case, symptoms)) and (lost := vectors_nowhere(case, wrong)):
        seen.append(
            f"the vectors of {lost} documents are nowhere: not in an index, a queue row or freed space"
        )
    seen += [f"{path.name} is there" for path in case.store.glob("chroma.sqlite3-*") if path.stat().st_size]
    with open_store(case.store) as store:
        seen += [f"{c.name}: {what}" for c in store.collections for what in disagreements(c)]
    told = case.told()
    past, here = told["past"], content(case)
    doubtful = {name: set(each["doubtful"]) for name, each in told["told"].items()}
    moments = [turn for turn, then in enumerate(past, 1) if same(here, then, doubtful)]
    if not moments:
        seen.append("at no time did the user have just these documents")
    return Trace(bool(seen), tuple(seen) or (f"all is as it was after call {moments[-1]} of {len(past)}",))


def vectors_nowhere(case: Case, names: set[str]) -> int:
    """How many documents of these collections in SQLite have an embedding whose bytes are in no file."""
    everything = b"".join(path.read_bytes() for path in sorted(case.store.rglob("*")) if path.is_file())
    uri = f"file:{case.store / 'chroma.sqlite3'}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        texts = [text for name, _, text in database.execute(DOCUMENTS) if text and name in names]
    vectors = embed(texts).astype("<f4")
    return sum(vector.tobytes()[:HEAD] not in everything for vector in vectors)


def _wrong(case: Case, symptoms: set[tuple[str, str]]) -> set[str]:
    """Collections with wrong vectors; not under cosine, where the index has them divided by their lengths."""
    told = case.told()["told"]
    return {
        name for name, symptom in symptoms if symptom == "vector-wrong" and told[name]["space"] != "cosine"
    }


def disagreements(collection: Collection) -> list[str]:
    """Where SQLite and the index with its queue do not have the same ids, and marks that no queue ever reached."""
    if isinstance(collection.rows, Absent) or isinstance(collection.vector, Absent):
        return ["its rows or its vector segment cannot be read"]
    mapped = set(collection.id_map.id_to_label) if isinstance(collection.id_map, IdMap) else set[str]()
    pending = collection.pending
    index = {id for id in mapped | pending.keys() if id not in pending or pending[id].exists}
    apart = len(index ^ set(collection.rows.ids))
    highest = max((row.value or 0 for row in _marks(collection)), default=0)
    return ([f"{apart} ids are in SQLite or in the index alone"] if apart else []) + (
        [f"watermark {highest} is above the queue"] if highest > _given(collection) else []
    )


def _marks(collection: Collection) -> list[SeqId]:
    both = (collection.metadata_watermark, collection.vector_watermark_row)
    return [mark for mark in both if not isinstance(mark, Absent)]


def _given(collection: Collection) -> int:
    """The highest number that the queue gave."""
    found = collection.database.rows("SELECT seq FROM sqlite_sequence WHERE name = 'embeddings_queue'")
    rows = collection.queue.rows()
    queued = [] if isinstance(rows, Absent) else [row.seq_id for row in rows]
    return max([0, *queued, *([] if isinstance(found, Absent) else [row[0] for row in found])])


def content(case: Case) -> Content:
    """Per collection, id → CRC-32 of its document, as SQLite has them."""
    documents: dict[str, dict[str, str | None]] = {name: {} for name in case.told()["told"]}
    uri = f"file:{case.store / 'chroma.sqlite3'}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        for name, id, text in database.execute(DOCUMENTS):
            documents.setdefault(name, {})[id] = text
    return content_of(documents)


def same(here: Content, then: Content, doubtful: dict[str, set[str]]) -> bool:
    """Equal but for the ids of calls that were never acknowledged."""

    def sure(content: Content) -> Content:
        return {
            name: {id: crc for id, crc in known.items() if id not in doubtful.get(name, ())}
            for name, known in content.items()
            if known
        }

    return sure(here) == sure(then)
