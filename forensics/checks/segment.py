"""The files of the vector segment: whether they are there, whole, and what each field says of the others."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent, present
from forensics.checks.places import examples, segment_of
from forensics.checks.registry import check, finding
from forensics.model import Finding, Place, Remedy
from forensics.readers.id_map import BadIdMap
from forensics.readers.layout import LEVEL0_FILE, SEGMENT_FILES
from forensics.store import Collection, VectorSegment


@check("CF301", needs=("segment", "rows"))
def segment_missing(collection: Collection) -> Iterator[Finding]:
    """No directory, or none of the files that could hold vectors, under a collection that has records."""
    segment, records = segment_of(collection), collection.records
    if isinstance(records, Absent) or not len(records) or has_index(segment):
        return
    missing = records.missing
    if was_persisted(collection) or missing.any():
        yield finding(
            "CF301",
            collection,
            count=len(records),
            unit="records",
            expected={"files": list(SEGMENT_FILES), "watermark": _watermark(collection)},
            found={
                "state": segment.state,
                "files": [name for name in SEGMENT_FILES if present(segment.facts[name])],
                "pending": int(records.pending.sum()),
                "missing": int(missing.sum()),
                "examples": examples(records.ids(missing)),
            },
            where=(Place(file=segment.relative),),
            means=_missing_means(int(missing.sum()), len(records)),
            remedy=Remedy(
                action="rebuild-segment",
                safety="lossy" if missing.any() else "safe",
                loses=int(missing.sum()),
            ),
            lists={"ids": records.ids(missing), "pending": records.ids(records.pending)},
        )


def _missing_means(missing: int, records: int) -> str:
    if missing:
        return (
            f"The index of {records} records is gone. The queue still holds the vectors of {records - missing}; "
            f"the next open makes an index of these alone and no search finds the other {missing}."
        )
    return (
        f"The index of {records} records is gone, but the queue still holds all of their vectors. "
        "Do not open the store: the first open may purge them before they are written."
    )


def has_index(segment: VectorSegment) -> bool:
    """True where the segment still holds something that an index can be read from."""
    if segment.state != "persisted":
        return False
    level0, header = segment.facts[LEVEL0_FILE], segment.files.header
    lost_map = isinstance(segment.id_map, BadIdMap) and segment.id_map.kind == "missing"
    if isinstance(level0, Absent) or level0.size == 0:
        return not lost_map
    return not (lost_map and not isinstance(header, Absent) and header.cur_element_count == 0)


def was_persisted(collection: Collection) -> bool:
    """True where SQLite remembers that the vector segment has been flushed: its watermark is there and above 0."""
    return bool(_watermark(collection))


def _watermark(collection: Collection) -> int | None:
    row = collection.vector_watermark_row
    return None if isinstance(row, Absent) else row.value
