"""The timeline of a store as text, as HTML and as events of the report; made from its JSON, shared by all views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forensics.chronicle import EXPLAINED, Chronicle, Span, spans
from forensics.compatibility import Opening
from forensics.history import Event
from forensics.report.plain import visible, wrapped
from forensics.report.render import environment, style
from forensics.report.timeline import place, told_events
from forensics.touched import Touch

Json = Any
INDENT = 26


def opening_rows(data: Mapping[str, Json] | None) -> tuple[tuple[str, str, str, str], ...]:
    """(releases, outcome, what that means, why), a row for neighbours that are alike."""
    rows = (data or {}).get("openings", ())
    found = spans([Opening(row["release"], row["outcome"], row["why"]) for row in rows])
    return tuple((span.releases, span.outcome, EXPLAINED[span.outcome], span.why) for span in found)


def touched_rows(data: Mapping[str, Json] | None) -> tuple[tuple[str, str], ...]:
    """(releases, what tells it)."""
    return tuple((row["releases"], row["why"]) for row in (data or {}).get("touched", ()))


def html(told: Chronicle) -> str:
    """Three tables: events, releases that have touched the store, releases that can open it."""
    data = told.to_json()
    return (
        environment()
        .get_template("chronicle.html.j2")
        .render(
            style=style(), timeline=told_events(data), touched=touched_rows(data), openings=opening_rows(data)
        )
    )


def text(told: Chronicle) -> str:
    """The same for a terminal."""
    data = told.to_json()
    blocks = [
        "\n".join(["What happened, UTC", *(_event_line(event) for event in told_events(data))]),
        "\n".join(["Releases that have touched it (inferred)", *map(_touch_line, told.touched)]),
        "\n".join(["Releases that can open it, of those tried", *map(_span_line, spans(told.openings))]),
    ]
    return "\n\n".join(blocks)


def _event_line(event: Event) -> str:
    return _line(place(event), f"{event.what} [{event.kind}: {event.source}]")


def _touch_line(touch: Touch) -> str:
    return _line(touch.releases, touch.why)


def _span_line(span: Span) -> str:
    return _line(span.releases, f"{EXPLAINED[span.outcome]}{f': {span.why}' if span.why else ''}")


def _line(left: str, right: str) -> str:
    return wrapped(visible(right), " " * INDENT, f"  {left:<{INDENT - 2}}")
