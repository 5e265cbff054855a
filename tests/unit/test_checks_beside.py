"""What a check still sees beside another fault, and what is said of that which nobody can see beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics import samples
from forensics.checks.masks import MASKS, OBSCURES
from forensics.codes import catalogue
from forensics.testing.damage import damage_menu
from forensics.testing.damage_database import change
from forensics.testing.sameness import holds_the_same

Sample = Callable[[str], Path]
HEALTHY = "1.5.9/healthy"


@pytest.mark.parametrize(
    ("damages", "codes"),
    [
        ("segment-type-changed metadata-segment-row-deleted", {"CF812", "CF110"}),
        ("id-map-emptied catalogue-rows-deleted", {"CF008"}),
        ("counter-run-away header-counts-too-many", {"CF310", "CF303"}),
        ("file-not-writable database-of-another-program", {"CF003", "CF010"}),
        ("replay-noise watermark-ahead", {"CF204", "CF501"}),
        ("mostly-deleted header-counts-too-few", {"CF303"}),
        ("level0-removed header-removed", {"CF302", "CF501"}),
        ("metadata-watermark-ahead rows-orphaned", {"CF204", "CF108"}),
        ("vectors-exchanged index-page-zeroed", {"CF505"}),
    ],
)
def test_each_of_two_is_found(damages: str, codes: set[str], sample: Sample) -> None:
    store = sample(HEALTHY)
    for name in damages.split():
        damage_menu()[name](store)

    assert codes <= set(fx.diagnose(store).codes())


@pytest.mark.parametrize(
    ("damages", "seen", "unseen"),
    [
        ("counter-lowered counter-run-away", "CF310", "CF407"),
        ("level0-zeroed ids-unmapped", "CF412", "CF409"),
        ("queue-vector-too-short watermark-ahead", "CF204", "CF809"),
        ("replay-wedged vector-watermark-poisoned", "CF203", "CF207"),
        ("top-level-too-high link-list-size-torn", "CF306", "CF603"),
        ("metadata-watermark-poisoned metadata-segment-row-deleted", "CF110", "CF203"),
        ("queue-purged-too-far index-removed-watermark-kept", "CF301", "CF212"),
        ("upper-link-to-the-ground catalogue-rows-deleted", "CF008", "CF605"),
    ],
)
def test_what_cannot_be_seen_is_named_and_not_clean(
    damages: str, seen: str, unseen: str, sample: Sample
) -> None:
    store = sample(HEALTHY)
    for name in damages.split():
        damage_menu()[name](store)
    found = fx.diagnose(store)

    assert unseen in next(one.follows for one in found.findings if one.code == seen)
    said = next(one for one in found.checks if one.code == unseen)
    hidden = unseen in OBSCURES.get(seen, ())
    assert (said.outcome, said.reason) == (
        "masked",
        f"{'cannot be seen beside' if hidden else 'follows from'} {seen}",
    )


def test_what_hides_a_code_is_a_code_and_runs_no_check_away() -> None:
    for code, hidden in OBSCURES.items():
        assert {code, *hidden} <= set(catalogue())
        assert not set(hidden) & set(MASKS.get(code, ())), f"{code} masks it already"


@pytest.mark.parametrize("name", ["0.4.24/healthy", "0.6.3/healthy", HEALTHY])
@pytest.mark.parametrize("damage", ["id-map-cut", "id-map-halved"])
def test_a_map_that_is_cut_is_cut_in_either_form(name: str, damage: str, sample: Sample) -> None:
    store = sample(name)
    damage_menu()[damage](store, 3)
    assert "CF403" in fx.diagnose(store).codes()


def test_stores_that_hold_the_same(sample: Sample, tmp_path: Path) -> None:
    one, other = samples.restore(HEALTHY, tmp_path / "one"), sample(HEALTHY)
    assert holds_the_same(one, other)
    rename = "UPDATE collections SET name = '{}'"
    for statement in (rename.format("another"), rename.format("papers")):
        change(one, statement)
    change(other, rename.format("papers"))
    assert holds_the_same(one, other)
    change(other, rename.format("another"))
    assert not holds_the_same(one, other)


@pytest.mark.parametrize("name", ["pages-freed", "index-page-zeroed", "link-inside", "file-not-writable"])
def test_stores_that_do_not(name: str, sample: Sample, tmp_path: Path) -> None:
    one, other = samples.restore(HEALTHY, tmp_path / "one"), sample(HEALTHY)
    damage_menu()[name](one)
    assert not holds_the_same(one, other)
