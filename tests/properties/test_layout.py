"""A header is its bytes; the sizes of the files follow from n, dim and M."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forensics.readers import layout
from forensics.writers.segment_files import make_header

COUNTS = st.integers(0, 2**31)
DIMS = st.integers(1, 5000)
MS = st.integers(2, 512)


@given(count=COUNTS, dim=DIMS, M=MS, ef=st.integers(1, 2000))
def test_a_header_is_its_bytes(count: int, dim: int, M: int, ef: int) -> None:
    header = make_header(dim=dim, M=M, ef_construction=ef, count=count, maxlevel=0, enterpoint=0)
    assert header.problems() == ()
    assert header.dim == dim
    assert layout.Header.from_bytes(header.to_bytes()) == header


@given(raw=st.binary(min_size=100, max_size=100))
def test_any_hundred_bytes_are_a_header_with_or_without_problems(raw: bytes) -> None:
    header = layout.Header.from_bytes(raw)
    assert all(isinstance(problem, str) for problem in header.problems())


@given(dim=DIMS, M=MS)
def test_the_element_is_as_long_as_its_dtype(dim: int, M: int) -> None:
    assert layout.level0_dtype(dim, M).itemsize == layout.element_size(dim, M)


@given(n=COUNTS, dim=DIMS, M=MS)
def test_sizes_are_in_order(n: int, dim: int, M: int) -> None:
    sizes = layout.expected_sizes(n, dim, M)
    assert (sizes.header, sizes.length) == (100, 4 * n)
    assert sizes.level0 == n * layout.element_size(dim, M)
    assert 4 * n <= sizes.link_lists_low <= sizes.link_lists <= sizes.link_lists_high
