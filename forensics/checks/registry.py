"""Which checks there are, what each needs, and how a finding is made from the catalogue.

A check is a short pure function `(Store) -> Iterator[Finding]` or `(Collection) -> Iterator[Finding]`, registered under
the code it reports. It compares; measuring is done by the cached properties of the views it declares in `needs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from forensics.absent import Absent, NotApplicable
from forensics.checks.doubt import heard
from forensics.codes import lookup
from forensics.model import Cause, Confidence, Finding, Place, Remedy, Severity
from forensics.readers.layout import LEVEL0_FILE
from forensics.store import Collection, Store

Scope = Literal["store", "collection"]
View = Store | Collection
CheckFunction = Callable[[Any], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """A registered check; `run` says whether it belongs to the default, the deep or the embedder run.

    looks: what it reads beside its needs; where that is absent, it is not clean, however little it found elsewhere.
    """

    code: str
    scope: Scope
    needs: tuple[str, ...]
    run: str
    function: CheckFunction
    looks: tuple[str, ...] = ()


class CannotLook(Exception):
    """Raised by a check that learns on its way that it cannot look here: it is skipped, with this reason."""


CHECKS: dict[str, Check] = {}


def check(
    code: str, *, scope: Scope = "collection", needs: Sequence[str] = (), looks: Sequence[str] = ()
) -> Callable[[CheckFunction], CheckFunction]:
    """Registers a function as the check of `code`; `needs` and `looks` name entries of NEEDS."""

    def register(function: CheckFunction) -> CheckFunction:
        CHECKS[code] = Check(code, scope, tuple(needs), lookup(code).run, function, tuple(looks))
        return function

    return register


def finding(
    code: str,
    view: View,
    *,
    count: int,
    unit: str,
    expected: Any,
    found: Any,
    where: Sequence[Place],
    means: str,
    remedy: Remedy,
    confidence: Confidence = "certain",
    severity: Severity | None = None,
    causes: Sequence[Cause] = (),
    lists: Mapping[str, Sequence[Any] | np.ndarray] | None = None,
) -> Finding:
    """A finding with the name and severity of the catalogue; `severity` only where a check knows it better."""
    row = lookup(code)
    return Finding(
        code=code,
        name=row.name,
        severity=severity or row.severity,  # pyright: ignore[reportArgumentType]
        confidence=confidence,
        collection=view.name if isinstance(view, Collection) else None,
        count=int(count),
        unit=unit,
        expected=expected,
        found=found,
        where=tuple(where),
        means=means,
        remedy=remedy,
        causes=tuple(causes),
        lists={name: _as_sequence(values) for name, values in (lists or {}).items()},
    )


def _as_sequence(values: Sequence[Any] | np.ndarray) -> Sequence[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else values


def _database(store: Store) -> Any:
    return store.database


def _of_segment(attribute: str) -> Callable[[Collection], Any]:
    """A view of the files of a persisted segment; a stub or an absent one has none, which is no fault of the check."""

    def get(collection: Collection) -> Any:
        segment = collection.vector
        if isinstance(segment, Absent):
            return NotApplicable(segment.reason)
        if segment.state != "persisted":
            return NotApplicable(f"the segment is {segment.state}: it never was persisted")
        return getattr(segment if attribute == "id_map" else segment.files, attribute)

    return get


def _segment(collection: Collection) -> Any:
    segment = collection.vector
    return NotApplicable(segment.reason) if isinstance(segment, Absent) else segment


def _cannot_be_cut(collection: Collection) -> Absent | None:
    """Why level 0 cannot be cut into elements although its bytes are there: the header is lost, the vectors are not."""
    segment = collection.vector
    if (
        isinstance(segment, Absent)
        or segment.state != "persisted"
        or isinstance(segment.facts[LEVEL0_FILE], Absent)
    ):
        return None
    summary = segment.files.summary
    return summary if isinstance(summary, Absent) else None


def _records(collection: Collection) -> Any:
    """The join, where the id map that it stands on can be read (or nothing was ever persisted), and level 0 be cut."""
    records = collection.records
    uncut = _cannot_be_cut(collection)
    if uncut is not None:
        return uncut
    if isinstance(records, Absent) or records.known:
        return records
    return Absent(records.unknown_reason)


def _id_sets(collection: Collection) -> Any:
    """The join, also where the id map is lost but level 0 has fewer live elements than records need."""
    records, segment, uncut = collection.records, collection.vector, _cannot_be_cut(collection)
    if uncut is not None:
        return uncut
    if isinstance(records, Absent) or records.known or isinstance(segment, Absent):
        return records
    summary = segment.files.summary
    if isinstance(summary, Absent):
        return Absent(records.unknown_reason)
    live = int((summary.live & (summary.labels >= 1)).sum())
    return records if int((~records.pending).sum()) > live else Absent(records.unknown_reason)


NEEDS: dict[str, Callable[[Any], Any]] = {
    "database": _database,  # store checks
    "segment": _segment,  # the VectorSegment, whatever its state
    "header": _of_segment("header"),  # a persisted segment's header, sound or not
    "geometry": _of_segment("geometry"),  # the same where its fields agree
    "level0": _of_segment("level0"),
    "summary": _of_segment("summary"),  # labels, flags, link counts
    "lengths": _of_segment("lengths"),
    "links": _of_segment("links"),  # the walk of link_lists.bin
    "id_map": _of_segment("id_map"),
    "rows": lambda collection: collection.rows,
    "records": _records,
    "id_sets": _id_sets,
    "testimony": heard,  # what the user's embedder says of the stored vectors
    "pending_rows": lambda collection: collection.pending_rows,
    "queue": lambda collection: collection.queue.extent(),
}


def unmet(check: Check, view: View) -> Absent | None:
    """The first of the check's needs that is absent, or None."""
    return _first_absent(check.needs, view)


def unseen(check: Check, view: View) -> Absent | None:
    """The first of what the check looks at beside its needs that is absent, or None."""
    return _first_absent(check.looks, view)


def _first_absent(names: Sequence[str], view: View) -> Absent | None:
    values = (NEEDS[name](view) for name in names)
    return next((value for value in values if isinstance(value, Absent)), None)
