"""Former names of the damages of an index; to be removed: see `forensics.testing.damage`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from forensics.testing.damage import Damage, damage_menu
from forensics.testing.index import Index

__all__ = ["Entry", "Index", "embedder_menu", "menu"]
_PAGES = ("files", "ids", "graph", "embedder", "six")


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    codes: tuple[str, ...]
    damage: Damage

    def apply(self, store: Path, seed: int = 0) -> None:
        self.damage(store, seed)


def menu() -> dict[str, Entry]:
    return _old(embedder=False)


def embedder_menu() -> dict[str, Entry]:
    return _old(embedder=True)


def _old(*, embedder: bool) -> dict[str, Entry]:
    names = {
        name.replace("-", "_"): entry for name, entry in damage_menu().items() if entry.embedder is embedder
    }
    return {name: Entry(name, entry.codes, entry) for name, entry in names.items()}
