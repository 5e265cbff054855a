"""Where ids and texts of records that are gone still leave a trace in SQLite, one function for each kind of place.

A trace says what it proves and no more. That a record is gone on purpose is known only where the queue still holds its
delete; that it is lost only where the queue still holds its add and no delete. Of all others it cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from forensics.absent import Absent
from forensics.model import Confidence, plain
from forensics.readers.database import Database
from forensics.readers.embeddings_queue import ADD, DELETE, UPSERT, topic_of
from forensics.readers.full_text import DOCUMENT, NAME, differences
from forensics.store import Collection, Store
from forensics.words import counted

Fate = Literal["deleted", "lost", "deleted or lost"]
EITHER = "Whether they were deleted on purpose or lost cannot be told from this."
EXAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one place proves. Between `at_least` and `at_most` ids that are nowhere any more are behind its `count` units.

    `ids` are those that it names; `rows` what else goes to a file of the case, under the names in `columns`.
    """

    kind: str
    collection: str | None
    count: int
    unit: str
    at_least: int
    at_most: int
    confidence: Confidence
    fate: Fate
    proof: str
    means: str
    found: Mapping[str, Any] = field(default_factory=dict)
    ids: tuple[str, ...] = field(default=(), repr=False)
    columns: tuple[str, ...] = ("id",)
    rows: Sequence[tuple[Any, ...]] = field(default=(), repr=False)

    @classmethod
    def of_ids(cls, kind: str, collection: str | None, ids: Sequence[str], **more: Any) -> Trace:
        """A trace that names its ids: as many as they are, no fewer and no more, unless `more` says otherwise."""
        count = len(ids)
        usual: dict[str, Any] = {
            "unit": "ids",
            "at_least": count,
            "confidence": "certain",
            "fate": "deleted or lost",
        }
        known = usual | more
        return cls(kind=kind, collection=collection, count=count, at_most=count, ids=tuple(ids), **known)

    def to_json(self) -> dict[str, Any]:
        names = (
            "kind",
            "collection",
            "count",
            "unit",
            "at_least",
            "at_most",
            "confidence",
            "fate",
            "proof",
            "means",
        )
        return {
            **{name: getattr(self, name) for name in names},
            "found": plain(self.found),
            "ids": {"named": len(self.ids), "examples": list(self.ids[:EXAMPLES])},
        }


def of_sequence(store: Store, database: Database) -> Iterator[Trace]:
    """Sequence ids below the highest known one that no record and no queue row has."""
    known = _known_sequence(store, database)
    if not known.size:
        return
    highest = int(known[-1])
    holes = np.diff(known, prepend=0) - 1
    gone = int(holes.sum())
    if not gone:
        return
    at = int(np.argmax(holes))
    yield Trace(
        kind="sequence-gaps",
        collection=None,
        count=gone,
        unit="writes",
        at_least=0,
        at_most=gone,
        confidence="certain",
        fate="deleted or lost",
        proof=f"Chroma numbered {counted(highest, 'writes')}; {len(known)} of them still have a record or a queue row.",
        means="These were deletes, writes to records that were written again later, or writes to records that are gone. "
        "Each names one id, so that no more ids than this are behind them; how many are cannot be told.",
        found={
            "highest": highest,
            "with_trace": len(known),
            "runs": int(np.count_nonzero(holes)),
            "longest": [int(known[at] - holes[at]), int(known[at] - 1)],
        },
    )


def _known_sequence(store: Store, database: Database) -> np.ndarray:
    """Rising, distinct sequence ids of all rows of `embeddings`, whoever owns them, and of the queue."""
    owners = database.rows("SELECT DISTINCT segment_id FROM embeddings")
    parts = [database.seq_ids(row[0]) for row in ([] if isinstance(owners, Absent) else owners)]
    queued = database.rows("SELECT seq_id FROM embeddings_queue")
    numbers = [row[0] for row in ([] if isinstance(queued, Absent) else queued) if isinstance(row[0], int)]
    arrays = [part for part in parts if not isinstance(part, Absent)]
    known = np.unique(np.concatenate([*arrays, np.array(numbers, dtype=np.int64)]))
    return known[known > 0]


def of_queue(store: Store, database: Database) -> Iterator[Trace]:
    """Ids that a queue row added and that are no record: deleted, lost, or of a collection that is gone."""
    found = database.rows("SELECT topic, id, operation, seq_id FROM embeddings_queue ORDER BY seq_id")
    by_topic: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for topic, name, operation, seq_id in [] if isinstance(found, Absent) else found:
        if isinstance(name, str) and isinstance(seq_id, int):
            by_topic.setdefault(str(topic), {}).setdefault(name, []).append((operation, seq_id))
    owners = {topic_of(collection.id): collection for collection in store.collections}
    for topic, writes in by_topic.items():
        owner = owners.get(topic)
        if owner is None:
            yield from _of_no_collection(topic, writes)
        elif not isinstance(owner.rows, Absent):
            yield from _of_queued(owner, writes)


def _of_queued(collection: Collection, writes: Mapping[str, list[tuple[int, int]]]) -> Iterator[Trace]:
    gone = {name: rows for name, rows in writes.items() if name not in collection.row_of}
    deleted = [name for name, rows in gone.items() if rows[-1][0] == DELETE]
    with_add = sum(any(operation in (ADD, UPSERT) for operation, _ in gone[name]) for name in deleted)
    if deleted:
        yield Trace.of_ids(
            "queue-deletes",
            collection.name,
            deleted,
            at_least=with_add,
            fate="deleted",
            proof="The last row of embeddings_queue with this id is a delete, and no record has the id.",
            means="Deleted on purpose: somebody called delete. Where the queue no longer holds the add as well, whether "
            "the id was there before cannot be told.",
            found={"add_in_the_queue_too": with_add},
        )
    mark = collection.metadata_watermark
    above = 0 if isinstance(mark, Absent) else mark.value or 0
    lost = [name for name, rows in gone.items() if _added_last(rows, above)]
    if lost:
        yield Trace.of_ids(
            "queue-remains",
            collection.name,
            lost,
            fate="lost",
            proof="embeddings_queue holds an add or upsert of this id at or below the metadata watermark, no delete after "
            "it, and no record has the id.",
            means="Lost, not deleted by Chroma: a delete would stand in the queue behind the add. The row itself still "
            "has the vector, the document and the metadata.",
        )


def _added_last(rows: Sequence[tuple[int, int]], watermark: int) -> bool:
    """True where an add or upsert was applied, and nothing after it deletes or still waits."""
    applied = any(operation in (ADD, UPSERT) and seq_id <= watermark for operation, seq_id in rows)
    return applied and not any(operation == DELETE or seq_id > watermark for operation, seq_id in rows)


def _of_no_collection(topic: str, writes: Mapping[str, list[tuple[int, int]]]) -> Iterator[Trace]:
    names = tuple(name for name, rows in writes.items() if any(op in (ADD, UPSERT) for op, _ in rows))
    if names:
        yield Trace.of_ids(
            "queue-of-no-collection",
            None,
            names,
            proof=f"embeddings_queue holds their adds under {topic}, a collection that the catalogue does not have.",
            means=f"The collection was deleted, or its row was lost. {EITHER}",
            found={"topic": topic},
        )


def of_full_text(database: Database) -> Iterator[Trace]:
    """Texts in the full-text table of records that are gone."""
    found = differences(database)
    if isinstance(found, Absent) or not len(found.dead):
        return
    sql = (
        f"SELECT c.id, c.c0, EXISTS (SELECT 1 FROM embedding_metadata m WHERE m.key = '{DOCUMENT}' AND"
        f" m.string_value = c.c0) FROM {NAME}_content c WHERE NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.id = c.id)"
    )
    rows = database.rows(sql)
    texts = [] if isinstance(rows, Absent) else [row for row in rows if isinstance(row[1], str)]
    yield Trace(
        kind="full-text-remains",
        collection=None,
        count=len(found.dead),
        unit="documents",
        at_least=0,
        at_most=len(found.dead),
        confidence="certain",
        fate="deleted or lost",
        proof=f"{NAME}_content has a row, and embeddings has none with its rowid.",
        means="The text survives, its id does not stand beside it. 0.4 leaves these at every delete, also of a record "
        f"that was added again. {EITHER}",
        found={"texts": len(texts), "text_of_a_record_too": sum(bool(row[2]) for row in texts)},
        columns=("rowid", "text"),
        rows=[(row[0], row[1]) for row in texts],
    )


def of_metadata(database: Database) -> Iterator[Trace]:
    """Rows of embedding_metadata whose record is gone."""
    rows = database.rows(
        f"SELECT m.id, count(*), max(CASE WHEN m.key = '{DOCUMENT}' THEN m.string_value END) FROM embedding_metadata m"
        " WHERE NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.id = m.id) GROUP BY m.id"
    )
    if isinstance(rows, Absent) or not rows:
        return
    yield Trace(
        kind="metadata-remains",
        collection=None,
        count=len(rows),
        unit="records",
        at_least=0,
        at_most=len(rows),
        confidence="certain",
        fate="deleted or lost",
        proof="embedding_metadata has rows with an id that no row of embeddings has.",
        means="Metadata (and documents, where there were any) survive without the id they belonged to; whether the id is "
        f"a record again under another row is not known. {EITHER}",
        found={"rows": sum(row[1] for row in rows), "with_document": sum(row[2] is not None for row in rows)},
        columns=("rowid", "keys", "document"),
        rows=rows,
    )


def of_unowned_rows(store: Store, database: Database) -> Iterator[Trace]:
    """Rows of `embeddings` whose segment belongs to no collection: no call shows them."""
    owned = {one.metadata_segment_id for one in store.collections}
    rows = (
        database.rows("SELECT segment_id, embedding_id FROM embeddings ORDER BY id")
        if _has_others(database, owned)
        else []
    )
    by_segment: dict[str, list[str]] = {}
    for segment, name in [] if isinstance(rows, Absent) else rows:
        if segment not in owned:
            by_segment.setdefault(str(segment), []).append(str(name))
    for segment, names in sorted(by_segment.items()):
        yield Trace.of_ids(
            "rows-of-no-segment",
            None,
            names,
            proof=f"embeddings has them under segment {segment}, which is no collection's METADATA segment.",
            means="Their collection was deleted by a release that leaves its rows, or its catalogue rows were lost. No call "
            f"of Chroma's shows them. {EITHER}",
            found={"segment": segment},
        )


def _has_others(database: Database, owned: set[str | None]) -> bool:
    found = database.rows("SELECT DISTINCT segment_id FROM embeddings")
    return not isinstance(found, Absent) and any(row[0] not in owned for row in found)
