"""The files of the vector segment: is there an index at all, and are its files there."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.absent import Absent, present
from forensics.checks import segment_header as segment_header
from forensics.checks import segment_sizes as segment_sizes
from forensics.checks.places import examples, in_segment, segment_of
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Place, Remedy
from forensics.readers.id_map import BadIdMap
from forensics.readers.layout import (
    BINARY_FILES,
    LENGTH_FILE,
    LEVEL0_FILE,
    LINKS_FILE,
    SEGMENT_FILES,
)
from forensics.records import Records
from forensics.store import Collection, VectorSegment
from forensics.words import counted


@check("CF301", needs=("segment", "rows"))
def segment_missing(collection: Collection) -> Iterator[Finding]:
    """No directory, or none of the files that could hold vectors, under a collection that has records."""
    segment, records = segment_of(collection), collection.records
    if isinstance(records, Absent) or not len(records) or has_index(segment):
        return
    if not was_persisted(collection) and not records.missing.any():
        return
    missing, ids = int(records.missing.sum()), records.ids(records.missing)
    yield finding(
        "CF301",
        collection,
        count=len(records),
        unit="records",
        expected={"files": list(SEGMENT_FILES), "watermark": watermark_row(collection)},
        found={
            "state": segment.state,
            "files": [name for name in SEGMENT_FILES if present(segment.facts[name])],
            "pending": int(records.pending.sum()),
            "missing": missing,
            "examples": examples(ids),
        },
        where=(Place(file=segment.relative),),
        means=_meaning(missing, len(records)),
        remedy=Remedy(action="rebuild-segment", safety="lossy" if missing else "safe", loses=missing),
        causes=_causes(segment, records, watermark_row(collection)),
        lists={"ids": ids, "pending": records.ids(records.pending)},
    )


def _meaning(missing: int, records: int) -> str:
    if missing:
        return (
            f"The index of {counted(records, 'records')} is gone. The queue still brings {records - missing} of their "
            f"vectors; the next open makes an index of these alone, and no search finds the other {missing}."
        )
    return (
        f"The index of {counted(records, 'records')} is gone, but the queue still holds all of their vectors. "
        "Do not open the store: the first open may purge them before they are written."
    )


def _causes(segment: VectorSegment, records: Records, watermark: int | None) -> tuple[Cause, ...]:
    if watermark:
        text = (
            f"max_seq_id says that this segment was flushed up to {watermark}, and its directory is "
            f"{segment.state}"
        )
        name = "directory-removed" if segment.state == "absent" else "index-emptied"
        return (Cause(name=name, confidence="likely", evidence=text),)
    text = (
        f"the segment was never flushed, and the queue brings only {int(records.pending.sum())} of "
        f"{len(records)}"
    )
    return (Cause(name="queue-emptied", confidence="likely", evidence=text),)


def has_index(segment: VectorSegment) -> bool:
    """True where the segment still holds something that an index can be read from."""
    if segment.state != "persisted":
        return False
    level0, header = segment.facts[LEVEL0_FILE], segment.files.header
    map_gone = isinstance(segment.id_map, BadIdMap) and segment.id_map.kind == "missing"
    if isinstance(level0, Absent) or level0.size == 0:
        return not map_gone
    return not (map_gone and not isinstance(header, Absent) and header.cur_element_count == 0)


def watermark_row(collection: Collection) -> int | None:
    """What `max_seq_id` says of the vector segment; None where it has no row for it."""
    row = collection.vector_watermark_row
    return None if isinstance(row, Absent) else row.value


def was_persisted(collection: Collection) -> bool:
    """True where SQLite remembers that the vector segment has been flushed: its watermark is there and above
    0."""
    return bool(watermark_row(collection))


@check("CF302", needs=("segment",))
def segment_file_missing(collection: Collection) -> Iterator[Finding]:
    """One of the four binary files is gone beside the others."""
    segment = segment_of(collection)
    gone = [name for name in BINARY_FILES if not present(segment.facts[name])]
    if not gone or not has_index(segment):
        return
    yield finding(
        "CF302",
        collection,
        count=len(gone),
        unit="files",
        expected=list(BINARY_FILES),
        found={"missing": gone, "present": [name for name in SEGMENT_FILES if present(segment.facts[name])]},
        where=tuple(in_segment(collection, name) for name in gone),
        means=f"Without {', '.join(gone)} the engine cannot load the index: every call fails.",
        remedy=_for_missing(collection, gone),
    )


def _for_missing(collection: Collection, gone: list[str]) -> Remedy:
    """The remedy for the worst of the missing files; without length.bin a cosine index loses its norms."""
    if LEVEL0_FILE in gone:
        return Remedy(action="rebuild-segment", safety="lossy", loses=_lost_with_level0(collection))
    if LENGTH_FILE in gone:
        header = segment_of(collection).files.header
        elements = 0 if isinstance(header, Absent) else header.cur_element_count
        lossy = collection.settings.space == "cosine"
        return Remedy(
            action="restore-lengths", safety="lossy" if lossy else "safe", loses=elements if lossy else 0
        )
    return Remedy(action="rewrite-link-lists" if LINKS_FILE in gone else "rebuild-header", safety="safe")


def _lost_with_level0(collection: Collection) -> int:
    """Records whose vectors stood in level 0 alone."""
    records = collection.records
    return 0 if isinstance(records, Absent) or not records.known else int(records.missing.sum())


@check("CF309", needs=("segment", "rows"))
def stub_segment(collection: Collection) -> Iterator[Finding]:
    """A segment that was made and never flushed: the queue holds what it will hold. Not damage."""
    segment, rows = segment_of(collection), collection.rows
    if segment.state != "stub" or isinstance(rows, Absent):
        return
    sizes = {name: facts.size for name in BINARY_FILES if present(facts := segment.facts[name])}
    yield finding(
        "CF309",
        collection,
        count=1,
        unit="segment",
        expected="nothing: this is healthy",
        found={"sizes": sizes, "records": len(rows), "sync_threshold": collection.settings.sync_threshold},
        where=(Place(file=segment.relative),),
        means=(
            "The index has not been flushed yet; the queue is the only copy of its vectors. Leave it alone."
        ),
        remedy=Remedy(action="none", safety="safe"),
    )
