"""Lucene's six blows to each file of a store: deleted, zeroed, halved, one bit flipped, emptied, appended to."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from forensics.readers import layout
from forensics.testing.damage import Function, damage
from forensics.testing.damage_folder import DATABASE, segment_of

Blow = Callable[[Path, random.Random], None]
FILES = {
    "database": DATABASE,
    "header": layout.HEADER_FILE,
    "level0": layout.LEVEL0_FILE,
    "lengths": layout.LENGTH_FILE,
    "link-lists": layout.LINKS_FILE,
    "id-map": layout.ID_MAP_FILE,
}


def remove(path: Path, chance: random.Random) -> None:
    """{} is deleted."""
    path.unlink()


def zero(path: Path, chance: random.Random) -> None:
    """Every byte of {} is 0."""
    path.write_bytes(bytes(path.stat().st_size))


def halve(path: Path, chance: random.Random) -> None:
    """{} keeps the first half of its bytes."""
    os.truncate(path, path.stat().st_size // 2)


def flip_bit(path: Path, chance: random.Random) -> None:
    """One bit anywhere in {} is flipped."""
    data = bytearray(path.read_bytes())
    bit = chance.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def empty(path: Path, chance: random.Random) -> None:
    """{} is truncated to nothing."""
    os.truncate(path, 0)


def append(path: Path, chance: random.Random) -> None:
    """Ten random bytes stand behind the end of {}."""
    with path.open("r+b") as file:  # not "ab", which would make a file that is gone
        file.seek(0, os.SEEK_END)
        file.write(chance.randbytes(10))


BLOWS: dict[str, Blow] = {
    "removed": remove,
    "zeroed": zero,
    "halved": halve,
    "bit-flipped": flip_bit,
    "emptied": empty,
    "appended-to": append,
}
CODES = {
    "database-removed": "CF001",
    "database-zeroed": "CF101",
    "database-halved": "CF104",
    "database-bit-flipped": "CF103",
    "database-emptied": "CF003",
    "header-removed": "CF302",
    "header-zeroed": "CF303",
    "header-halved": "CF303",
    "header-bit-flipped": "CF303",
    "header-emptied": "CF303",
    "header-appended-to": "CF303",
    "level0-removed": "CF302 CF501",
    "level0-zeroed": "CF412 CF204 CF408 CF501",
    "level0-halved": "CF304 CF501",
    "level0-emptied": "CF304 CF501",
    "level0-appended-to": "CF311",
    "lengths-removed": "CF302",
    "lengths-zeroed": "CF312",
    "lengths-halved": "CF305",
    "lengths-emptied": "CF305",
    "lengths-appended-to": "CF311",
    "link-lists-removed": "CF302",
    "link-lists-zeroed": "CF603 CF311",
    "link-lists-halved": "CF306",
    "link-lists-bit-flipped": "CF306",
    "link-lists-emptied": "CF306",
    "link-lists-appended-to": "CF311",
    "id-map-removed": "CF401",
    "id-map-zeroed": "CF405",
    "id-map-halved": "CF403",
    "id-map-bit-flipped": "CF406",
    "id-map-emptied": "CF402",
    "id-map-appended-to": "CF311",
}
"""What a diagnosis says, with seed 0; the damage's own code first."""
DEEP = ("database-bit-flipped",)
UNSEEN = {
    "database-bit-flipped": "Seen where it breaks a page, an index or what two tables must agree on; not in a free page,"
    " in metadata or in a document's text, which nothing else repeats.",
    "database-appended-to": "Not seen, and harmless: SQLite reads as many pages as the header counts.",
    "header-bit-flipped": "Not seen where the value stays as good as another: ef_construction, or the factor of levels.",
    "level0-bit-flipped": "Seen in links, labels and sizes, and where a vector of a cosine index is no longer of length 1."
    " A low bit of a vector: only with the queue's row of it or with an embedder; of l2 and ip any bit; in the slots of"
    " links behind a list's end never, for nobody reads them.",
    "lengths-bit-flipped": "A norm that stays finite and positive is as good as another: only the queue and the embedder"
    " know the true one. Of l2 and ip the file means nothing.",
    "link-lists-bit-flipped": "Not seen where one element of a level takes the place of another, or behind a list's end.",
    "id-map-bit-flipped": "Most flips make another id or another label, which SQLite and level 0 do not have.",
}
"""Why a diagnosis says nothing, or not with every seed."""


def _strike(file: str, blow: Blow) -> Function:
    def function(store: Path, seed: int) -> None:
        folder = store if file == DATABASE else store / segment_of(store)
        blow(folder / file, random.Random(seed))

    return function


def _put_on_menu() -> None:
    for short, file in FILES.items():
        for how, blow in BLOWS.items():
            name, what = f"{short}-{how}", (blow.__doc__ or "").format(file)
            strike = _strike(file, blow)
            codes, unseen = CODES.get(name, "").split(), UNSEEN.get(name, "")
            damage(name, *codes, deep=name in DEEP, what=what, unseen=unseen)(strike)


_put_on_menu()
