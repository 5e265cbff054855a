"""What an addition can have cost is searched; what it left alone is not, and who is not mended is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from forensics.engine import make_searchable, native_add, native_build, native_self_search
from forensics.engine.doubt import doubtful_elements, lost_links
from forensics.readers.hnsw import HnswFiles
from forensics.writers.draft_maps import level0_for_writing
from forensics.writers.relink import in_degrees

N, DIM, M, NEW = 900, 8, 6, 60


def vectors(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    directory = tmp_path / "before"
    native_build(directory, "l2", vectors(N, 0), np.arange(1, N + 1), M=M, ef_construction=40)
    return directory


@pytest.fixture
def after(before: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "after"
    shutil.copytree(before, directory)
    native_add(directory, "l2", DIM, vectors(NEW, 1), np.arange(N + 1, N + NEW + 1))
    return directory


def links_of(level0: np.ndarray) -> list[set[int]]:
    counts = level0["count"].tolist()
    return [set(row[:count].tolist()) for row, count in zip(level0["links"], counts, strict=True)]


def hide(directory: Path, element: int) -> None:
    """No list on level 0 names that element any more."""
    with level0_for_writing(directory) as level0:
        for row in np.flatnonzero((level0["links"] == element).any(axis=1)).tolist():
            count = int(level0["count"][row])
            kept = [other for other in level0["links"][row][:count].tolist() if other != element]
            level0["links"][row][: len(kept)] = kept
            level0["count"][row] = len(kept)


def lone_one(directory: Path) -> int:
    """An old element without upper levels that is not in an even sample's way of being new."""
    return int(np.flatnonzero(HnswFiles(directory).links.levels[:N] == 0)[7])


def test_lost_links_are_those_that_a_loop_over_the_lists_finds(before: Path, after: Path) -> None:
    old, new = HnswFiles(before).level0, HnswFiles(after).level0
    pairs = zip(links_of(old), links_of(new), strict=False)
    gone = set().union(*(had - has for had, has in pairs))
    assert gone, "the addition changed nothing, so nothing was tested"
    assert lost_links(old, new).tolist() == sorted(gone)


def test_nothing_is_lost_where_nothing_was_added(before: Path) -> None:
    level0 = HnswFiles(before).level0
    found = doubtful_elements(level0, level0, sample=10)
    assert (found.new.size, found.bereft.size, found.weakened.size) == (0, 0, 0)
    assert found.asked.tolist() == found.sample.tolist() == found.spared.tolist()


def test_new_and_weakened_elements_are_asked(before: Path, after: Path) -> None:
    victim = lone_one(after)
    hide(after, victim)
    found = doubtful_elements(HnswFiles(before).level0, HnswFiles(after).level0, sample=5)
    degrees = in_degrees(HnswFiles(after).level0)
    assert found.new.tolist() == list(range(N, N + NEW))
    assert victim in found.weakened
    assert (degrees[found.weakened] <= 3).all()
    assert set(found.asked.tolist()) == {*found.new, *found.weakened, *found.sample}
    assert not set(found.spared.tolist()) & set(found.bereft.tolist())


def test_what_was_lost_before_is_named_and_left_alone(before: Path, tmp_path: Path) -> None:
    make_searchable(before, "l2", DIM)
    victim = lone_one(before)
    hide(before, victim)
    after = tmp_path / "later"
    shutil.copytree(before, after)
    native_add(after, "l2", DIM, vectors(NEW, 1) + 50, np.arange(N + 1, N + NEW + 1))
    found = doubtful_elements(HnswFiles(before).level0, HnswFiles(after).level0, sample=N)
    assert victim in found.spared
    done = make_searchable(after, "l2", DIM, elements=found.asked, spared=found.spared)
    assert victim in done.left
    assert done.missing.size == 0
    assert victim in native_self_search(after, "l2", DIM).missing


def test_what_the_addition_cost_is_linked_again(before: Path, after: Path) -> None:
    make_searchable(before, "l2", DIM)
    victim = lone_one(after)
    hide(after, victim)
    found = doubtful_elements(HnswFiles(before).level0, HnswFiles(after).level0)
    done = make_searchable(after, "l2", DIM, elements=found.asked, spared=found.spared)
    assert (done.missing.size, victim in done.left) == (0, False)
    assert victim not in native_self_search(after, "l2", DIM).missing
