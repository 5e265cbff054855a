"""Damage to all but the index, each by its name: folder, database, queue, settings; and what is found then.

for damage in store_menu().values():
    store = samples.restore(damage.sample)
    damage(store)            # seeded: the same seed makes the same damage
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Function = Callable[[Path, int], None]
PAGES = ("damage_folder", "damage_database", "damage_queue", "damage_settings")


@dataclass(frozen=True, slots=True)
class Damage:
    """One damage. `code` names it; `follows` are the further codes above a note that a diagnosis then gives.

    `sample` is a healthy sample that shows it; `deep` is True where only `--deep` finds it.
    """

    name: str
    code: str
    what: str
    sample: str
    follows: tuple[str, ...]
    deep: bool
    function: Function

    def __call__(self, store: Path, seed: int = 0) -> None:
        """Damages the store in place."""
        self.function(store, seed)


_MENU: dict[str, Damage] = {}


def store_menu() -> dict[str, Damage]:
    """Every damage by its name."""
    for page in PAGES:
        importlib.import_module(f"forensics.testing.{page}")
    return dict(_MENU)


def damage(
    name: str, code: str, *, sample: str = "1.5.9/healthy", follows: tuple[str, ...] = (), deep: bool = False
) -> Callable[[Function], Function]:
    """Puts a function on the menu; the first line of its docstring says what it does."""

    def register(function: Function) -> Function:
        what = (function.__doc__ or "").strip().splitlines()[0]
        _MENU[name] = Damage(name, code, what, sample, follows, deep, function)
        return function

    return register
