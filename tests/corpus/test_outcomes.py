"""Damage × version × outcome: of the table in docs/OUTCOMES.md a sample; by night all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forensics.testing.damage import damage_menu
from forensics.testing.nursery import preloaded
from forensics.testing.outcomes import Bases, cell

CHOSEN = (
    ("directory-removed", "0.4.24", "healed"),
    ("ids-unmapped", "0.4.24", "healed"),
    ("link-lists-emptied", "0.4.24", "healed"),
    ("level0-halved", "0.5.23", "healed"),
    ("rows-deleted", "0.5.23", "healed"),
    ("label-doubled", "0.5.23", "healed"),
    ("id-map-removed", "0.6.3", "healed"),
    ("full-text-dropped", "0.6.3", "healed"),
    ("watermark-ahead", "0.6.3", "healed"),
    ("neighbour-out-of-range", "0.6.3", "healed"),
    ("queue-emptied", "1.0.20", "healed"),
    ("vectors-swapped", "1.0.20", "healed"),
    ("header-counts-too-few", "1.0.20", "healed"),
    ("records-flagged", "1.2.1", "healed"),
    ("metadata-watermark-poisoned", "1.2.1", "healed"),
    ("link-list-size-torn", "1.2.1", "healed"),
    ("tenant-deleted", "1.5.9", "healed"),
    ("directory-set-aside", "1.5.9", "healed"),
    ("made-unreachable", "1.5.9", "healed"),
    ("link-inside", "1.5.9", "refused"),
)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with preloaded():
        yield Bases(tmp_path_factory.mktemp("bases"))


@pytest.mark.oldchroma
@pytest.mark.slow
@pytest.mark.parametrize(("damage", "version", "outcome"), CHOSEN)
def test_what_becomes_of_it(
    damage: str, version: str, outcome: str, bases: Bases, release: Any, tmp_path: Path
) -> None:
    release(version)
    line = cell(damage_menu()[damage], version, bases, tmp_path / "cell")
    assert line["failed"] == []
    assert line["outcome"] == outcome, line
