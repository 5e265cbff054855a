"""What the files of an index were, told from a listing alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.lab.listing import CANDIDATES, UNITS, conclude, size_range
from forensics.readers import layout

BIG = {
    "data_level0.bin": "57 GB",
    "link_lists.bin": "78 MB",
    "length.bin": "37 MB",
    "header.bin": "100 bytes",
}


def exact(records: int, dimension: int, M: int) -> dict[str, str]:
    need = layout.expected_sizes(records, dimension, M)
    sizes = (need.header, need.level0, need.length, need.link_lists)
    return {name: str(size) for name, size in zip(layout.BINARY_FILES, sizes, strict=True)}


def test_a_listing_typed_in_by_hand_was_a_complete_index() -> None:
    found = conclude(BIG, records=9_570_043, dimension=1_536)
    assert found.M == 16
    assert all(one.fits for one in found.readings)
    assert "complete index of 9,570,043 vectors of 1,536 dimensions with M = 16" in repr(found)
    assert "not bloated" in repr(found)
    assert "60,138,150,212" in found._repr_html_()


@given(st.integers(1_000, 20_000_000), st.integers(2, 4_096), st.sampled_from(CANDIDATES))
def test_exact_sizes_give_back_the_parameters(records: int, dimension: int, M: int) -> None:
    found = conclude(exact(records, dimension, M), records, dimension)
    assert found.M == M
    assert all(one.fits for one in found.readings)


@given(st.integers(1_000, 20_000_000), st.integers(2, 4_096), st.sampled_from(CANDIDATES))
def test_half_of_the_vectors_is_no_complete_index(records: int, dimension: int, M: int) -> None:
    found = conclude(exact(records // 2, dimension, M), records, dimension)
    assert found.M is None
    assert "data_level0.bin" in found.text or "bloated" not in found.text


def test_bloated_links_are_told_from_missing_vectors() -> None:
    found = conclude({**BIG, "link_lists.bin": "4 T"}, records=9_570_043, dimension=1_536)
    assert found.M is None
    assert "link_lists.bin is bloated" in found.text


def test_what_cannot_be_told_is_not_told() -> None:
    found = conclude({"length.bin": "37 MB"}, records=9_570_043, dimension=1_536)
    assert found.M is None
    assert "M cannot be told" in found.text


def test_files_that_are_not_of_the_index_say_nothing() -> None:
    found = conclude({**BIG, "index_metadata.pickle": "700 MB"}, records=9_570_043, dimension=1_536)
    assert found.M == 16


@given(st.integers(1, 2**45), st.sampled_from([unit for unit in UNITS if unit and unit != "B"]))
def test_a_rounded_size_stands_for_the_bytes_it_was_made_of(size: int, unit: str) -> None:
    """`du -h` and `ls -lh` round up, others to the nearest; either way the true size is within the bounds."""
    for rounded in (math.ceil(size / UNITS[unit]), round(size / UNITS[unit])):
        low, high = size_range(f"{rounded} {unit}")
        assert low <= size <= high


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("100 bytes", 100, 100),
        ("100", 100, 100),
        ("1,234 B", 1_234, 1_234),
        ("57G", 60129542145, 61740154880),
    ],
)
def test_sizes_as_people_write_them(text: str, low: int, high: int) -> None:
    assert size_range(text) == (low, high)


@pytest.mark.parametrize("text", ["", "many", "57 apples", "G", "1 2 3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size_range(text)
