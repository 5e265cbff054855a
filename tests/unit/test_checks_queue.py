"""The checks of the queue and of the watermarks: silent before, then this code and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import forensics as fx
from forensics.model import Diagnosis, Finding
from forensics.readers.watermarks import decode_poisoned, whole_numbers
from forensics.testing.damage import damage_menu
from forensics.testing.damage_database import change
from forensics.testing.damage_queue import poison, poisoned
from forensics.testing.showing import shown

Sample = Callable[[str], Path]
DAMAGES = damage_menu().of("CF2")


def found(diagnosis: Diagnosis, code: str) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.code == code)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_nothing_else(name: str, tmp_path: Path) -> None:
    shown(name, tmp_path)


@pytest.mark.parametrize(
    ("stored", "digits"),
    [
        (1229822654365841720, "502498"),  # as published: MemPalace/mempalace#1134
        (0x1111111111111111, ""),
        (250, None),
        (2**62, None),
        (0, None),
    ],
)
def test_decoding_of_poisoned_watermarks(stored: int, digits: str | None) -> None:
    assert decode_poisoned(stored) == digits


@given(st.integers(1, 10**8 - 1))
def test_every_watermark_of_8_digits_is_restored_exactly(watermark: int) -> None:
    digits = decode_poisoned(poisoned(watermark))
    assert digits is not None
    assert digits == str(watermark)
    assert whole_numbers(digits, 1, watermark) == [watermark]


@given(st.integers(10**8, 10**11), st.integers(0, 10**6), st.integers(0, 10**6))
def test_longer_ones_are_restored_within_their_bounds(watermark: int, below: int, above: int) -> None:
    digits = decode_poisoned(poisoned(watermark))
    assert digits is not None
    assert whole_numbers(digits, watermark - below, watermark + above) == [watermark]


@given(st.integers(1, 2**53))
def test_true_watermarks_are_never_taken_for_poisoned(watermark: int) -> None:
    """No number that a queue gives begins with the filler byte in the highest place."""
    assert decode_poisoned(watermark) is None


def test_both_watermarks_poisoned(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    for scope in ("METADATA", "VECTOR"):
        poison(store, scope)
    diagnosis = fx.diagnose(store)
    finding = found(diagnosis, "CF203")
    assert finding.expected == {"metadata": 300, "vector": 250}
    assert finding.found["metadata"] == poisoned(300)
    assert finding.found["opening_destroys"] == 50
    assert finding.confidence == "certain"
    assert (finding.remedy.action, finding.remedy.safety) == ("restore-watermark", "safe")
    assert not diagnosis.store["safe_to_open"]
    assert diagnosis.store["unsafe_because"] == ["CF203"]


def test_an_edited_watermark_has_bounds(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["watermark-edited"](store)
    diagnosis = fx.diagnose(store)
    finding = found(diagnosis, "CF203")
    assert finding.expected == {"metadata": {"at_least": 300, "at_most": 300}}
    assert finding.confidence == "likely"
    assert diagnosis.store["safe_to_open"]


def test_an_emptied_queue_with_later_writes(sample: Sample) -> None:
    """Three writes after the queue was emptied got the numbers 1 to 3 and were never seen again."""
    store = sample("1.0.20/healthy")
    change(
        store,
        "CREATE TEMP TABLE kept AS SELECT * FROM embeddings_queue",
        "DELETE FROM embeddings_queue",
        "INSERT INTO embeddings_queue(operation, topic, id, vector, encoding, metadata)"
        " WITH RECURSIVE three(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM three WHERE n < 3)"
        " SELECT 0, topic, 'unseen ' || n, vector, encoding, metadata FROM kept, three"
        " WHERE kept.seq_id = (SELECT max(seq_id) FROM kept)",
    )
    finding = found(fx.diagnose(store), "CF202")
    assert finding.expected == {"next_seq_id": "above 300"}
    assert finding.found == {
        "next_seq_id": 4,
        "watermarks": {"metadata": 300, "vector": 300},
        "unseen_writes": 3,
    }
    assert finding.lists["unseen_ids"] == ["unseen 1", "unseen 2", "unseen 3"]


def test_poisoned_and_emptied_are_both_named(sample: Sample) -> None:
    store = sample("1.0.20/healthy")
    poison(store, "METADATA")
    change(store, "DELETE FROM embeddings_queue")
    diagnosis = fx.diagnose(store)
    assert found(diagnosis, "CF203").expected == {"metadata": 300}
    assert found(diagnosis, "CF202").found["watermarks"] == {"metadata": 300, "vector": 300}


def test_a_watermark_ahead_says_where_it_should_be(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["watermark-ahead"](store)
    diagnosis = fx.diagnose(store)
    finding = found(diagnosis, "CF204")
    assert finding.expected == {"vector": 250}
    assert finding.found == {"vector": 300, "opening_destroys": 49}
    assert finding.count == 50
    assert not diagnosis.store["safe_to_open"]


def test_a_metadata_watermark_ahead(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["metadata-watermark-ahead"](store)
    finding = found(fx.diagnose(store), "CF204")
    assert finding.expected == {"metadata": 300}
    assert finding.found == {"metadata": 305, "opening_destroys": 0}
    assert len(finding.lists["ids"]) == 5


def test_a_stale_watermark_says_what_the_next_open_destroys(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["index-removed-watermark-kept"](store)
    diagnosis = fx.diagnose(store)
    finding = found(diagnosis, "CF205")
    assert finding.expected["max_seq_id"] is None
    assert (finding.found["max_seq_id"], finding.found["purged_below"]) == (300, 300)
    assert finding.count == 50
    assert "CF205" in diagnosis.store["unsafe_because"]


def test_without_purging_a_stale_watermark_harms_nothing(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["index-removed-watermark-kept"](store)
    change(store, "UPDATE embeddings_queue_config SET config_json_str = '{\"automatically_purge\": false}'")
    assert "CF205" not in fx.diagnose(store).codes()


def test_a_legacy_watermark_is_normal_before_the_migration(sample: Sample) -> None:
    """0.4.24 has no vector row in max_seq_id: the id map holds the number."""
    assert "CF206" not in fx.diagnose(sample("0.4.24/healthy")).codes()
    store = sample("1.5.9/healthy")
    damage_menu()["watermark-in-map-only"](store)
    finding = found(fx.diagnose(store), "CF206")
    assert finding.expected == {"max_seq_id": 250}
    assert finding.found == {"max_seq_id": None, "id_map": 250, "replayed": 1}
    assert finding.remedy.action == "insert-watermark"


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ("operation = 9", "unknown operation 9"),
        ("encoding = 'INT32'", "unknown encoding 'INT32'"),
        ("vector = substr(vector, 2)", "a vector of 127 bytes is not a whole number of floats"),
        ("metadata = '[1]'", "metadata is a list"),
        ("metadata = '{\"chroma:document\": 5}'", "chroma:document is a int"),
        ("metadata = '{\"a\": NaN}'", "metadata holds a number that JSON does not know"),
    ],
)
def test_rows_that_cannot_be_decoded(edit: str, problem: str, sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    change(store, f"UPDATE embeddings_queue SET {edit} WHERE seq_id = 300")
    finding = found(fx.diagnose(store), "CF208")
    assert finding.found == {"rows": [{"seq_id": 300, "problem": problem}]}
    assert (finding.remedy.safety, finding.remedy.loses) == ("lossy", 1)


def test_applied_rows_are_not_read_again(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    change(store, "UPDATE embeddings_queue SET operation = 9 WHERE seq_id = 250")
    assert "CF208" not in fx.diagnose(store).codes()


def test_a_row_without_vector_loses_what_nothing_else_holds(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["queue-vector-missing"](store)
    finding = found(fx.diagnose(store), "CF209")
    assert finding.lists["seq_ids"] == [300]
    assert (finding.remedy.safety, finding.remedy.loses) == ("lossy", 1)


def test_purged_rows_are_counted(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["queue-purged-too-far"](store)
    finding = found(fx.diagnose(store), "CF212")
    assert finding.count == 30
    assert finding.found["watermark"] == 250
    assert finding.found["newest"] == 289


def test_waiting_for_the_metadata_segment_is_normal_without_an_obstacle(sample: Sample) -> None:
    """A process that dies between the queue and SQLite leaves such rows; the next open applies them."""
    store = sample("1.5.9/healthy")
    change(
        store,
        "UPDATE max_seq_id SET seq_id = seq_id - 10"
        " WHERE segment_id = (SELECT id FROM segments WHERE scope = 'METADATA')",
    )
    assert "CF214" not in fx.diagnose(store).codes()


def test_the_obstacle_is_named(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["metadata-replay-wedged"](store)
    finding = found(fx.diagnose(store), "CF214")
    assert finding.count == 10
    assert finding.found["obstacles"][0] == "full-text table embedding_fulltext_search is gone"


def test_a_queue_that_is_kept_whole_is_a_note(sample: Sample) -> None:
    diagnosis = fx.diagnose(sample("0.4.24/healthy"))
    assert found(diagnosis, "CF201").severity == "note"
    assert diagnosis.codes(notes=False) == ()


def test_remains_are_told_where_they_are(sample: Sample) -> None:
    tombs = found(fx.diagnose(sample("1.5.9/healthy-churned"), deep=True, only=["CF213"]), "CF213")
    assert tombs.found == {"queue_rows": 0, "elements": 25}
    assert [place.file.rpartition("/")[2] for place in tombs.where if place.file] == ["data_level0.bin"]
    store = sample("1.5.9/healthy")
    damage_menu()["deleted-record-in-queue"](store)
    queued = found(fx.diagnose(store, deep=True, only=["CF213"]), "CF213")
    assert queued.found["elements"] == 0
    assert [place.rows for place in queued.where] == ["embeddings_queue: 1 row"]
