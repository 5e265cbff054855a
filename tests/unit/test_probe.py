"""`probe` shows each symptom as the user meets it, and never touches the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forensics.engine.advice import advice
from forensics.engine.limits import GIB, default_memory, reserved_memory
from forensics.engine.probe import CALLS
from forensics.errors import CannotComplete, NoSpace
from forensics.probing import exit_status, probe, trace
from forensics.readers.layout import HEADER
from forensics.seal import compare, seal
from forensics.store import open_store

Sample = Callable[[str], Path]


def verdicts(result: dict[str, Any], collection: str = "terms") -> dict[str, str]:
    entry = next(entry for entry in result["collections"] if entry["name"] == collection)
    return {call["call"]: call["verdict"] for call in entry["calls"]}


def details(result: dict[str, Any], call: str) -> dict[str, Any]:
    return next(found for found in result["collections"][0]["calls"] if found["call"] == call)


def asked(store: Path, **options: Any) -> dict[str, Any]:
    """The result; the store is, to the byte and the mtime, what it was."""
    before = seal(store)
    result = probe(store, **options)
    assert compare(before, seal(store)) == ()
    json.dumps(result, allow_nan=False)
    return result


def test_a_healthy_store_answers_the_truth(sample: Sample) -> None:
    result = asked(sample("1.5.9/healthy-three-collections"))
    assert exit_status(result) == 0
    assert [entry["name"] for entry in result["collections"]] == ["drafts", "notes", "terms"]
    assert verdicts(result) == {call.name: "right" for call in CALLS}
    assert all(call["safe_to_use"] for entry in result["collections"] for call in entry["calls"])
    assert "nothing is in the way" in result["advice"]


def test_the_failing_peek_and_the_ids_that_cause_it(sample: Sample) -> None:
    result = asked(sample("1.2.1/peek-failure"))
    assert exit_status(result) == 4
    found = verdicts(result)
    assert [found[name] for name in ("count", "get", "peek", "get with embeddings")] == [
        "right",
        "right",
        "error",
        "error",
    ]
    assert found["query"] == "incomplete"
    assert found["filtered query"] == "error"
    peek = details(result, "peek")
    assert "Error finding id" in peek["detail"]
    assert peek["because"][0]["position"] == 0
    assert all(cause["why"] == "the id map has no label for it" for cause in peek["because"])
    query = details(result, "query")
    assert query["of"] == 300
    assert 0 < query["reaches"] < 40
    assert "Safe to use until the repair: count, get." in result["advice"]


def test_few_unmapped_ids_leave_the_recall_alone(sample: Sample) -> None:
    result = asked(sample("1.2.1/peek-failure-few"))
    found = verdicts(result)
    assert (found["query"], found["peek"]) == ("right", "error")
    assert details(result, "query")["reaches"] == 300


def test_opening_that_destroys_is_said_first(sample: Sample) -> None:
    result = asked(sample("1.5.9/pickle-lost"))
    assert result["advice"].startswith("Do not open this store with Chroma before it is repaired.")
    count = details(result, "count")
    assert count["verdict"] == "right"
    assert count["destroys"] > 200
    assert not count["safe_to_use"]


def test_an_engine_that_dies_is_a_verdict(sample: Sample) -> None:
    result = asked(sample("1.5.9/neighbour-out-of-range"))
    assert set(verdicts(result).values()) == {"dies"}
    assert "SIGSEGV" in details(result, "count")["detail"]


def test_a_hang_is_a_verdict(sample: Sample) -> None:
    result = asked(sample("1.5.9/healthy"), timeout=0.2)
    assert set(verdicts(result).values()) == {"dies"}
    assert "no answer within 0.2 s" in details(result, "peek")["detail"]


def test_a_database_that_is_broken_is_asked_whether_it_opens(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    (store / "chroma.sqlite3").write_bytes(b"not a database at all" * 400)
    result = asked(store)
    assert [call["call"] for call in result["collections"][0]["calls"]] == ["list_collections"]
    assert result["collections"][0]["calls"][0]["verdict"] in ("error", "dies")
    assert exit_status(result) == 4


def test_one_collection_alone(sample: Sample) -> None:
    result = asked(sample("1.5.9/healthy-three-collections"), collection="notes")
    assert [entry["name"] for entry in result["collections"]] == ["notes"]


def test_no_room_and_no_memory_are_said_before_anything_is_copied(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sample("1.5.9/healthy")
    monkeypatch.setattr("forensics.engine.limits.available_memory", lambda: 1000)
    with pytest.raises(NoSpace, match="GiB of memory"):
        probe(store)
    monkeypatch.undo()
    monkeypatch.setattr("forensics.engine.limits._free", lambda folder: 1000)
    with pytest.raises(NoSpace, match="throw-away copy"):
        probe(store)


def test_a_release_that_does_not_exist_is_one_sentence(sample: Sample) -> None:
    with pytest.raises(CannotComplete, match="not a chromadb release"):
        probe(sample("1.5.9/healthy"), versions=["1.5.9;x"])


@pytest.mark.oldchroma
def test_a_panic_is_a_death(sample: Sample, release: Callable[[str], Path]) -> None:
    """1.2.1 panics over the migrations of 1.5.9."""
    release("1.2.1")
    result = asked(sample("1.5.9/healthy"), versions=["1.2.1"])
    assert set(verdicts(result).values()) == {"dies"}
    assert "PanicException" in details(result, "count")["detail"]


@pytest.mark.oldchroma
def test_old_releases_give_ids_without_embeddings(sample: Sample, release: Callable[[str], Path]) -> None:
    release("0.6.3")
    result = asked(sample("0.6.3/pickle-of-0.6"), versions=["0.6.3"])
    found = verdicts(result)
    assert (found["count"], found["get with embeddings"], found["query"]) == ("right", "error", "incomplete")


def test_trace_names_the_first_ids_in_the_order_of_peek(sample: Sample) -> None:
    with open_store(sample("1.5.9/sql-only-orphans")) as store:
        causes = trace(store.collections[0], limit=3)
        rows = store.collections[0].rows
    assert [cause["id"] for cause in causes] == [rows.ids[cause["position"]] for cause in causes]
    assert [cause["position"] for cause in causes] == [250, 251, 252]


def test_advice_names_each_call_by_its_worst_use() -> None:
    def call(name: str, verdict: str) -> dict[str, Any]:
        return {"call": name, "verdict": verdict, "destroys": 0, "safe_to_use": verdict == "right"}

    entries = [
        {"calls": [call("count", "right"), call("query", "right"), call("peek", "error")]},
        {"calls": [call("count", "right"), call("query", "incomplete"), call("peek", "right")]},
    ]
    text = advice(entries, None)
    assert "until the repair: count." in text
    assert "does not reach every record: query." in text
    assert "Not to be used: peek." in text


def with_room_for(store: Path, elements: int) -> Path:
    """The header reserves room for so many elements; the store is sound."""
    path = next(store.glob("*/header.bin"))
    raw = bytearray(path.read_bytes())
    offset = HEADER.fields["max_elements"][1]  # pyright: ignore[reportOptionalSubscript]
    raw[offset : offset + 8] = elements.to_bytes(8, "little")
    path.write_bytes(raw)
    return store


def test_the_limit_follows_what_the_headers_reserve(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    small = default_memory(store)
    with_room_for(store, 8_000_000)
    assert reserved_memory(store) == 8_000_000 * (268 + 64)
    assert default_memory(store) - small > 2 * GIB


def test_an_error_of_the_limit_is_none_of_the_store(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 3 GiB the engine says 'Error loading hnsw index' of an index that is sound."""
    store = with_room_for(sample("1.5.9/healthy"), 10_000_000)
    monkeypatch.setattr("forensics.probing.default_memory", lambda copy: 3 * GIB)
    result = asked(store)
    assert "limit" in verdicts(result).values()
    assert {"error", "dies"}.isdisjoint(verdicts(result).values())
    assert exit_status(result) == 8
    stopped = [call for call in result["collections"][0]["calls"] if call["verdict"] == "limit"]
    assert all("the limit of 3.0 GiB" in call["detail"] for call in stopped)
    assert result["advice"].startswith("What this store does is not known")
