"""Recall of a stored graph: the search against hnswlib's own, and a graph that has lost most of its links."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics import samples
from forensics.absent import Absent
from forensics.readers.hnsw import HnswFiles
from forensics.readers.layout import level0_dtype
from forensics.recall import K, Recall, interval, measure_recall, search, searchable
from forensics.testing.index import Index
from forensics.testing.showing import named

hnswlib = pytest.importorskip("hnswlib")
COUNT, DIM = 3000, 24


def build(folder: Path, space: str, *, M: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(1).standard_normal((COUNT, DIM), dtype=np.float32)
    index = hnswlib.Index(space, DIM)
    index.init_index(
        COUNT, M=M, ef_construction=60, is_persistent_index=True, persistence_location=str(folder)
    )
    index.add_items(vectors, np.arange(1, COUNT + 1), num_threads=1)
    for label in range(1, 200):
        index.mark_deleted(label)
    index.persist_dirty()
    index.close_file_handles()
    return vectors


def measured(folder: Path, space: str, ef: int) -> Recall:
    found = measure_recall(HnswFiles(folder), space, ef)
    assert not isinstance(found, Absent)
    return found


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_the_search_finds_what_hnswlib_finds(tmp_path: Path, space: str) -> None:
    vectors = build(tmp_path, space)
    graph = searchable(HnswFiles(tmp_path), space)
    assert not isinstance(graph, Absent)
    index = hnswlib.Index(space, DIM)
    index.load_index(str(tmp_path), is_persistent_index=True, max_elements=COUNT)
    index.set_ef(30)
    agree = 0
    for query in vectors[-40:]:
        stored = query / np.linalg.norm(query) if space == "cosine" else query
        _, theirs = index.knn_query(query, k=K)
        ours = sorted(search(graph, stored, 30))[:K]
        agree += int(np.allclose(ours, theirs[0], atol=1e-4))
    index.close_file_handles()
    assert agree >= 38  # equal distances may be cut differently


def test_more_effort_finds_more(tmp_path: Path) -> None:
    build(tmp_path, "l2")
    low, high = measured(tmp_path, "l2", 10), measured(tmp_path, "l2", 300)
    assert low.mean < high.mean
    assert high.mean > 0.95
    assert high.low <= high.mean <= high.high


def test_a_graph_that_lost_links_finds_less(tmp_path: Path) -> None:
    build(tmp_path, "l2")
    whole = measured(tmp_path, "l2", 50)
    thin(tmp_path, M=8)
    assert measured(tmp_path, "l2", 50).high < whole.low


def thin(folder: Path, *, M: int) -> None:
    """Every list of level 0 keeps its two first neighbours."""
    level0 = np.memmap(folder / "data_level0.bin", dtype=level0_dtype(DIM, M), mode="r+")
    level0["count"] = np.minimum(level0["count"], 2)
    level0.flush()


def test_tombstones_of_a_larger_index_are_a_warning_from_a_half_on(tmp_path: Path) -> None:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    directory = Index(store).directory
    saved = (directory / "index_metadata.pickle").read_bytes()
    shutil.rmtree(directory)
    directory.mkdir()
    build(directory, "cosine", M=16)
    (directory / "index_metadata.pickle").write_bytes(saved)
    for share, severity in ((0.49, "note"), (0.5, "warning")):
        Index(store).flag(list(range(1, int(share * COUNT) + 1)))
        assert named(fx.diagnose(store, only=["CF607"]), "CF607").severity == severity


def test_the_interval_holds_the_true_share_nineteen_times_in_twenty() -> None:
    """Whether the neighbours of a query are found each for itself, or all of them together; and at the edge."""
    random = np.random.default_rng(0)
    for share, together in ((0.9, False), (0.9, True), (0.5, True), (0.99, False)):
        held = 0
        for _ in range(400):
            drawn = random.random((100, 1 if together else K)) < share
            low, high = interval(drawn.mean(axis=1))
            held += low <= share <= high
        assert held / 400 > 0.92, (share, together)
    assert interval(np.ones(100)) == (pytest.approx(0.963, abs=1e-3), 1.0)
    assert interval(np.zeros(100)) == (0.0, pytest.approx(0.037, abs=1e-3))
    assert interval(np.ones(1))[0] < 0.25


def test_recalls_are_set_beside_each_other_by_their_intervals() -> None:
    low, high = Recall(0.93, 0.91, 0.95, 100, 30), Recall(0.99, 0.98, 1.0, 100, 30)
    assert (
        low.beside(high) == "0.93 [0.91–0.95] against 0.99 [0.98–1.00] of a fresh graph: significantly worse"
    )
    assert high.judged(low) == "significantly better"
    assert low.judged(Recall(0.96, 0.94, 0.98, 100, 30)) == "not significantly different"


@pytest.mark.timeout(120)
def test_a_search_past_vectors_that_are_no_numbers_ends(tmp_path: Path) -> None:
    build(tmp_path, "l2")
    level0 = np.memmap(tmp_path / "data_level0.bin", dtype=level0_dtype(DIM, M=8), mode="r+")
    level0["vector"][::5] = np.nan
    level0.flush()
    found = measured(tmp_path, "l2", 50)
    assert 0 <= found.low <= found.mean <= found.high <= 1


def test_too_few_elements_say_nothing(tmp_path: Path) -> None:
    index = hnswlib.Index("l2", 4)
    index.init_index(
        10, M=8, ef_construction=60, is_persistent_index=True, persistence_location=str(tmp_path)
    )
    index.add_items(np.eye(4, dtype=np.float32), np.arange(1, 5), num_threads=1)
    index.persist_dirty()
    index.close_file_handles()
    assert isinstance(measure_recall(HnswFiles(tmp_path), "l2", 100), Absent)


def test_a_deep_diagnosis_judges_it_by_a_fresh_graph(tmp_path: Path) -> None:
    """The index of a sample is replaced by one of more vectors; only this check is asked."""
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    directory = Index(store).directory
    shutil.rmtree(directory)
    directory.mkdir()
    build(directory, "cosine", M=16)
    shutil.copy(
        samples.restore("1.5.9/healthy", tmp_path / "other") / directory.name / "index_metadata.pickle",
        directory,
    )
    assert fx.diagnose(store, deep=True, only=["CF608"]).codes() == ()
    assert [check.outcome for check in fx.diagnose(store).checks if check.code == "CF608"] == ["not-asked"]
    thin(directory, M=16)
    finding = named(fx.diagnose(store, deep=True, only=["CF608"]), "CF608")
    fresh = finding.expected["of_a_fresh_graph"]
    assert finding.found["confidence_interval"][1] < fresh["confidence_interval"][0] < fresh["recall_at_10"]
    assert finding.means.endswith("of a fresh graph: significantly worse.")
    assert finding.found["recall_at_10"] < finding.expected["recall_at_10_at_least"]
    assert finding.found["confidence_interval"][1] < finding.expected["recall_at_10_at_least"]
