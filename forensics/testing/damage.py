"""The damage menu: every damage by its name, with what a diagnosis says of it. For tests, and to teach with.

menu = damage_menu()                   # a table in a notebook; menu.of("CF4") is a part of it
store = samples.restore(menu["id-map-cut"].sample, "/tmp/store")
menu["id-map-cut"](store, seed=7)      # in place: the same seed makes the same damage
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from html import escape
from pathlib import Path

Function = Callable[[Path, int], None]
PAGES = ("folder", "database", "queue", "settings", "files", "ids", "graph", "embedder", "six")
HEALTHY = "1.5.9/healthy"


@dataclass(frozen=True, slots=True)
class Damage:
    """One damage. `codes` are those that a diagnosis then gives: the damage's own first, then those that follow.

    `sample` is a healthy sample that shows it; `deep`: only `--deep` finds it; `embedder`: only one that is given the
    store's embedder does. `unseen` says why there are no codes, or why not with every seed; `codes` are of seed 0.
    """

    name: str
    codes: tuple[str, ...]
    what: str
    sample: str
    deep: bool
    embedder: bool
    unseen: str
    function: Function = field(repr=False)

    def __call__(self, store: Path | str, seed: int = 0) -> None:
        """Damages the store in place. Only for throw-away copies. Raises FileNotFoundError where no store is."""
        if not Path(store).is_dir() or not any(Path(store).iterdir()):
            raise FileNotFoundError(
                f"There is no store at {store}; samples.restore({self.sample!r}) makes one."
            )
        self.function(Path(store), seed)

    @property
    def code(self) -> str:
        """The damage's own code; empty where a diagnosis says nothing."""
        return self.codes[0] if self.codes else ""

    @property
    def needs(self) -> str:
        """What a diagnosis must be given to see it."""
        return "--deep" if self.deep else "--embedder" if self.embedder else ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The damage as a row of a table: name, codes, what is needed to see it, what it does."""
        return self.name, " ".join(self.codes) or "–", self.needs, f"{self.what} {self.unseen}".strip()


class Menu(dict[str, Damage]):
    """Damages by their names; a table, as text and in a notebook."""

    def __missing__(self, name: str) -> Damage:
        near = get_close_matches(name, self, cutoff=0.5)
        raise KeyError(f"no damage is called {name!r}; near it are {', '.join(near) or 'none'}")

    def of(self, *prefixes: str) -> Menu:
        """The damages whose own code begins with one of `prefixes`."""
        return Menu({name: entry for name, entry in self.items() if entry.code.startswith(prefixes)})

    def __repr__(self) -> str:
        width = max((len(name) for name in self), default=0)
        return "\n".join(
            f"{name:{width}}  {' · '.join(filter(None, entry.cells[1:]))}" for name, entry in self.items()
        )

    def _repr_html_(self) -> str:
        heads = "".join(f"<th>{head}</th>" for head in ("damage", "codes", "seen with", "what it does"))
        return f"<table><tr>{heads}</tr>{''.join(map(_row, self.values()))}</table>"


def _row(entry: Damage) -> str:
    cells = "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in entry.cells)
    return f"<tr>{cells}</tr>"


_MENU: dict[str, Damage] = {}


def damage_menu() -> Menu:
    """Every damage by its name, in the order of the codes."""
    for page in PAGES:
        importlib.import_module(f"forensics.testing.damage_{page}")
    return Menu(sorted(_MENU.items(), key=lambda row: (row[1].code or "CF999", row[0])))


def damage(
    name: str,
    *codes: str,
    sample: str = HEALTHY,
    deep: bool = False,
    embedder: bool = False,
    what: str = "",
    unseen: str = "",
) -> Callable[[Function], Function]:
    """Puts a function on the menu; what it does is said by `what` or by the first lines of its docstring."""

    def register(function: Function) -> Function:
        says = what or " ".join((function.__doc__ or "").strip().split("\n\n")[0].split())
        _MENU[name] = Damage(name, codes, says, sample, deep, embedder, unseen, function)
        return function

    return register
