"""The id map: whether it can be read, and what it says against level 0."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.model import Finding
from forensics.testing.damage import damage_menu
from forensics.testing.showing import diagnosed, named

Sample = Callable[[str], Path]
DAMAGES = damage_menu().of("CF4")


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_a_damage_is_named_and_nothing_else_is(damaged: Callable[..., Finding], name: str) -> None:
    finding = damaged(name)
    assert finding.count > 0
    assert finding.where
    assert finding.expected != finding.found


@pytest.mark.parametrize(
    ("name", "problem", "offset"),
    [
        ("id-map-removed", "does not exist", None),
        ("id-map-emptied", "0 bytes", None),
        ("id-map-hostile", "TUPLE1", 28),
        ("id-map-malformed", "does not map str to int", None),
    ],
)
def test_an_id_map_that_cannot_be_read(
    damaged: Callable[..., Finding], name: str, problem: str, offset: int | None
) -> None:
    finding = damaged(name)
    assert problem in finding.found["problem"]
    assert (finding.found["elements"], finding.found["live"], finding.found["records"]) == (250, 250, 300)
    assert finding.where[0].offset == offset
    assert {"CF406", "CF409", "CF412", "CF501"} <= set(finding.follows)


@pytest.mark.parametrize("seed", range(8))
def test_an_id_map_cut_anywhere(sample: Sample, seed: int) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["id-map-cut"](store, seed)
    finding = named(diagnosed(store), "CF403")
    assert finding.found["offset"] <= finding.found["bytes"]


def test_a_hostile_map_is_not_executed(
    damaged: Callable[..., Finding], capsys: pytest.CaptureFixture[str]
) -> None:
    damaged("id-map-hostile")
    assert "hello" not in capsys.readouterr().out


def test_a_store_without_its_map_must_not_be_opened(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["id-map-removed"](store)
    assert not diagnosed(store).store["safe_to_open"]


def test_more_records_than_elements_are_lost_whatever_the_map_said(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["oldest-lost"](store)
    damage_menu()["id-map-emptied"](store)
    finding = named(diagnosed(store), "CF501")
    assert finding.found["missing_at_least"] == 40
    assert finding.confidence == "likely"


def test_entries_without_their_mirror(damaged: Callable[..., Finding]) -> None:
    finding = damaged("mirror-lost")
    assert finding.count == 3
    assert len(finding.found["ids_whose_label_leads_elsewhere"]) == 3
    assert finding.remedy.safety == "safe"


def test_the_first_ids_unmapped_can_be_told_from_an_index_rebuilt(sample: Sample) -> None:
    few, lost = diagnosed(sample("peek-failure-few")), diagnosed(sample("peek-failure"))
    assert named(few, "CF406").found["labels_of_no_id"] == [1, 2, 3, 4, 5]
    assert "CF406" not in lost.codes()
    assert [cause.name for cause in named(few, "CF501").causes] == ["id-map-behind-index"]
    assert [cause.name for cause in named(lost, "CF501").causes] == ["index-removed-after-purge"]
    assert named(few, "CF501").remedy.safety == "safe"


def test_a_counter_that_is_behind(damaged: Callable[..., Finding]) -> None:
    finding = damaged("counter-lowered")
    assert finding.found == {"total_elements_added": 150, "highest_label": 250}
    assert (finding.count, finding.lists["labels"][:2]) == (100, [151, 152])


def test_a_label_without_an_element(damaged: Callable[..., Finding]) -> None:
    finding = damaged("label-invented")
    assert (finding.lists["ids"], finding.lists["labels"]) == (["invented"], [251])
    assert [cause.name for cause in finding.causes] == ["flush-without-vectors"]
    assert finding.remedy.loses == 0  # no record needs it


def test_elements_without_an_id(damaged: Callable[..., Finding]) -> None:
    finding = damaged("ids-unmapped")
    assert finding.count == 5
    assert len(finding.lists["elements"]) == len(finding.lists["labels"]) == 5


def test_a_label_on_two_elements(damaged: Callable[..., Finding]) -> None:
    finding = damaged("label-doubled")
    assert (finding.count, finding.lists["elements"]) == (1, [10, 20])


def test_flagged_elements_of_records(damaged: Callable[..., Finding]) -> None:
    finding = damaged("records-flagged")
    assert sorted(finding.lists["elements"]) == [10, 11, 12, 13]
    assert finding.remedy.safety == "safe"


def test_elements_without_a_label(damaged: Callable[..., Finding]) -> None:
    finding = damaged("labels-zeroed")
    assert finding.lists["elements"] == [247, 248, 249]
    assert finding.expected == {"labels": "1 to 250"}
    assert [cause.name for cause in finding.causes] == ["flush-cut"]


def test_a_page_of_zeros_is_told_from_a_cut_flush(damaged: Callable[..., Finding]) -> None:
    finding = damaged("level0-page-zeroed")
    assert [cause.name for cause in finding.causes] == ["pages-of-zeros"]
    assert f"{finding.count} ids of the id map have a label that no element holds" in finding.means


def test_what_a_cut_flush_leaves_after_the_engine_healed_it(sample: Sample) -> None:
    finding = named(diagnosed(sample("flush-cut-reopened")), "CF412")
    assert (finding.count, set(finding.found["labels"])) == (20, {0})


def test_pending_deletes_are_no_ghosts_and_no_flags(sample: Sample) -> None:
    found = diagnosed(sample("1.5.9/healthy-churned"))
    assert not {"CF411", "CF503"} & set(found.codes())
