"""Which labels of an index are doubtful, and what the embedder's testimony means: whose vector stands under an id.

A vector that is not reproduced is that of another record (CF505) or of another embedder (CF810), never both. That of
another record's document is CF505. What no document of the collection gives is CF810; but where labels are doubtful
(CF406, CF408–CF410) and such are few, it is CF505, too: the record whose vector it was is deleted, or has another text
by now.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forensics.absent import Absent, NotApplicable, NotAvailable
from forensics.readers.id_map import IdMap
from forensics.records import elements_of
from forensics.store import Collection
from forensics.witness import AT_HOME, Testimony, testimony_of

FEW = 0.05
"""Up to this share of those compared, vectors of nobody may be those of overwritten labels."""


@dataclass(frozen=True, slots=True)
class Accused:
    """Over the k records of a testimony: foreign (k,) bool for CF505, mixed (k,) bool for CF810."""

    foreign: np.ndarray
    mixed: np.ndarray


def accused(testimony: Testimony, *, doubtful: bool) -> Accused:
    """Which of the vectors that are not reproduced are those of another record, and which another embedder made;
    `doubtful`: the labels of the index are.
    """
    nobodys = ~testimony.reproduced & (testimony.owner < 0)
    if doubtful and nobodys.sum() <= FEW * len(nobodys):
        return Accused(~testimony.reproduced, np.zeros(len(nobodys), dtype=bool))
    return Accused(testimony.owner >= 0, nobodys)


def has_doubtful_labels(collection: Collection) -> bool:
    """True where CF406, CF408, CF409 or CF410 finds something."""
    segment, id_map = collection.vector, collection.id_map
    if isinstance(segment, Absent) or not isinstance(id_map, IdMap):
        return False
    summary = segment.files.summary
    if isinstance(summary, Absent):
        return False
    mapped, held = id_map.labels(), summary.labels.astype(np.int64)
    live = held[summary.live & (held >= 1)]
    found = (
        *_overwritten(id_map, held),
        mapped[elements_of(mapped, summary) < 0],
        live[~np.isin(live, mapped)],
    )
    return any(part.size for part in found) or not id_map.is_mirrored


def first_overwritten_label(collection: Collection) -> int | None:
    """The lowest label that two ids or two elements have: from there on two writers gave labels. None in health."""
    segment, id_map = collection.vector, collection.id_map
    if isinstance(segment, Absent) or not isinstance(id_map, IdMap):
        return None
    summary = segment.files.summary
    if isinstance(summary, Absent):
        return None
    twice = np.concatenate(_overwritten(id_map, summary.labels.astype(np.int64)))
    return int(twice.min()) if twice.size else None


def _overwritten(id_map: IdMap, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of several ids, and labels of 1 or more on several elements."""
    return _repeated(id_map.labels()), _repeated(held[held >= 1])


def _repeated(labels: np.ndarray) -> np.ndarray:
    values, counts = np.unique(labels, return_counts=True)
    return values[counts > 1]


def heard(collection: Collection, *, everything: bool = False) -> Testimony | Absent:
    """The testimony on everything where that is asked or labels are doubtful, else on a sample and what follows.

    Absent where no embedder was given, or where it is that of another store or collection, with the figures.
    """
    if collection.store.embedder is not None:
        everything = everything or has_doubtful_labels(collection)
    found = testimony_of(collection, everything=everything)
    if isinstance(found, Absent):
        return found
    if not len(found.rows):
        return NotApplicable("no record with a document has a vector that could be compared")
    if found.share < AT_HOME:
        kind = NotApplicable if _is_of_another(collection) else NotAvailable
        return kind(f"the embedder is not that of these records: it reproduces {found.figures}")
    return found


def _is_of_another(collection: Collection) -> bool:
    """True where the embedder makes the vectors of another collection of the store: this one has its own."""
    others = (one for one in collection.store.collections if one is not collection)
    heard_of = (testimony_of(one, everything=False) for one in others)
    return any(not isinstance(found, Absent) and found.share >= AT_HOME for found in heard_of)
