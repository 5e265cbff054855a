"""What a plan needs of disk, memory and time beside what is free, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Any


def room_sentence(plan: Mapping[str, Json], *, beside_free: bool = True) -> str:
    """`Needs about 1.2 GB of 54 GB free on the disk, 900 MB of 20 GB of memory, 3 minutes.`; empty without such figures.

    Without `beside_free` only what it needs, which is the same wherever it is planned.
    """
    room = plan.get("room")
    if not room or not room["needs"]["disk"]:
        return ""
    needs, free = room["needs"], room["free"]
    if not beside_free:
        alone = f"Needs about {size(needs['disk'])} on the disk, {size(needs['memory'])} of memory"
        return f"{alone}, {minutes(needs['seconds'])}."
    text = (
        f"Needs about {size(needs['disk'])} of {size(free['disk'])} free on the disk, {_memory(needs, free)},"
        f" {minutes(needs['seconds'])}."
    )
    return " ".join([text, *_short(needs, free)])


def _memory(needs: Mapping[str, Json], free: Mapping[str, Json]) -> str:
    of = "" if free["memory"] is None else f" of {size(free['memory'])}"
    return f"{size(needs['memory'])}{of} of memory"


def _short(needs: Mapping[str, Json], free: Mapping[str, Json]) -> Iterator[str]:
    """What does not fit, and what is done then."""
    if needs["disk"] > free["disk"]:
        yield "That room is not there: nothing is written; --to DIR puts a repaired copy on another disk, and apply"
        yield "--in-place UNDOFILE changes the index where it stands, with an undo file on another disk."
    if free["memory"] is not None and needs["memory"] > free["memory"]:
        yield "That memory is not there: --add mapped adds on memory-mapped files; an index can be built on another machine."


def size(count: int) -> str:
    """`1.2 GB`, `900 MB`, `40 kB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            value = count / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:,.0f} {name}"
    return f"{count} bytes"


def minutes(seconds: float) -> str:
    """`under a minute`, `about 3 minutes`, `about 2 hours`."""
    if seconds < 60:
        return "under a minute"
    if seconds < 5400:
        whole = max(1, round(seconds / 60))
        return f"about {whole} minute{'' if whole == 1 else 's'}"
    return f"about {max(1, round(seconds / 3600))} hours"
