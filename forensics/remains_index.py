"""Where ids and labels that are gone still leave a trace in indexes: of the collections, and in directories beside them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.readers.hnsw import Level0Summary
from forensics.readers.id_map import IdMap
from forensics.remains import EITHER, Trace
from forensics.segment import VectorSegment
from forensics.store import Collection, Store


def of_labels(collection: Collection) -> Iterator[Trace]:
    """Labels that the index gave and that its map has no more; ids that the map has and SQLite does not."""
    id_map, segment = collection.id_map, collection.vector
    if not isinstance(id_map, IdMap) or isinstance(segment, Absent):
        return
    yield from _ghosts(collection)
    summary = segment.files.summary
    if not isinstance(summary, Level0Summary):
        return
    unmapped = ~np.isin(summary.labels.astype(np.int64), id_map.labels()) & (summary.labels > 0)
    flagged, live = (
        int(np.count_nonzero(unmapped & summary.deleted)),
        int(np.count_nonzero(unmapped & ~summary.deleted)),
    )
    counter = id_map.total_elements_added or 0
    beyond = max(0, counter - len(id_map.id_to_label) - flagged - live)
    if flagged + live + beyond == 0:
        return
    elements = flagged + live
    yield Trace(
        kind="label-gaps",
        collection=collection.name,
        count=elements or beyond,
        unit="labels",
        at_least=0,
        at_most=elements + beyond,
        confidence="certain" if elements else "possible",
        fate="deleted or lost",
        proof="These labels stand on elements of level 0, and the id map gives none of them."
        if elements
        else "The id map counts more labels than it has ids and level 0 has elements.",
        means="Each belonged to an id that was deleted, or deleted and added again under a new label, or (where the "
        f"element is not flagged) that the map has lost. {EITHER}",
        found={"flagged_deleted": flagged, "not_flagged": live, "by_the_counter_alone": beyond},
    )


def _ghosts(collection: Collection) -> Iterator[Trace]:
    records = collection.records
    if isinstance(records, Absent) or not records.ghosts:
        return
    yield Trace.of_ids(
        "id-map-remains",
        collection.name,
        records.ghosts,
        proof="The id map gives them a label, SQLite has no record of them, and no delete waits in the queue.",
        means=f"Their metadata and documents are gone from SQLite; their vectors may still stand in the index. {EITHER}",
    )


def of_directories(store: Store) -> Iterator[Trace]:
    """Ids in the maps of directories that no segment names and that are records of no collection."""
    records = {name for one in store.collections for name in one.row_of}
    for segment in store.unreferenced:
        id_map = segment.id_map
        gone = (
            () if not isinstance(id_map, IdMap) else tuple(n for n in id_map.id_to_label if n not in records)
        )
        if gone:
            yield _of_directory(store, segment, gone)


def _of_directory(store: Store, segment: VectorSegment, gone: tuple[str, ...]) -> Trace:
    assert isinstance(segment.id_map, IdMap)
    shared = {c.name: sum(map(c.row_of.__contains__, segment.id_map.id_to_label)) for c in store.collections}
    nearest = max(shared, key=shared.__getitem__, default=None)
    return Trace.of_ids(
        "other-directories",
        nearest if nearest is not None and shared[nearest] else None,
        gone,
        proof=f"The id map in {segment.relative}, which no row of segments names, has them; no collection has a record.",
        means=f"They were in an index once, and their vectors may still stand in that directory. {EITHER}",
        found={"directory": segment.relative, "ids_in_its_map": len(segment.id_map.id_to_label)},
    )
