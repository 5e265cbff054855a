"""What an index holds beside the records: vectors under ids that SQLite does not have, and vectors under no id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from forensics.export_files import Item
from forensics.records import elements_of
from forensics.repair.site import Site

RECORD, GHOST, ANONYMOUS = "record", "ghost", "anonymous"
"""The states of what is exported: a record; an id with a vector and no row in SQLite; a vector that no id maps to."""
BATCH = 5_000


def ghosts(site: Site) -> Iterator[Item]:
    """One dict per id of the index that has no (readable) row and no delete in the queue, with a live element."""
    leaving = {name for name, effect in site.pending.items() if not effect.exists}
    names = [name for name in site.mapping if name not in leaving and not _is_record(site, name)]
    labels = np.array([site.mapping[name] for name in names], dtype=np.int64)
    elements = elements_of(labels, site.summary)
    live = _live(site, elements)
    why = "no row of SQLite names it" if site.records is not None else "the rows of SQLite cannot be read"
    kept = [(name, why) for name, alive in zip(names, live.tolist(), strict=True) if alive]
    yield from _items(site, GHOST, kept, elements[live])


def _is_record(site: Site, name: str) -> bool:
    return site.records is not None and name in site.collection.row_of


def anonymous(site: Site, taken: np.ndarray) -> Iterator[Item]:
    """One dict per live element that no id maps to and that is not among `taken`, which records were proved to own."""
    if site.summary is None:
        return
    elements = np.setdiff1d(np.union1d(site.nameless, site.duplicates), taken)
    elements = elements[site.summary.live[elements]]
    told = [
        (None, f"no id maps to element {element}, label {label}")
        for element, label in zip(elements.tolist(), site.summary.labels[elements].tolist(), strict=True)
    ]
    yield from _items(site, ANONYMOUS, told, elements)


def _live(site: Site, elements: np.ndarray) -> np.ndarray:
    live = elements >= 0
    if site.summary is not None:
        live[live] = site.summary.live[elements[live]]
    return live


def _items(
    site: Site, state: str, told: Sequence[tuple[str | None, str]], elements: np.ndarray
) -> Iterator[Item]:
    for start in range(0, len(told), BATCH):
        part = slice(start, start + BATCH)
        vectors = site.raw_vectors(elements[part])
        for (name, why), vector in zip(told[part], vectors, strict=True):
            yield {
                "collection": site.found_as.name,
                "id": name,
                "document": None,
                "metadata": {},
                "vector": vector,
                "source": "index",
                "current": None,
                "reason": why,
                "state": state,
            }
