"""The records in figures and tables: their classes, what is odd about ids, vectors and contents, lengths of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.classes import STATES, Classes
from forensics.codes import catalogue
from forensics.lab.picture import GREY, INDEXED, MISSING, PENDING, Picture, axes, in_words, legend
from forensics.lab.sheet import Table
from forensics.readers.values import values_of
from forensics.report.plain import counted, number, visible

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from forensics.model import Diagnosis, Finding
    from forensics.store import Collection

CODES = ("CF503", "CF504", "CF505", "CF701", "CF702", "CF703", "CF704", "CF705", "CF706", "CF707", "CF708")
"""What can be odd about a record: its id, its vector, its content."""
LOOKS = (
    (INDEXED, ""),
    (PENDING, ".."),
    ("#5b8c3a", ""),
    (MISSING, "//"),
    ("#7c2d12", "xx"),
    ("#6b4c9a", "\\\\"),
    (GREY, ""),
    ("white", "xx"),
)
"""Colour and hatch of each of STATES."""
GROUPS = 14


def classes(collection: Collection | None, *, pattern: str | None = None) -> Classes | str:
    """Every id of the collection by what is left of it; or why that cannot be said."""
    import forensics as fx
    from forensics.errors import CannotComplete

    if collection is None:
        return "The database names no collection that could be looked at."
    try:
        return fx.classify(collection.store, collection=collection.id, id_pattern=pattern)
    except CannotComplete as error:
        return str(error)


def states(found: Classes | str) -> Table:
    """How many ids are in which state, and from where vectors can be attached again."""
    if isinstance(found, str):
        return Table((), (), found)
    rows = [(name, count, _percent(count, len(found))) for name, count in found.counts().items()]
    rows += [(f"    of these from: {kind}", count, "") for kind, count in found.places().items()]
    return Table(("state", "ids", "share"), tuple(rows), "The collection names no id.")


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def by_prefix(found: Classes | str) -> Picture:
    """A bar per prefix of the ids, divided by state."""
    return in_words(found) if isinstance(found, str) else _divided(found.by_prefix(), "prefix")


def by_metadata(found: Classes | str, key: str | None) -> Picture:
    """A bar per value of that metadata key, divided by state."""
    if isinstance(found, str):
        return in_words(found)
    if key is None:
        return in_words("No record has metadata.")
    return _divided(found.by_metadata(key), key)


def keys(collection: Collection | None, most: int = 50) -> list[str]:
    """The metadata keys of the collection's records, Chroma's own left out; found by a look at the first of them."""
    if collection is None or isinstance(collection.rows, Absent) or not len(collection.rows):
        return []
    last = int(collection.rows.rowids[:10_000][-1])
    found = collection.database.rows(
        "SELECT DISTINCT key FROM embedding_metadata WHERE id BETWEEN ? AND ? AND key NOT LIKE 'chroma:%'"
        " ORDER BY key LIMIT ?",
        (int(collection.rows.rowids[0]), last, most),
    )
    return [] if isinstance(found, Absent) else [str(key) for (key,) in found]


def telling(collection: Collection | None, names: list[str]) -> str | None:
    """Of these keys the one with the fewest values, but more than one, in the first records; None without any."""
    if collection is None or isinstance(collection.rows, Absent):
        return None
    rowids = collection.rows.rowids[:10_000]
    counted_values = [(len(values_of(collection.database, name, rowids)[0]), name) for name in names]
    several = [pair for pair in counted_values if pair[0] > 2]  # "" stands for those without it
    return min(several or counted_values, default=(0, None))[1]


def _divided(table: pd.DataFrame, by: str) -> Picture:
    """The largest groups as bars; what is cut off is said."""
    if not len(table):
        return in_words("There is no id to divide.")
    shown = table.head(GROUPS)
    figure, made = axes(8, 1.1 + 0.3 * len(shown))
    left = np.zeros(len(shown))
    for name, (colour, hatch) in zip(STATES, LOOKS, strict=True):
        if name in shown.columns:
            width = shown[name].to_numpy(dtype=float)
            edge = GREY if colour == "white" else "white"
            made.barh(
                range(len(shown)),
                width,
                left=left,
                height=0.7,
                color=colour,
                hatch=hatch,
                edgecolor=edge,
                label=name,
            )
            left += width
    _named(made, [_short(str(name)) for name in shown.index], left)
    rest = len(table) - len(shown)
    made.set_ylabel(_short(by))
    made.set_xlabel("ids" + (f" (and {counted(rest, 'smaller group')} not drawn)" if rest > 0 else ""))
    legend(made)
    first = "; ".join(_group_in_words(shown, at) for at in range(min(3, len(shown))))
    return Picture(
        f"{counted(len(table), 'group')} by {visible(by)}: {first}{' …' if len(table) > 3 else ''}", figure
    )


def _named(made: Axes, names: list[str], ends: np.ndarray) -> None:
    made.set_yticks(range(len(names)), names)
    made.invert_yaxis()
    made.margins(x=0.1)
    for row, end in enumerate(ends.tolist()):
        made.text(end, row, f" {number(int(end))}", va="center", fontsize=8)


def _group_in_words(table: pd.DataFrame, at: int) -> str:
    row = table.iloc[at]
    parts = [f"{number(int(row[name]))} {name}" for name in STATES if name in table.columns and row[name]]
    return f"{_short(str(table.index[at]))}: {', '.join(parts)}"


def _short(text: str, most: int = 28) -> str:
    said = visible(text) or "(none)"
    return said if len(said) <= most else f"{said[: most - 1]}…"


def oddities(diagnosis: Diagnosis, codes: Sequence[str] = CODES) -> Table:
    """Per check (by default those of ids, vectors and contents): what came of it, and the first ids of its finding."""
    found = {finding.code: finding for finding in diagnosis.findings if finding.code in codes}
    outcomes = {check.code: check.outcome for check in diagnosis.checks}
    rows = tuple(
        (
            code,
            catalogue()[code].name,
            outcomes.get(code, "unknown"),
            _count(found.get(code)),
            _first(found.get(code)),
        )
        for code in codes
    )
    return Table(("code", "what is looked for", "outcome", "found", "for example"), rows)


def _count(finding: Finding | None) -> str:
    return "" if finding is None else counted(finding.count, finding.unit)


def _first(finding: Finding | None, most: int = 3) -> str:
    """Ids with their white space visible: quoted as Python would."""
    names = [] if finding is None else [*finding.lists.get("ids", ())][:most]
    return ", ".join(repr(name if isinstance(name, str) else name[0]) for name in names)


def norms(collection: Collection | None) -> Picture:
    """The lengths of the live vectors of the index; under cosine they are 1, and a zero vector has no direction."""
    from forensics.checks.records_vectors import squared_norms

    if collection is None or isinstance(collection.vector, Absent):
        return in_words("There is no index whose vectors could be measured.")
    summary = collection.vector.files.summary
    squares = squared_norms(collection)
    if isinstance(summary, Absent) or not len(squares):
        return in_words("The vectors cannot be read.")
    lengths = np.sqrt(squares[summary.live], dtype=np.float64)
    finite = lengths[np.isfinite(lengths)]
    if not len(finite):
        return in_words("No live vector has a finite length.")
    figure, made = axes(8, 2.2)
    low, high = float(finite.min()), float(finite.max())
    room = max((high - low) * 0.05, 0.02)
    made.hist(finite, np.linspace(low - room, high + room, 60).tolist(), color=INDEXED)
    made.set_yscale("symlog", linthresh=1)
    made.set_xlabel("length of the vector")
    made.set_ylabel("elements")
    zeros, odd = int((finite == 0).sum()), len(lengths) - len(finite)
    return Picture(
        f"{counted(len(lengths), 'live vector')} ({collection.settings.space}), lengths from {low:.3f} to {high:.3f};"
        f" {number(zeros)} of length 0, {number(odd)} not finite",
        figure,
    )
