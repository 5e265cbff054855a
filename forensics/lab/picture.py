"""A figure that says in words what it shows: for screen readers, for terminals, and for tests that compare."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INDEXED, PENDING, MISSING, GREY, INK = "#2f6f9f", "#7fb3d5", "#c2410c", "#8b949e", "#1b1f24"
"""The colours of the report; told apart by colour-blind eyes, and never without a word or a hatch beside them."""
DPI = 144
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "forensics",
}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A matplotlib figure and what is to be seen in it. In a notebook it shows itself; `save` keeps it."""

    says: str
    figure: Figure = field(repr=False)

    def __repr__(self) -> str:
        return f"Picture: {self.says}"

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        width = round(self.figure.get_figwidth() * 96)
        return {"text/plain": repr(self), "image/png": self.png()}, {
            "image/png": {"width": width, "alt": self.says}
        }

    def png(self) -> bytes:
        """The picture as PNG, twice as fine as it is shown; the same bytes for the same data."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        return buffer.getvalue()

    def save(self, path: str) -> None:
        """Kept in a file; the ending says how (png, svg, pdf)."""
        self.figure.savefig(path, dpi=DPI)


def axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of that size in inches, with one bare system of axes; no window and no global state."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(cast(Any, STYLE)):
        figure = Figure(figsize=(width, height), layout="constrained")
        made = figure.add_subplot()
    for side in ("top", "right"):
        made.spines[side].set_visible(False)
    return figure, made


def in_words(text: str) -> Picture:
    """What cannot be drawn, said."""
    figure, made = axes(8, 0.6)
    made.set_axis_off()
    made.text(0, 0.5, text, ha="left", va="center", color=INK)
    return Picture(text, figure)


def legend(made: Axes) -> None:
    """One entry per name above the axes; none where nothing is named."""
    handles, names = made.get_legend_handles_labels()
    found = dict(zip(names, handles, strict=True))
    if found:
        made.legend(
            found.values(),
            found.keys(),
            ncols=4,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            frameon=False,
            fontsize=9,
        )
