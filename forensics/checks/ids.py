"""Ids of SQLite, of the id map, of level 0 and of the queue against one another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.breakdown import by_metadata, by_prefix
from forensics.checks import ids_documents as ids_documents
from forensics.checks import ids_vectors as ids_vectors
from forensics.checks.causes import explain, position_of
from forensics.checks.causes_ids import explain_ghosts
from forensics.checks.idmap_labels import flagged_records
from forensics.checks.places import examples, in_segment, in_table, needed, records_of
from forensics.checks.registry import check, finding
from forensics.checks.returning import returning_ids
from forensics.checks.survivors import remedy_for, tally
from forensics.model import Finding, Json, Remedy
from forensics.readers.layout import ID_MAP_FILE
from forensics.records import Records
from forensics.sources import find_sources
from forensics.store import Collection
from forensics.words import counted


@check("CF501", needs=("id_sets",))
def ids_missing_from_index(collection: Collection) -> Iterator[Finding]:
    """Records that SQLite holds, and for which neither the index nor the queue has a vector that can be
    reached.

    Those whose element is only flagged deleted, or stands behind the last one that header.bin counts, are
    left to CF411 and CF303. Where the id map is lost, only the number of records is known for which level 0
    has too few elements.
    """
    records = records_of(collection)
    if not records.known:
        yield from _shortfall(collection, records)
        return
    missing = records.missing & ~flagged_records(collection) & ~ids_vectors.behind_the_count(collection)
    if missing.any():
        yield _missing(collection, records, missing)


def _missing(collection: Collection, records: Records, missing: np.ndarray) -> Finding:
    ids, count = records.ids(missing), int(missing.sum())
    sources = find_sources(collection, ids)
    position = position_of(collection, missing)
    return finding(
        "CF501",
        collection,
        count=count,
        unit="records",
        expected={"indexed_or_pending": len(records)},
        found={
            "indexed": int(records.indexed.sum()),
            "pending": int(records.pending.sum()),
            "missing": count,
            "mapped_without_vector": int((records.labels[missing] >= 0).sum()),
            "sequence": position.to_json(),
            "vectors": tally(sources),
            **_broken_down(collection, records, missing, ids),
            "examples": examples(ids),
        },
        where=(
            in_table(
                "embeddings", f"rowid {position.first_row} to {position.last_row}, {counted(count, 'rows')}"
            ),
            in_segment(collection, ID_MAP_FILE),
        ),
        means=f"No search finds {'this record' if count == 1 else f'these {count} records'}, and every call that asks for "
        f"{'its vector' if count == 1 else 'one of their vectors'} "
        "(peek, "
        "get with embeddings, a filtered query) fails as a whole with 'Error finding id'.",
        remedy=remedy_for(collection, ids, action="add-missing-vectors", sources=sources),
        causes=explain(collection, missing, position),
        lists={"ids": ids, "rowids": records.rows.rowids[missing]},
    )


def _broken_down(
    collection: Collection, records: Records, missing: np.ndarray, ids: list[str]
) -> dict[str, Json]:
    by_key = by_metadata(collection.database, records.rows.rowids[missing].tolist())
    return {
        "by_prefix": by_prefix(ids, records.rows.ids).to_json(),
        "by_metadata": {key: groups.to_json() for key, groups in by_key.items()},
    }


def _shortfall(collection: Collection, records: Records) -> Iterator[Finding]:
    """With the id map lost: more records need an element than level 0 has live ones."""
    lacking = ids_vectors.shortfall(collection)
    if lacking <= 0:
        return
    need = int((~records.pending).sum())
    yield finding(
        "CF501",
        collection,
        count=lacking,
        unit="records",
        expected={"live_elements": need},
        found={
            "live_elements": need - lacking,
            "pending": int(records.pending.sum()),
            "missing_at_least": lacking,
        },
        where=(in_table("embeddings", f"{counted(need, 'rows')} that need an element"),),
        means=f"Of at least {counted(lacking, 'records')} the index has no vector, whatever the lost id map said; "
        "which ones "
        "can only be said once it is rebuilt.",
        remedy=Remedy(action="add-missing-vectors", safety="lossy", loses=lacking),
        confidence="likely",
    )


@check("CF502", needs=("records",))
def ids_pending(collection: Collection) -> Iterator[Finding]:
    """Records whose vector the queue still has to bring to the index: healthy lag."""
    records = records_of(collection)
    ids = records.ids(records.pending)
    if not ids:
        return
    yield finding(
        "CF502",
        collection,
        count=len(ids),
        unit="records",
        expected="nothing: this is healthy",
        found={
            "pending": len(ids),
            "sync_threshold": collection.settings.sync_threshold,
            "examples": examples(ids),
        },
        where=(in_table("embeddings_queue", f"rows above seq_id {collection.vector_watermark}"),),
        means="The next open brings these vectors into the index; until the next flush the queue is "
        "their only copy.",
        remedy=Remedy(action="none", safety="safe"),
        lists={"ids": ids},
    )


@check("CF503", needs=("records",))
def ids_missing_from_sqlite(collection: Collection) -> Iterator[Finding]:
    """Ids that the index holds and SQLite does not, and that no pending row explains; and those that a pending row
    will bring into the index although SQLite has applied it and holds no record of them any more.
    """
    records = records_of(collection)
    returning = returning_ids(collection)
    ghosts = tuple(sorted({*records.ghosts, *returning}))
    if not ghosts:
        return
    queued = (
        needed(collection.queue.rows(ids=ghosts))
        if collection.database.tables >= {"embeddings_queue"}
        else []
    )
    kept = {row.id for row in queued if row.vector_bytes is not None}
    yield finding(
        "CF503",
        collection,
        count=len(ghosts),
        unit="ids",
        expected="a record for every id in the index",
        found={"ids": examples(ghosts), "still_in_queue": len(kept)}
        | ({"with_the_next_flush": len(returning)} if returning else {}),
        where=(in_segment(collection, ID_MAP_FILE),),
        means="A search can return these ids, without document and without metadata. They are either "
        "deletes that "
        "never reached the index, or records whose rows are lost.",
        remedy=Remedy(action="quarantine-ghosts", safety="lossy", loses=len(ghosts)),
        causes=explain_ghosts(collection),
        lists={"ids": ghosts},
    )
