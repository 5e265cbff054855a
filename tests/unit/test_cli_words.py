"""What a repair says in the terminal: the errors whole, the notes in a line, the outcome on one screen, the reason last."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics.cli_text import fit_terminal
from forensics.report.brief import notes_text, repaired_text
from forensics.report.plain import WIDTH
from forensics.report.repair_summary import loss_sentence, lost_sentence, plan_sentence
from forensics.report.summary import remedy_sentence
from forensics.seal import compare, seal

Sample = Callable[[str], Path]
Say = Callable[..., Any]
CASE = Path(__file__).parent / "report_case"
NO_ENGINE = ("--engine", "none", "--nobody-else-uses-it")
SCREEN = 45


def stage(name: str) -> dict[str, Any]:
    return json.loads((CASE / f"{name}.json").read_text(encoding="utf-8"))


def titles(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith(" ")]


def test_a_repair_is_told_on_one_screen_from_what_was_wrong_to_the_way_back(sample: Sample, say: Say) -> None:
    said = say("repair", sample("1.5.9/set-aside"), "--yes", *NO_ENGINE, "--case", "case")
    assert said.status == 0, said.err
    lines = said.out.splitlines()
    assert len(lines) < SCREEN
    assert max(map(len, lines[:-4])) < 120
    heads = titles(said.out)
    assert [head.split(" with ")[0] for head in heads[:4]] == [
        "What was wrong",
        "What was done",
        "What was not done",
        "How it stands now",
    ]
    assert [head.split()[0] for head in heads[4:]] == ["case", "undo", "proof", "report"]
    assert "Repaired. Verified by the checks alone; the engine was not asked" in said.out
    assert said.out.count("CF501 ids-missing-from-index") == 0  # the block of the finding is in the report


def test_what_does_not_come_back_is_told_with_its_reason_and_what_would_bring_it(
    sample: Sample, say: Say
) -> None:
    store = sample("peek-failure")
    said = say("repair", store, "--yes", *NO_ENGINE, "--case", "case")
    told = " ".join(said.out.split())
    assert 'What was not brought back 279 records of "terms", for each: its vector exists nowhere' in told
    assert f"forensics repair {store.resolve()} --embedder MODULE:CALLABLE" in told
    assert "Calls that ask for the vector of one of the 279 records without one go on failing" in told
    assert len(said.out.splitlines()) < SCREEN
    report = Path("case/report.html").read_text(encoding="utf-8")
    assert f"by what embedded them before: <code>forensics repair {store.resolve()} --embedder" in report


def test_verbose_tells_diagnosis_and_plan_as_well(sample: Sample, say: Say) -> None:
    said = say("repair", sample("1.5.9/set-aside"), "--yes", "-v", *NO_ENGINE, "--case", "case")
    assert "CF501 ids-missing-from-index" in said.out
    assert "[x] 1. Add 259 missing vectors" in said.out
    assert "How it stands now" in said.out


@pytest.mark.parametrize("verb", ["diagnose", "plan", "repair"])
def test_notes_take_a_line_each_unless_asked_for(verb: str, sample: Sample, say: Say) -> None:
    store = sample("1.5.9/set-aside")
    brief = say(verb, store).out
    whole = say(verb, store, "--verbose").out
    assert "error   CF501 ids-missing-from-index" in brief
    assert "note    CF210" not in brief
    assert "\n  CF210 vectors-only-in-queue" in brief
    assert "note    CF210 vectors-only-in-queue" in whole
    assert "no damage (" not in whole


def test_json_does_not_depend_on_verbose(sample: Sample, say: Say) -> None:
    store = sample("1.5.9/set-aside")
    assert (
        say("diagnose", store, "--format", "json").out == say("diagnose", store, "--format", "json", "-v").out
    )


def test_notes_of_one_code_share_a_line() -> None:
    note = {"code": "CF502", "name": "ids-pending", "severity": "note", "count": 2, "unit": "records"}
    text = notes_text([{**note, "collection": name} for name in "abcd"])
    assert text.splitlines()[1:] == [
        '  CF502 ids-pending                8 records in "a", "b", "c" and 1 more'
    ]
    assert notes_text([]) == ""


def test_a_refused_repair_ends_with_its_reason_and_says_how_the_store_stands(
    sample: Sample, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sample("1.5.9/set-aside")
    before = seal(store)
    say("plan", store, "--case", "case")
    monkeypatch.setattr("forensics.repair.apply._run_action", _wrecks)
    for words in (("apply", "--case", "case"), ("repair", store, "--case", "another")):
        said = say(*words, "--yes", *NO_ENGINE)
        assert said.status == 8
        end = said.out[said.out.index("Not repaired; the store was not touched") :]
        assert "The draft did not pass its verification" in end
        assert "[x]" not in said.out
        assert compare(before, seal(store)) == ()


def _wrecks(action: Any, context: Any) -> dict[str, Any]:
    """An action that leaves a draft which is not what the plan promised."""
    work = context.draft.copy_in("chroma.sqlite3")
    with open(work, "ab") as handle:
        handle.write(bytes(4096))
    return {}


def test_a_second_apply_does_not_call_a_repaired_store_untouched(sample: Sample, say: Say) -> None:
    store = sample("1.5.9/set-aside")
    assert say("repair", store, "--yes", *NO_ENGINE, "--case", "case").status == 0
    said = say("apply", "--case", "case", "--yes", *NO_ENGINE)
    assert said.status == 8
    assert said.out.startswith("Nothing was changed. The plan of the case")
    assert "Not repaired" not in said.out


def test_where_every_action_waits_for_a_decision_none_is_said_to_be_carried_out(
    sample: Sample, say: Say
) -> None:
    said = say("repair", sample("pickle-lost"), "--case", "case")
    assert "apply --case" not in said.out
    assert "nothing is done without a decision" in said.out


def test_a_failed_test_is_named_where_the_repair_was_made() -> None:
    verdict = stage("verdict")
    verdict["tests"][0] |= {"passed": False, "detail": "3 missing"}
    text = repaired_text(
        stage("diagnosis"),
        stage("plan"),
        {**verdict, "verified": None},
        {**stage("result"), "verified": None},
    )
    assert "Repaired. Not verified: 1 of" in text
    assert "Somebody wrote" not in text
    since = {**stage("result"), "written_since": "chroma.sqlite3: size"}
    assert "Somebody wrote to the store right after the swap" in repaired_text(
        stage("diagnosis"), stage("plan"), verdict, since
    )
    assert "FAIL" in text
    assert "3 missing" in text


@pytest.mark.parametrize(
    ("kind", "safety", "loses", "text"),
    [
        ("add-missing-vectors", "lossy", 634, "nothing is lost by it; 634 records stay without a vector"),
        ("add-missing-vectors", "lossy", 1, "nothing is lost by it; 1 record stays without a vector"),
        (
            "set-aside-records",
            "lossy",
            2,
            "2 records leave the store for the case, which keeps id, document and metadata of each",
        ),
        ("delete-ids", "lossy", 1, "lossy: 1 record leaves the store and is kept in the case"),
        ("quarantine-ghosts", "safe", 0, "safe: all of it is kept in the case; no record comes back by it"),
        ("trim-ids", "safe", 0, "safe: nothing is lost"),
        ("replace-vectors", "lossy", 3, "lossy: at the cost of 3 records"),
    ],
)
def test_what_an_action_costs(kind: str, safety: str, loses: int, text: str) -> None:
    assert loss_sentence({"kind": kind, "safety": safety, "loses": loses}) == text


def test_ghosts_are_kept_and_not_called_lost() -> None:
    told = remedy_sentence({"action": "quarantine-ghosts", "safety": "lossy", "loses": 2})
    assert (
        told == "quarantine-ghosts — 2 ids and their vectors are kept in the case; no record comes back by it"
    )
    told = remedy_sentence({"action": "quarantine-ghosts", "safety": "lossy", "loses": 1})
    assert told == "quarantine-ghosts — 1 id and its vector is kept in the case; no record comes back by it"


def test_reasons_agree_with_how_many_they_are_said_of() -> None:
    loss = {"collection": "docs", "count": 1, "reason": "its vector exists nowhere", "examples": []}
    assert lost_sentence(loss) == '1 record of "docs": its vector exists nowhere'
    assert lost_sentence({**loss, "count": 2}) == '2 records of "docs", for each: its vector exists nowhere'


def test_housekeeping_of_a_sound_store_alarms_nobody() -> None:
    action = {
        "kind": "purge-queue",
        "codes": ["CF201"],
        "approved": False,
        "approval": "also-fix",
        "loses": 0,
    }
    plan = {"actions": [action], "effects": []}
    assert plan_sentence(plan) == "Nothing needs a repair; 1 action of housekeeping can be asked for."
    waiting = {**plan, "actions": [{**action, "approval": "accept-loss"}]}
    assert plan_sentence(waiting) == "Nothing is done without a decision: 1 action waits for it."
    explained = {**action, "approval": "manual"}
    assert plan_sentence({**waiting, "actions": [*waiting["actions"], explained]}) == plan_sentence(waiting)
    assert plan_sentence({**waiting, "actions": [explained]}).startswith("Nothing is done: ")


def test_texts_are_as_narrow_as_the_terminal(sample: Sample, say: Say) -> None:
    store = sample("peek-failure")
    wide = say("diagnose", store, "-v").out
    token = WIDTH.set(80)
    try:
        narrow = say("diagnose", store, "-v").out
        page = say("explain", "CF503").out
    finally:
        WIDTH.reset(token)
    long = [line for line in narrow.splitlines() if len(line) > 80 and "://" not in line and "/" not in line]
    assert long == []
    assert max(map(len, page.splitlines())) <= 80
    assert narrow.split() == wide.split()


def test_a_terminal_sets_the_width_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((72, 20)))
    token = WIDTH.set(100)
    try:
        fit_terminal()
        assert WIDTH.get() == 100
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        fit_terminal()
        assert WIDTH.get() == 72
    finally:
        WIDTH.reset(token)


def test_the_bar_says_what_takes_the_time(sample: Sample, tmp_path: Path) -> None:
    store, steps = sample("1.5.9/set-aside"), list[str]()

    def bar(text: str, share: float) -> None:
        steps.append(text)

    fx.plan(store, case=tmp_path / "case", progress=bar)
    assert steps[-1] == "planning and sealing"
    fx.apply(tmp_path / "case", yes=True, engine="none", nobody_else=True)
    fx.verify(tmp_path / "case", engine="none", progress=bar)
    assert steps[-1] == "asking the engine on a copy"


def test_an_undo_says_what_another_one_does(sample: Sample, say: Say) -> None:
    store = sample("1.5.9/set-aside")
    say("repair", store, "--yes", *NO_ENGINE, "--case", "case")
    for state, again in (
        ("as it was before the repair", "(brings the repair back)"),
        ("the repaired one again", "(takes the repair back once more)"),
    ):
        said = say("undo", "--case", "case", "--nobody-else-uses-it")
        assert said.out.startswith(f"The store is {state}, byte for byte.\n")
        assert again in said.out


def test_a_healthy_store_gets_no_predictions(sample: Sample, say: Say) -> None:
    said = say("plan", sample("1.5.9/healthy"), "--embedder", "forensics.testing.embedder:embed")
    assert "Documents are embedded" not in said.out
    assert "Nothing to do. Nothing has been changed." in said.out
    assert "search will find" not in said.out


def test_titles_agree_with_how_many(sample: Sample, say: Say) -> None:
    """One id with a blank at its end is `1 id`."""
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("UPDATE embeddings SET embedding_id = embedding_id || ' ' WHERE id = 7")
    told = say("plan", store).out
    assert "Trim 1 id in SQLite, the id map and the queue" in told
    assert " 1 ids" not in told
    assert " 1 records" not in told


def test_what_is_set_aside_is_not_called_unharmed(sample: Sample, say: Say) -> None:
    store = sample("peek-failure")
    planned = say("plan", store, "--set-aside-unsearchable")
    assert "2 actions of 2 will be done; 279 records are set aside in the case." in planned.out
    said = say("repair", store, "--yes", "--set-aside-unsearchable", *NO_ENGINE, "--case", "case")
    assert "With what embedded them before: undo this repair, then forensics repair" in " ".join(
        said.out.split()
    )
    assert "279 set aside" in said.out
    assert "go on failing" not in said.out
    assert (
        "embedded them before: undo this repair, then <code>forensics repair"
        in Path("case/report.html").read_text()
    )
