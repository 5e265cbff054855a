"""The two last groups of the repair panel: approval by typing, and what can be done afterwards."""

from __future__ import annotations

import ipywidgets as w

from forensics.lab.panel_parts import NATURAL, button, check, layout


def _typed(purpose: str, word: str) -> w.Text:
    return w.Text(
        placeholder=word, description=f"{purpose}, type {word}", style=NATURAL, layout=layout("34em")
    )


class Approval(w.VBox):
    """The word to type, Cancel before Apply, and how far the work is."""

    def __init__(self, word: str) -> None:
        self.typed = _typed("To approve", word)
        self.cancel = button("Cancel", "times", "forgets the plan; nothing is changed", style="primary")
        self.apply = button("Apply the plan", "wrench", "works on a draft, verifies it, then swaps it in")
        self.bar = w.FloatProgress(min=0, max=1, layout=layout("34em", visibility="hidden"))
        self.doing = w.HTML()
        super().__init__([self.typed, w.HBox([self.cancel, self.apply]), w.HBox([self.bar, self.doing])])

    def tell(self, text: str, share: float) -> None:
        """What is being done, and which share of the whole is behind."""
        self.bar.layout.visibility = "visible" if text else "hidden"
        self.bar.value, self.doing.value = share, text


class Afterwards(w.VBox):
    """Undo and redo; finish what was interrupted; give up the kept original."""

    def __init__(self, word: str) -> None:
        self.undo = button("Undo", "undo", "brings the old store back, byte for byte")
        self.redo = button("Redo", "repeat", "brings the repair back")
        self.resume = button("Finish what was interrupted", "play", "brings the swap to its end")
        given_up = "give up what was written to the store since (it is kept aside)"
        self.discard = check(given_up, "undo and redo refuse otherwise")
        self.typed = _typed("To delete the kept original", word)
        self.release = button("Release", "trash", "deletes the kept original; there is no undo afterwards")
        self.release_row = w.HBox([self.typed, self.release])
        super().__init__([w.HBox([self.undo, self.redo, self.resume]), self.discard, self.release_row])
