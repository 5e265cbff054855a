"""The distance space: one in every place that records it, and the one that the vectors were stored for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.config_settings import config_problems
from forensics.checks.places import in_table
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.readers.layout import Header
from forensics.readers.settings import DEFAULTS
from forensics.records import Records
from forensics.store import Collection, VectorSegment

SAMPLE = 20


@check("CF807")
def space_differs(collection: Collection) -> Iterator[Finding]:
    """Places that record the space say different things, or the vectors were built with another one."""
    if config_problems(collection):
        return  # the space in force is then not known (CF811)
    spaces = _spaces(collection)
    built = built_with(collection)
    in_force = collection.settings.space
    misbuilt = built is not None and (built == "cosine") != (in_force == "cosine")
    if len(set(spaces.values())) <= 1 and not misbuilt:
        return
    yield finding(
        "CF807",
        collection,
        count=len(spaces),
        unit="places",
        expected={"space": "cosine" if built == "cosine" else in_force},
        found={"in_force": in_force, "places": spaces, "vectors_built_as": built},
        where=tuple(in_table(_table_of(place), f"space = {space}") for place, space in spaces.items()),
        means=_space_means(in_force, misbuilt=misbuilt),
        remedy=Remedy(action="choose-the-space", safety="manual"),
        confidence="certain" if misbuilt else "likely",
    )


def _space_means(in_force: str, *, misbuilt: bool) -> str:
    if misbuilt:
        return (
            f"Distances are those of {in_force}, but the vectors were stored for another space: wrong ranks."
        )
    return f"Chroma uses {in_force}; somebody asked for another space and may misread the distances."


def _table_of(place: str) -> str:
    return f"collections.{place}" if place.endswith("_str") else place


def _spaces(collection: Collection) -> dict[str, str]:
    """place → space, without a configuration of bare defaults that 1.x itself takes no notice of."""
    settings = collection.settings
    legacy = "segment_metadata" in settings.spaces()
    return {
        place: space
        for place, space in settings.spaces().items()
        if not (
            legacy and place == "config_json_str" and settings.source != place and space == DEFAULTS["space"]
        )
    }


def built_with(collection: Collection) -> str | None:
    """Says "cosine" where stored vectors are queued ones scaled to length 1, "not cosine" if as queued.

    None where no applied queue row with a vector of another length than 1 is left to compare with.
    """
    records, vector = collection.records, collection.vector
    if not isinstance(records, Records) or not isinstance(vector, VectorSegment):
        return None
    pairs = _pairs(collection, records, vector)
    if pairs is None:
        return None
    raw, stored = pairs
    norms = np.linalg.norm(raw, axis=1, keepdims=True)
    telling = (np.abs(norms[:, 0] - 1) > 1e-3) & (norms[:, 0] > 0)
    if not telling.any():
        return None
    raw, stored, norms = raw[telling], stored[telling], norms[telling]
    if np.allclose(stored, raw / norms, atol=1e-5):
        return "cosine"
    return "not cosine" if np.array_equal(stored, raw) else None


def _pairs(
    collection: Collection, records: Records, vector: VectorSegment
) -> tuple[np.ndarray, np.ndarray] | None:
    """(k, dim) queued and stored vectors of the same ids, of the newest rows that were applied."""
    geometry = vector.files.geometry
    applied = _applied_rows(collection)
    if not applied or not isinstance(geometry, Header) or isinstance(vector.files.level0, Absent):
        return None
    positions = {_position(collection, records, name): seq for name, seq in applied.items()}
    found = {at: seq for at, seq in positions.items() if at >= 0 and bool(records.indexed[at])}
    raw = collection.queue.vectors(np.array(list(found.values()), dtype=np.int64), geometry.dim)
    stored = vector.files.vectors(records.elements[np.array(list(found), dtype=np.int64)])
    whole = np.isfinite(raw).all(axis=1)
    return (raw[whole], stored[whole]) if whole.any() else None


def _applied_rows(collection: Collection) -> dict[str, int]:
    """id → seq_id of the newest rows with a vector that the index has applied, of ids with no later row."""
    sql = (
        "SELECT id, max(seq_id) FROM embeddings_queue WHERE topic = ? AND seq_id <= ? AND vector IS NOT NULL"
        " GROUP BY id ORDER BY 2 DESC LIMIT ?"
    )
    found = collection.database.rows(sql, (collection.queue.topic, collection.vector_watermark, SAMPLE))
    rows = [] if isinstance(found, Absent) else found
    return {row[0]: row[1] for row in rows if row[0] not in collection.pending}


def _position(collection: Collection, records: Records, name: str) -> int:
    """The row of `records` that has this id; -1 where there is none."""
    sql = "SELECT id FROM embeddings WHERE segment_id = ? AND embedding_id = ?"
    found = collection.database.rows(sql, (collection.metadata_segment_id, name))
    if isinstance(found, Absent) or not found:
        return -1
    at = int(np.searchsorted(records.rows.rowids, found[0][0]))
    return at if at < len(records) and records.rows.rowids[at] == found[0][0] else -1
