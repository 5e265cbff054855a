"""The timeline of a store: who has touched it, who can open it, and the same facts once in a case and its report."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import forensics as fx
from forensics import verbs
from forensics.chronicle import Chronicle, chronicle, spans
from forensics.cli import main
from forensics.compatibility import Opening
from forensics.report.casefiles import read_case
from forensics.report.timeline import timeline

Sample = Callable[[str], Path]


def told(store: Path) -> Chronicle:
    with fx.open_store(store) as opened:
        return chronicle(opened)


@pytest.mark.parametrize(
    ("name", "releases"),
    [
        ("0.4.24/healthy", {"0.4.15 – 0.4.24", "0.4.0 – 0.6.3"}),
        ("0.6.3/healthy", {"0.5.6 – 0.6.3", "0.4.0 – 0.6.3", "0.5.4 – 0.6.3"}),
        ("1.2.1/healthy", {"1.0.0 – 1.2.2", "1.0.0 or later"}),
        ("1.5.9/healthy", {"1.5.0 or later", "1.0.0 or later", "1.3.0 or later"}),
    ],
)
def test_each_release_leaves_its_forms(sample: Sample, name: str, releases: set[str]) -> None:
    assert {touch.releases for touch in told(sample(name)).touched} == releases


def test_a_store_that_was_upgraded_tells_of_both(sample: Sample) -> None:
    whys = {touch.why: touch.releases for touch in told(sample("healthy-upgraded")).touched}

    assert whys["The seq_id of the oldest row of embeddings is a BLOB."] == "0.4.0 – 0.6.3"
    assert whys["The seq_id of the newest row of embeddings is an integer."] == "1.0.0 or later"


def test_a_maintenance_run_tells_of_itself(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    assert "vacuum" not in repr(told(store))
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute(
            "INSERT INTO maintenance_log (id, timestamp, operation) VALUES (1, 1750000000, 'vacuum')"
        )

    assert "0.5.6 or later" in {touch.releases for touch in told(store).touched}
    assert "2025-06-15 15:06:40" in repr(told(store))


def test_neighbours_that_are_alike_are_one_line() -> None:
    answers = [Opening("0.4.24", "fails", "x"), Opening("1.0.0", "opens", ""), Opening("1.5.9", "opens", "")]

    assert [(span.releases, span.outcome) for span in spans(answers)] == [
        ("0.4.24", "fails"),
        ("1.0.0 – 1.5.9", "opens"),
    ]


def test_text_and_html_say_the_same(sample: Sample) -> None:
    found = told(sample("set-aside"))
    text, html = re.sub(r"\s+", " ", repr(found)), found._repr_html_()

    for word in ("2025-06-14 03:15:02", "1.2.2 – 1.5.9", "1.5.0 or later", "the client cannot be made"):
        assert word in text
        assert word in html
    assert [*found] == [*found.events]


def test_a_diagnosis_with_a_case_keeps_it_and_the_report_has_each_fact_once(
    sample: Sample, tmp_path: Path
) -> None:
    store = sample("set-aside")
    fx.diagnose(store, case=tmp_path / "case")
    kept = json.loads((tmp_path / "case" / "history.json").read_text())
    assert kept == json.loads(json.dumps(told(store).to_json()))

    events = timeline(read_case(tmp_path / "case"))
    assert len({(event.when, event.what) for event in events}) == len(events)
    assert sum("set aside" in event.what and event.when.startswith("2025") for event in events) == 1
    for name in ("chroma.sqlite3", "header.bin"):
        written = [event for event in events if name in event.what and "last written" in event.what]
        assert len(written) == sum("data_level0" in event.what for event in written) or len(written) == 1
    assert [event.when for event in events if event.when[:1].isdigit()] == sorted(
        event.when for event in events if event.when[:1].isdigit()
    )


def test_a_diagnosis_without_a_case_does_not_look(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(store: object) -> Chronicle:
        raise AssertionError("nobody asked")

    monkeypatch.setattr("forensics.verbs_case.chronicle", asked)
    assert fx.diagnose(sample("1.5.9/healthy")).exit_status == 0


def test_a_store_that_is_too_strange_for_it_is_diagnosed_all_the_same(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(store: object) -> Chronicle:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr("forensics.verbs_case.chronicle", broken)
    fx.diagnose(sample("1.5.9/healthy"), case=tmp_path / "case")

    assert "ZeroDivisionError" in json.loads((tmp_path / "case" / "history.json").read_text())["problem"]
    assert "could not be read: not foreseen" in fx.report(tmp_path / "case").read_text("utf-8")


def test_a_store_without_its_database_still_has_a_timeline(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    (store / "chroma.sqlite3").unlink()
    found = told(store)

    assert {event.source for event in found.events} == {"file time"}
    assert found.touched == ()
    assert {one.outcome for one in found.openings} == {"unknown"}


def test_the_verbs_take_a_path_or_an_open_store(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.5.9/healthy")
    with fx.open_store(store) as opened:
        assert verbs.history(opened) == verbs.history(store)
        assert verbs.openings(opened) == verbs.openings(str(store))
        assert [one.release for one in verbs.openings(opened, ["1.5.9"])] == ["1.5.9"]
        assert verbs.timeline(opened).to_json() == verbs.timeline(store, case=tmp_path / "case").to_json()
    assert (tmp_path / "case" / "history.json").is_file()


def test_the_command_line_tells_it_too(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    store = sample("set-aside")

    assert main(["timeline", str(store)]) == 0
    assert "Releases that can open it, of those tried" in capsys.readouterr().out
    assert main(["timeline", str(store), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(told(store).to_json()))
