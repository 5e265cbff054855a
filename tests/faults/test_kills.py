"""SIGKILL at any moment of apply and undo: the store is old, new or closed, and a rerun finishes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from forensics.case import Case
from forensics.errors import Refused
from forensics.handles import Handles, open_handles
from forensics.repair.draft import Draft
from forensics.seal import Manifest, compare, describe, seal

Start = Callable[..., subprocess.Popen[str]]
Sample = Callable[[str], Path]
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="apply exchanges names on Linux only"
)
SEED = 20_261_120
TIMES = 5 if os.environ.get("FORENSICS_NIGHTLY") else 1
SAMPLES = ("1.5.9/sql-only-orphans", "1.2.1/peek-failure")


@dataclass
class Scene:
    """A store, its two states, a case that is ready for `verb`, and the moments of an undisturbed run."""

    worker: ModuleType
    store: Path
    case: Case
    verb: str
    old: Manifest
    new: Manifest
    moments: int
    kinds: tuple[str, ...]

    def reset(self) -> None:
        """The store is the old one in a new case, or with `undo` the new one in a case that was applied."""
        number = int(self.case.folder.name.split("-")[1]) + 1
        self.case = self.worker.planned(self.store, self.case.folder.with_name(f"case-{number}"), self.kinds)
        if self.verb == "undo":
            self.worker.do("apply", self.case)

    def check_after_kill(self) -> str:
        state = self.worker.state_of(self.store, self.old, self.new)
        assert state in ("old", "new", "closed"), state
        return state

    def finish(self, how: str) -> None:
        """A rerun ends in the state that was asked for, byte for byte."""
        if how == "undo" and not self.has_begun():
            with pytest.raises(Refused, match="not applied yet"):
                self.worker.do("undo", Case.open(self.case.folder))
        elif not self.is_done():
            self.worker.do(how, Case.open(self.case.folder))
        wanted = self.old if how == "undo" else self.new
        assert self.worker.content(seal(self.store)) == self.worker.content(wanted)
        if how == "undo":
            assert describe(compare(self.old, seal(self.store))) == ""
        else:
            self.worker.do("undo", Case.open(self.case.folder))
            assert describe(compare(self.old, seal(self.store))) == ""
        handles = open_handles(self.store)
        assert isinstance(handles, Handles)
        assert handles == ()
        self.clear()

    def has_begun(self) -> bool:
        """True where there is a draft to take back."""
        draft = Case.open(self.case.folder).draft
        return draft is not None and draft.is_dir()

    def is_done(self) -> bool:
        """True where the undo had told its result and was killed on its way out: one more would be a redo."""
        if self.verb != "undo":
            return False
        last = Draft.open(Case.open(self.case.folder)).journal.last
        return last is not None and last.name == "undo" and last.acknowledged

    def clear(self) -> None:
        """Nothing of this case is left beside the store."""
        draft = Case.open(self.case.folder).draft
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
        left = [path.name for path in self.store.parent.iterdir() if ".forensics-" in path.name]
        assert not left


@pytest.fixture
def scene(sample: Sample, worker: ModuleType, start: Start, tmp_path: Path) -> Callable[..., Scene]:
    """`scene(sample, verb, kinds)`: learns the states and the number of moments from an undisturbed run."""

    def make(name: str, verb: str, kinds: tuple[str, ...]) -> Scene:
        store = sample(name)
        old = seal(store)
        case = worker.planned(store, tmp_path / "case-0", kinds)
        moments = undisturbed(start, "apply", case)
        new = seal(store)
        back = undisturbed(start, "undo", case)
        made = Scene(worker, store, case, verb, old, new, moments if verb == "apply" else back, kinds)
        assert describe(compare(old, seal(store))) == ""
        made.clear()
        return made

    return make


def undisturbed(start: Start, verb: str, case: Case) -> int:
    out, problems = start(verb, case.folder).communicate()
    assert out, problems
    return json.loads(out)["moments"]


def kill_at(scene: Scene, start: Start, moment: int, finish: str) -> str:
    scene.reset()
    child = start(scene.verb, scene.case.folder, moment)
    _, problems = child.communicate()
    assert child.returncode == -signal.SIGKILL, problems
    state = scene.check_after_kill()
    scene.finish(finish)
    return state


def chosen(total: int, count: int, seed: int) -> list[int]:
    """`count` moments, one from each of as many equal stretches."""
    dice = random.Random(seed)
    edges = [round(index * total / count) for index in range(count + 1)]
    return [dice.randint(low + 1, high) for low, high in pairwise(edges) if high > low]


@pytest.mark.parametrize("verb", ["apply", "undo"])
def test_a_kill_now_and_then(
    scene: Callable[..., Scene], worker: ModuleType, start: Start, verb: str
) -> None:
    """A few moments in every run; all of them are for the next test."""
    made = scene(SAMPLES[0], verb, worker.MIXED)
    states = {
        kill_at(made, start, moment, "undo" if index % 2 else ("resume" if verb == "apply" else "undo"))
        for index, moment in enumerate(chosen(made.moments, 8, SEED))
    }
    assert states <= {"old", "new", "closed"}
    assert len(states) > 1


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(("verb", "count"), [("apply", 60), ("undo", 40)])
def test_a_hundred_kills(
    scene: Callable[..., Scene], worker: ModuleType, start: Start, name: str, verb: str, count: int
) -> None:
    """A hundred seeded moments on each of two samples, finished in turn by resume and by undo."""
    made = scene(name, verb, worker.MIXED)
    states: dict[str, int] = {}
    for index, moment in enumerate(chosen(made.moments, count * TIMES, SEED + len(name))):
        how = "undo" if verb == "undo" or index % 2 else "resume"
        state = kill_at(made, start, moment, how)
        states[state] = states.get(state, 0) + 1
    assert states.keys() == {"old", "new", "closed"}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("verb", ["apply", "undo"])
def test_a_single_exchange_is_never_closed(
    scene: Callable[..., Scene], worker: ModuleType, start: Start, verb: str
) -> None:
    made = scene(SAMPLES[0], verb, worker.SINGLE)
    states = {
        kill_at(made, start, moment, "undo" if index % 2 else ("resume" if verb == "apply" else "undo"))
        for index, moment in enumerate(chosen(made.moments, 30, SEED))
    }
    assert states == {"old", "new"}


@pytest.mark.timeout(3600)
def test_killed_again_while_it_recovers(
    scene: Callable[..., Scene], worker: ModuleType, start: Start
) -> None:
    """Each recovery is killed as well, at a later and later moment, until one comes through."""
    made = scene(SAMPLES[0], "apply", worker.MIXED)
    dice = random.Random(SEED)
    for _ in range(6):
        made.reset()
        start("apply", made.case.folder, dice.randint(made.moments // 2, made.moments)).communicate()
        for _ in range(6):
            made.check_after_kill()
            verb = dice.choice(["resume", "undo"])
            child = start(verb, made.case.folder, dice.randint(1, 40))
            child.communicate()
            if child.returncode == 0:
                break
        made.check_after_kill()
        draft = Case.open(made.case.folder).draft
        if draft is None or not draft.exists():  # an undo threw the draft away and was killed after
            assert made.worker.content(seal(made.store)) == made.worker.content(made.old)
            made.clear()
            continue
        made.finish("resume")


@pytest.mark.timeout(3600)
def test_kills_by_the_clock(scene: Callable[..., Scene], worker: ModuleType, start: Start) -> None:
    """Not between our own calls, but wherever the process happens to be."""
    made = scene(SAMPLES[0], "apply", worker.MIXED)
    dice = random.Random(SEED)
    began = time.monotonic()
    made.reset()
    start("apply", made.case.folder).communicate()
    span = time.monotonic() - began
    made.finish("undo")
    for _ in range(20 * TIMES):
        made.reset()
        child = start("apply", made.case.folder)
        time.sleep(dice.uniform(0.2, 1.0) * span)
        child.kill()
        child.communicate()
        made.check_after_kill()
        made.finish("resume")
