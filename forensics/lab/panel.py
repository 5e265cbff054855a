"""The repair panel as ipywidgets: a thin view of a PanelModel that computes nothing."""

from __future__ import annotations

import html
import threading
from typing import Any

import ipywidgets as w

from forensics.errors import ForensicsError
from forensics.lab.panel_model import PanelModel
from forensics.lab.session import Session

_WIDE = w.Layout(width="auto", min_width="160px")


class RepairPanel(w.VBox):
    """Findings with check boxes → preview → typed confirmation → apply → undo.

    `background=False` makes `apply` block until it is done: that is how a notebook cell drives it.
    """

    def __init__(self, session: Session, *, background: bool = True) -> None:
        self.model = PanelModel(session)
        self.background = background
        self.boxes = {code: self._box(code) for code in self.model.repairable}
        self.ids = w.Dropdown(options=["trim", "delete", "keep"], value="trim", description="malformed ids", style={"description_width": "initial"}, tooltip="what becomes of ids with white space at their ends")
        self.embedder = w.Text(value=session.embedder or "", description="embedder", placeholder="module:callable", style={"description_width": "initial"}, tooltip="embeds documents again, after it reproduced surviving vectors")
        self.also = w.Text(description="also", placeholder="another copy of the store", style={"description_width": "initial"}, tooltip="a path from which vectors may be taken")
        self.source = w.Text(description="source", placeholder="your own file of ids and vectors", style={"description_width": "initial"}, tooltip="Parquet, npz or JSONL")
        self.accept_loss = w.Text(description="accept loss of", placeholder="CF501, …", style={"description_width": "initial"}, tooltip="codes whose lossy remedy you approve")
        self.also_fix = w.Text(description="also fix", placeholder="CF006, …", style={"description_width": "initial"}, tooltip="housekeeping that is done only when asked for")
        self.set_aside = w.Checkbox(description="move records without a vector into the case", indent=False, layout=_WIDE)
        self.preview_button = w.Button(description="Preview the plan", icon="search", tooltip="makes a plan and changes nothing", layout=_WIDE)
        self.typed = w.Text(placeholder=self.model.word_to_type, description=f"type “{self.model.word_to_type}” to approve", style={"description_width": "initial"}, layout=w.Layout(width="28em"), disabled=True)
        self.cancel_button = w.Button(description="Cancel", button_style="primary", icon="times", tooltip="nothing is changed", layout=_WIDE)
        self.apply_button = w.Button(description="Apply the plan", icon="wrench", tooltip="works on a draft, verifies it, then swaps it in", disabled=True, layout=_WIDE)
        self.undo_button = w.Button(description="Undo", icon="undo", tooltip="brings the old store back, byte for byte", disabled=True, layout=_WIDE)
        self.bar = w.FloatProgress(min=0, max=1, description="progress", layout=w.Layout(width="28em", visibility="hidden"))
        self.output = w.HTML()
        self.status = w.HTML()
        super().__init__(self._rows())
        self._connect()
        self._show()

    def __repr__(self) -> str:
        steps = len(self.model.plan.approved) if self.model.plan else 0
        return f"RepairPanel({self.model.state}, {len(self.boxes)} codes, {steps} steps)"

    def _box(self, code: str) -> w.Checkbox:
        found = [finding for finding in self.model.diagnosis.findings if finding.code == code]
        first = found[0]
        text = f"{first.severity} {code} {first.name}: {sum(f.count for f in found):,} {first.unit}"
        return w.Checkbox(value=True, description=text, indent=False, tooltip=first.means, layout=w.Layout(width="auto"))

    def _rows(self) -> list[w.Widget]:
        options = w.VBox([self.embedder, self.also, self.source, self.ids, self.accept_loss, self.also_fix, self.set_aside])
        folded = w.Accordion([options], titles=("Options of the plan",))
        buttons = w.HBox([self.cancel_button, self.apply_button, self.undo_button])
        title = w.HTML("<b>Repair</b>: choose, preview, type the name, apply. Nothing is changed before the last step.")
        return [title, *self.boxes.values(), folded, self.preview_button, self.output, self.typed, buttons, self.bar, self.status]

    def _connect(self) -> None:
        self.preview_button.on_click(self._on_preview)
        self.cancel_button.on_click(self._on_cancel)
        self.apply_button.on_click(self._on_apply)
        self.undo_button.on_click(self._on_undo)
        self.typed.observe(self._on_typed, names="value")
        for box in self.boxes.values():
            box.observe(self._on_choice, names="value")

    def options(self) -> dict[str, Any]:
        """The options of a plan as the controls stand."""
        return {
            "embedder": self.embedder.value.strip() or None,
            "also": _listed(self.also.value),
            "source": _listed(self.source.value),
            "accept_loss": _listed(self.accept_loss.value),
            "also_fix": _listed(self.also_fix.value),
            "ids": self.ids.value,
            "set_aside_unsearchable": self.set_aside.value,
        }

    def _on_choice(self, _: Any) -> None:
        self.model.choose({code for code, box in self.boxes.items() if box.value})
        self.typed.value, self.output.value = "", ""
        self._show()

    def _on_preview(self, _: Any) -> None:
        def make() -> None:
            self.model.choose({code for code, box in self.boxes.items() if box.value}, **self.options())
            plan = self.model.preview()
            self.output.value = getattr(plan, "_repr_html_")()

        self._guarded(make)

    def _on_cancel(self, _: Any) -> None:
        self.typed.value, self.output.value = "", ""
        self._guarded(self.model.cancel)

    def _on_typed(self, _: Any) -> None:
        if self.model.state in ("planned", "approved"):
            self.model.confirm(self.typed.value)
            self._show()

    def _on_apply(self, _: Any) -> None:
        if self.background:
            threading.Thread(target=self._apply, daemon=True).start()
        else:
            self._apply()

    def _apply(self) -> None:
        self.apply_button.disabled = self.cancel_button.disabled = self.preview_button.disabled = True
        self.bar.layout.visibility = "visible"
        self._guarded(lambda: self.model.apply(self._progress))
        self.bar.layout.visibility = "hidden"

    def _on_undo(self, _: Any) -> None:
        self._guarded(self.model.undo)

    def _progress(self, text: str, share: float) -> None:
        self.bar.value = share
        self.status.value = html.escape(text)

    def _guarded(self, step: Any) -> None:
        """Runs one step of the model; what it refuses becomes the message."""
        try:
            step()
        except ForensicsError as error:
            self.model.message = str(error)
        self._show()

    def _show(self) -> None:
        state = self.model.state
        busy = state == "running"
        self.typed.disabled = state not in ("planned", "approved")
        self.apply_button.disabled = state != "approved"
        self.undo_button.disabled = state not in ("verified",)
        self.preview_button.disabled = self.cancel_button.disabled = busy or state == "verified"
        for control in (*self.boxes.values(), self.ids, self.embedder, self.also, self.source, self.accept_loss, self.also_fix, self.set_aside):
            control.disabled = busy or state == "verified"
        self.status.value = f"<b>{state}</b> {html.escape(self.model.message)}"


class ReportPanel(w.VBox):
    """The button that writes the incident report of a case."""

    def __init__(self, session: Session) -> None:
        self.session, self.path = session, None
        self.documents = w.Checkbox(description="show document text", indent=False)
        self.ids = w.Checkbox(description="show ids in full", indent=False)
        self.button = w.Button(description="Write the report", icon="file", tooltip="one HTML file in the case", layout=_WIDE)
        self.status = w.HTML()
        self.button.on_click(self._write)
        super().__init__([self.documents, self.ids, self.button, self.status])

    def __repr__(self) -> str:
        return f"ReportPanel({'written' if self.path else 'not written yet'})"

    def _write(self, _: Any) -> None:
        import forensics as fx

        self.path = fx.report(self.session.case, include_documents=self.documents.value, include_ids=self.ids.value)
        self.status.value = f"written: <code>{html.escape(str(self.path))}</code>"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
