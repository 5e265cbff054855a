"""The graph: each fault of its lists is named, and what fresh graphs have is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forensics.model import Finding
from forensics.testing.damage import damage_menu
from forensics.testing.index import Index
from forensics.testing.showing import diagnosed, named

Sample = Callable[[str], Path]
DAMAGES = damage_menu().of("CF6")


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_a_damage_is_named_and_nothing_else_is(damaged: Callable[..., Finding], name: str) -> None:
    finding = damaged(name)
    assert finding.count > 0
    assert finding.where
    assert finding.expected != finding.found


@pytest.mark.parametrize(
    ("name", "elements", "levels"),
    [
        ("neighbour-out-of-range", 3, {"0": 3}),
        ("count-too-high", 2, {"0": 2}),
        ("neighbours-repeated", 6, {"0": 6}),
        ("upper-link-to-the-ground", 1, {"1": 1}),
    ],
)
def test_faults_of_lists(
    damaged: Callable[..., Finding], name: str, elements: int, levels: dict[str, int]
) -> None:
    finding = damaged(name)
    assert (finding.count, finding.found["levels"], finding.found["of"]) == (elements, levels, 250)
    assert len(finding.lists["elements"]) == elements
    assert finding.remedy.safety == "safe"


def test_where_a_list_stands(damaged: Callable[..., Finding]) -> None:
    finding = damaged("neighbour-out-of-range")
    assert finding.where[0].offset == finding.lists["elements"][0] * 268


@pytest.mark.parametrize(
    ("name", "problem"),
    [("entry-point-out-of-range", "past the last"), ("top-level-too-high", "up to level 2")],
)
def test_entry_points(damaged: Callable[..., Finding], name: str, problem: str) -> None:
    finding = damaged(name)
    assert problem in finding.found["problem"]
    assert "CF606" in finding.follows


def test_what_no_search_reaches(damaged: Callable[..., Finding]) -> None:
    finding = damaged("made-unreachable")
    assert finding.count == finding.found["unreached"] == 60
    assert finding.found["share"] == 0.24
    assert finding.expected["share_at_most"] == 0.05
    assert len(finding.lists["ids"]) == 60


def test_a_few_unreached_elements_are_a_note(sample: Sample) -> None:
    from forensics.writers.link_surgery import compacted

    store = sample("1.5.9/healthy")
    index = Index(store)
    with index.level0() as level0:
        hidden = np.array([30, 31, 32])
        used = np.arange(level0["links"].shape[1])[None, :] < level0["count"][:, None]
        keep = used & (~np.isin(level0["links"], hidden) | np.isin(np.arange(len(level0)), hidden)[:, None])
        level0["count"], level0["links"] = compacted(level0["links"], keep)
    finding = named(diagnosed(store), "CF606")
    assert (finding.severity, finding.count) == ("note", 3)


def test_unreached_elements_whose_twin_is_reached_are_a_note(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["made-unreachable"](store)
    finding = named(diagnosed(store), "CF606")
    twin = next(n for n in range(250) if n not in finding.lists["elements"])
    with Index(store).level0() as level0:
        level0["vector"][finding.lists["elements"]] = level0["vector"][twin]
    again = named(diagnosed(store), "CF606")
    assert (again.severity, again.found["without_reached_twin"]) == ("note", 0)


def test_a_control_decides_where_figures_do_not(sample: Sample) -> None:
    from forensics.recall import CONTROL, Fresh

    store = sample("1.5.9/healthy")
    hide(store, 10)
    assert named(diagnosed(store), "CF606").severity == "note"
    hide(store, 24)
    for share, severity in ((0.0, "warning"), (0.09, "note")):
        token = CONTROL.set(lambda files, space, ef, share=share: Fresh(share, None, 100))
        try:
            finding = named(diagnosed(store), "CF606")
        finally:
            CONTROL.reset(token)
        assert (finding.severity, finding.found["control_share"]) == (severity, share)


def hide(store: Path, count: int) -> None:
    """Takes elements 40, 41, … without upper levels out of every list of the others, `count` of them."""
    from forensics.readers.hnsw import HnswFiles
    from forensics.writers.link_surgery import compacted

    index = Index(store)
    walk = HnswFiles(index.directory).links
    ground = np.flatnonzero(walk.levels[40:] == 0) + 40  # type: ignore[union-attr]
    with index.level0() as level0:
        hidden = ground[:count]
        used = np.arange(level0["links"].shape[1])[None, :] < level0["count"][:, None]
        keep = used & (~np.isin(level0["links"], hidden) | np.isin(np.arange(len(level0)), hidden)[:, None])
        level0["count"], level0["links"] = compacted(level0["links"], keep)


def test_tombstones_of_a_small_index_are_a_note(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["mostly-deleted"](store)
    few, many = diagnosed(sample("1.5.9/healthy-churned")), diagnosed(store)
    assert named(few, "CF607").severity == named(many, "CF607").severity == "note"
    assert (named(many, "CF607").count, named(many, "CF607").found["of"]) == (175, 250)
    assert many.codes(notes=False) == ()


def test_elements_without_links(damaged: Callable[..., Finding]) -> None:
    finding = damaged("links-emptied")
    assert (finding.count, finding.found["of"]) == (5, 250)


def test_all_links_gone_is_one_finding(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    index = Index(store)
    with index.level0() as level0:
        level0["count"] = 0
    del level0  # the map of a living process would be seen
    found = diagnosed(store)
    assert found.codes(notes=False) == ("CF609",)
    assert "CF606" in named(found, "CF609").follows


def test_a_fresh_graph_of_the_same_vectors_is_the_measure(sample: Sample) -> None:
    """Only a deep diagnosis builds one; a sound graph of the same vectors reaches everything."""
    import forensics as fx

    store = sample("1.5.9/healthy")
    hide(store, 24)
    finding = named(fx.diagnose(store, deep=True), "CF606")
    assert finding.expected["basis"] == "control graph"
    assert finding.found["control_share"] == 0
    assert finding.severity == "warning"
