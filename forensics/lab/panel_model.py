"""The repair panel as a state machine, without Jupyter: idle → planned → approved → running → verified or failed → undone.

The view shows what is here and calls the methods; each raises `NotNow` where the state does not allow it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import forensics as fx
from forensics.errors import ForensicsError, Refused

if TYPE_CHECKING:
    from forensics.lab.session import Session
    from forensics.model import Diagnosis, Plan

State = Literal["idle", "planned", "approved", "running", "verified", "failed", "undone"]
Progress = Callable[[str, float], None]


class NotNow(Refused):
    """The panel is not in a state in which that can be done."""


@dataclass(slots=True)
class PanelModel:
    """What the panel knows. `chosen`: the codes to be repaired; `choices`: the other options of a plan."""

    session: Session
    state: State = "idle"
    chosen: frozenset[str] = frozenset()
    choices: dict[str, Any] = field(default_factory=dict)
    plan: Plan | None = None
    result: dict[str, Any] | None = None
    message: str = ""
    step: str = ""
    share: float = 0.0

    def __post_init__(self) -> None:
        self.chosen = frozenset(self.repairable)

    @property
    def diagnosis(self) -> Diagnosis:
        return self.session.diagnosis

    @property
    def repairable(self) -> tuple[str, ...]:
        """The codes above a note, sorted; each has a check box."""
        return tuple(code for code in self.diagnosis.codes(notes=False) if not code.startswith("CF9"))

    @property
    def word_to_type(self) -> str:
        """What has to be typed before anything is applied: the name of the store's folder, or of the sample."""
        return self.session.sample or self.session.path.name

    def choose(self, codes: set[str] | frozenset[str], **choices: Any) -> None:
        """Takes a selection; a plan made before is void."""
        self._require("idle", "planned", "approved", "failed", "undone")
        self.chosen, self.choices = frozenset(codes), {**self.choices, **choices}
        self.plan, self.state, self.message = None, "idle", ""

    def preview(self) -> Plan:
        """Makes the plan of what is chosen; touches nothing."""
        self._require("idle", "planned", "approved", "failed", "undone")
        declined = tuple(code for code in self.repairable if code not in self.chosen)
        self.plan = self.session.plan(**{**self.choices, "decline": declined})
        self.state = "planned"
        count = len(self.plan.approved)
        self.message = "Nothing to do." if not count else f"{count} steps; nothing was changed yet."
        return self.plan

    def confirm(self, typed: str) -> bool:
        """True, and approved, where the right word was typed."""
        self._require("planned", "approved")
        right = typed.strip() == self.word_to_type and self.plan is not None and bool(self.plan.approved)
        self.state = "approved" if right else "planned"
        return right

    def apply(self, progress: Progress | None = None) -> dict[str, Any]:
        """Carries the plan out on a draft, verifies and swaps; the state afterwards is verified or failed."""
        self._require("approved")
        if not self.session.may_repair:
            self.state, self.message = "failed", "This walk may not change the store; start it with YES=1."
            raise NotNow(self.message)
        self.state = "running"
        try:
            self.result = fx.apply(self.session.case, yes=True, progress=self._progress(progress))
        except ForensicsError as error:
            self.state, self.message = "failed", str(error)
            raise
        self.state = "verified" if self.result.get("verified") else "failed"
        self.message = self._outcome()
        return self.result

    def undo(self, *, discard_later_writes: bool = False) -> dict[str, Any]:
        """Brings the old store back, byte for byte."""
        self._require("verified", "failed", "undone")
        answer = fx.undo(self.session.case, discard_later_writes=discard_later_writes)
        self.state, self.message = "undone", "The store is as it was before the repair."
        return answer

    def cancel(self) -> None:
        """Back to the start; the store was not touched."""
        self._require("idle", "planned", "approved", "failed", "undone")
        self.plan, self.state, self.message = None, "idle", "Cancelled; nothing was changed."

    def _require(self, *states: State) -> None:
        if self.state not in states:
            raise NotNow(f"This cannot be done while the panel is {self.state}.")

    def _progress(self, outer: Progress | None) -> Progress:
        def tell(text: str, share: float) -> None:
            self.step, self.share = text, share
            if outer is not None:
                outer(text, share)

        return tell

    def _outcome(self) -> str:
        records = (self.result or {}).get("records", {})
        return (
            f"{records.get('before')} records had a vector, {records.get('after')} have one now; "
            f"{records.get('reattached', 0)} found on disk, {records.get('reembedded', 0)} embedded again, {records.get('lost', 0)} lost."
        )

    def snapshot(self) -> PanelModel:
        """A copy that the view can compare with."""
        return replace(self)
