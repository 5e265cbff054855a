"""A first verdict stands before the vectors and the graph are read, and says what it could not look at."""

from __future__ import annotations

from typing import Any

import pytest

import forensics as fx


def _told(store: Any, **options: Any) -> list[tuple[str, float]]:
    said: list[tuple[str, float]] = []
    fx.diagnose(store, progress=lambda text, share: said.append((text, share)), **options)
    return said


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("1.5.9/healthy", "no damage in files, ids, maps, header and watermarks; vectors"),
        ("1.2.1/peek-failure", "(CF501"),
        ("1.5.9/pickle-lost", "CF401"),
    ],
)
def test_it_stands_before_the_slow_checks(sample: Any, name: str, says: str) -> None:
    said = _told(sample(name))
    at = [index for index, (text, _) in enumerate(said) if text.startswith("first verdict after")]
    assert len(at) == 1
    assert says in said[at[0]][0]
    assert {text for text, _ in said[at[0] :]} >= {"id-malformed", "neighbour-out-of-range"}


def test_a_choice_of_checks_has_none(sample: Any) -> None:
    said = _told(sample("1.5.9/healthy"), only=["CF701"])
    assert not any(text.startswith("first verdict") for text, _ in said)
