"""hnswlib in children: what it adds and builds is read back; what it must not load is refused; a death is a
result.
"""

from __future__ import annotations

import signal
from pathlib import Path

import hnswlib
import numpy as np
import pytest

from forensics.engine import (
    NATIVE,
    make_searchable,
    native_add,
    native_build,
    native_load,
    native_self_search,
)
from forensics.engine.child import run_child, signal_name, work_folder
from forensics.errors import ChildFailed, MissingPackage, Refused
from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles
from forensics.writers.draft_maps import file_for_writing, level0_for_writing
from forensics.writers.segment_files import set_deleted

N, DIM, M = 800, 12, 8
FILES = layout.BINARY_FILES


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32) * 3


@pytest.fixture(params=["l2", "cosine", "ip"])
def space(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def index(tmp_path: Path, space: str) -> Path:
    directory = tmp_path / "index"
    native_build(directory, space, vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)
    return directory


def test_build_and_add_keep_every_vector(index: Path, space: str) -> None:
    added = native_add(index, space, DIM, vectors(50, 1), np.arange(N + 1, N + 51))
    assert (added.count, added.first) == (N + 50, N)
    files = HnswFiles(index)
    order = np.argsort(files.summary.labels)
    given = np.concatenate([vectors(N), vectors(50, 1)])
    stored = files.level0["vector"][order]
    if space == "cosine":
        assert np.allclose(np.linalg.norm(stored, axis=1), 1, atol=1e-6)
        assert np.allclose(files.lengths[order], np.linalg.norm(given, axis=1), rtol=1e-6)
        stored = stored * files.lengths[order][:, None]
        assert np.allclose(stored, given, rtol=2e-6, atol=2e-6)
    else:
        assert (stored.view(np.uint32) == given.view(np.uint32)).all()
    assert files.header.M == M
    assert files.header.ef_construction == 60
    assert make_searchable(index, space, DIM).missing.size == 0


def test_adding_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        native_build(tmp_path / name, "l2", vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)
        native_add(tmp_path / name, "l2", DIM, vectors(20, 1), np.arange(N + 1, N + 21))
    for name in FILES:
        used = slice(0, None) if name != layout.LENGTH_FILE else slice(0, 0)  # l2 leaves the lengths unset
        assert (tmp_path / "a" / name).read_bytes()[used] == (tmp_path / "b" / name).read_bytes()[used]


def test_an_empty_index_takes_vectors(tmp_path: Path) -> None:
    """The files of a segment that was made and never flushed."""
    empty = hnswlib.Index("l2", DIM)
    empty.init_index(
        100, M=M, ef_construction=60, is_persistent_index=True, persistence_location=str(tmp_path)
    )
    empty.close_file_handles()
    assert native_add(tmp_path, "l2", DIM, vectors(150), np.arange(1, 151)).count == 150
    assert native_load(tmp_path, "l2", DIM) == 150


@pytest.mark.parametrize(
    ("labels", "width", "reason"),
    [
        ([1, 2], DIM, "already"),
        ([N + 1, N + 1], DIM, "distinct"),
        ([0, N + 1], DIM, "at least 1"),
        ([N + 1], 5, "shape"),
    ],
)
def test_labels_and_shapes_that_cannot_be_are_refused(
    tmp_path: Path, labels: list[int], width: int, reason: str
) -> None:
    native_build(tmp_path / "i", "l2", vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)
    before = {name: (tmp_path / "i" / name).read_bytes() for name in FILES}
    with pytest.raises(Refused, match=reason):
        native_add(tmp_path / "i", "l2", DIM, np.zeros((len(labels), width), np.float32), np.array(labels))
    assert {name: (tmp_path / "i" / name).read_bytes() for name in FILES} == before


def test_a_folder_that_is_not_empty_gets_no_index(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Refused, match="not empty"):
        native_build(tmp_path, "l2", vectors(3), np.arange(1, 4), M=M, ef_construction=60)


def damage_neighbour(directory: Path) -> None:
    with level0_for_writing(directory) as level0:
        level0["links"][HnswFiles(directory).header.enterpoint, 0] = 4_000_000_000


def damage_count(directory: Path) -> None:
    with level0_for_writing(directory) as level0:
        level0["count"][3] = 2 * M + 1


def damage_enterpoint(directory: Path) -> None:
    with file_for_writing(directory / layout.HEADER_FILE) as raw:
        raw.view(layout.HEADER)["enterpoint"] = N


def damage_maxlevel(directory: Path) -> None:
    with file_for_writing(directory / layout.HEADER_FILE) as raw:
        raw.view(layout.HEADER)["maxlevel"] += 1


def cut(name: str) -> object:
    def damage(directory: Path) -> None:
        with open(directory / name, "r+b") as handle:
            handle.truncate((directory / name).stat().st_size // 2)

    return damage


DAMAGES = {
    "neighbour": (damage_neighbour, "neighbour"),
    "count": (damage_count, "count"),
    "enterpoint": (damage_enterpoint, "enterpoint"),
    "maxlevel": (damage_maxlevel, "level"),
    "header cut": (cut(layout.HEADER_FILE), "100"),
    "level 0 cut": (cut(layout.LEVEL0_FILE), "too few"),
    "lengths cut": (cut(layout.LENGTH_FILE), "too few"),
    "links cut": (cut(layout.LINKS_FILE), "link_lists.bin"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_files_that_hnswlib_would_follow_into_nowhere_are_refused(tmp_path: Path, damage: str) -> None:
    native_build(tmp_path / "i", "l2", vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)
    apply, reason = DAMAGES[damage]
    apply(tmp_path / "i")
    for ask in (native_load, native_self_search):
        with pytest.raises(Refused, match=reason):
            ask(tmp_path / "i", "l2", DIM)


def test_the_wrong_dimension_is_refused(index: Path, space: str) -> None:
    with pytest.raises(Refused, match="12 dimensions, not 13"):
        native_load(index, space, DIM + 1)


def test_a_segfault_is_a_result(tmp_path: Path) -> None:
    """Asked without validation, hnswlib dies over a neighbour that does not exist; we live on and can say so."""
    native_build(tmp_path / "i", "l2", vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)
    with level0_for_writing(tmp_path / "i") as level0:
        level0["links"][:] = 4_000_000_000
    request = {"operation": "query_self", "directory": str(tmp_path / "i"), "space": "l2", "dim": DIM}
    with pytest.raises(ChildFailed, match="SIGSEGV") as caught:
        run_child(NATIVE, request | {"k": 10, "ef": [10], "threads": 1}, timeout=60)
    assert caught.value.signal == signal.SIGSEGV


def test_a_hang_ends_with_its_time(tmp_path: Path) -> None:
    native_build(tmp_path / "i", "l2", vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)
    with pytest.raises(ChildFailed, match=r"no answer within 0\.01 s"):
        native_self_search(tmp_path / "i", "l2", DIM, timeout=0.01)


def test_memory_is_limited(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match=r"MemoryError|memory"):
        native_build(
            tmp_path / "i",
            "l2",
            vectors(10),
            np.arange(1, 11),
            M=M,
            ef_construction=60,
            max_elements=50_000_000,
            memory=2 << 30,
        )


def test_what_a_child_raises_is_told(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="KeyError: 'nonsense'"):
        run_child(NATIVE, {"operation": "nonsense"}, timeout=60)


def test_nothing_is_left_of_a_child() -> None:
    with work_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "x").write_text("y")
    assert not folder.exists()
    assert signal_name(11) == "SIGSEGV"
    assert signal_name(200) == "signal 200"


def test_elements_that_no_search_reaches_are_named_and_linked(tmp_path: Path) -> None:
    directory = tmp_path / "i"
    native_build(directory, "l2", vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)
    make_searchable(directory, "l2", DIM)
    flat = np.flatnonzero(HnswFiles(directory).links.levels == 0)[:20]
    with level0_for_writing(directory) as level0:
        lists = level0["links"].copy()
        used = np.arange(2 * M)[None, :] < level0["count"][:, None]
        keep = used & ~np.isin(lists, flat)
        order = np.argsort(~keep, axis=1, kind="stable")
        level0["count"] = keep.sum(axis=1)
        level0["links"] = np.take_along_axis(lists, order, axis=1)
    found = native_self_search(directory, "l2", DIM)
    assert found.asked == N
    assert set(flat.tolist()) <= set(found.missing.tolist())
    assert make_searchable(directory, "l2", DIM).missing.size == 0
    some = native_self_search(directory, "l2", DIM, elements=flat)
    assert (some.asked, some.missing.size) == (len(flat), 0)


def test_a_twin_that_is_found_counts(tmp_path: Path) -> None:
    same = np.repeat(vectors(1), 40, axis=0)
    many = np.concatenate([same, vectors(300, 5)])
    native_build(tmp_path / "i", "cosine", many, np.arange(1, len(many) + 1), M=M, ef_construction=60)
    found = native_self_search(tmp_path / "i", "cosine", DIM)
    assert (found.asked, found.missing.size) == (len(many), 0)


def test_vectors_that_are_not_finite_are_hopeless(tmp_path: Path) -> None:
    native_build(tmp_path / "i", "l2", vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)
    with level0_for_writing(tmp_path / "i") as level0:
        level0["vector"][7, 0] = np.nan
    assert native_self_search(tmp_path / "i", "l2", DIM).hopeless.tolist() == [7]


def test_deleted_elements_are_not_asked_for(tmp_path: Path) -> None:
    native_build(tmp_path / "i", "l2", vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)
    set_deleted(tmp_path / "i", np.arange(N - 5), True)
    found = native_self_search(tmp_path / "i", "l2", DIM)
    assert (found.asked, found.missing.size) == (5, 0)


def test_a_missing_package_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native_build(tmp_path / "i", "l2", vectors(N), np.arange(1, N + 1), M=M, ef_construction=60)

    def absent(name: str) -> None:
        assert name == "chroma-hnswlib"

    monkeypatch.setattr("forensics.engine.version_of", absent)
    with pytest.raises(MissingPackage, match="pip install 'chroma-hnswlib'"):
        native_load(tmp_path / "i", "l2", DIM)
