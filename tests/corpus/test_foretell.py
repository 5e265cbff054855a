"""What is foretold from the files, beside what the engine then does on copies."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.foretell.calls import CALLS, RELEASES
from forensics.readers.database import DATABASE
from forensics.seal import compare, seal
from forensics.testing.damage import damage_menu
from forensics.testing.damage_database import change, first_leaf
from forensics.testing.foretelling import compared, run
from forensics.testing.foretold_page import Found, Tally, page
from forensics.testing.foretold_stores import Part

Sample = Callable[[str], Path]
AIM = 0.99


def calls(store: Path, release: str = "1.5.9") -> dict[str, Any]:
    """call → what is foretold of it, of the collection `terms`."""
    return {call.call: call for call in fx.foretell(store, release).of("terms", release).calls}


def test_nothing_is_written_and_all_is_json(sample: Sample) -> None:
    store = sample("1.5.9/pickle-lost")
    before = seal(store)
    told = fx.foretell(store, RELEASES)
    assert compare(before, seal(store)) == ()
    data = json.loads(json.dumps(told.to_json(), allow_nan=False))
    assert [one["chromadb"] for one in data["collections"]] == list(RELEASES)
    assert [call["call"] for call in data["collections"][0]["calls"]] == list(CALLS)


def test_a_lost_pickle_costs_the_index_at_the_first_call_that_reads_it(sample: Sample) -> None:
    told = calls(sample("1.5.9/pickle-lost"))
    assert (told["open"].destroys, told["count"].destroys) == (0, 279)
    assert (told["count"].outcome, told["count"].reaches) == ("returns", 300)
    assert (told["peek"].outcome, told["peek"].error) == ("raises", "Error finding id")
    assert told["query"].reaches == 21


def test_the_failing_peek_is_foretold(sample: Sample) -> None:
    told = calls(sample("1.2.1/peek-failure"))
    assert all(call.destroys == 0 for call in told.values())
    assert {name for name, call in told.items() if call.outcome == "raises"} == {
        *("get with embeddings", "peek", "filtered query"),
    }
    assert told["query"].reaches == 21


def test_what_reads_beyond_the_elements_is_left_open(sample: Sample) -> None:
    told = calls(sample("1.5.9/neighbour-out-of-range"))
    assert told["open"].outcome == "returns"
    assert {told[name].outcome for name in CALLS[1:]} == {"undefined"}
    assert all(told[name].may_destroy == 300 for name in CALLS[1:])


def test_an_older_release_stops_at_migrations_that_it_does_not_know(sample: Sample) -> None:
    told = calls(sample("1.5.9/healthy"), "1.2.1")
    assert {call.error for call in told.values()} == {"PanicException"}
    old = calls(sample("1.5.9/healthy"), "0.6.3")
    assert old["open"].outcome == "returns"
    assert {call.error for name, call in old.items() if name != "open"} == {"_type"}


@pytest.mark.parametrize(
    ("damage", "release", "call", "outcome", "error"),
    [
        ("id-doubled", "1.5.9", "add and reopen", "raises", "Failed to apply logs to the metadata segment"),
        ("id-doubled", "0.6.3", "add and reopen", "returns", ""),
        ("table-page-zeroed", "1.0.20", "count", "returns", ""),
        ("table-page-zeroed", "0.6.3", "get", "raises", "malformed"),
        ("dimension-changed", "1.2.1", "query", "raises", "expecting embedding with dimension"),
        ("dimension-changed", "1.2.1", "get with embeddings", "returns", ""),
        ("id-map-appended-to", "1.5.9", "count", "raises", "trailing bytes found"),
        ("id-map-appended-to", "0.6.3", "peek", "returns", ""),
        ("id-map-hostile", "0.6.3", "peek", "undefined", ""),
        ("id-map-hostile", "0.6.3", "count", "returns", ""),
        ("operation-unknown", "0.6.3", "query", "raises", "KeyError"),
        ("header-appended-to", "1.0.20", "query", "returns", ""),
        ("neighbour-out-of-range", "0.6.3", "query", "undefined", ""),
        ("segment-type-changed", "0.6.3", "count", "returns", ""),
        ("segment-type-changed", "0.6.3", "query", "raises", "StopIteration"),
        ("queue-config-cut", "1.2.1", "open", "raises", "Failed to parse legacy config"),
        ("migration-of-the-future", "0.6.3", "count", "returns", ""),
        ("collection-doubled", "1.5.9", "get", "returns", ""),
    ],
)
def test_each_release_has_its_own_way_with_a_damage(
    sample: Sample, damage: str, release: str, call: str, outcome: str, error: str
) -> None:
    store = sample("0.6.3/healthy")
    damage_menu()[damage](store)
    told = calls(store, release)[call]
    assert (told.outcome, error in told.error) == (outcome, True), told
    assert (told.may_destroy > 0) == (outcome == "undefined")


def test_the_page_says_what_differs_and_what_could_not_be_made(sample: Sample) -> None:
    tally = Tally(agree=2, differ=1, undefined=3, missed=4, differences=["count: 3 foretold, 2 came"])
    text = page([Found("Some", {"1.5.9": {"one": tally}}, {"other": "no place"})], "a command")
    assert "Of 6 calls 3 were foretold, and 2 of these (66.6 %)" in text
    assert "- one under 1.5.9: count: 3 foretold, 2 came" in text
    assert "- 1.5.9: one (3)" in text
    assert "- other: no place" in text


def test_answers_are_kept_by_the_bytes_they_are_about(sample: Sample, tmp_path: Path) -> None:
    part = Part("One", {"a": partial(samples.restore, "1.5.9/pickle-truncated")}, ("1.5.9",))
    first = run(part, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_text(kept.read_text(encoding="utf-8").replace('"ok": false', '"ok": true'), encoding="utf-8")
    again = run(part, tmp_path)
    assert (first.every[0].differ, again.every[0].differ > 0) == (0, True)


@pytest.mark.parametrize("name", ["0.6.3/healthy", "1.2.1/peek-failure", "1.5.9/pickle-lost"])
def test_the_installed_release_does_what_is_foretold(sample: Sample, name: str) -> None:
    tally = Tally.of(compared(sample(name), "1.5.9"))
    assert tally.missed == 0
    assert (tally.agree, tally.differ, tally.undefined) == (len(CALLS), 0, 0), tally.differences


def test_a_search_for_more_than_the_elements_with_an_id_meets_one_without(sample: Sample) -> None:
    store = sample("1.0.20/healthy")
    for name in ("rows-deleted", "level0-page-zeroed"):
        damage_menu()[name](store)
    told = calls(store)["query"]
    assert (told.outcome, told.error) == ("raises", "Error finding id"), told
    tally = Tally.of(compared(store, "1.5.9", calls=("query",)))
    assert tally.agree == 1, tally.differences


@pytest.mark.oldchroma
def test_0_6_takes_no_configuration_for_the_defaults(sample: Sample) -> None:
    store = sample("1.2.1/healthy")
    change(store, "UPDATE collections SET config_json_str = NULL")
    told = calls(store, "0.6.3")
    assert (told["count"].outcome, told["query"].outcome) == ("returns", "raises")
    tally = Tally.of(compared(store, "0.6.3"))
    assert (tally.differ, tally.missed) == (0, 0), tally.differences


def test_new_rows_go_behind_a_damaged_page_of_the_table(sample: Sample) -> None:
    store = sample("1.2.1/healthy")
    with open(store / DATABASE, "r+b") as database:
        database.seek((first_leaf(store, "embeddings") - 1) * 4096)
        database.write(bytes(4096))
    told = calls(store)["add and reopen"]
    assert (told.outcome, calls(store, "0.6.3")["get"].outcome) == ("returns", "raises")
    tally = Tally.of(compared(store, "1.5.9", calls=("count", "get", "add and reopen")))
    assert (tally.differ, tally.missed) == (0, 0), tally.differences


def test_what_keeps_clear_of_memory_that_nobody_wrote_is_foretold(sample: Sample) -> None:
    store = sample("1.0.20/healthy")  # no row of its queue waits for the index
    damage_menu()["neighbour-out-of-range"](store)
    told = calls(store)
    assert [name for name, call in told.items() if call.outcome == "undefined"] == [
        *("query", "filtered query", "add and reopen"),
    ]
    tally = Tally.of(compared(store, "1.5.9", calls=("count", "get with embeddings", "peek")))
    assert (tally.agree, tally.missed) == (3, 0), tally.differences


def test_a_wrong_foretelling_would_be_noticed(sample: Sample) -> None:
    found = compared(
        sample("1.5.9/pickle-lost"), "1.5.9", calls=("count",), told_of=sample("1.2.1/peek-failure")
    )
    tally = Tally.of(found)
    assert (tally.agree, tally.differ) == (0, 1)
    assert tally.missed == 279


@pytest.mark.slow
@pytest.mark.oldchroma
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("version", RELEASES)
def test_every_sample_under_every_release(
    sample: Sample, release: Callable[[str], Path], version: str
) -> None:
    release(version)
    tally = Tally.of(one for name in samples.names() for one in compared(sample(name), version))
    assert tally.missed == 0
    assert tally.share >= AIM, tally.differences
