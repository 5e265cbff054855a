"""What happened to a store and when, from its own files: each event observed, or inferred and said to be.

Observed are the stamps that Chroma and the file system wrote: `embeddings.created_at` (UTC, when a row was first made),
`embeddings_queue.created_at`, the maintenance log, file times, and times in the names of directories that somebody set
aside. Inferred is what they mean together: gaps in the sequence ids, an index that stood still while records came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from forensics._verb import make_callable
from forensics.absent import Absent
from forensics.checks.folders import is_orphan
from forensics.collection import UUID
from forensics.readers.database import DATABASE, Database
from forensics.readers.hnsw import FileFacts
from forensics.readers.layout import ID_MAP_FILE, LEVEL0_FILE
from forensics.readers.migrations import BY_KEY, keys_of, order
from forensics.readers.stamps import hour_of, in_words, read_stamps
from forensics.store import Collection, Store, VectorSegment
from forensics.words import counted

SECOND = 10**9
PAUSE_HOURS = 1
MOST_BURSTS = 24
"""Bursts of writing named per collection; with more, the shortest pauses are taken for none."""
MOST_GAPS = 5
FILE_TIME, STANDSTILL = "file time", "file times against embeddings.created_at"
"""Sources by which a report knows what it has from elsewhere, too."""
_STAMP = re.compile(r"(20\d\d)[-_]?(\d\d)[-_]?(\d\d)(?:[-_T]?(\d\d)[-_:]?(\d\d)(?:[-_:]?(\d\d))?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`when`: UTC to the second, "" where only the place in the sequence is known. `sequence`: (first, last) seq_id."""

    when: str
    what: str
    source: str
    kind: Literal["observed", "inferred"]
    collection: str | None = None
    sequence: tuple[int, int] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Event:
        """What `to_json` gave."""
        facts: dict[str, Any] = {name: data[name] for name in cls.__slots__}
        facts["sequence"] = facts["sequence"] and tuple(facts["sequence"])
        return cls(**facts)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def history(store: Store) -> tuple[Event, ...]:
    """Every event that the files tell of, the dated ones first and in order. Reads; never starts an engine."""
    found = [*_of_files(store), *_of_set_aside(store), *_of_database(store)]
    for collection in store.collections:
        stamps = read_stamps(collection.database, collection.metadata_segment_id)
        found += [*_of_records(collection, stamps), *_of_queue(collection), *_of_sequence(collection)]
        found += _of_standstill(collection, stamps)
    return tuple(
        sorted(found, key=lambda event: (not event.when, event.when, event.sequence or (0, 0), event.what))
    )


def _observed(when: str, what: str, source: str, **more: Any) -> Event:
    return Event(when=when, what=what, source=source, kind="observed", **more)


def _inferred(when: str, what: str, source: str, **more: Any) -> Event:
    return Event(when=when, what=what, source=source, kind="inferred", **more)


def utc(seconds: float) -> str:
    """Seconds since 1970 as UTC to the second; "" where no calendar has them."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return ""


def _of_files(store: Store) -> Iterator[Event]:
    """When the database and each segment's files were last written; files of one second are one event."""
    for entry in store.entries:
        if entry.name == DATABASE:
            yield _observed(utc(entry.mtime_ns / SECOND), f"{DATABASE} was last written.", FILE_TIME)
    for segment in store.segment_directories:
        at: dict[str, list[str]] = {}
        for name, facts in segment.facts.items():
            if isinstance(facts, FileFacts):
                at.setdefault(utc(facts.mtime_ns / SECOND), []).append(name)
        for when, names in at.items():
            yield _observed(
                when, f"{', '.join(sorted(names))} of {segment.relative} last written.", FILE_TIME
            )


def _of_set_aside(store: Store) -> Iterator[Event]:
    """Times in the names of directories that Chroma did not name."""
    for segment in store.unreferenced:
        named = None if is_orphan(segment) else _STAMP.search(UUID.sub("", segment.relative))
        if named:
            year, month, day, *clock = named.groups()
            when = f"{year}-{month}-{day}" + (
                f" {clock[0]}:{clock[1]}:{clock[2] or '00'}" if clock[0] else ""
            )
            yield _inferred(when, f"An index was set aside as {segment.relative}.", "the directory's name")


def _of_database(store: Store) -> Iterator[Event]:
    if not isinstance(store.database, Database):
        return
    if "maintenance_log" in store.database.tables:
        rows = store.database.rows("SELECT timestamp, operation FROM maintenance_log ORDER BY id")
        for stamp, operation in [] if isinstance(rows, Absent) else rows:
            if isinstance(stamp, (int, float)):
                yield _observed(utc(stamp), f"Maintenance: {operation}.", "maintenance_log")
    yield from _of_migrations(store.database)


def _of_migrations(database: Database) -> Iterator[Event]:
    """Migrations carry no date: only the order of releases is known, and the newest that had the store open."""
    if isinstance(database.migrations, Absent):
        return
    firsts = sorted({BY_KEY[key].first for key in keys_of(database.migrations) if key in BY_KEY}, key=order)
    if firsts:
        yield _inferred(
            "",
            f"A release of {firsts[-1]} or later has had the store open: it made the newest migration.",
            "migrations",
        )


def _of_records(collection: Collection, stamps: np.ndarray) -> Iterator[Event]:
    """Bursts in which rows were first made, parted by pauses of an hour and more."""
    for first, last, count in _bursts(stamps):
        yield _observed(
            in_words(first),
            f"{counted(count, 'records')} of {collection.name!r} were first written"
            f"{'' if first == last else f' until {in_words(last)}'}.",
            "embeddings.created_at",
            collection=collection.name,
        )


def _bursts(stamps: np.ndarray) -> list[tuple[int, int, int]]:
    """(first stamp, last stamp, rows) of runs of hours; the shortest pauses go first where there are too many."""
    starts = np.flatnonzero(np.diff(stamps // 10_000, prepend=-1))
    hours = [hour_of(stamp) for stamp in stamps[starts].tolist()]
    starts = starts[[hour is not None for hour in hours]]
    if not len(starts):
        return []
    pauses = np.diff(np.array([hour for hour in hours if hour is not None], dtype=np.int64))
    breaks = np.flatnonzero(pauses > PAUSE_HOURS)
    if len(breaks) >= MOST_BURSTS:
        breaks = np.sort(breaks[np.argsort(pauses[breaks], kind="stable")[-(MOST_BURSTS - 1) :]])
    edges = [int(starts[0]), *starts[breaks + 1].tolist(), len(stamps)]
    return [(int(stamps[a]), int(stamps[b - 1]), b - a) for a, b in pairwise(edges)]


def _of_queue(collection: Collection) -> Iterator[Event]:
    rows = collection.database.rows(
        "SELECT min(created_at), max(created_at), min(seq_id), max(seq_id), count(*) FROM embeddings_queue WHERE topic = ?",
        (collection.queue.topic,),
    )
    if isinstance(rows, Absent) or not rows[0][4]:
        return
    first, last, low, high, count = rows[0]
    yield _observed(
        str(first),
        f"The queue still holds {counted(count, 'rows')} of {collection.name!r}; the last was written at {last}.",
        "embeddings_queue.created_at",
        collection=collection.name,
        sequence=(int(low), int(high)),
    )


def _of_sequence(collection: Collection) -> Iterator[Event]:
    """The longest runs of sequence ids that no record of any collection of this store holds any more."""
    if isinstance(collection.seq_ids, Absent) or len(collection.store.collections) != 1:
        return
    known = np.sort(collection.seq_ids[collection.seq_ids > 0])
    holes = np.diff(known, prepend=0) - 1
    for at in np.argsort(-holes, kind="stable")[:MOST_GAPS].tolist():
        if holes[at] > 0:
            first, last = int(known[at] - holes[at]), int(known[at] - 1)
            yield _inferred(
                "",
                f"{counted(last - first + 1, 'writes')} left no record of {collection.name!r}: they were deletes, writes "
                "to records that were written again later or deleted, or writes that are lost.",
                "gaps in embeddings.seq_id",
                collection=collection.name,
                sequence=(first, last),
            )


def _of_standstill(collection: Collection, stamps: np.ndarray) -> Iterable[Event]:
    """Records first made after the index was last written, beyond those that wait in the queue."""
    segment, records = collection.vector, collection.records
    if isinstance(segment, Absent) or isinstance(records, Absent):
        return
    written = _last_written(segment)
    if written is None:
        return
    mark = int(re.sub(r"\D", "", utc(written)) or 0)
    waiting = int(np.count_nonzero(records.pending))
    count = len(stamps) - int(np.searchsorted(stamps, mark, side="right")) if mark else 0
    if count > waiting:
        yield _inferred(
            utc(written),
            f"The index of {collection.name!r} was not written after this, while {counted(count, 'records')} came; "
            f"{waiting} of them wait in the queue.",
            STANDSTILL,
            collection=collection.name,
        )


def _last_written(segment: VectorSegment) -> float | None:
    """Seconds since 1970 of the newest of level 0 and the id map."""
    facts = (segment.facts.get(name) for name in (LEVEL0_FILE, ID_MAP_FILE))
    stamps = [each.mtime_ns / SECOND for each in facts if isinstance(each, FileFacts)]
    return max(stamps, default=None)


make_callable(__name__)
