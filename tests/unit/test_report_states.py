"""The report says of a repair what is true of it: planned, refused, failed, rolled back, made, copied, undone, let go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics.errors import ForensicsError, Refused
from forensics.seal import compare, seal

Sample = Callable[[str], Path]
See = Callable[[str], Any]
QUIET: dict[str, Any] = {"engine": "none", "nobody_else": True}
CLAIMS = (
    "After the repair",
    "Repaired and verified",
    "after the repair",
    "search finds 300",
    "Search finds 300",
)
"""Sentences that only a repair that stands may make."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A damaged store, planned in a case, and what its report shows."""

    store: Path
    case: Path
    see: See

    def apply(self, **options: Any) -> dict[str, Any]:
        return fx.apply(self.case, yes=True, **{**QUIET, **options})

    @property
    def text(self) -> str:
        return self.see(fx.report(self.case).read_text(encoding="utf-8")).text

    @property
    def alternatives(self) -> str:
        """The words of the pictures, as a screen reader says them."""
        return " ".join(self.see(fx.report(self.case).read_text(encoding="utf-8")).values("aria-label"))


@pytest.fixture
def scene(sample: Sample, tmp_path: Path, see: See) -> Scene:
    store = sample("1.5.9/set-aside")
    fx.plan(store, case=tmp_path / "case")
    return Scene(store.resolve(), tmp_path / "case", see)


def wreck(action: Any, context: Any) -> dict[str, Any]:
    """An action after which the draft is not what the plan promised."""
    with open(context.draft.copy_in("chroma.sqlite3"), "ab") as handle:
        handle.write(bytes(4096))
    return {}


def claims(scene: Scene) -> list[str]:
    return [claim for claim in CLAIMS if claim in scene.text or claim in scene.alternatives]


def test_a_plan_promises_and_claims_nothing(scene: Scene) -> None:
    assert claims(scene) == []
    assert "Search will find 300 records (41 before): 259 re-attached." in scene.text
    assert "Nothing of this has been carried out." in scene.text
    assert (
        "search finds 300 of 300 records as planned" in scene.alternatives
        or "as planned" in scene.alternatives
    )


def test_a_refused_repair_says_why(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Refused("The disk is on fire.")

    monkeypatch.setattr("forensics.repair.apply._run_action", refuse)
    with pytest.raises(Refused):
        scene.apply()
    text = scene.text
    assert claims(scene) == []
    assert "Damaged, not repaired" in text
    assert (
        "The repair was asked for and not made; the store was left as it is. Why: The disk is on fire."
        in text
    )
    assert "The repair was asked for and not made. log.jsonl" in text
    assert "Nothing in the store has been changed by this tool." in text


def test_a_failed_repair_says_what_its_draft_was_and_that_it_is_gone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seal(scene.store)
    monkeypatch.setattr("forensics.repair.apply._run_action", wreck)
    with pytest.raises(Refused):
        scene.apply()
    text = scene.text
    assert compare(before, seal(scene.store)) == ()
    assert claims(scene) == []
    assert "Damaged, not repaired" in text
    assert "did not pass its verification and was thrown away; the store was left as it is." in text
    assert "2 actions of 3 were tried on a draft, which was thrown away; none was done in the store." in text
    assert "Search would find 300 records" in text
    assert "What was done on the draft, which was thrown away" in text
    assert "The same checks on the store and on the draft" in text
    assert "will be done" not in text


def test_a_new_plan_forgets_the_attempt_before_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("forensics.repair.apply._run_action", wreck)
        with pytest.raises(Refused):
            scene.apply()
    fx.plan(scene.store, case=scene.case)
    text = scene.text
    assert "not repaired" not in text
    assert "Nothing has been repaired, so nothing was verified." in text
    scene.apply()
    assert "Repaired and verified" in scene.text


def test_a_swap_that_was_taken_back_is_no_repair(scene: Scene) -> None:
    scene.apply()
    (scene.case / "result.json").unlink()
    log = scene.case / "log.jsonl"
    log.write_text(
        log.read_text(encoding="utf-8").replace('"apply done"', '"apply taken back"'), encoding="utf-8"
    )
    log.write_text(
        "".join(line for line in log.read_text().splitlines(keepends=True) if '"applied"' not in line)
    )
    text = scene.text
    assert claims(scene) == []
    assert "was begun and taken back: the store is the original." in text
    assert "Damaged, not repaired" in text


def test_a_swap_that_is_not_finished_claims_nothing(scene: Scene) -> None:
    scene.apply()
    (scene.case / "result.json").unlink()
    log = scene.case / "log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(line for line in lines if '"apply done"' not in line and '"applied"' not in line))
    assert claims(scene) == []
    assert "A swap was interrupted" in scene.text


def test_a_repair_is_told_in_the_past(scene: Scene) -> None:
    scene.apply()
    text = scene.text
    assert "After the repair search finds 300 records (41 before): 259 re-attached." in text
    assert f"The original is kept. To go back to it: forensics undo --case {scene.case}" in text


def test_a_copy_leaves_the_store_as_damaged_as_it_is(scene: Scene, tmp_path: Path) -> None:
    scene.apply(to=tmp_path / "copy")
    text = scene.text
    assert "A repaired copy was made" in text
    assert f"The store itself was not touched. The repaired copy stands at {tmp_path / 'copy'}." in text
    assert "In the repaired copy search finds 300 records" in text
    assert "forensics undo" not in text
    assert "Repaired and verified" not in text
    assert "the repaired copy stands elsewhere" in text


def test_an_undo_leaves_the_findings_that_were(scene: Scene) -> None:
    scene.apply()
    fx.undo(scene.case)
    text = scene.text
    assert "The repair was undone: the store is as it was before it." in text
    assert "While it was repaired, before the undo: search finds 300 records" in text
    assert "The store has every finding it had." in text
    assert "No finding above a note is left" not in text
    assert f"To have the repair again: forensics undo --case {scene.case}" in text


def test_a_redo_is_a_repair_again(scene: Scene) -> None:
    scene.apply()
    fx.undo(scene.case)
    fx.undo(scene.case)
    assert "Repaired and verified" in scene.text


def test_what_was_let_go_cannot_be_had_back(scene: Scene) -> None:
    scene.apply()
    fx.release(scene.case)
    text = scene.text
    assert "The original was let go: there is no way back to it." in text
    assert "forensics undo" not in text
    assert "what was kept for an undo was let go" in text


def test_a_refusal_after_the_repair_does_not_take_it_back(scene: Scene) -> None:
    scene.apply()
    with pytest.raises(ForensicsError):
        scene.apply()
    assert "Repaired and verified" in scene.text
