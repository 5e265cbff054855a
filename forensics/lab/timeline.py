"""The timeline of a store in figures and tables: when, in which order of writes, and for which releases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forensics.chronicle import EXPLAINED, Chronicle, spans
from forensics.collection import UUID
from forensics.lab.picture import INDEXED, INK, MISSING, PENDING, Picture, axes, in_words, legend
from forensics.lab.sheet import Table
from forensics.report.plain import counted, number, visible
from forensics.report.timeline import place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN = 18
"""Events that one figure has room for: the last of them."""


def events(told: Chronicle) -> Table:
    """Every event: when or where in the sequence, what, and whether it was observed or inferred."""
    rows = tuple((at, place(one), one.kind, one.source, visible(one.what)) for at, one in enumerate(told, 1))
    columns = ("no.", "when, UTC", "kind", "source", "what")
    return Table(columns, rows, "The store tells of nothing that has a time.")


def touched(told: Chronicle) -> Table:
    """Releases that have written in the store, inferred from the forms that they left."""
    rows = tuple((one.releases, one.why) for one in told.touched)
    return Table(
        ("some release of", "has written, because"), rows, "No form in the store tells who wrote it."
    )


def openings(told: Chronicle) -> Table:
    """Releases that can open the store, of those that were tried; neighbours that are alike in one row."""
    rows = tuple((one.releases, one.outcome, EXPLAINED[one.outcome], one.why) for one in spans(told.openings))
    return Table(("release", "with this store", "", "why"), rows)


def along_time(told: Chronicle) -> Picture:
    """The dated events, a line each, against their time; the numbers are those of the table."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    dated = [(at, one, moment) for at, one in enumerate(told, 1) if (moment := _moment(one.when))]
    drawn = dated[-DRAWN:]
    if not drawn:
        return in_words("No event has a date.")
    figure, made = axes(8, 1.0 + 0.3 * len(drawn))
    places = [float(date2num(moment)) for *_, moment in drawn]
    middle = (places[0] + places[-1]) / 2
    for row, (at, one, _) in enumerate(drawn):
        _mark(made, places[row], row, one.kind)
        _beside(made, places[row], row, f"{at}  {_brief(one.what)}", right=places[row] <= middle)
    locator = AutoDateLocator(maxticks=7)
    made.xaxis.set_major_locator(locator)
    made.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    made.set_yticks([])
    made.set_ylim(len(drawn) - 0.4, -0.6)
    made.margins(x=0.06)
    legend(made)
    left = f", the last {DRAWN} of {len(dated)}" if len(dated) > DRAWN else ""
    return Picture(
        f"{counted(len(drawn), 'dated event')}{left}, from {drawn[0][1].when} to {drawn[-1][1].when}", figure
    )


def _moment(when: str) -> datetime | None:
    """The time of an event; of a day alone its beginning."""
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            return datetime.strptime(when, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _mark(made: Axes, place: float, row: int, kind: str) -> None:
    """A full disc for what was observed, a hollow diamond for what was inferred."""
    if kind == "observed":
        made.plot(place, row, "o", color=INDEXED, markersize=7, label=kind)
    else:
        made.plot(place, row, "D", color=MISSING, markerfacecolor="white", markersize=7, label=kind)


def _beside(made: Axes, place: float, row: int, text: str, *, right: bool) -> None:
    made.annotate(
        text,
        (place, row),
        (9 if right else -9, 0),
        textcoords="offset points",
        va="center",
        ha="left" if right else "right",
        color=INK,
        fontsize=8,
    )


def _brief(text: str, most: int = 88) -> str:
    said = UUID.sub(lambda match: f"{match[0][:8]}…", visible(text))
    return said if len(said) <= most else f"{said[: most - 1]}…"


def along_sequence(told: Chronicle) -> Picture:
    """The events that have a place in the sequence of writes: what the queue still holds, and gaps that records left."""
    placed = [(at, one, one.sequence) for at, one in enumerate(told, 1) if one.sequence is not None]
    if not placed:
        return in_words("No event has a place in the sequence of writes.")
    figure, made = axes(8, 1.0 + 0.42 * len(placed))
    top = max(last for *_, (_, last) in placed)
    for row, (at, one, (first, last)) in enumerate(placed):
        colour, hatch = (PENDING, "") if one.kind == "observed" else (MISSING, "//")
        width = max(last - first + 1, top / 250)
        made.barh(
            row,
            width,
            left=first - 0.5,
            height=0.55,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            label=one.kind,
        )
        right = first + width < 0.5 * top
        _beside(
            made, first + width if right else first, row, f"{at}  {number(first)} … {number(last)}", right=right
        )  # fmt: skip
    made.set_xlim(0, top * 1.02 + 1)
    made.set_yticks([])
    made.set_ylim(len(placed) - 0.4, -0.6)
    made.set_xlabel("sequence id")
    legend(made)
    said = "; ".join(f"{_brief(one.what, 60)} {number(a)} … {number(b)}" for _, one, (a, b) in placed[:3])
    return Picture(f"{counted(len(placed), 'event')} along the sequence: {said}", figure)
