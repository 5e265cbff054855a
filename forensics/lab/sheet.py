"""Small tables for notebooks: aligned text for terminals and tests, HTML for readers, the same on every run."""

from __future__ import annotations

import html
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.report.plain import visible
from forensics.report.render import style

if TYPE_CHECKING:
    import pandas as pd

Cell = str | int | float | None
WIDTH, MOST = 130, 200
"""Characters of a line of text; rows that are shown."""
NUMBER = ' class="num"'


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` hold one cell per column; numbers stand right, None is shown as nothing. `empty`: said without rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...] = ()
    empty: str = "Nothing."

    def __len__(self) -> int:
        return len(self.rows)

    def frame(self) -> pd.DataFrame:
        """The same as a DataFrame."""
        import pandas as pd

        return pd.DataFrame([list(row) for row in self.rows], columns=list(self.columns))

    def __repr__(self) -> str:
        if not self.rows:
            return self.empty
        shown = [[_text(cell) for cell in row] for row in self.rows[:MOST]]
        widths = [
            max(len(line[at]) for line in [list(self.columns), *shown]) for at in range(len(self.columns))
        ]
        lines = [_line(self.columns, widths, self._right())]
        lines += [_line(row, widths, self._right()) for row in shown]
        return "\n".join([*lines, *self._more()])

    def _repr_html_(self) -> str:
        if not self.rows:
            return f'<style>{style()}</style><div class="fx"><p class="muted">{html.escape(self.empty)}</p></div>'
        head = "".join(
            _cell("th", name, right) for name, right in zip(self.columns, self._right(), strict=True)
        )
        body = "".join(self._row(row) for row in self.rows[:MOST])
        more = "".join(f'<p class="muted">{html.escape(line)}</p>' for line in self._more())
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<style>{style()}</style><div class="fx">{table}{more}</div>'

    def _row(self, row: tuple[Cell, ...]) -> str:
        cells = (_cell("td", _text(cell), right) for cell, right in zip(row, self._right(), strict=True))
        return f"<tr>{''.join(cells)}</tr>"

    def _right(self) -> tuple[bool, ...]:
        """Which columns hold numbers."""
        return tuple(
            all(not isinstance(row[at], str) for row in self.rows) for at in range(len(self.columns))
        )

    def _more(self) -> list[str]:
        left = len(self.rows) - MOST
        return [f"… and {left:,} more"] if left > 0 else []


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return visible(cell) if isinstance(cell, str) else f"{cell:,}"


def _line(cells: tuple[str, ...] | list[str], widths: list[int], right: tuple[bool, ...]) -> str:
    """One row as text; a last cell that is too long goes on below itself."""
    parts = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(cells, widths, right, strict=True)]
    before = "  ".join(parts[:-1]) + "  " if len(parts) > 1 else ""
    lines = textwrap.wrap(parts[-1].rstrip(), max(24, WIDTH - len(before))) or [""]
    return (before + f"\n{' ' * len(before)}".join(lines)).rstrip()


def _cell(tag: str, text: str, right: bool) -> str:
    return f"<{tag}{NUMBER if right else ''}>{html.escape(text)}</{tag}>"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of prose in Markdown, as `fx.explain` gives it; its headings are set smaller than the notebook's."""

    text: str

    def __repr__(self) -> str:
        return self.text.strip()

    def _repr_markdown_(self) -> str:
        return re.sub(r"^(#+) ", r"##\1 ", self.text, flags=re.MULTILINE)
