"""The releases from 1.0 on: one backfill before the first answer, all or nothing, then a purge."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forensics.foretell.disk import Disk
from forensics.foretell.loading import Loading
from forensics.foretell.replay import APPLY, Index, Stuck, records_after


@dataclass(frozen=True, slots=True)
class Process:
    """What a process of 1.x has after its backfill: the index in memory, and the disk that it leaves.

    `error` where the backfill raised; `index` is None where there is nothing to search in. `notes` say what it did.
    """

    disk: Disk
    index: Index | None
    error: str = ""
    why: str = ""
    notes: tuple[str, ...] = ()


def backfilled(disk: Disk, load: Loading, sync_threshold: int) -> Process:
    """The first call of a process: metadata, then vectors, a flush if there were enough rows, then the purge."""
    if load.state == "refused":
        return Process(disk, None, load.error, load.why)
    mark = disk.metadata_mark or 0
    above = [row for row in disk.rows if row.seq_id > mark]
    top = max((row.seq_id for row in above), default=mark)
    after = replace(
        disk, records=records_after(disk, above), metadata_mark=top if above else disk.metadata_mark
    )
    loaded = load.state != "none"
    start = (disk.vector_mark or 0) if loaded else 0
    rows = [row for row in disk.rows if row.seq_id > start]
    if not loaded and not rows:
        purged, told = _purged(after)
        return Process(purged, None, notes=told)
    index, notes = Index(disk, loaded=loaded), _wiped(disk, loaded)
    if not loaded:
        after = Index(disk, loaded=False).onto(after)
    try:
        index.apply(rows)
    except Stuck as stuck:
        return Process(after, index, APPLY, str(stuck), notes)
    if len(rows) >= sync_threshold and rows:
        after = replace(index.onto(after), vector_mark=max(row.seq_id for row in rows))
        notes = (*notes, f"the index is flushed, its watermark becomes {after.vector_mark}")
    purged, told = _purged(after)
    return Process(purged, index, notes=(*notes, *told))


def _wiped(disk: Disk, loaded: bool) -> tuple[str, ...]:
    if loaded or not len(disk.held):
        return ()
    return (f"a new, empty index is begun over the {len(disk.held)} elements of data_level0.bin",)


def _purged(disk: Disk) -> tuple[Disk, tuple[str, ...]]:
    """Rows below the lower of both watermarks go; a watermark that has no row counts 0."""
    lowest = min(disk.metadata_mark or 0, disk.vector_mark or 0)
    gone = sum(row.seq_id < lowest for row in disk.rows) if disk.purges else 0
    if not gone:
        return disk, ()
    kept = tuple(row for row in disk.rows if row.seq_id >= lowest)
    return replace(disk, rows=kept), (f"{gone} rows of the queue below {lowest} are purged",)
