"""Several damages at once: no check crashes, and each damage is found or named as masked by which other finding."""

from __future__ import annotations

import os
from itertools import islice

import pytest

from forensics.testing.combined import LOST, combined, draws

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
