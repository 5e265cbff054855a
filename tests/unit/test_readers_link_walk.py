"""The walk finds what a plain walk finds, and stops where a length cannot be."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forensics.readers import layout, link_walk
from forensics.readers.link_walk import walk_link_lists

M = 4


def _file(levels: list[int]) -> np.ndarray:
    """link_lists.bin of elements with these heights; every link is element 0."""
    parts = []
    for height in levels:
        parts.append(np.array([height * layout.list_size(M)], "<u4").tobytes())
        for level in range(height):
            parts.append(np.array([1, level, 0, 0, 0], "<u4").tobytes())
    return np.frombuffer(b"".join(parts), dtype=np.uint8)


@given(st.lists(st.integers(0, 3), max_size=200), st.integers(1, 40))
def test_levels_and_end_are_those_of_the_file(levels, block):
    raw, before = _file(levels), link_walk.BLOCK
    link_walk.BLOCK = block
    try:
        walk = walk_link_lists(raw, len(levels), M)
    finally:
        link_walk.BLOCK = before

    assert walk.problem is None
    assert walk.levels.tolist() == levels
    assert walk.end == len(raw)
    for level in (1, 2, 3):
        elements, counts, links = walk.level(level)
        assert elements.tolist() == [i for i, height in enumerate(levels) if height >= level]
        assert (counts == 1).all()
        assert (links[:, 0] == level - 1).all()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.data())
def test_a_cut_file_ends_the_walk_with_a_reason(levels, data):
    raw = _file(levels)
    cut = data.draw(st.integers(0, len(raw) - 1))

    walk = walk_link_lists(raw[:cut], len(levels), M)

    assert walk.problem is not None
    assert walk.walked < len(levels)
    assert walk.levels.tolist() == levels[: walk.walked]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.data())
def test_a_length_that_is_no_whole_number_of_lists_is_named(levels, data):
    raw = _file(levels).copy()
    starts = np.cumsum([0] + [4 + h * layout.list_size(M) for h in levels[:-1]])
    victim = data.draw(st.integers(0, len(levels) - 1))
    raw[starts[victim] : starts[victim] + 4] = np.frombuffer(np.array([7], "<u4").tobytes(), np.uint8)

    walk = walk_link_lists(raw, len(levels), M)

    assert walk.walked == victim
    assert f"element {victim}" in str(walk.problem)


def test_bytes_after_the_last_element_are_not_read():
    raw = np.concatenate([_file([0, 1]), np.full(1 << 16, 0xFF, np.uint8)])

    walk = walk_link_lists(raw, 2, M)

    assert walk.problem is None
    assert walk.end == len(_file([0, 1]))
