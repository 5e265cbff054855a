"""The button that writes the incident report of a case."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, cast

import ipywidgets as w

import forensics as fx
from forensics.errors import ForensicsError
from forensics.lab.panel_parts import button, check, layout, text
from forensics.lab.session import Session


class ReportPanel(w.VBox):
    """One click writes one HTML file. `path` is where it stands, None before."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.path: Path | None = None
        self.documents = check("show document text", "left out otherwise: reports are passed on")
        self.ids = check("show ids in full", "shortened otherwise")
        self.out = text("file", "report.html in the case", "where the report is written")
        self.button = button("Write the report", "file", "one HTML file that opens offline", style="primary")
        self.status = w.HTML()
        self.button.on_click(self._write)
        frame = layout(border="1px solid #d0d7de", padding="0.8em 1.1em", max_width="62rem")
        super().__init__([self.documents, self.ids, self.out, self.button, self.status], layout=frame)

    def __repr__(self) -> str:
        return f"ReportPanel: {'written' if self.path else 'not written yet'}"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The live panel; for readers without a kernel, what it says."""
        return {
            **cast(dict[str, Any], super()._repr_mimebundle_(**options)),
            "text/html": f"<p>{html.escape(repr(self))}</p>",
        }

    def _write(self, _: Any) -> None:
        try:
            self.path = fx.report(
                self.session.case,
                self.out.value.strip() or None,
                include_documents=self.documents.value,
                include_ids=self.ids.value,
            )
        except ForensicsError as error:
            self.status.value = html.escape(str(error))
            return
        self.status.value = f"Written: <code>{html.escape(str(self.path))}</code>"
