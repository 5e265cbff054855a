"""What the controls of the repair panel are made of."""

from __future__ import annotations

import ipywidgets as w

NATURAL = {"description_width": "initial"}


def layout(width: str = "auto", **more: str) -> w.Layout:
    return w.Layout(width=width, **more)


def text(label: str, hint: str, tip: str, value: str = "", width: str = "34em") -> w.Text:
    """A field for one line."""
    return w.Text(
        value=value, description=label, placeholder=hint, tooltip=tip, style=NATURAL, layout=layout(width)
    )


def check(label: str, tip: str, *, value: bool = False) -> w.Checkbox:
    """A box that stands at the left margin and is as wide as its words."""
    return w.Checkbox(value=value, description=label, tooltip=tip, indent=False, layout=layout())


def button(label: str, icon: str, tip: str, *, style: str = "", disabled: bool = False) -> w.Button:
    """A button with a word, an icon and an explanation."""
    wide = layout(min_width="11em")
    return w.Button(
        description=label, icon=icon, tooltip=tip, button_style=style, disabled=disabled, layout=wide
    )


def listed(value: str) -> tuple[str, ...]:
    """The parts of a comma-separated field."""
    return tuple(part.strip() for part in value.split(",") if part.strip())
