"""Ids of SQLite, map, level 0 and queue against one another, and how they came to differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forensics.model import Finding
from forensics.store import open_store
from forensics.strays import elements_behind, left_behind
from forensics.testing.builder import StoreBuilder
from forensics.testing.damage import damage_menu
from forensics.testing.index import Index
from forensics.testing.showing import diagnosed, named

Sample = Callable[[str], Path]
DAMAGES = damage_menu().of("CF5")


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_a_damage_is_named_and_nothing_else_is(damaged: Callable[..., Finding], name: str) -> None:
    finding = damaged(name)
    assert finding.count > 0
    assert finding.where
    assert finding.expected != finding.found


def causes(finding: Finding) -> list[tuple[str, str]]:
    return [(cause.name, cause.confidence) for cause in finding.causes]


def test_the_oldest_block(sample: Sample) -> None:
    """The index was removed after a purge and rebuilt from the rest."""
    finding = named(diagnosed(sample("peek-failure")), "CF501")
    assert (finding.count, finding.found["indexed"], finding.found["pending"]) == (279, 21, 0)
    assert finding.found["sequence"]["name"] == "oldest"
    assert (finding.found["sequence"]["lowest_seq"], finding.found["sequence"]["highest_seq"]) == (1, 279)
    assert causes(finding) == [("index-removed-after-purge", "likely")]
    assert "21 labels" in finding.causes[0].evidence
    assert "seq_id 300" in finding.causes[0].evidence
    assert (finding.remedy.safety, finding.remedy.loses) == ("lossy", 279)
    assert finding.found["vectors"]["only_a_document"] == 279
    assert len(finding.lists["ids"]) == len(finding.lists["rowids"]) == 279


def test_the_newest_block(sample: Sample) -> None:
    """An older index was flushed over a newer one; the newer vectors still stand behind the last element."""
    store = sample("sql-only-orphans")
    finding = named(diagnosed(store), "CF501")
    assert (finding.count, finding.found["sequence"]["name"]) == (50, "newest")
    assert causes(finding) == [("older-index-flushed-over", "certain"), ("two-writers", "likely")]
    assert finding.found["sequence"]["indexed_later"] == 60
    assert finding.found["vectors"]["stray"] == 50
    assert (finding.remedy.safety, finding.remedy.loses) == ("safe", 0)


def test_the_vectors_behind_the_last_element_are_the_true_ones(sample: Sample) -> None:
    from forensics import samples
    from forensics.sources import fetch, find_sources

    truth = samples.truth("sql-only-orphans")["terms"]
    with open_store(sample("sql-only-orphans")) as store:
        (collection,) = store.collections
        ids = sorted(left_behind(collection))
        vectors = fetch(collection, find_sources(collection, ids), np.arange(len(ids))).raw
    expected = truth.vectors[[truth.ids.index(name) for name in ids]]
    assert len(ids) == 50
    assert np.array_equal(vectors, expected)


def test_elements_behind_prove_nothing_where_their_number_differs(sample: Sample) -> None:
    store = sample("sql-only-orphans")
    Index(store).unmap(Index(store).some_ids(np.random.default_rng(0), 1))
    with open_store(store) as opened:
        (collection,) = opened.collections
        assert left_behind(collection) == {}


def test_reserved_room_is_no_element_behind(sample: Sample) -> None:
    for name in ("1.0.20/healthy", "1.2.1/healthy", "peek-failure"):
        with open_store(sample(name)) as store:
            (collection,) = store.collections
            assert not elements_behind(collection.vector).size  # type: ignore[arg-type]


def test_a_gap_in_the_middle(damaged: Callable[..., Finding]) -> None:
    finding = damaged("middle-lost")
    assert finding.found["sequence"]["name"] == "middle"
    assert causes(finding) == [("two-writers", "likely")]
    assert "above seq_id 140" in finding.causes[0].evidence


def test_an_index_that_was_not_started_anew_was_not_removed(damaged: Callable[..., Finding]) -> None:
    finding = damaged("oldest-lost")
    assert finding.found["sequence"]["name"] == "oldest"
    assert causes(finding) == [("unknown", "possible")]


def test_vectors_that_the_queue_still_holds_below_the_watermark(sample: Sample) -> None:
    """0.4 never purges, so what its index lost is all still there."""
    store = sample("0.4.24/healthy")
    with open_store(store) as opened:
        (collection,) = opened.collections
        watermark = collection.vector_watermark
    assert watermark == 300


def test_a_directory_that_was_set_aside_gives_the_vectors_back(sample: Sample) -> None:
    finding = named(diagnosed(sample("set-aside")), "CF501")
    assert finding.count == finding.found["vectors"]["set-aside"] == 259
    assert (finding.remedy.safety, finding.remedy.loses) == ("safe", 0)


def test_missing_ids_by_prefix_and_by_metadata(sample: Sample) -> None:
    found = named(diagnosed(sample("peek-failure")), "CF501").found
    assert (found["by_prefix"]["separator"], found["by_prefix"]["parts"]) == (":", 2)
    assert found["by_prefix"]["top"][0] == {"name": "hd:ticket", "count": 63, "of": 65}
    assert sum(group["count"] for group in found["by_metadata"]["obsolete"]["top"]) == 279


def test_pending_records_are_a_note(sample: Sample) -> None:
    finding = named(diagnosed(sample("1.5.9/healthy")), "CF502")
    assert (finding.severity, finding.count) == ("note", 50)


def test_ids_that_only_the_index_has(damaged: Callable[..., Finding]) -> None:
    finding = damaged("rows-deleted")
    assert (finding.count, len(finding.lists["ids"])) == (5, 5)
    assert finding.found["still_in_queue"] <= 1


def test_a_vector_that_the_queue_contradicts(damaged: Callable[..., Finding]) -> None:
    finding = damaged("vector-stale")
    assert (finding.count, finding.found["compared"]) == (1, 1)


def test_an_add_of_an_existing_id_contradicts_nothing(sample: Sample) -> None:
    """Its row has another vector, and SQLite does not name it as the last write of the record."""
    store = sample("1.5.9/healthy")
    with Index(store).sql() as database:
        sql = "UPDATE embeddings SET seq_id = seq_id - 100 WHERE seq_id = 250"
        database.execute(sql)
    damage_menu()["vector-stale"](store)
    assert "CF504" not in diagnosed(store).codes()


def test_the_engine_loses_an_update_of_a_single_element(tmp_path: Path) -> None:
    """In an index of one element an update in place is flushed without its vector (all releases)."""
    from dataclasses import replace

    from forensics.testing.texts import records

    (first,) = records()[:1]
    with StoreBuilder(tmp_path / "store") as store:
        store.create("terms", sync_threshold=2)
        store.add("terms", [first])
        store.add("terms", [replace(first, document="another text")], how="upsert")
        store.restart()
        store.add("terms", [replace(first, document="a third text")], how="upsert")
        store.add("terms", [replace(first, document="a fourth text")], how="upsert")
    finding = named(diagnosed(tmp_path / "store"), "CF504")
    assert finding.count == 1
    assert causes(finding) == [("stale-single-element", "likely")]


def test_a_strangers_vector_under_a_copied_text(damaged: Callable[..., Finding]) -> None:
    finding = damaged("vectors-exchanged")
    assert (finding.count, finding.confidence) == (1, "likely")
    assert (finding.found["groups"], finding.found["groups_that_agree"]) == (30, 29)


def test_vectors_that_do_not_depend_on_the_text_alone_say_nothing(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with Index(store).sql() as database:
        sql = "UPDATE embedding_metadata SET string_value = 'one text' || (id / 2) WHERE key = 'chroma:document'"
        database.execute(sql)
    assert "CF505" not in diagnosed(store).codes()
