"""The repair panel as ipywidgets: a thin view of a PanelModel that computes nothing."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable
from typing import Any, cast

import ipywidgets as w

from forensics.errors import ForensicsError
from forensics.lab.panel_controls import Options
from forensics.lab.panel_model import PanelModel
from forensics.lab.panel_parts import button, check, layout
from forensics.lab.panel_steps import Afterwards, Approval
from forensics.lab.session import Session
from forensics.report.plain import counted, number, visible
from forensics.report.render import plan_html, style, verdict_html
from forensics.report.views import ICONS

TONES = {
    "running": ("note", "working"),
    "verified": ("ok", "verified"),
    "undone": ("note", "undone"),
    "failed": ("error", "failed"),
    "interrupted": ("fatal", "interrupted"),
    "copied": ("ok", "copied"),
    "released": ("note", "released"),
}
"""state → class of its colour and icon, word; the others are plain text."""
NOTHING = "Nothing above a note was found: there is nothing to choose."
WORKING = "On a draft; the store is untouched until the draft has passed every test."


class RepairPanel(w.VBox):
    """Findings with check boxes → preview → typed confirmation → apply → undo, and back again.

    A click on `apply_button` returns at once; `wait()` returns when the work is done.
    """

    def __init__(self, session: Session) -> None:
        self.model = PanelModel(session)
        self.boxes = {code: self._box(code) for code in self.model.repairable}
        self.options = Options(session, _names(self.model))
        self.preview_button = button("Preview the plan", "search", "makes a plan; changes nothing")
        self.approval = Approval(self.model.word_to_type)
        self.afterwards = Afterwards(self.model.word_to_type)
        self.plan_view, self.verdict_view, self.status = w.HTML(), w.HTML(), w.HTML()
        self._name_buttons()
        self._work: threading.Thread | None = None
        frame = layout(border="1px solid #d0d7de", padding="0.8em 1.1em", max_width="62rem")
        super().__init__(self._rows(), layout=frame)
        self._connect()
        self._show()

    def __repr__(self) -> str:
        steps = len(self.model.plan.approved) if self.model.plan else 0
        chosen = sum(box.value for box in self.boxes.values())
        choice = f"{chosen} of {counted(len(self.boxes), 'finding')} chosen"
        return f"RepairPanel: {self.model.state}; {choice}, {counted(steps, 'step')}"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The live panel; for readers without a kernel, what it says."""
        live = cast(dict[str, Any], super()._repr_mimebundle_(**options))
        return {**live, "text/html": self.as_html()}

    def as_html(self) -> str:
        """The panel as it stands, without anything to click."""
        boxes = (
            f"<li>{'☑' if box.value else '☐'} {html.escape(box.description)}</li>"
            for box in self.boxes.values()
        )
        listed = f"<ul style='list-style: none; padding-left: 0'>{''.join(boxes)}</ul>"
        found = listed if self.boxes else f"<p>{NOTHING}</p>"
        return _page(f"<p><strong>Repair</strong></p>{found}{self._banner()}")

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

    def _name_buttons(self) -> None:
        """The controls that a cell may click, under plain names."""
        self.typed, self.cancel_button, self.apply_button = (
            self.approval.typed,
            self.approval.cancel,
            self.approval.apply,
        )
        after = self.afterwards
        self.undo_button, self.redo_button, self.resume_button = after.undo, after.redo, after.resume
        self.release_typed, self.release_button, self.discard = after.typed, after.release, after.discard

    def _rows(self) -> list[w.Widget]:
        title = w.HTML(
            _page(
                "<p><strong>Repair</strong> · choose, preview, type the name, apply. "
                "Nothing is changed before the last step, and then on a draft first.</p>"
            )
        )
        choices = w.VBox([*self.boxes.values()] or [w.HTML(NOTHING)])
        self.tests = w.Accordion([self.verdict_view], titles=("What was verified",), selected_index=None)
        before = [title, choices, self.options, w.HBox([self.preview_button]), self.plan_view]
        return [*before, self.approval, self.status, self.afterwards, self.tests]

    def _connect(self) -> None:
        model, on = self.model, self._on
        on(self.preview_button, lambda: self._guarded(self._preview))
        on(self.cancel_button, lambda: self._guarded(model.cancel))
        on(
            self.apply_button,
            lambda: self._begin(lambda: model.apply(self._told, **self.options.of_the_run())),
        )
        on(
            self.resume_button,
            lambda: self._begin(lambda: model.resume(self._told, nobody_else=self._alone())),
        )
        on(self.undo_button, lambda: self._guarded(lambda: model.undo(**self._of_the_undo())))
        on(self.redo_button, lambda: self._guarded(lambda: model.redo(**self._of_the_undo())))
        on(self.release_button, lambda: self._guarded(lambda: model.release(self.release_typed.value)))
        self.typed.observe(lambda _: self._confirm(), names="value")
        for control in (*self.boxes.values(), *self.options.fields):
            control.observe(lambda _: self._chosen(), names="value")

    @staticmethod
    def _on(clicked: w.Button, action: Callable[[], object]) -> None:
        clicked.on_click(lambda _: action())

    def _alone(self) -> bool:
        return self.options.nobody_else.value

    def _of_the_undo(self) -> dict[str, bool]:
        return {"discard_later_writes": self.discard.value, "nobody_else": self._alone()}

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

    def _confirm(self) -> None:
        if self.model.may("confirm"):
            self.model.confirm(self.typed.value)
            self._show()

    def _begin(self, work: Callable[[], object]) -> None:
        """The work goes on in a thread, so that the notebook stays alive; the controls rest meanwhile."""
        self.approval.tell("beginning", 0.0)
        self.status.value = _page(_banner("running", WORKING))
        self._work = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        self._rest(resting=True)
        self._work.start()

    def _told(self, text: str, share: float) -> None:
        self.approval.tell(html.escape(text), share)

    def _guarded(self, step: Callable[[], object]) -> None:
        """Runs one step of the model; what it refuses becomes the message, and so does what nobody foresaw."""
        try:
            step()
        except (ForensicsError, ValueError, OSError) as error:
            self.model.message = str(error)
        except Exception as error:  # else it would be seen in JupyterLab's log only
            self.model.message = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.approval.tell("", 0.0)
            self._show()

    def _show(self) -> None:
        """The controls are as the state of the model allows."""
        model = self.model
        self._rest(resting=False)
        plan = model.plan
        self.plan_view.value = plan_html(plan) if plan is not None and model.may("choose") else ""
        if not model.may("confirm"):
            self.typed.value = ""
        self.verdict_view.value = self._verdict() if model.state == "verified" else ""
        self.status.value = _page(self._banner())
        _display(self.approval, model.state in ("planned", "approved", "running"))
        _display(self.afterwards, any(model.may(step) for step in ("undo", "redo", "resume", "release")))
        _display(self.afterwards.release_row, model.may("release"))
        _display(self.tests, bool(self.verdict_view.value))

    def _rest(self, *, resting: bool) -> None:
        """Disables what the state does not allow, or everything while work is under way."""
        model = self.model
        for name in ("preview", "cancel", "apply", "resume", "undo", "redo", "release"):
            getattr(self, f"{name}_button").disabled = resting or not model.may(name)
        doable = model.plan is not None and bool(model.plan.approved)
        self.typed.disabled = resting or not (model.may("confirm") and doable)
        self.discard.disabled = resting or not (model.may("undo") or model.may("redo"))
        self.release_typed.disabled = resting or not model.may("release")
        for control in (*self.boxes.values(), *self.options.fields):
            cast(Any, control).disabled = resting or not model.may("choose")
        self.options.nobody_else.disabled = resting

    def _verdict(self) -> str:
        case = self.model.session.case
        return verdict_html(case.read_json("verdict.json")) if case.has("verdict.json") else ""

    def _banner(self) -> str:
        return _banner(self.model.state, self.model.message)


def _names(model: PanelModel) -> list[tuple[str, str]]:
    """(what the list shows, the id) of each collection that the diagnosis names."""
    found = model.found.collections
    return [(f"{visible(one.name)} ({number(one.records)} records, {one.id[:8]}…)", one.id) for one in found]


def _page(body: str) -> str:
    return f'<style>{style()}</style><div class="fx">{body}</div>'


def _banner(state: str, message: str) -> str:
    """The message, in a coloured frame with an icon and a word where the state has one."""
    text = html.escape(visible(message))
    if state not in TONES:
        return f'<p role="status">{text}</p>' if text else ""
    tone, word = TONES[state]
    head = f'<span class="sev"><span aria-hidden="true">{ICONS[tone]}</span> {word}</span>'
    return f'<div class="banner {tone}" role="status">{head}<p>{text}</p></div>'


def _display(widget: w.Box, shown: bool) -> None:
    widget.layout.display = "" if shown else "none"
