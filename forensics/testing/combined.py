"""Two or three damages at once: each is found, or another finding says that it cannot be seen for its sake.

What is neither must be shown to have left no trace: the store with the other damages alone holds the very same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import blake2b
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from forensics import samples
from forensics.diagnosis import diagnose_store, scope
from forensics.model import Diagnosis, Finding, Outcome
from forensics.store import open_store
from forensics.testing.damage import HEALTHY, Damage, damage_menu
from forensics.testing.sameness import content, holds_the_same

Fate = Literal["found", "one finding", "masked", "overwritten", "skipped", "missed", "no fault"]
LOST: tuple[Fate, ...] = ("skipped", "missed")
BASES = (
    HEALTHY,
    "1.2.1/healthy",
    "0.6.3/healthy",
    "1.5.9/healthy-churned",
    "0.4.24/healthy",
    "1.0.20/healthy",
    "1.5.9/healthy-upgraded",
    "0.5.23/healthy",
)
"""Healthy samples of one collection, in turn: the store of seed s is that of s modulo their number."""
LEFT_OUT = ("CF608",)
"""Its measure is a fresh graph, which the engine would build for every look."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one of several damages. `by`: the code that masks it, or the damage that stands in its place.

    `one finding`: one of this code is there, the very same as without this damage. `overwritten`: the other damages
    alone leave the very same store. `no fault`: done alone to this store, nothing is found either. `code` is the damage's
    own, or the first that names it in this store where that is another.
    """

    damage: str
    code: str
    fate: Fate
    by: str = ""


@dataclass(frozen=True, slots=True)
class Combined:
    """A damaged store: what it was made from, what a diagnosis says of it, what became of each damage.

    `passed_over` are damages drawn before, that are none in this store.
    """

    seed: int
    base: str
    found: Diagnosis
    told: tuple[Told, ...]
    passed_over: tuple[Told, ...] = ()


def combined(seed: int) -> Combined:
    """The whole diagnosis of a sample with the first draw of that seed of which each damage is a fault by itself.

    A damage may find nothing to change in a store of another release or after the damages before it, or change what
    means nothing there, as norms where the space is l2: then others are drawn.
    """
    passed_over: list[Told] = []
    for damages in draws(seed):
        with TemporaryDirectory(prefix="forensics-combined-") as folder:
            struck = Struck(seed, damages, Path(folder) / "all")
            if not struck.lands():
                continue
            none = [one for one in struck.told if one.fate == "no fault"]
            if not none:
                return Combined(seed, struck.base, struck.found, struck.told, tuple(passed_over))
            passed_over += none
    raise AssertionError("draws do not end")


def draws(seed: int) -> Iterator[tuple[Damage, ...]]:
    """Two or three damages, again and again, those first that edit what the later ones may take away.

    Not drawn are those that only the embedder or a fresh graph shows, and flipped bits that nothing on disk may show.
    """
    base = BASES[seed % len(BASES)]
    menu = [one for one in damage_menu().values() if one.codes and not one.unseen and not one.embedder]
    menu = [one for one in menu if one.sample in (HEALTHY, base) and one.code not in LEFT_OUT]
    for turn in count():
        ranked = sorted(menu, key=lambda one: _lot(seed, turn, one.name))
        drawn = ranked[: 2 + _lot(seed, turn) % 2]
        yield tuple(sorted(drawn, key=lambda one: (one.code, one.name), reverse=True))


def _lot(seed: int, turn: int, name: str = "") -> int:
    """A number that stays the same when other damages come to the menu."""
    return int.from_bytes(blake2b(f"{seed}/{turn}/{name}".encode(), digest_size=8).digest(), "big")


class Struck:
    """A store with damages, and the same store without one of them."""

    def __init__(self, seed: int, damages: Sequence[Damage], folder: Path) -> None:
        self.seed, self.damages, self.folder = seed, tuple(damages), folder
        self.base, self.store = BASES[seed % len(BASES)], folder / "store"

    def lands(self) -> bool:
        """Makes the store; True where each damage could be done and changed something."""
        self.folder.mkdir(parents=True)
        samples.restore(self.base, self.store)
        landed = [self._lands(damage) for damage in self.damages]
        return all(landed)

    def _lands(self, damage: Damage) -> bool:
        before = content(self.store)
        try:
            damage(self.store, self.seed)
        except Exception:  # noqa: BLE001 - it edits what is broken already, or what this release does not have
            return False
        return content(self.store) != before

    @cached_property
    def found(self) -> Diagnosis:
        return _diagnosed(self.store)

    def names(self, damage: Damage) -> str:
        """The damage's own code, else the first one above a note; empty where there is none."""
        return damage.code if self.shows(damage.code) else next(iter(self.found.codes(notes=False)), "")

    def shows(self, code: str) -> bool:
        """True where the finding of this code is there and is not that of the sample itself."""
        found = _data(self.found, code)
        return bool(found) and found != _data(healthy(self.base), code)

    @cached_property
    def told(self) -> tuple[Told, ...]:
        return tuple(map(self._told, self.damages))

    def only(self, *damages: Damage) -> Struck:
        """The same sample with these of the damages."""
        name = "+".join(one.name for one in damages)
        struck = Struck(self.seed, damages, self.folder / f"only {name}")
        if not struck.folder.exists():
            struck.lands()
        return struck

    def _told(self, damage: Damage) -> Told:
        others = [one for one in self.damages if one is not damage]
        if self.shows(damage.code):
            alike = self._same_finding(damage, others)
            return Told(damage.name, damage.code, "one finding" if alike else "found", alike)
        code = self.only(damage).names(damage)
        return self._unseen(damage, code, others) if code else Told(damage.name, damage.code, "no fault")

    def _unseen(self, damage: Damage, code: str, others: list[Damage]) -> Told:
        """What became of a damage that is found under this code where it is the only one."""
        if self.shows(code):
            return Told(damage.name, code, "found")
        masks = [one.code for one in self.found.findings if code in one.follows]
        if masks:
            return Told(damage.name, code, "masked", masks[0])
        if over := self._overwritten(damage, others):
            return Told(damage.name, code, "overwritten", over)
        outcome = _outcome(self.found, code)
        fate: Fate = "skipped" if outcome.outcome in ("skipped", "partial") else "missed"
        return Told(damage.name, code, fate, f"{outcome.outcome}: {outcome.reason}")

    def _same_finding(self, damage: Damage, others: list[Damage]) -> str:
        """The damage whose finding of this code is the very same without this one; empty where there is none."""
        alike = [one for one in others if damage.code in one.codes]
        if not alike:
            return ""
        rest = self.only(*others).found
        same = _data(rest, damage.code) == _data(self.found, damage.code)
        return alike[0].name if same else ""

    def _overwritten(self, damage: Damage, others: list[Damage]) -> str:
        """The damages without which this one would be there: without this one their store holds the very same."""
        if not holds_the_same(self.only(*others).store, self.store):
            return ""
        one = next((o for o in others if self._overwrites(o, damage)), None)
        return " and ".join(o.name for o in others) if one is None else one.name

    def _overwrites(self, other: Damage, damage: Damage) -> bool:
        pair = [one for one in self.damages if one in (damage, other)]
        return holds_the_same(self.only(other).store, self.only(*pair).store)


@cache
def healthy(base: str) -> Diagnosis:
    """The diagnosis of the sample itself; notes alone."""
    with TemporaryDirectory(prefix="forensics-combined-") as folder:
        found = _diagnosed(samples.restore(base, Path(folder) / "store"))
        assert not found.codes(notes=False), f"{base} is not healthy"
        return found


def _diagnosed(store: Path) -> Diagnosis:
    with open_store(store) as opened:
        return diagnose_store(opened, scope(deep=True, skip=LEFT_OUT))


def _outcome(found: Diagnosis, code: str) -> Outcome:
    return next(one for one in found.checks if one.code == code)


def _data(found: Diagnosis, code: str) -> list[tuple[object, ...]]:
    return [_of(one) for one in found.findings if one.code == code]


def _of(one: Finding) -> tuple[object, ...]:
    return one.collection, one.count, one.unit, one.expected, one.found, one.where
