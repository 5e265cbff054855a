"""Several damages at once: no check crashes, and each damage is found or named as masked by which other finding."""

from __future__ import annotations

import os
from itertools import islice

import pytest

from forensics.testing.combined import LOST, combined, draws
from forensics.testing.combined_page import PAGE, Row, headline, read, row_of

SEEDS = range(500 if os.environ.get("FORENSICS_NIGHTLY") else 15)


def test_the_same_seed_draws_the_same_damages() -> None:
    assert list(islice(draws(7), 3)) == list(islice(draws(7), 3))
    assert {len(next(draws(seed))) for seed in range(30)} == {2, 3}


@pytest.mark.parametrize("seed", SEEDS)
def test_each_is_found_or_masked_by_another(seed: int) -> None:
    found = combined(seed)
    assert [check for check in found.found.checks if check.outcome == "crashed"] == []
    lost = [one for one in found.told if one.fate in LOST]
    assert not lost, (found.base, lost, found.found.codes(notes=False))
    assert len(found.told) in (2, 3)
    assert any(one.fate != "overwritten" for one in found.told)
    said = read(PAGE.read_text(encoding="utf-8")).get(seed)
    if said is not None and _drawn(said) == _drawn(row_of(found)):
        assert said.told == found.told, "docs/COMBINED.md is not of this code"


def _drawn(row: Row) -> list[str]:
    return [one.damage for one in row.told]


def test_the_page_is_of_these_draws() -> None:
    """A damage that comes to the menu changes a few; where it is more, the page is to be made again."""
    page = read(PAGE.read_text(encoding="utf-8"))
    drawn = {seed: [[one.name for one in turn] for turn in islice(draws(seed), 20)] for seed in range(15)}
    assert sum(_drawn(page[seed]) in turns for seed, turns in drawn.items()) >= 10


def test_the_figures_of_the_page_are_those_of_its_seeds() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = list(read(page).values())
    assert [row.seed for row in rows] == list(range(len(rows)))
    assert set(headline(rows)) <= set(page.splitlines())
