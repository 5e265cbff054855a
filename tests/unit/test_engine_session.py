"""chromadb in children: what each operation did, what a death or an error leaves of the others, and the
verification.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forensics import samples
from forensics.engine import truth as believed
from forensics.engine.steps import Step, engine_session
from forensics.engine.truth import expected_of
from forensics.engine.verify import fresh_records, same_vectors, verify_with_engine
from forensics.errors import CannotComplete
from forensics.readers.hnsw import HnswFiles
from forensics.store import open_store
from forensics.writers.draft_maps import level0_for_writing
from forensics.writers.segment_files import set_deleted

Sample = Callable[[str], Path]
TERMS = {"collection": "terms"}


def segment_of(store: Path) -> Path:
    with open_store(store) as opened:
        return opened.collections[0].vector.directory


def test_operations_on_a_healthy_store(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    vectors = np.eye(32, dtype=np.float32)[:3]
    operations = [
        {"op": "list_collections"},
        {"op": "count", **TERMS},
        {"op": "peek", **TERMS},
        {"op": "query", "vectors": "new.npy", "k": 4, **TERMS},
        {"op": "add", "ids": ["x", "y", "z"], "vectors": "new.npy", **TERMS},
        {"op": "kill"},
        {"op": "count", **TERMS},
        {"op": "get", "ids": ["y"], "include": ["embeddings"], **TERMS},
        {"op": "reopen"},
        {"op": "delete", "ids": ["x"], **TERMS},
        {"op": "count", **TERMS},
        {"op": "get", "collection": "nobody"},
    ]
    steps = engine_session(store, operations, arrays={"new.npy": vectors})
    assert [step.op for step in steps] == [operation["op"] for operation in operations]
    assert [step.ok for step in steps] == [True] * 11 + [False]
    assert (steps[0].value, steps[1].value, steps[6].value, steps[10].value) == (["terms"], 300, 303, 302)
    assert steps[2].embeddings.shape == (10, 32)
    assert [len(row) for row in steps[3].ids] == [4, 4, 4]
    assert steps[7].ids == ["y"]
    assert "NotFoundError" in steps[11].text


def test_a_death_is_the_step_that_died_and_the_rest_goes_on(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with level0_for_writing(segment_of(store)) as level0:
        level0["links"][:] = 4_000_000_000
    vector = {"one.npy": np.ones((1, 32), dtype=np.float32)}
    query = {"op": "query", "vectors": "one.npy", "k": 5, **TERMS}
    steps = engine_session(store, [query, {"op": "list_collections"}], arrays=vector)
    assert "SIG" in (steps[0].died or "")
    assert (steps[1].ok, steps[1].value) == (True, ["terms"])
    grouped = [{**query, "group": 0}, {"op": "list_collections", "group": 1}]
    assert [step.op for step in engine_session(store, grouped, arrays=vector)] == ["query"]


def test_an_error_ends_its_group_alone(sample: Sample) -> None:
    operations = [
        {"op": "get", "collection": "nobody", "group": 0},
        {"op": "list_collections", "group": 0},
        {"op": "list_collections", "group": 1},
    ]
    steps = engine_session(sample("1.5.9/healthy"), operations)
    assert [step.ok for step in steps] == [False, True]


def test_a_release_that_is_not_at_hand_is_said(sample: Sample) -> None:
    with pytest.raises(CannotComplete, match=r"0\.0\.7 is not at hand"):
        engine_session(sample("1.5.9/healthy"), [{"op": "open"}], version="0.0.7")
    with pytest.raises(CannotComplete, match="not a chromadb release"):
        engine_session(sample("1.5.9/healthy"), [{"op": "open"}], version="latest; rm")


@pytest.mark.parametrize(
    "name",
    [
        "1.5.9/healthy",
        "1.5.9/healthy-churned",
        "1.5.9/healthy-three-collections",
        "1.2.1/healthy",
        "0.6.3/healthy",
    ],
)
def test_our_truth_is_what_the_user_believes(sample: Sample, name: str) -> None:
    """The readers alone give every vector that the user stored: to one step of float32 for cosine, else bit
    for bit.
    """
    with open_store(sample(name)) as store:
        expected = expected_of(store)
    for collection, truth in samples.truth(name).items():
        one = expected[collection]
        assert sorted(one.ids) == sorted(truth.ids)
        assert one.known.all()
        place = {name: row for row, name in enumerate(one.ids)}
        rows = [place[name] for name in truth.ids]
        if rows:
            assert same_vectors(one.vectors[rows], truth.vectors, one.space).all()


def test_a_healthy_store_is_verified_past_a_flush_and_a_kill(sample: Sample) -> None:
    store = sample("1.5.9/healthy-three-collections")
    with open_store(store) as opened:
        expected = expected_of(opened)
    tests = verify_with_engine(store, expected)
    assert [test.name for test in tests if not test.passed] == []
    assert len([test for test in tests if "past a flush" in test.name]) == 3
    after = HnswFiles(segment_of(store))
    assert after.elements > 0


@pytest.mark.parametrize("damage", ["deleted flag", "vector", "row"])
def test_verification_sees_what_is_wrong(sample: Sample, damage: str) -> None:
    store = sample("1.5.9/healthy")
    with open_store(store) as opened:
        expected = expected_of(opened)
    directory = segment_of(store)
    if damage == "deleted flag":
        set_deleted(directory, np.array([5]), True)
        wanted = "every embedding"
    elif damage == "vector":
        with level0_for_writing(directory) as level0:
            level0["vector"][5, 0] += 0.5
        wanted = "every embedding"
    else:
        engine_session(store, [{"op": "delete", "ids": [expected["terms"].ids[3]], **TERMS}])
        wanted = "count"
    failed = [test.name for test in verify_with_engine(store, expected) if not test.passed]
    assert f"engine: terms: {wanted}" in failed


@pytest.mark.oldchroma
@pytest.mark.parametrize("version", ["0.4.24", "0.5.23", "0.6.3", "1.0.20", "1.2.1"])
def test_every_release_verifies_its_own_store(
    sample: Sample, release: Callable[[str], Path], version: str
) -> None:
    release(version)
    store = sample(f"{version}/healthy")
    with open_store(store) as opened:
        expected = expected_of(opened)
    assert [test.name for test in verify_with_engine(store, expected, version) if not test.passed] == []


def test_fresh_records_reach_past_a_flush(sample: Sample) -> None:
    with open_store(sample("1.5.9/healthy")) as opened:
        one = expected_of(opened)["terms"]
    ids, vectors = fresh_records(one, 0)
    assert len(ids) == len(set(ids)) == len(vectors) > one.sync_threshold
    assert not set(ids) & set(one.ids)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_vectors_are_compared_to_the_bit_unless_they_were_normalised() -> None:
    left = np.array([[1, 2], [3, 4], [np.nan, 1], [0.0, 1]], dtype=np.float32)
    right = left.copy()
    right[0, 0] = np.nextafter(np.float32(1), np.float32(2))
    right[1, 1] = 4.1
    assert same_vectors(left, right, "l2").tolist() == [False, False, True, True]
    assert same_vectors(left, right, "cosine").tolist() == [True, False, True, True]


def test_a_step_says_in_one_line_what_went_wrong() -> None:
    assert Step("get", ok=False, error=("InternalError", "no")).text == "InternalError: no"
    assert Step("get", ok=False, died="died of SIGSEGV").text == "died of SIGSEGV"
    assert Step("get", ok=True).text == ""


def test_the_child_script_needs_nothing_of_this_package() -> None:
    """It is run by the Pythons of other releases, where this package is not installed."""
    import forensics.engine

    home = Path(forensics.engine.__file__).parent
    for name in ("session.py", "native.py", "bootstrap.py"):
        assert "import forensics" not in (home / name).read_text()
        assert "from forensics" not in (home / name).read_text()
    assert shutil.which("python3")


def test_of_a_large_collection_what_was_brought_back_and_a_sample_is_compared(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(believed, "LARGE", 200)
    monkeypatch.setattr(believed, "SAMPLE", 40)
    store = sample("1.5.9/healthy")
    with open_store(store) as opened:
        whole, ids = expected_of(opened)["terms"], expected_of(opened)["terms"].ids
        brought = [ids[250], ids[77]]
        expected = expected_of(opened, brought={"terms": brought})
    one = expected["terms"]
    assert {*range(10), 77, 250} <= set(one.rows.tolist())
    assert len(one.rows) < 60
    assert np.array_equal(one.vectors, whole.vectors[one.rows])
    tests = {test.name: test for test in verify_with_engine(store, expected)}
    found = tests["engine: terms: embeddings"]
    assert found.passed
    assert "all 2 that were brought back" in found.detail
    assert "an even sample of 40 of the other 298" in found.detail
    assert "engine: terms: every embedding" not in tests


def test_a_vector_that_was_brought_back_wrong_is_seen_in_a_large_collection(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(believed, "LARGE", 200)
    monkeypatch.setattr(believed, "SAMPLE", 3)
    store = sample("1.5.9/healthy")
    with open_store(store) as opened:
        records = opened.collections[0].records
        expected = expected_of(opened, brought={"terms": [records.rows.ids[123]]})
        element = int(records.elements[123])
    with level0_for_writing(segment_of(store)) as level0:
        level0["vector"][element, 0] += 0.5
    failed = [test.name for test in verify_with_engine(store, expected) if not test.passed]
    assert "engine: terms: embeddings" in failed
