"""The stores of which is foretold what releases do to them: by the part of the table that they are in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from forensics import samples
from forensics.copying import copy_store
from forensics.foretell.calls import RELEASES
from forensics.testing.damage import HEALTHY, Damage, damage_menu
from forensics.testing.natural_corpus import FOLDER, Case, lines

Make = Callable[[Path], object]
OLD = "0.6.3/healthy"
"""A store that all four releases open."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some stores by name, and how each is made (or NotHere is raised); `releases` are asked."""

    title: str
    stores: Mapping[str, Make] = field(repr=False)
    releases: Sequence[str] = RELEASES


class NotHere(Exception):
    """A damage that this store has no place for."""


def sampled() -> Part:
    """Every sample."""
    return Part("Samples", {name: partial(samples.restore, name) for name in samples.names()})


def damaged(base: str, releases: Sequence[str] = RELEASES) -> Part:
    """Every damage of the menu on that sample; with HEALTHY also those that only a sample of their own shows."""
    stores: dict[str, Make] = {}
    for name, entry in damage_menu().items():
        sample = base if entry.sample == HEALTHY else entry.sample
        wanted = sample == base or (base == HEALTHY and sample != OLD)
        if wanted and not name.startswith("database-"):  # SQLite gives no rows: there is no collection to ask
            stores[f"{name}@{sample}"] = partial(_damaged, entry, sample)
    return Part(f"The damage menu on {base}", stores, releases)


def _damaged(entry: Damage, base: str, store: Path) -> None:
    samples.restore(base, store)
    try:
        entry(store)
    except Exception as error:
        if base == entry.sample:
            raise
        shutil.rmtree(store)
        raise NotHere(f"{type(error).__name__}: {error}") from error


def natural(folder: Path = FOLDER) -> Part:
    """The naturally broken stores, and those that came through sound, as far as they are built."""
    cases = [Case(line["kind"], line["seed"], folder) for line in lines(folder)]
    stores = {case.name: partial(copy_store, case.store) for case in cases if case.is_built}
    return Part("Naturally broken stores", stores)
