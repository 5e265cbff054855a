"""The repair panel without Jupyter: every transition, on real samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics.errors import Refused, StoreChanged
from forensics.lab.launch import open_case, walk_environment
from forensics.lab.panel_model import ALLOWED, NotNow, PanelModel
from forensics.lab.session import SAMPLE_EMBEDDER, Session, open_session
from forensics.seal import compare, seal

Sample = Callable[[str], Path]


@pytest.fixture
def session(sample: Sample, tmp_path: Path) -> Callable[[str], Session]:
    """A session of a walk on a sample, as if it were one's own store."""

    def begun(name: str) -> Session:
        store = sample(name)
        case = open_case(store, tmp_path / "case", None)
        return open_session(
            environment=walk_environment(store, case, None, yes=False, embedder=SAMPLE_EMBEDDER)
        )

    return begun


def approved(session: Session) -> PanelModel:
    model = PanelModel(session)
    model.preview()
    assert model.confirm(model.word_to_type)
    return model


def test_from_findings_to_undo_and_back(session: Callable[[str], Session]) -> None:
    walk = session("peek-failure-few")
    before = seal(walk.path)
    model, steps = PanelModel(walk), list[tuple[str, float]]()
    assert (model.state, model.repairable) == ("idle", ("CF406", "CF501"))
    plan = model.preview()
    assert (model.state, plan.promised) == ("planned", ("CF406", "CF501"))
    assert not model.confirm("another name")
    assert model.state == "planned"
    assert model.confirm(f" {model.word_to_type} ")
    result = model.apply(lambda text, share: steps.append((text, share)))
    assert (model.state, result["verified"], result["remaining"]) == ("verified", "checks+engine", [])
    assert "Repaired and verified" in model.message
    assert [share for _, share in steps] == sorted(share for _, share in steps)
    assert fx.diagnose(walk.path).codes(notes=False) == ()
    model.undo()
    assert (model.state, compare(before, seal(walk.path))) == ("undone", ())
    assert "byte for byte" in model.message
    assert PanelModel(walk).state == "undone"
    model.redo()
    assert model.state == "verified"
    assert fx.diagnose(walk.path).codes(notes=False) == ()
    with pytest.raises(NotNow, match="nothing was deleted"):
        model.release("no")
    model.release(model.word_to_type)
    assert model.state == "released"
    with pytest.raises(NotNow):
        model.undo()


def test_nothing_happens_before_the_right_word_is_typed(session: Callable[[str], Session]) -> None:
    walk = session("peek-failure-few")
    before = seal(walk.path)
    model = PanelModel(walk)
    for step in (model.apply, model.undo, model.redo, model.resume):
        with pytest.raises(NotNow, match="panel is idle"):
            step()
    with pytest.raises(NotNow):
        model.confirm(model.word_to_type)
    model.preview()
    with pytest.raises(NotNow):
        model.apply()
    model.cancel()
    assert (model.state, model.plan) == ("idle", None)
    assert compare(before, seal(walk.path)) == ()


def test_a_new_choice_makes_the_plan_void(session: Callable[[str], Session]) -> None:
    model = approved(session("peek-failure-few"))
    model.choose({"CF406"})
    assert (model.state, model.plan) == ("idle", None)
    assert model.preview().promised == ("CF406",)


def test_declining_everything_leaves_nothing_to_approve(session: Callable[[str], Session]) -> None:
    model = PanelModel(session("peek-failure-few"))
    model.choose(set())
    assert model.preview().approved == ()
    assert not model.confirm(model.word_to_type)


def test_a_healthy_store_has_nothing_to_do(session: Callable[[str], Session]) -> None:
    model = PanelModel(session("1.5.9/healthy"))
    assert model.repairable == ()
    assert model.preview().approved == ()
    assert model.message == "Nothing to do."


def test_without_an_embedder_the_plan_says_what_it_cannot_do(sample: Sample, tmp_path: Path) -> None:
    store = sample("peek-failure")
    case = open_case(store, tmp_path / "case", None)
    model = PanelModel(open_session(environment=walk_environment(store, case, None, yes=False)))
    plan = model.preview()
    assert "CF501" in plan.remaining
    assert plan.losses
    assert "CF501" in model.message or plan.approved


def test_a_store_that_was_written_since_the_plan_is_not_touched(session: Callable[[str], Session]) -> None:
    walk = session("peek-failure-few")
    model = approved(walk)
    (walk.path / "notes.txt").write_text("mine")
    now = seal(walk.path)
    with pytest.raises(StoreChanged):
        model.apply()
    assert (model.state, compare(now, seal(walk.path))) == ("failed", ())
    assert "not what it was" in model.message
    assert model.preview().approved


def test_later_writes_are_not_undone_away_without_a_word(session: Callable[[str], Session]) -> None:
    walk = session("peek-failure-few")
    model = approved(walk)
    model.apply()
    (walk.path / "notes.txt").write_text("mine")
    with pytest.raises(Refused, match="written since"):
        model.undo()
    assert model.state == "verified"
    model.undo(discard_later_writes=True)
    assert model.state == "undone"
    assert not (walk.path / "notes.txt").exists()


def test_a_repaired_copy_leaves_the_store_alone(session: Callable[[str], Session], tmp_path: Path) -> None:
    walk = session("peek-failure-few")
    before = seal(walk.path)
    model = approved(walk)
    model.apply(to=tmp_path / "copy")
    assert (model.state, compare(before, seal(walk.path))) == ("copied", ())
    assert fx.diagnose(tmp_path / "copy").codes(notes=False) == ()
    assert str(tmp_path / "copy") in model.message


def test_every_state_has_a_way_on() -> None:
    states = {state for allowed in ALLOWED.values() for state in allowed}
    assert states == {"idle", "planned", "approved", "failed", "copied", "interrupted", "verified", "undone"}
