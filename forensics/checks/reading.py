"""Files of the store of which some bytes could not be read: what CF903 says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from forensics.absent import Absent
from forensics.checks.registry import finding
from forensics.model import Cause, Finding, Place, Remedy
from forensics.readers.database import DATABASE
from forensics.readers.sectors import Gap, known_gaps, look
from forensics.store import Collection, Store

SQLITE_SAYS = "disk I/O error"


def read_partial(store: Store, seen: Iterable[Collection]) -> Iterator[Finding]:
    """One finding for all files; nothing where every byte that was asked for could be read.

    `seen`: the collections whose records the diagnosis has read; no others are read for this.
    """
    gaps = {Path(gap.path).relative_to(store.path): gap for gap in _gaps(store, seen)}
    if not gaps:
        return
    unread = sum(gap.present - gap.read for gap in gaps.values())
    yield finding(
        "CF903",
        store,
        count=len(gaps),
        unit="files",
        expected={"unread_bytes": 0},
        found={
            "unread_bytes": unread,
            "files": {
                str(name): {"present": gap.present, "read": gap.read, "first_unread": gap.first}
                for name, gap in gaps.items()
            },
        },
        where=tuple(Place(file=str(name), offset=gap.first) for name, gap in gaps.items()),
        means=f"{unread:,} bytes could not be read: what needs these files was not examined. The disk may be failing: copy "
        "the store first, with a tool that goes on after errors, and diagnose the copy.",
        remedy=Remedy(action="copy-with-a-rescue-tool", safety="manual"),
        causes=(
            Cause(
                name="the disk is failing",
                confidence="likely",
                evidence="; ".join(gap.sentence for gap in gaps.values()),
            ),
        ),
    )


def _gaps(store: Store, seen: Iterable[Collection]) -> Iterator[Gap]:
    """Those that this process was told of, and that of the database, which SQLite reads without a memory map."""
    known = [gap for gap in known_gaps().values() if Path(gap.path).is_relative_to(store.path)]
    yield from known
    database = store.path / DATABASE
    if str(database) not in {gap.path for gap in known} and _sqlite_failed(store, seen):
        gap = look(database)
        if gap is not None:
            yield gap


def _sqlite_failed(store: Store, seen: Iterable[Collection]) -> bool:
    views = [store.database, *(collection.rows for collection in seen)]
    return any(isinstance(view, Absent) and SQLITE_SAYS in view.reason for view in views)
