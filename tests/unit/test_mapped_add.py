"""Vectors added on memory maps: hnswlib loads the result, finds every new vector, and recalls no less than after its own
addition.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from forensics.engine import EF_STAGES, native_add, native_build, native_query, native_self_search
from forensics.engine.mapped import mapped_add, mapped_self_search
from forensics.errors import Refused
from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles
from forensics.writers.segment_files import make_header, set_deleted, write_header

N, NEW, DIM, M = 900, 80, 16, 8


def vectors(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, DIM)).astype(np.float32) * 3
    return centres[rng.integers(0, 20, count)] + rng.normal(size=(count, DIM)).astype(np.float32)


OLD, FRESH, ASKED = np.split(vectors(N + NEW + 200, 4), [N, N + NEW])
LABELS = np.arange(N + 1, N + NEW + 1)


@pytest.fixture(scope="module", params=["l2", "cosine", "ip"])
def space(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def built(space: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("mapped") / "index"
    native_build(directory, space, OLD, np.arange(1, N + 1), M=M, ef_construction=80)
    return directory


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "index"))


def recall(directory: Path, space: str) -> np.ndarray:
    """(queries,) recall@10 against the exact answer."""
    given = np.concatenate([OLD, FRESH])
    if space == "cosine":
        given = given / np.linalg.norm(given, axis=1, keepdims=True)
    away = -ASKED @ given.T
    if space == "l2":
        away = (given**2).sum(axis=1) + 2 * away
    true = np.argsort(away, axis=1)[:, :10] + 1
    found = native_query(directory, space, DIM, ASKED, k=10, ef=40)
    return np.array([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, true, strict=True)])


def test_what_is_added_on_maps_is_as_good_as_what_hnswlib_adds(
    index: Path, space: str, tmp_path: Path
) -> None:
    ours = Path(shutil.copytree(index, tmp_path / "ours"))
    native_add(index, space, DIM, FRESH, LABELS)
    added = mapped_add(ours, space, DIM, FRESH, LABELS, max_elements=1200)
    assert (added.count, added.first) == (N + NEW, N)
    files, theirs = HnswFiles(ours), HnswFiles(index)
    assert isinstance(files.header, layout.Header)
    assert (files.header.cur_element_count, files.header.max_elements) == (N + NEW, 1200)
    assert files.links.problem is None
    here, there = (np.argsort(each.summary.labels) for each in (files, theirs))
    assert np.allclose(files.level0["vector"][here], theirs.level0["vector"][there], rtol=1e-6, atol=1e-7)
    if space == "cosine":
        assert np.allclose(files.lengths[here], theirs.lengths[there], rtol=1e-6)
    apart = recall(ours, space) - recall(index, space)
    assert apart.mean() >= -2 * apart.std() / np.sqrt(len(apart))
    if space != "ip":  # by inner product most vectors are not their own nearest
        assert native_self_search(ours, space, DIM, elements=np.arange(N, N + NEW)).missing.size == 0


def test_twice_the_same_gives_the_same_bytes(index: Path, space: str, tmp_path: Path) -> None:
    if space != "cosine":
        pytest.skip("the order of the work is the same for every space")
    again = Path(shutil.copytree(index, tmp_path / "again"))
    for directory in (index, again):
        mapped_add(directory, space, DIM, FRESH[:40], LABELS[:40])
    assert all((index / name).read_bytes() == (again / name).read_bytes() for name in layout.BINARY_FILES)


def test_the_search_on_maps_misses_what_hnswlib_misses(index: Path, space: str) -> None:
    if space != "l2":
        pytest.skip("the search is the same for every space")
    asked = np.arange(0, N, 15)
    for ef in EF_STAGES[:2]:
        native = native_self_search(index, space, DIM, elements=asked, k=1, ef=(ef,))
        ours = mapped_self_search(index, space, DIM, elements=asked, k=1, ef=(ef,))
        assert ours.asked == native.asked
        assert len(np.setxor1d(ours.missing, native.missing)) <= max(1, len(native.missing) // 20)


@pytest.mark.slow
def test_an_index_of_nothing_and_one_of_deleted_elements_grow(
    index: Path, space: str, tmp_path: Path
) -> None:
    if space != "l2":
        pytest.skip("the graph grows the same for every space")
    set_deleted(index, np.arange(N), True)
    mapped_add(index, "l2", DIM, FRESH, LABELS)
    assert native_self_search(index, "l2", DIM).missing.size == 0
    empty = tmp_path / "empty"
    native_build(empty, "l2", OLD[:1], np.array([1]), M=M, ef_construction=80)
    nothing = make_header(dim=DIM, M=M, ef_construction=80, count=0, maxlevel=-1, enterpoint=0)
    write_header(empty / layout.HEADER_FILE, nothing)
    for name in layout.BINARY_FILES[1:]:
        (empty / name).write_bytes(b"")
    mapped_add(empty, "l2", DIM, FRESH, LABELS)
    assert native_self_search(empty, "l2", DIM).missing.size == 0


def test_labels_that_are_there_and_other_dimensions_are_refused(index: Path, space: str) -> None:
    before = {name: (index / name).read_bytes() for name in layout.BINARY_FILES}
    with pytest.raises(Refused, match="in the index already"):
        mapped_add(index, space, DIM, FRESH[:1], np.array([7]))
    with pytest.raises(Refused, match="dimensions"):
        mapped_add(index, space, DIM + 1, np.zeros((1, DIM + 1), np.float32), np.array([N + 1]))
    assert {name: (index / name).read_bytes() for name in layout.BINARY_FILES} == before
