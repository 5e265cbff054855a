"""Two or three damages at once: each is found, or another finding says that it cannot be seen for its sake."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from forensics import samples
from forensics.model import Diagnosis
from forensics.testing.damage import HEALTHY, Damage, damage_menu
from forensics.testing.showing import diagnosed

Fate = Literal["found", "masked", "skipped", "undone", "cancelled", "missed"]
CANCELS = {
    ("capacity-frozen", "watermark-ahead"): "no write waits any more that would not fit",
    ("index-removed-watermark-kept", "queue-config-cut"): "no client opens the store, so none purges it",
    ("segment-type-changed", "catalogue-rows-deleted"): "the rows with that type are gone",
    ("metadata-watermark-poisoned", "metadata-segment-row-deleted"): "no segment has that watermark any more",
    ("link-lists-zeroed", "link-list-size-torn"): "the same bytes are overwritten",
    **{
        (vectors, cut): "the elements with these vectors are gone"
        for vectors in ("vectors-not-finite", "vectors-zeroed", "vectors-stretched")
        for cut in ("level0-emptied", "level0-halved")
    },
}
"""(damage, other): why the first is no damage after the other."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one of several damages: `by` is the code that masks it, or why it was not done."""

    damage: str
    code: str
    fate: Fate
    by: str = ""


def chosen(seed: int) -> tuple[Damage, ...]:
    """Two or three damages of one sample, those first that edit what the later ones may take away."""
    chance = random.Random(seed)
    asked = [one for one in damage_menu().values() if not one.embedder]
    menu = [one for one in asked if one.codes and not one.unseen and one.sample == HEALTHY]
    drawn = chance.sample(menu, chance.choice((2, 3)))
    return tuple(sorted(drawn, key=lambda one: (one.code, one.name), reverse=True))


def strike(store: Path, seed: int) -> Iterator[tuple[Damage, str]]:
    """Makes a damaged store; each damage with the reason why it could not be done after the ones before, or nothing."""
    samples.restore(HEALTHY, store)
    done: list[Damage] = []
    for damage in chosen(seed):
        try:
            damage(store, seed)
        except Exception as error:  # noqa: BLE001 - it edits what another damage has broken: it is not done, and said
            _again(store, done, seed)
            yield damage, f"{type(error).__name__}: {error}"
        else:
            done.append(damage)
            yield damage, ""


def _again(store: Path, damages: list[Damage], seed: int) -> None:
    shutil.rmtree(store)
    samples.restore(HEALTHY, store)
    for damage in damages:
        damage(store, seed)


def combined(seed: int) -> tuple[Diagnosis, tuple[Told, ...]]:
    """The whole diagnosis of a sample with the damages of that seed, and what became of each."""
    with TemporaryDirectory(prefix="forensics-combined-") as folder:
        store = Path(folder) / "store"
        done = list(strike(store, seed))
        found = diagnosed(store, deep=True)
        told = (_told(damage, why, found) for damage, why in done)
        return found, tuple(_cancelled(one, [damage.name for damage, _ in done]) for one in told)


def _told(damage: Damage, why: str, found: Diagnosis) -> Told:
    if why:
        return Told(damage.name, damage.code, "undone", why)
    if damage.code in found.codes():
        return Told(damage.name, damage.code, "found")
    masks = [one.code for one in found.findings if damage.code in one.follows]
    if masks:
        return Told(damage.name, damage.code, "masked", masks[0])
    outcome = next(one for one in found.checks if one.code == damage.code)
    fate: Fate = "skipped" if outcome.outcome in ("skipped", "partial") else "missed"
    return Told(damage.name, damage.code, fate, f"{outcome.outcome}: {outcome.reason}")


def _cancelled(one: Told, names: list[str]) -> Told:
    """A missed one that another damage has made harmless is named with that other."""
    others = [name for name in names if (one.damage, name) in CANCELS]
    if one.fate != "missed" or not others:
        return one
    return Told(one.damage, one.code, "cancelled", f"{others[0]}: {CANCELS[one.damage, others[0]]}")
