"""What a notebook begins with: which store, which case, which embedder, who may repair."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics.case import Case
from forensics.errors import NotAStore
from forensics.lab.launch import open_case, place, walk_environment
from forensics.lab.recalled import diagnosis_from_json, recall
from forensics.lab.session import SAMPLE_EMBEDDER, open_session

Sample = Callable[[str], Path]


@pytest.fixture(autouse=True)
def own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_by_itself_a_notebook_works_on_a_scratch_copy_of_a_sample() -> None:
    session = open_session(environment={})
    assert (session.sample, session.embedder, session.unattended) == ("peek-failure", SAMPLE_EMBEDDER, True)
    assert session.path.name == "peek-failure"
    assert session.case.id == "demo"
    assert "scratch copy of the sample peek-failure" in repr(session)


def test_an_own_store_is_left_to_a_person(sample: Sample) -> None:
    session = open_session(environment={"FORENSICS_STORE": str(sample("peek-failure"))})
    assert (session.sample, session.embedder, session.unattended) == (None, None, False)
    assert "unless you type its name" in repr(session)


def test_an_own_store_may_be_repaired_where_that_was_said(sample: Sample) -> None:
    told = {
        "FORENSICS_STORE": str(sample("peek-failure")),
        "FORENSICS_YES": "1",
        "FORENSICS_EMBEDDER": "my:embed",
    }
    session = open_session(environment=told)
    assert (session.embedder, session.unattended) == ("my:embed", True)


def test_another_sample_does_not_get_into_the_case_of_the_walk(sample: Sample, tmp_path: Path) -> None:
    store = sample("peek-failure")
    case = open_case(store, tmp_path / "case", None)
    told = walk_environment(store, case, None, yes=False)
    assert open_session(environment=told).case.folder == case.folder
    other = open_session("peek-failure-few", environment=told)
    assert other.sample == "peek-failure-few"
    assert other.case.folder != case.folder


def test_the_notebooks_of_a_walk_look_once(sample: Sample, tmp_path: Path) -> None:
    store = sample("peek-failure")
    case = open_case(store, tmp_path / "case", None)
    told = walk_environment(store, case, None, yes=False)
    first, second = open_session(environment=told), open_session(environment=told)
    found = first.diagnosis
    events = len(case.events())
    assert second.diagnosis.to_json() == found.to_json()
    assert len(case.events()) == events
    assert diagnosis_from_json(found.to_json()).to_json() == found.to_json()


def test_a_store_that_was_written_since_is_looked_at_again(sample: Sample, tmp_path: Path) -> None:
    store = sample("peek-failure")
    case = open_case(store, tmp_path / "case", None)
    fx.diagnose(store, case=case)
    assert recall(case, store) is not None
    (store / "notes.txt").write_text("mine")
    assert recall(case, store) is None


def test_after_a_repair_the_evidence_of_the_damage_is_not_written_over(
    sample: Sample, tmp_path: Path
) -> None:
    store = sample("peek-failure")
    case = open_case(store, tmp_path / "case", None)
    told = walk_environment(store, case, None, yes=True, embedder=SAMPLE_EMBEDDER)
    session = open_session(environment=told)
    before = session.diagnosis.codes()
    session.plan()
    fx.apply(case, yes=True)
    kept = {name: case.path(name).read_bytes() for name in ("diagnosis.json", "manifest.json")}
    later = open_session(environment=told)
    assert later.is_repaired
    assert "CF501" in before
    assert "CF501" not in later.diagnosis.codes()
    assert {name: case.path(name).read_bytes() for name in kept} == kept


def test_an_unreadable_database_has_no_collection_and_breaks_nothing(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with (store / "chroma.sqlite3").open("r+b") as file:
        file.write(bytes(100))
    session = open_session(store, environment={})
    assert session.collection is None
    assert session.segment is not None
    assert session.verdict == "Nothing was repaired, so there is nothing to verify."


def test_looking_anew_forgets_what_was_seen(sample: Sample) -> None:
    session = open_session(sample("peek-failure"), environment={})
    before = session.store
    session.refresh()
    assert session.store is not before


def test_a_path_wins_over_a_sample_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place("peek-failure")[1] == "peek-failure"
    (tmp_path / "peek-failure").mkdir()
    assert place("peek-failure") == (tmp_path / "peek-failure", None)
    with pytest.raises(NotAStore):
        open_case(tmp_path / "peek-failure", None, None)


def test_a_case_is_taken_up_again(sample: Sample, tmp_path: Path) -> None:
    store = sample("peek-failure")
    made = open_case(store, tmp_path / "case", None)
    assert open_case(store, tmp_path / "case", None).id == made.id
    assert Case.open(tmp_path / "case").store == store.resolve()
