"""The repair panel as ipywidgets: a thin view of a PanelModel that computes nothing."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable
from typing import Any, cast

import ipywidgets as w

from forensics.errors import ForensicsError
from forensics.lab.panel_controls import NATURAL, Options, button, check, layout
from forensics.lab.panel_model import PanelModel
from forensics.lab.session import Session
from forensics.report.plain import counted, number, visible
from forensics.report.render import plan_html, style, verdict_html
from forensics.report.views import ICONS

TONES = {
    "verified": ("ok", "verified"),
    "undone": ("note", "undone"),
    "failed": ("error", "failed"),
    "interrupted": ("fatal", "interrupted"),
    "copied": ("ok", "copied"),
    "released": ("note", "released"),
}
"""state → class of its colour and icon, word; the others are plain text."""


class RepairPanel(w.VBox):
    """Findings with check boxes → preview → typed confirmation → apply → undo, and back again.

    A click on `apply_button` returns at once; `wait()` returns when the work is done.
    """

    def __init__(self, session: Session) -> None:
        self.model = PanelModel(session)
        self.boxes = {code: self._box(code) for code in self.model.repairable}
        self.options = Options(session, _names(self.model))
        self.plan_view, self.verdict_view, self.status = w.HTML(), w.HTML(), w.HTML()
        self._make_buttons()
        self._work: threading.Thread | None = None
        super().__init__(
            self._rows(), layout=layout(border="1px solid #d0d7de", padding="0.8em 1.1em", max_width="62rem")
        )
        self._connect()
        self._show()

    def __repr__(self) -> str:
        steps = len(self.model.plan.approved) if self.model.plan else 0
        chosen = sum(box.value for box in self.boxes.values())
        choice = f"{chosen} of {counted(len(self.boxes), 'finding')} chosen"
        return f"RepairPanel: {self.model.state}; {choice}, {counted(steps, 'step')}"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The live panel; for readers without a kernel, what it says."""
        return {**cast(dict[str, Any], super()._repr_mimebundle_(**options)), "text/html": self.as_html()}

    def as_html(self) -> str:
        """The panel as it stands, without anything to click."""
        marks = "".join(
            f"<li>{'☑' if box.value else '☐'} {html.escape(box.description)}</li>"
            for box in self.boxes.values()
        )
        findings = (
            f"<ul style='list-style: none; padding-left: 0'>{marks}</ul>"
            if marks
            else "<p>Nothing above a note was found.</p>"
        )
        return f'<style>{style()}</style><div class="fx"><p><strong>Repair</strong></p>{findings}{self._banner()}</div>'

    def wait(self, seconds: float | None = None) -> None:
        """Returns when what a click began is done."""
        if self._work is not None:
            self._work.join(seconds)

    def _box(self, code: str) -> w.Checkbox:
        found = [finding for finding in self.model.found.findings if finding.code == code]
        first = found[0]
        where = ", ".join(sorted({visible(one.collection) for one in found if one.collection})) or "the store"
        count = counted(sum(one.count for one in found), first.unit)
        label = f"{ICONS[first.severity]} {first.severity}  {code} {first.name}: {count} in {where}"
        return check(label, first.means, value=True)

    def _make_buttons(self) -> None:
        word = self.model.word_to_type
        self.preview_button = button("Preview the plan", "search", "makes a plan; changes nothing")
        self.typed = w.Text(
            placeholder=word, description=f"To approve, type {word}", style=NATURAL, layout=layout("34em")
        )
        self.cancel_button = button(
            "Cancel", "times", "forgets the plan; nothing is changed", style="primary"
        )
        self.apply_button = button(
            "Apply the plan", "wrench", "works on a draft, verifies it, then swaps it in"
        )
        self.bar = w.FloatProgress(min=0, max=1, layout=layout("34em", visibility="hidden"))
        self.doing = w.HTML()
        self.undo_button = button("Undo", "undo", "brings the old store back, byte for byte")
        self.redo_button = button("Redo", "repeat", "brings the repair back")
        self.resume_button = button("Finish what was interrupted", "play", "brings the swap to its end")
        self.discard = check(
            "give up what was written to the store since (it is kept aside)", "undo refuses otherwise"
        )
        self.release_typed = w.Text(
            placeholder=word,
            description=f"To delete the kept original, type {word}",
            style=NATURAL,
            layout=layout("34em"),
        )
        self.release_button = button(
            "Release", "trash", "deletes the kept original; there is no undo afterwards"
        )

    def _rows(self) -> list[w.Widget]:
        title = w.HTML(
            f'<style>{style()}</style><div class="fx"><p><strong>Repair</strong> · choose, preview, type the name, apply. '
            "Nothing is changed before the last step, and then on a draft first.</p></div>"
        )
        none = [] if self.boxes else [w.HTML("Nothing above a note was found: there is nothing to choose.")]
        self.approval = w.VBox(
            [self.typed, w.HBox([self.cancel_button, self.apply_button]), w.HBox([self.bar, self.doing])]
        )
        self.release_row = w.HBox([self.release_typed, self.release_button])
        self.afterwards = w.VBox(
            [w.HBox([self.undo_button, self.redo_button, self.resume_button]), self.discard, self.release_row]
        )
        choices = w.VBox([*self.boxes.values(), *none])
        return [
            title,
            choices,
            self.options,
            self.preview_button,
            self.plan_view,
            self.approval,
            self.status,
            self.verdict_view,
            self.afterwards,
        ]

    def _connect(self) -> None:
        model = self.model
        self.preview_button.on_click(lambda _: self._guarded(self._preview))
        self.cancel_button.on_click(lambda _: self._guarded(model.cancel))
        self.apply_button.on_click(
            lambda _: self._begin(lambda: model.apply(self._progress, **self.options.of_the_run()))
        )
        resume = {"nobody_else": self.options.nobody_else}
        self.resume_button.on_click(
            lambda _: self._begin(
                lambda: model.resume(self._progress, nobody_else=resume["nobody_else"].value)
            )
        )
        self.undo_button.on_click(
            lambda _: self._guarded(lambda: model.undo(discard_later_writes=self.discard.value))
        )
        self.redo_button.on_click(
            lambda _: self._guarded(lambda: model.redo(discard_later_writes=self.discard.value))
        )
        self.release_button.on_click(lambda _: self._guarded(lambda: model.release(self.release_typed.value)))
        self.typed.observe(lambda _: self._typed(), names="value")
        for control in (*self.boxes.values(), *self.options.fields):
            control.observe(lambda _: self._chosen(), names="value")

    def _chosen(self) -> None:
        """A plan that was shown for other choices is void."""
        if self.model.plan is not None and self.model.may("choose"):
            self.model.choose(self._codes())
            self._show()

    def _codes(self) -> set[str]:
        return {code for code, box in self.boxes.items() if box.value}

    def _preview(self) -> None:
        self.model.choose(self._codes(), **self.options.of_the_plan())
        self.model.preview()

    def _typed(self) -> None:
        if self.model.may("confirm"):
            self.model.confirm(self.typed.value)
            self._show()

    def _begin(self, work: Callable[[], object]) -> None:
        """The work goes on in a thread, so that the notebook stays alive; the controls rest meanwhile."""
        self.model.session.refresh()
        self.bar.value, self.bar.layout.visibility = 0.0, "visible"
        self._work = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        self._rest(True)
        self._work.start()

    def _progress(self, text: str, share: float) -> None:
        self.bar.value, self.doing.value = share, html.escape(text)

    def _guarded(self, step: Callable[[], object]) -> None:
        """Runs one step of the model; what it refuses becomes the message."""
        try:
            step()
        except (ForensicsError, ValueError, OSError) as error:
            self.model.message = str(error)
        finally:
            self.bar.layout.visibility, self.doing.value = "hidden", ""
            self._show()

    def _show(self) -> None:
        """The controls are as the state of the model allows."""
        model = self.model
        self._rest(False)
        plan = model.plan
        self.plan_view.value = plan_html(plan) if plan is not None and model.may("choose") else ""
        self.typed.value = self.typed.value if model.may("confirm") else ""
        self.verdict_view.value = self._verdict() if model.state == "verified" else ""
        self.status.value = f'<style>{style()}</style><div class="fx">{self._banner()}</div>'
        shown = [model.may(step) for step in ("undo", "redo", "resume", "release")]
        self.afterwards.layout.display = "" if any(shown) else "none"
        self.approval.layout.display = "" if model.state in ("planned", "approved", "running") else "none"
        self.release_row.layout.display = "" if model.may("release") else "none"

    def _rest(self, resting: bool) -> None:
        """Disables what the state does not allow, or everything while work is under way."""
        may = {
            step: self.model.may(step) and not resting
            for step in ("preview", "cancel", "confirm", "apply", "resume", "undo", "redo", "release")
        }
        for name in ("preview", "cancel", "apply", "resume", "undo", "redo", "release"):
            getattr(self, f"{name}_button").disabled = not may[name]
        self.typed.disabled = not (
            may["confirm"] and self.model.plan is not None and self.model.plan.approved
        )
        self.discard.disabled = not (may["undo"] or may["redo"])
        self.release_typed.disabled = not may["release"]
        for control in (*self.boxes.values(), *self.options.fields):
            cast(Any, control).disabled = resting or not self.model.may("choose")

    def _verdict(self) -> str:
        case = self.model.session.case
        return verdict_html(case.read_json("verdict.json")) if case.has("verdict.json") else ""

    def _banner(self) -> str:
        model = self.model
        message = html.escape(visible(model.message))
        if model.state not in TONES:
            return f'<p role="status">{message}</p>' if message else ""
        tone, word = TONES[model.state]
        head = f'<span class="sev"><span aria-hidden="true">{ICONS[tone]}</span> {word}</span>'
        return f'<div class="banner {tone}" role="status">{head}<p>{message}</p></div>'


def _names(model: PanelModel) -> list[tuple[str, str]]:
    """(what the list shows, the id) of each collection that the diagnosis names."""
    return [
        (f"{visible(one.name)} ({number(one.records)} records, {one.id[:8]}…)", one.id)
        for one in model.found.collections
    ]
