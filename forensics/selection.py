"""Which collection is meant: by name, by id, or by its segments, also where no row of `segments` pairs them any more."""

from __future__ import annotations

from collections.abc import Iterable

from forensics.absent import Absent
from forensics.collection import UUID, Collection
from forensics.errors import UsageError
from forensics.readers.database import CollectionRow, Database
from forensics.readers.distinct import embedding_segments
from forensics.store import Store


def select(
    store: Store,
    collection: str | None = None,
    segment: str | None = None,
    metadata_segment: str | None = None,
) -> str | None:
    """The id of the collection that is meant; None for all of them.

    With `metadata_segment` a vector segment that has no sibling in `segments` is looked at with that one; the store
    then holds the pair as a collection. Raises UsageError where nothing or something else is so called.
    """
    if segment is None:
        if metadata_segment is not None:
            raise UsageError("A METADATA segment is named beside its vector segment: give --segment as well.")
        return None if collection is None else store.collection(collection).id
    found = _of_segment(store, segment, metadata_segment)
    if collection is not None and collection not in (found.id, found.name):
        raise UsageError(f"Segment {segment} belongs to collection {found.name!r}, not to {collection!r}.")
    return found.id


def is_paired_by_hand(store: Store, wanted: str | None) -> bool:
    """True where the segments of that collection are not those that SQLite gives it: Chroma does not see this pair."""
    return wanted is not None and any(c.id == wanted and not _pairs_itself(c) for c in store.collections)


def _pairs_itself(collection: Collection) -> bool:
    named = {row.id for scope in ("VECTOR", "METADATA") for row in collection.segment_rows(scope)}
    return {collection.vector_segment_id, collection.metadata_segment_id} <= named


def _of_segment(store: Store, segment: str, sibling: str | None) -> Collection:
    if not isinstance(store.database, Database):
        reason = store.database.reason
        raise UsageError(f"Segment {segment} cannot be looked up: {reason}; fx.read_segment reads it alone.")
    owner = _owner(store.collections, segment)
    if owner is not None and owner.metadata_segment_id is not None and owner.vector_segment_id is not None:
        return _agreeing(owner, segment, sibling)
    known = sorted({*(s.id for s in store.segment_directories), *_vector_segments(store)})
    if segment not in known or not UUID.fullmatch(segment):
        raise UsageError(f"No vector segment is called {segment!r}; there are: {_listed(known)}.")
    candidates = _metadata_segments(store.database)
    if sibling is None:
        raise UsageError(
            f"Nothing says which METADATA segment belongs to {segment}: give it with --metadata-segment;"
            f" there are: {_listed(candidates)}."
        )
    if sibling not in candidates:
        raise UsageError(f"No METADATA segment is called {sibling!r}; there are: {_listed(candidates)}.")
    return _paired(store, owner or _owner(store.collections, sibling), segment, sibling)


def _owner(collections: Iterable[Collection], segment: str) -> Collection | None:
    """The collection of which that is a segment."""
    return next((c for c in collections if segment in (c.vector_segment_id, c.metadata_segment_id)), None)


def _agreeing(owner: Collection, segment: str, sibling: str | None) -> Collection:
    if sibling is not None and sibling not in (owner.metadata_segment_id, owner.vector_segment_id):
        raise UsageError(
            f"The METADATA segment of {segment} is {owner.metadata_segment_id}, not {sibling}; SQLite says so."
        )
    return owner


def _paired(store: Store, owner: Collection | None, segment: str, sibling: str) -> Collection:
    """That collection, or one made for the purpose, with these two segments."""
    row = owner.row if owner is not None else CollectionRow(segment, f"segment {segment}", *[None] * 5)
    made = Collection(store, row)
    made.vector_segment_id, made.metadata_segment_id = segment, sibling
    others = [each for each in store.collections if each is not owner]
    store.collections = tuple(sorted([*others, made], key=lambda each: each.name))
    return made


def _vector_segments(store: Store) -> Iterable[str]:
    return (c.vector_segment_id for c in store.collections if c.vector_segment_id is not None)


def _metadata_segments(database: Database) -> list[str]:
    """Every METADATA segment that SQLite mentions: in `segments`, or by rows of `embeddings`."""
    rows = database.segments
    named = [] if isinstance(rows, Absent) else [row.id for row in rows if row.scope == "METADATA"]
    return sorted({*named, *embedding_segments(database)})


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
