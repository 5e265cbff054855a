"""The competing hypotheses: each is confirmed, refuted or left open, and by the right evidence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics.report.causes import hypotheses, ranked_causes, rejected_causes

CASE = Path(__file__).parent / "report_case"
MAPS, PATH, STEP = range(3)
Sample = Callable[[str], Path]


def stage(name: str) -> Any:
    return json.loads((CASE / f"{name}.json").read_text("utf-8"))


def rulings(diagnosis: Any, probe: Any = None) -> list[str]:
    return [hypothesis.ruling for hypothesis in hypotheses(diagnosis, probe)]


def test_the_users_question_is_answered_with_diagnosis_and_probe() -> None:
    """The index was removed after a purge: neither map nor path is at fault, the segments are out of step."""
    ruled = hypotheses(stage("diagnosis"), stage("probe"))

    assert [hypothesis.ruling for hypothesis in ruled] == ["refuted", "refuted", "confirmed"]
    assert "CF409 is clean" in ruled[MAPS].evidence[0]
    assert "get with embeddings fails too, with the same words" in ruled[PATH].evidence[0]
    assert "279 records" in ruled[STEP].evidence[0]
    assert ruled[STEP].links == (("CF501", "CF501-terms"),)


def test_without_a_probe_nothing_is_said_of_the_code_path() -> None:
    ruled = hypotheses(stage("diagnosis"), None)

    assert ruled[PATH].ruling == "not decidable"
    assert "forensics probe" in ruled[PATH].evidence[0]


def test_a_lost_id_map_confirms_the_first(sample: Sample) -> None:
    assert rulings(fx.diagnose(sample("pickle-lost")).to_json())[MAPS] == "confirmed"


def test_a_healthy_store_refutes_what_the_files_can_refute(sample: Sample) -> None:
    assert rulings(fx.diagnose(sample("1.5.9/healthy")).to_json()) == ["refuted", "not decidable", "refuted"]


def test_checks_that_did_not_run_decide_nothing(sample: Sample) -> None:
    found = fx.diagnose(sample("1.5.9/healthy"), only=["CF112"]).to_json()

    assert rulings(found) == ["not decidable", "not decidable", "not decidable"]


def with_calls(**verdicts: str) -> Any:
    probe = copy.deepcopy(stage("probe"))
    for call in probe["collections"][0]["calls"]:
        call["verdict"] = verdicts.get(call["call"].replace(" ", "_"), call["verdict"])
    return probe


@pytest.mark.parametrize(
    ("peek", "get", "ruling"),
    [
        ("error", "error", "refuted"),
        ("dies", "right", "confirmed"),
        ("right", "error", "refuted"),
        ("right", "right", "refuted"),
    ],
)
def test_peek_is_compared_with_get_with_embeddings(peek: str, get: str, ruling: str) -> None:
    probe = with_calls(peek=peek, get_with_embeddings=get)

    assert rulings(stage("diagnosis"), probe)[PATH] == ruling


def test_a_cause_is_confirmed_only_where_the_finding_is_certain() -> None:
    diagnosis = stage("diagnosis")
    ranked = ranked_causes(diagnosis)
    diagnosis["findings"][0]["causes"][0]["confidence"] = "certain"

    assert ranked[0].name == "Index removed after purge"
    assert ranked[0].ruling == "not decidable"
    assert ranked_causes(diagnosis)[0].ruling == "confirmed"


def test_courses_of_events_that_leave_other_gaps_are_refuted() -> None:
    rejected = rejected_causes(stage("diagnosis"))

    assert [hypothesis.name for hypothesis in rejected] == ["Older index flushed over", "Two writers"]
    assert {hypothesis.ruling for hypothesis in rejected} == {"refuted"}
    assert "what is missing here is the oldest" in rejected[0].evidence[0]
