"""Several damages at once: no check crashes, and each damage is found or named as masked by which other finding."""

from __future__ import annotations

import os

import pytest

from forensics.testing.combined import chosen, combined

SEEDS = range(500 if os.environ.get("FORENSICS_NIGHTLY") else 15)


def test_the_same_seed_draws_the_same_damages() -> None:
    assert chosen(7) == chosen(7)
    assert {len(chosen(seed)) for seed in range(30)} == {2, 3}


@pytest.mark.parametrize("seed", SEEDS)
def test_each_is_found_or_masked_by_another(seed: int) -> None:
    found, told = combined(seed)
    assert [check for check in found.checks if check.outcome == "crashed"] == []
    lost = [one for one in told if one.fate in ("missed", "skipped")]
    assert not lost, (lost, found.codes(notes=False))
    assert any(one.fate == "found" for one in told)
