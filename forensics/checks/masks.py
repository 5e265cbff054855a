"""What necessarily follows from what: a masked check is not run, and its code is listed in the finding's `follows`.

Listed there as well is what a check could not have seen beside the finding, although it ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forensics.absent import Absent
from forensics.checks.registry import NEEDS, Check, View
from forensics.codes import catalogue
from forensics.model import Finding
from forensics.store import Collection


def _span(first: str, last: str) -> tuple[str, ...]:
    return tuple(code for code in catalogue() if first <= code <= last)


_ROWS_NEEDED = (
    *_span("CF106", "CF112"),
    *_span("CF201", "CF214"),
    *_span("CF501", "CF505"),
    *_span("CF701", "CF708"),
    *_span("CF801", "CF813"),
)
_DATABASE_NEEDED = (*_span("CF006", "CF008"), "CF103", "CF105", "CF107", *_ROWS_NEEDED)
_ID_MAP_LOST = (*_span("CF406", "CF412"), "CF206", "CF309", "CF310", "CF502", "CF503", "CF504", "CF505")

MASKS: dict[str, tuple[str, ...]] = {
    "CF001": tuple(
        code for code in catalogue() if code not in ("CF001", "CF010", "CF011") and not code.startswith("CF9")
    ),
    "CF002": tuple(code for code in catalogue() if code[:3] in ("CF1", "CF2", "CF8"))
    + _span("CF006", "CF008"),
    "CF003": (*_DATABASE_NEEDED, "CF101", "CF102", "CF104"),
    "CF101": (*_DATABASE_NEEDED, "CF102", "CF104"),
    "CF102": (*_span("CF006", "CF008"), "CF107", *_ROWS_NEEDED),
    "CF104": (*_DATABASE_NEEDED, "CF102"),
    "CF110": tuple(code for code in catalogue() if code[:3] in ("CF3", "CF4", "CF5", "CF6")),
    "CF301": (*_span("CF302", "CF312"), *_span("CF401", "CF412"), "CF504", "CF505", *_span("CF601", "CF609")),
    "CF302": ("CF204", "CF304", "CF305", "CF306", "CF307", "CF311"),
    "CF303": (
        "CF204",
        "CF304",
        "CF305",
        "CF306",
        "CF307",
        "CF308",
        "CF311",
        "CF408",
        "CF409",
        "CF410",
        "CF411",
        *_span("CF601", "CF609"),
    ),
    "CF304": ("CF204", "CF408"),
    "CF306": ("CF605", "CF606"),
    "CF401": (*_ID_MAP_LOST, *_span("CF402", "CF405")),
    "CF402": (*_ID_MAP_LOST, *_span("CF403", "CF405")),
    "CF403": (*_ID_MAP_LOST, "CF404", "CF405"),
    "CF404": (*_ID_MAP_LOST, "CF405"),
    "CF405": _ID_MAP_LOST,
    "CF811": ("CF504", "CF608", "CF706"),
    **dict.fromkeys(("CF601", "CF602", "CF603", "CF605", "CF609"), ("CF606",)),
}

_ROWS = ("CF101", "CF102", "CF104", "CF110")
_FILES = ("CF302", "CF303", "CF304")
_INDEX = ("CF110", "CF301")
_ID_MAP = _span("CF401", "CF405")

EXPLAINS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("header", "geometry", "level0", "summary", "lengths", "links"), (*_FILES, *_INDEX)),
    "id_map": (*_ID_MAP, *_INDEX),
    **dict.fromkeys(("records", "id_sets"), (*_ID_MAP, *_FILES, *_ROWS, "CF301")),
    **dict.fromkeys(("rows", "segment"), _ROWS),
}
"""need → the codes that say why it is absent. A check that lacks it is then masked by that finding, not skipped.

What may not be read (CF010) or is no file (CF011) is not among them: what it holds was not examined.
"""

_VECTORS = ("CF704", "CF705", "CF706")
_DIMENSION = ("CF808", "CF809")
_QUEUED = ("CF207", "CF208", "CF209", "CF211")
_APPLIED = (*_QUEUED, "CF809")

OBSCURES: dict[str, tuple[str, ...]] = {
    "CF110": _span("CF201", "CF214"),  # whose watermarks these are is said by the rows that are gone
    "CF202": _QUEUED,  # what was waiting, or waited for nothing, was emptied with the rest
    "CF203": (*_APPLIED, "CF212"),  # what is at or below a watermark is not looked at as waiting
    "CF204": _APPLIED,
    "CF301": _DIMENSION,
    "CF302": ("CF303", *_DIMENSION),  # no other file to hold the header against
    "CF303": _DIMENSION,  # nor the collection's dimension
    "CF304": ("CF409", "CF410", "CF411", "CF412", "CF504", "CF505", "CF601", "CF602", "CF604", *_VECTORS),
    "CF306": (
        "CF311",
        "CF601",
        "CF602",
        "CF603",
        "CF604",
    ),  # of link_lists.bin only what is before the break is seen
    "CF310": ("CF407",),  # one number: it cannot be too high and show that it was too low
    "CF405": ("CF403",),  # what is no pickle has no end either
    "CF412": ("CF303", "CF409", "CF411"),  # which id an element belongs to is said by its label alone
}
"""code → what may be there as well and cannot be seen beside it: such a check that found nothing is not clean."""


def masking(code: str, view: View, findings: Iterable[Finding]) -> Finding | None:
    """The finding for whose sake this check need not run."""
    return _first(code, MASKS, view, findings)


def obscuring(code: str, view: View, findings: Iterable[Finding]) -> Finding | None:
    """The finding beside which this check may have seen nothing although something is there."""
    return _first(code, OBSCURES, view, findings)


def _first(
    code: str, table: dict[str, tuple[str, ...]], view: View, findings: Iterable[Finding]
) -> Finding | None:
    return next((found for found in _about(view, findings) if code in table.get(found.code, ())), None)


def explanation(check: Check, view: View, findings: Iterable[Finding]) -> Finding | None:
    """The finding that says why something is absent that the check needs, or that hides the one which would."""
    lacks = [need for need in (*check.needs, *check.looks) if isinstance(NEEDS[need](view), Absent)]
    codes = {code for need in lacks for code in EXPLAINS.get(need, ())}
    told = list(_about(view, findings))
    return next((found for found in told if found.code in codes), None)


def _about(view: View, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Those on the store, and those on this collection."""
    name = view.name if isinstance(view, Collection) else None
    return (found for found in findings if found.collection in (None, name))
