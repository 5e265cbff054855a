"""The repair panel as a state machine, without Jupyter.

    idle → planned → approved → running → verified ⇄ undone
                                   └────→ failed · copied · interrupted

The view shows what is here and calls the methods; each raises `NotNow` where the state does not allow it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import forensics as fx
from forensics.errors import ForensicsError, Refused
from forensics.report.plain import counted, number
from forensics.report.repair_summary import applied_sentence, plan_sentence, records_sentence
from forensics.verbs_case import REFUSED

if TYPE_CHECKING:
    from forensics.case import Case
    from forensics.lab.session import Session
    from forensics.model import Diagnosis, Plan

State = Literal[
    "idle",
    "planned",
    "approved",
    "running",
    "verified",
    "failed",
    "copied",
    "undone",
    "interrupted",
    "released",
]
Progress = Callable[[str, float], None]
OPEN: tuple[State, ...] = ("idle", "planned", "approved", "failed", "copied")
"""The store is as it was found, and a plan can be made."""
ALLOWED: Mapping[str, tuple[State, ...]] = {
    "choose": OPEN,
    "preview": OPEN,
    "cancel": OPEN,
    "confirm": ("planned", "approved"),
    "apply": ("approved",),
    "resume": ("interrupted",),
    "undo": ("verified", "interrupted"),
    "redo": ("undone",),
    "release": ("verified", "undone"),
}

"""The event in the case's log that says why a plan was not carried out."""


class NotNow(Refused):
    """The panel is not in a state in which that can be done."""


@dataclass(slots=True)
class PanelModel:
    """What the panel knows. `chosen`: the codes to be repaired; `choices`: the other options of a plan.

    A case that was applied before, or whose repair was cut short, is taken up where it stands.
    """

    session: Session
    found: Diagnosis = field(init=False)
    state: State = field(init=False)
    chosen: frozenset[str] = field(init=False)
    choices: dict[str, Any] = field(default_factory=dict)
    plan: Plan | None = None
    result: dict[str, Any] | None = None
    message: str = ""
    step: str = ""
    share: float = 0.0

    def __post_init__(self) -> None:
        self.found = self.session.diagnosis
        self.state = standing(self.session.case)
        self.chosen = frozenset(self.repairable)
        self.message = _GREETINGS.get(self.state, "")

    @property
    def repairable(self) -> tuple[str, ...]:
        """The codes above a note, sorted; each has a check box. Those about this run itself have none."""
        return tuple(code for code in self.found.codes(notes=False) if not code.startswith("CF9"))

    @property
    def word_to_type(self) -> str:
        """What has to be typed before anything is applied: the sample, or the name of the store's folder."""
        return self.session.name

    def may(self, step: str) -> bool:
        """True where the state allows that step (a name of a method)."""
        return self.state in ALLOWED[step]

    def choose(self, codes: Collection[str], **choices: Any) -> None:
        """Takes a selection; a plan made before is void."""
        self._require("choose")
        self.chosen, self.choices = frozenset(codes), choices
        self.plan, self.state, self.message = None, "idle", ""

    def preview(self) -> Plan:
        """Makes the plan of what is chosen; touches nothing."""
        self._require("preview")
        declined = tuple(code for code in self.repairable if code not in self.chosen)
        self.plan = None
        self.plan = self.session.plan(**{**self.choices, "decline": declined})
        self.state = "planned"
        self.message = "Nothing was changed yet." if self.plan.approved else _nothing(self.plan)
        return self.plan

    def confirm(self, typed: str) -> bool:
        """True, and approved, where the right word was typed and there is something to do."""
        self._require("confirm")
        right = typed.strip() == self.word_to_type and self.plan is not None and bool(self.plan.approved)
        self.state = "approved" if right else "planned"
        return right

    def apply(self, progress: Progress | None = None, **options: Any) -> dict[str, Any]:
        """Carries the plan out on a draft, verifies and swaps. `options` are those of `fx.apply`: to, engine, …"""
        self._require("apply")
        return self._run(progress, options)

    def resume(self, progress: Progress | None = None, **options: Any) -> dict[str, Any]:
        """Finishes what was interrupted."""
        self._require("resume")
        return self._run(progress, {**options, "resume": True})

    def undo(self, **options: bool) -> dict[str, Any]:
        """Brings the old store back, byte for byte. Refused where the store was written since.

        `options` are those of `fx.undo`: discard_later_writes, nobody_else.
        """
        self._require("undo")
        return self._turn(options)

    def redo(self, **options: bool) -> dict[str, Any]:
        """Takes the undo back: the repair is there again."""
        self._require("redo")
        return self._turn(options)

    def release(self, typed: str) -> dict[str, Any]:
        """Deletes the kept half, where the word was typed; afterwards nothing can be undone."""
        self._require("release")
        if typed.strip() != self.word_to_type:
            raise NotNow(f"Type {self.word_to_type} to give up the kept copy; nothing was deleted.")
        answer = fx.release(self.session.case)
        self.state, self.message = (
            "released",
            f"{number(answer['freed'])} bytes were freed; there is no undo any more.",
        )
        return answer

    def cancel(self) -> None:
        """Back to the start; the store was not touched."""
        self._require("cancel")
        self.plan, self.state, self.message = None, "idle", "Cancelled; nothing was changed."

    def _require(self, step: str) -> None:
        if not self.may(step):
            raise NotNow(f"{step.capitalize()} is not possible now: the panel is {self.state}.")

    def _run(self, progress: Progress | None, options: Mapping[str, Any]) -> dict[str, Any]:
        self.state, self.message = "running", ""
        self.session.refresh()
        try:
            self.result = fx.apply(self.session.case, yes=True, progress=self._told(progress), **options)
        except BaseException as error:
            self._after_failure(error)
            raise
        finally:
            self.session.refresh()
        self.state = _state_after(self.result)
        self.message = _outcome(self.result)
        return self.result

    def _after_failure(self, error: BaseException) -> None:
        """The store stands as the case says; a repair that did not come to the swap left it untouched."""
        stands = standing(self.session.case)
        self.state = "failed" if stands == "idle" else stands
        text = str(error) if isinstance(error, ForensicsError) else f"{type(error).__name__}: {error}"
        self.message = text if stands == "idle" else f"{text} {_GREETINGS.get(stands, '')}"
        if not isinstance(error, ForensicsError):  # else the verb has written it down
            self.session.case.log(REFUSED, why=text)

    def _turn(self, options: Mapping[str, bool]) -> dict[str, Any]:
        self.session.refresh()
        answer = fx.undo(self.session.case, **options)
        self.state = standing(self.session.case)
        self.message = _turned(answer)
        return answer

    def _told(self, outer: Progress | None) -> Progress:
        def tell(text: str, share: float) -> None:
            self.step, self.share = text, max(share, self.share)
            if outer is not None:
                outer(self.step, self.share)

        self.share = 0.0
        return tell


_GREETINGS: Mapping[str, str] = {
    "verified": "This case has been applied: the store is the repaired one.",
    "undone": "The repair of this case was undone: the store is as it was before.",
    "interrupted": "A swap was interrupted. Finish it, or undo it; until then no Chroma can open the store.",
}


def standing(case: Case) -> State:
    """What the journal of the case says the store is: idle where it was not touched or the draft is released."""
    from forensics.repair.draft import Draft

    if case.draft is None or not case.draft.is_dir():
        return "idle"
    draft = Draft.open(case)
    if draft.is_disposable:
        return "idle"
    last = draft.journal.last
    if last is None or last.outcome is None:
        return "interrupted"
    return "verified" if draft.journal.state == "repaired" else "undone"


def _nothing(plan: Plan) -> str:
    left = f" These stay: {' '.join(plan.remaining)}." if plan.remaining else ""
    return f"{plan_sentence(plan.to_json())}{left}"


def _state_after(result: Mapping[str, Any]) -> State:
    if result.get("to"):
        return "copied"
    return "verified" if result["applied"] and result["verified"] else "failed"


def _outcome(result: Mapping[str, Any]) -> str:
    if result.get("to"):
        return f"The store was not touched. A repaired copy stands at {result['to']}."
    if not result["applied"]:
        return "Nothing to do: the store was not touched."
    left = result["remaining"]
    stay = (
        f" {counted(len(left), 'finding')} stay: {' '.join(left)}."
        if left
        else " No finding above a note is left."
    )
    return f"{applied_sentence(result)} {records_sentence(result['records'])}{stay}"


def _turned(answer: Mapping[str, Any]) -> str:
    if answer["state"] == "original":
        exact = "byte for byte" if answer["as_before"] else f"but for {answer['differences']}"
        return f"Undone: the store is as it was before the repair, {exact}."
    return (
        "The repair is back."
        if answer["as_before"]
        else f"The repair is back, but for {answer['differences']}."
    )
