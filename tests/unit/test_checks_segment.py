"""The files of the vector segment: each damage is named, and nothing is said before it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.model import Finding
from forensics.testing.builder import StoreBuilder
from forensics.testing.damage import damage_menu
from forensics.testing.index import Index
from forensics.testing.showing import diagnosed, named
from forensics.testing.texts import records

Sample = Callable[[str], Path]
DAMAGES = damage_menu().of("CF3")


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_a_damage_is_named_and_nothing_else_is(damaged: Callable[..., Finding], name: str) -> None:
    finding = damaged(name)
    assert finding.count > 0
    assert finding.where
    assert finding.expected != finding.found


def test_a_removed_directory(damaged: Callable[..., Finding]) -> None:
    finding = damaged("directory-removed")
    assert (finding.count, finding.unit) == (300, "records")
    assert finding.found["state"] == "absent"
    assert (finding.found["pending"], finding.found["missing"]) == (51, 249)
    assert (finding.remedy.safety, finding.remedy.loses) == ("lossy", 249)
    assert [cause.name for cause in finding.causes] == ["directory-removed"]
    assert "CF401" in finding.follows
    assert "CF601" in finding.follows


def test_a_removed_directory_of_a_queue_that_is_kept_whole_loses_nothing(sample: Sample) -> None:
    store = sample("0.4.24/healthy")
    shutil.rmtree(Index(store).directory)
    assert diagnosed(store).codes(notes=False) == ()  # all is pending, as if it had never been flushed


@pytest.mark.parametrize(
    ("name", "missing", "action", "safety"),
    [
        ("header-removed", "header.bin", "rebuild-header", "safe"),
        ("link-lists-removed", "link_lists.bin", "rewrite-link-lists", "safe"),
        ("lengths-removed", "length.bin", "restore-lengths", "lossy"),
        ("level0-removed", "data_level0.bin", "rebuild-segment", "lossy"),
    ],
)
def test_a_removed_file(
    damaged: Callable[..., Finding], name: str, missing: str, action: str, safety: str
) -> None:
    finding = damaged(name)
    assert finding.found["missing"] == [missing]
    assert (finding.remedy.action, finding.remedy.safety) == (action, safety)


def test_a_lost_header_hides_what_needs_it_and_says_so(damaged: Callable[..., Finding]) -> None:
    assert {"CF304", "CF408", "CF501", "CF601"} <= set(damaged("header-zeroed").follows)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("header-halved", "50 bytes"),
        ("header-zeroed", "persistence version"),
        ("header-element-size-flipped", "element size"),
        ("header-counts-too-few", "10 that ids need stand behind"),
        ("header-counts-too-many", "only 250 labels were ever given"),
    ],
)
def test_a_header_says_what_contradicts_what(damaged: Callable[..., Finding], name: str, text: str) -> None:
    assert any(text in problem for problem in damaged(name).found["problems"])


def test_a_cut_flush_is_named_as_the_cause(damaged: Callable[..., Finding]) -> None:
    assert [cause.name for cause in damaged("header-counts-too-many").causes] == ["flush-cut"]


def test_half_of_level_0(damaged: Callable[..., Finding]) -> None:
    finding = damaged("level0-halved")
    assert finding.expected["elements"] == 250
    assert finding.found["elements"] == 125
    assert finding.remedy.loses == finding.found["records_without_vector"] == 125


def test_lost_norms_cost_something_under_cosine_alone(
    damaged: Callable[..., Finding], sample: Sample
) -> None:
    cosine = damaged("lengths-emptied")
    assert (cosine.severity, cosine.remedy.safety, cosine.remedy.loses) == ("warning", "lossy", 250)
    store = sample("1.2.1/healthy")
    damage_menu()["lengths-emptied"](store)
    l2 = named(diagnosed(store), "CF305")
    assert (l2.severity, l2.remedy.safety, l2.remedy.loses) == ("note", "safe", 0)


def test_link_lists_that_cannot_be_walked(damaged: Callable[..., Finding]) -> None:
    empty, torn = damaged("link-lists-emptied"), damaged("link-list-size-torn")
    assert (empty.count, empty.found["elements"]) == (250, 0)
    assert "not a whole number of lists" in torn.found["problem"]


def test_bloated_link_lists_cost_no_reading(damaged: Callable[..., Finding]) -> None:
    finding = damaged("link-lists-bloated")
    assert finding.found["bytes"] == 4 << 30
    assert finding.found["allocated"] < 1 << 20
    assert finding.expected["bytes"] < 10_000


def test_a_frozen_capacity(damaged: Callable[..., Finding]) -> None:
    finding = damaged("capacity-frozen")
    assert finding.found["max_elements"] == finding.found["cur_element_count"] == 250
    assert finding.confidence == "likely"


def test_a_runaway_counter(damaged: Callable[..., Finding]) -> None:
    assert damaged("counter-run-away").found == {"total_elements_added": 100_250, "elements": 250}


def test_a_tail_behind_the_last_list(damaged: Callable[..., Finding]) -> None:
    finding = damaged("link-lists-appended-to")
    assert finding.found["link_lists.bin"]["bytes"] == finding.expected["link_lists.bin"]["bytes"] + 10


def test_broken_norms(damaged: Callable[..., Finding]) -> None:
    finding = damaged("norms-broken")
    assert finding.lists["elements"] == [3, 5, 8]
    assert finding.found["norms"] == ["nan", "-1.0", "0.0"]


def test_garbage_in_length_bin_of_l2_is_normal(sample: Sample) -> None:
    store = sample("1.2.1/healthy")
    damage_menu()["norms-broken"](store)
    assert diagnosed(store).codes(notes=False) == ()


@pytest.fixture(scope="module")
def unflushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of ten records that was never flushed."""
    path = tmp_path_factory.mktemp("unflushed") / "store"
    with StoreBuilder(path) as store:
        store.create("terms", sync_threshold=100)
        store.add("terms", records()[:10])
    return path


def test_a_segment_that_was_never_flushed_is_a_note(unflushed: Path) -> None:
    found = diagnosed(unflushed)
    assert found.codes(notes=False) == ()
    assert named(found, "CF309").found["records"] == 10


def test_a_never_flushed_segment_whose_queue_was_emptied_has_lost_its_vectors(
    unflushed: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(unflushed, tmp_path / "store")
    with Index(store).sql() as database:
        database.execute("DELETE FROM embeddings_queue")
    finding = named(diagnosed(store), "CF301")
    assert (finding.count, finding.remedy.loses) == (10, 10)
    assert finding.causes[0].name == "queue-emptied"


@pytest.mark.parametrize("name", ["0.4.24", "0.5.23", "0.6.3", "1.0.20", "1.2.1", "1.5.9"])
def test_health_is_silent(sample: Sample, name: str) -> None:
    found = diagnosed(sample(f"{name}/healthy"))
    assert [
        code for code in found.codes(notes=False) if code[:3] in ("CF3", "CF4", "CF5", "CF6", "CF7")
    ] == []
