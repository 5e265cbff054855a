"""For each finding the plan says what else could be done, what that costs, and why this one was chosen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.model import Plan
from forensics.repair.stages import plan_from_json
from forensics.report.render import plan_html
from forensics.report.text import plan_text
from forensics.testing.damage import damage_menu

Ways = dict[str, Mapping[str, Any]]


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., Plan]:
    """A plan of a sample with these damages."""

    def make(*names: str, sample: str = "1.5.9/healthy", **choices: Any) -> Plan:
        store = samples.restore(sample, tmp_path / f"store-{len(list(tmp_path.iterdir()))}")
        for name in names:
            damage_menu()[name](store)
        return fx.plan(store, **choices)

    return make


def ways(plan: Plan, code: str) -> Ways:
    (row,) = [row for row in plan.alternatives if row["code"] == code]
    return {way["kind"]: way for way in row["ways"]}


def test_what_is_missing_is_added_rather_than_all_built_again(planned: Callable[..., Plan]) -> None:
    plan = planned(sample="1.5.9/set-aside")
    found = ways(plan, "CF501")
    add, rebuild, embed = found["add-missing-vectors"], found["rebuild-segment"], found["embed-documents"]
    assert [add["chosen"], rebuild["chosen"], embed["chosen"]] == [True, False, False]
    assert 0 < add["cost"]["inserts"] < rebuild["cost"]["inserts"] == plan.effects[0].after
    assert embed["cost"]["documents"] == add["cost"]["inserts"]
    assert "still exist" in embed["why"]


def test_a_new_index_says_why_the_old_one_is_not_mended(planned: Callable[..., Plan]) -> None:
    plan = planned(sample="1.5.9/set-aside", rebuild=("*",))
    found = ways(plan, "CF501")
    assert found["rebuild-segment"]["chosen"]
    assert "it was asked for" in found["mend"]["why"]


def test_what_waits_says_for_what(planned: Callable[..., Plan]) -> None:
    found = ways(planned("oldest-lost"), "CF501")
    assert found["leave"]["chosen"]
    assert found["set-aside-records"]["loses"] == 40
    assert "waits for your choice" in found["set-aside-records"]["why"]
    assert found["embed-documents"]["cost"]["documents"] == 40
    assert "no embedder was given" in found["embed-documents"]["why"]


def test_what_was_asked_to_be_left_says_so(planned: Callable[..., Plan]) -> None:
    found = ways(planned("ids-padded", decline="CF701"), "CF701")
    assert found["leave"]["chosen"]
    assert found["leave"]["why"] == "you asked to leave it"


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("header-halved", "CF303"),
        ("link-lists-halved", "CF306"),
        ("rows-deleted", "CF503"),
        ("vector-watermark-poisoned", "CF203"),
        ("full-text-dropped", "CF106"),
        ("counter-lowered", "CF407"),
        ("ids-padded", "CF701"),
        ("queue-kept", "CF201"),
        ("space-contradicted", "CF807"),
    ],
)
def test_each_finding_has_its_ways_from_the_cheapest_on(
    planned: Callable[..., Plan], damage: str, code: str
) -> None:
    plan = planned(damage)
    for row in plan.alternatives:
        chosen = [way for way in row["ways"] if way["chosen"]]
        assert len(chosen) == 1, row["code"]
        assert all(way["why"] and way["title"] for way in row["ways"])
        costs = [way["cost"].get("inserts", 0) + way["cost"].get("links", 0) for way in row["ways"]]
        assert costs == sorted(costs) or "documents" in str(row)
    approved = {each for action in plan.approved for each in action.codes}
    assert (ways(plan, code)["leave"]["chosen"]) is (code not in approved)


def test_they_travel_with_the_plan_and_are_in_every_view(planned: Callable[..., Plan]) -> None:
    plan = planned("header-halved")
    assert plan_from_json(json.loads(json.dumps(plan.to_json()))) == plan
    text, html = plan_text(plan), plan_html(plan)
    assert "[x] Write header.bin anew" in text
    assert "Build the whole index again from 300 vectors" in text
    assert "Build the whole index again from 300 vectors" in html
    assert planned("header-halved").alternatives == plan.alternatives  # the same in every run


def test_a_plan_without_them_can_still_be_read(planned: Callable[..., Plan]) -> None:
    row = planned("header-halved").to_json()
    del row["alternatives"]
    assert plan_from_json(row).alternatives == ()
