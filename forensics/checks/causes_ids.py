"""How ids came to differ between SQLite and the index, where neither side lost anything by itself.

Ids that were changed on one side, segments that were changed for one another, a database older than its index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forensics.absent import Absent
from forensics.checks.places import id_map_of, records_of
from forensics.checks.queue_marks import stored_marks
from forensics.model import Cause
from forensics.readers.database import MetadataRows
from forensics.readers.distinct import ids_without
from forensics.readers.id_map import IdMap
from forensics.readers.watermarks import newest_record, reach
from forensics.store import Collection
from forensics.words import counted

TRIED = 5
"""Ids from which a rule of renaming is guessed; it is tried on all."""
ASKED = 2000
"""Ids that are looked up in the index of another collection."""
MOST = 0.8
"""The share of the ids that an explanation must cover."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """What SQLite's ids have more or less than those of the index; `count` ids of SQLite fit it."""

    rule: str
    count: int


def renaming(here: Sequence[str], there: frozenset[str]) -> Renaming | None:
    """The one rule that leads most of the ids of SQLite (`here`) to ids of the index (`there`), or None."""
    best = Renaming("", 0)
    for rule, turned in dict(_rules(here, there)).items():
        count = sum(turned(name) in there for name in here)
        best = max(best, Renaming(rule, count), key=lambda found: found.count)
    return best if here and best.count >= MOST * len(here) else None


Turn = Callable[[str], str | None]


def _rules(here: Sequence[str], there: frozenset[str]) -> Iterator[tuple[str, Turn]]:
    for name in here[:TRIED]:
        for cut in range(1, len(name)):
            head, tail = name[:cut], name[cut:]
            if tail in there:
                yield (
                    f"begin with {head!r}",
                    lambda one, head=head: _without(one.startswith(head), one[len(head) :]),
                )
            if head in there:
                yield (
                    f"end with {tail!r}",
                    lambda one, tail=tail: _without(one.endswith(tail), one[: -len(tail)]),
                )
    known = frozenset(here)
    for name in sorted(there)[:TRIED]:
        for cut in range(1, len(name)):
            head, tail = name[:cut], name[cut:]
            if tail in known:
                yield f"lack {head!r} at the beginning", lambda one, head=head: head + one
            if head in known:
                yield f"lack {tail!r} at the end", lambda one, tail=tail: one + tail
    yield "are in lower case", _matching(there, str.lower)
    yield "have no blanks around them", _matching(there, str.strip)


def _without(fits: bool, rest: str) -> str | None:
    return rest if fits else None


def _matching(there: frozenset[str], change: Callable[[str], str]) -> Turn:
    turned = {change(name): name for name in there if change(name) != name}
    return lambda one: turned.get(one)


def ids_renamed(collection: Collection, missing: np.ndarray) -> Iterator[Cause]:
    """The records are in the index, under ids that differ by one rule from those of SQLite."""
    found = _renamed(collection, missing)
    if found is None:
        return
    evidence = (
        f"{counted(found.count, 'missing records')} {found.rule}; without that they are ids of the index or the queue "
        "that SQLite does not have"
    )
    yield Cause(name="ids-changed-in-sqlite", confidence="certain", evidence=evidence)


def _renamed(collection: Collection, missing: np.ndarray) -> Renaming | None:
    records = records_of(collection)
    known = set(records.rows.ids)
    queued = (name for name, effect in collection.pending.items() if effect.exists and name not in known)
    return renaming(records.ids(missing), frozenset((*records.ghosts, *queued)))


def index_of_another(collection: Collection, ids: Sequence[str]) -> Iterator[Cause]:
    """The index of another collection holds these ids, and that collection has no records of them."""
    asked = ids[:ASKED]
    for other in collection.store.collections:
        id_map, rows = other.id_map, other.rows
        if other.id == collection.id or not isinstance(id_map, IdMap) or isinstance(rows, Absent):
            continue
        own = _known(rows)
        held = sum(name in id_map.id_to_label and name not in own for name in asked)
        if asked and held >= MOST * len(asked):
            where = f"stand in the index of {other.name}, which has no such records"
            evidence = f"{held} of the {counted(len(asked), 'ids')} {where}"
            yield Cause(name="index-of-another-collection", confidence="certain", evidence=evidence)


def _known(rows: MetadataRows) -> frozenset[str]:
    return frozenset(rows.ids)


def queue_rows_deleted(collection: Collection, missing: np.ndarray) -> Iterator[Cause]:
    """The missing records are newer than the watermark, and their rows are not in the queue (CF212)."""
    seqs, mark = collection.seq_ids, collection.vector_watermark
    if isinstance(seqs, Absent) or len(seqs) != len(missing) or not mark:
        return
    newer, count = int((seqs[missing] > mark).sum()), int(missing.sum())
    if newer >= MOST * count:
        evidence = (
            f"{newer} of the {counted(count, 'records')} were written after the watermark {mark}, and the queue has no "
            "rows of them: the index never had them (CF212)"
        )
        yield Cause(name="queue-rows-deleted", confidence="likely", evidence=evidence)


def explain_ghosts(collection: Collection) -> tuple[Cause, ...]:
    """Why the index holds ids that SQLite does not, the likeliest first."""
    records = records_of(collection)
    elsewhere = (
        *ids_renamed(collection, records.missing),
        *_records_of_another(collection, records.ghosts),
    )
    hypotheses = (
        _database_older(collection, records.ghosts),
        _rows_deleted(collection, len(records.ghosts)),
        _deletes_unapplied(collection, len(records.ghosts)),
    )
    found = elsewhere or tuple(cause for ask in hypotheses for cause in ask)
    better = tuple(cause for cause in found if cause.confidence != "possible")
    return better or found


def _records_of_another(collection: Collection, ids: Sequence[str]) -> Iterator[Cause]:
    """The ids are records of another collection, whose own index lacks them."""
    asked = ids[:ASKED]
    for other in collection.store.collections:
        rows, id_map = other.rows, other.id_map
        if other.id == collection.id or isinstance(rows, Absent):
            continue
        own, mapped = _known(rows), id_map.id_to_label if isinstance(id_map, IdMap) else dict[str, int]()
        held = sum(name in own and name not in mapped for name in asked)
        if asked and held >= MOST * len(asked):
            where = f"are records of {other.name}, whose own index lacks them"
            evidence = f"{held} of the {counted(len(asked), 'ids')} {where}"
            yield Cause(name="index-of-another-collection", confidence="certain", evidence=evidence)


def _database_older(collection: Collection, ghosts: Sequence[str]) -> Iterator[Cause]:
    """Every new id takes a label and a number of the queue; an index ahead of the queue is of a later time."""
    id_map = id_map_of(collection)
    given, numbers = id_map.total_elements_added or 0, _numbers_given(collection)
    block = _in_one_block(id_map.id_to_label, ghosts)
    if given > numbers:
        evidence = (
            f"the index has given {given} labels and the queue only {numbers} numbers, though each label takes one: "
            "the database was put back to an earlier state, or lost its last transactions"
        )
        yield Cause(name="database-older-than-index", confidence="certain", evidence=evidence)
    elif block:
        evidence = f"the labels of {block} of the {counted(len(ghosts), 'ids')} follow one another: they were added together"
        yield Cause(name="database-older-than-index", confidence="likely", evidence=evidence)


def _numbers_given(collection: Collection) -> int:
    """The highest number that the queue is known to have given."""
    newest = newest_record(collection.database, collection.metadata_segment_id or "")
    return max(reach(collection.database).top, newest, *stored_marks(collection).values(), 0)


def _in_one_block(mapping: Mapping[str, int], ghosts: Sequence[str]) -> int:
    """How many ids stand in the longest run of labels, where that is nearly all of at least ten; else 0."""
    labels = np.sort(np.array([mapping[name] for name in ghosts if name in mapping], dtype=np.int64))
    if len(labels) < 10:
        return 0
    edges = np.flatnonzero(np.diff(labels) != 1)
    longest = int(np.diff(np.concatenate([[-1], edges, [len(labels) - 1]])).max())
    return longest if longest >= MOST * len(labels) else 0


def _rows_deleted(collection: Collection, ghosts: int) -> Iterator[Cause]:
    """A DELETE on `embeddings` alone leaves the rows of embedding_metadata, which no API call does."""
    rowids = collection.database.rows("SELECT id FROM embeddings ORDER BY id")
    if isinstance(rowids, Absent):
        return
    known = np.array([row[0] for row in rowids], dtype=np.int64)
    orphans = ids_without(collection.database, "embedding_metadata", known)
    if not isinstance(orphans, Absent) and 2 * len(orphans) >= ghosts:
        evidence = (
            f"embedding_metadata still has rows of {counted(len(orphans), 'records')} that embeddings lacks"
        )
        yield Cause(name="rows-deleted-from-embeddings", confidence="likely", evidence=evidence)


def _deletes_unapplied(collection: Collection, ghosts: int) -> Iterator[Cause]:
    """SQLite is ahead of the index and the queue has nothing to bring: deletes may be among what is gone."""
    metadata = stored_marks(collection).get("metadata", 0)
    mark, rows = collection.vector_watermark, collection.pending_rows
    if metadata > mark and not isinstance(rows, Absent) and not rows:
        evidence = f"SQLite has applied the queue up to {metadata}, the index up to {mark}, and no row between is left"
        yield Cause(name="deletes-never-applied", confidence="likely", evidence=evidence)
    elif ghosts:
        evidence = "an index that was flushed over with an older one, or put back from a copy, holds what was deleted since"
        yield Cause(name="deletes-flushed-over", confidence="possible", evidence=evidence)
