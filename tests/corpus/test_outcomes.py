"""Damage × version × outcome: of the table in docs/OUTCOMES.md a sample; by night all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forensics import samples
from forensics.testing.damage import HEALTHY, damage_menu
from forensics.testing.living_on import Truth
from forensics.testing.nursery import preloaded
from forensics.testing.outcome_facts import Held, back, collection_hash, rows_of, segments_of
from forensics.testing.outcomes import Bases, cell

CHOSEN = (
    ("directory-removed", "0.4.24", "nothing to repair"),
    ("ids-unmapped", "0.4.24", "healed"),
    ("link-lists-emptied", "0.4.24", "healed"),
    ("level0-emptied", "0.5.23", "healed"),
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
    ("database-zeroed", "1.5.9", "healed, 62 lost as listed"),
)
PENDING = 50
"""Records of the sample that are in the queue and not in the index; the one at the watermark is in both."""


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with preloaded():
        yield Bases(tmp_path_factory.mktemp("bases"))


@pytest.mark.oldchroma
@pytest.mark.parametrize(("damage", "version", "outcome"), CHOSEN)
def test_what_becomes_of_it(
    damage: str, version: str, outcome: str, bases: Bases, release: Any, tmp_path: Path
) -> None:
    release(version)
    line = cell(damage_menu()[damage], version, bases, tmp_path / "cell")
    assert line["failed"] == []
    assert line["outcome"] == outcome, line


@pytest.mark.parametrize(
    ("damage", "still", "returned"),
    [
        ("directory-removed", PENDING + 1, PENDING + 1),
        ("level0-emptied", PENDING + 1, PENDING + 1),
        ("id-map-removed", 300, PENDING + 1),
        ("queue-emptied", 250, 250),
        ("oldest-lost", 300, 260),
        ("vectors-stretched", 297, 297),
    ],
)
def test_vectors_are_looked_for_by_their_bytes(
    damage: str, still: int, returned: int, tmp_path: Path
) -> None:
    store, truth = samples.restore(HEALTHY, tmp_path / "store"), Truth.of_sample(HEALTHY)
    held, segments = Held.of(store, truth), segments_of(store, "terms")
    assert len(held.still(store)) == len(back(store, truth, segments)) == 300
    damage_menu()[damage](store)
    assert len(held.still(store)) == still
    assert len(back(store, truth, segments)) == returned


def test_a_collection_has_one_hash_of_its_files_and_rows(tmp_path: Path) -> None:
    store = samples.restore(HEALTHY, tmp_path / "store")
    segments = segments_of(store, "terms")
    first = collection_hash(store, segments)
    assert first == collection_hash(store, segments)
    for damage in ("rows-deleted", "watermark-ahead", "norms-broken", "dimension-changed"):
        damage_menu()[damage](store)
        assert collection_hash(store, segments) != first
        first = collection_hash(store, segments)


def test_rows_are_read_as_they_will_be(tmp_path: Path) -> None:
    store, truth = samples.restore(HEALTHY, tmp_path / "store"), Truth.of_sample(HEALTHY)
    segments = segments_of(store, "terms")
    rows = rows_of(store, segments)
    assert rows is not None
    assert {id: document for id, (_, document, _) in rows.items()} == truth.documents
    assert {id: metadata for id, (_, _, metadata) in rows.items()} == truth.metadatas
    damage_menu()["table-page-zeroed"](store)
    assert rows_of(store, segments) is None
