"""The difference of two collections of ids is that of their sets, in the order of each side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forensics.diff import diff_sets

IDS = st.lists(st.text(max_size=8), unique=True, max_size=40)


@given(left=IDS, right=IDS)
def test_as_sets_have_it(left: list[str], right: list[str]) -> None:
    found = diff_sets(left, right)
    assert found.only_left == tuple(name for name in left if name not in set(right))
    assert found.only_right == tuple(name for name in right if name not in set(left))
    assert found.common == len(set(left) & set(right))
    assert found.equal == (set(left) == set(right))


@given(left=IDS, right=IDS)
def test_the_other_way_round(left: list[str], right: list[str]) -> None:
    there, back = diff_sets(left, right), diff_sets(right, left)
    assert (there.only_left, there.only_right, there.common) == (back.only_right, back.only_left, back.common)
