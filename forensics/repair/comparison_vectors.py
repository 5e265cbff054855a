"""The vectors of a repaired store against those that it was made from: bit for bit, or to one step of float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat

import numpy as np

from forensics.absent import Absent
from forensics.model import Test
from forensics.readers.hnsw import HnswFiles
from forensics.repair.holdings import USER
from forensics.repair.provenance import Origin
from forensics.sources import QUEUED, Sources, fetch, normalised
from forensics.store import Collection
from forensics.user_source import UserSource

CHUNK = 1 << 11
ONE_STEP = 4e-7
"""What normalising in another order of additions may change in a component of a unit vector."""


def kept_vectors(
    old: Collection, new: Collection, renamed: Mapping[str, str], replaced: frozenset[str], *, recounted: bool
) -> Test:
    """Every vector that was indexed and still has its record stands in the repaired index, bit for bit.

    `recounted`: the repair changed how many elements there are; slots that it no longer counts held none.
    """
    name = f"{new.name}: vectors that were in the index are unchanged"
    before, after = old.records, new.records
    if (
        isinstance(before, Absent)
        or isinstance(after, Absent)
        or isinstance(old.vector, Absent)
        or isinstance(new.vector, Absent)
    ):
        return Test(name=name, passed=True, detail="there was no index to compare with", count=0)
    held = np.flatnonzero(before.indexed)
    there = _rows_of(before.rows.ids, after.rows.ids, renamed)[held]
    new_vector = np.fromiter(map(replaced.__contains__, before.rows.ids), dtype=bool, count=len(before))
    wanted = (there >= 0) & ~new_vector[held]
    if recounted:
        wanted &= before.elements[held] < new.vector.files.elements
    left, right = before.elements[held[wanted]], after.elements[there[wanted]]
    wrong = _different(old, new, left, right)
    return Test(
        name=name,
        passed=wrong == 0,
        detail=f"{len(left) - wrong} of {len(left)} equal bit for bit",
        count=len(left),
    )


def _rows_of(old: list[str], new: list[str], renamed: Mapping[str, str]) -> np.ndarray:
    """(len(old),) the row of each id in `new`, under the name that it has there; -1 where it is gone."""
    if old == new and not renamed:
        return np.arange(len(old))
    place = dict(zip(new, range(len(new)), strict=True))
    names = map(renamed.get, old, old) if renamed else old
    return np.fromiter(map(place.get, names, repeat(-1)), dtype=np.int64, count=len(old))


def _different(old: Collection, new: Collection, left: np.ndarray, right: np.ndarray) -> int:
    """How many of these pairs of elements do not carry the same bits (and for cosine the same norm)."""
    assert not isinstance(old.vector, Absent)
    assert not isinstance(new.vector, Absent)
    wrong = int((right < 0).sum())
    left, right = left[right >= 0], right[right >= 0]
    for start in range(0, len(left), CHUNK):
        a = _bits(old.vector.files, left[start : start + CHUNK])
        b = _bits(new.vector.files, right[start : start + CHUNK])
        wrong += 0 if np.array_equal(a, b) else int((a != b).any(axis=1).sum())
    return wrong


def _bits(files: HnswFiles, elements: np.ndarray) -> np.ndarray:
    """(k, dim) uint32 of these elements, without a copy where one follows the other."""
    level0, first = files.level0, int(elements[0])
    if isinstance(level0, Absent) or not np.array_equal(elements, np.arange(first, first + len(elements))):
        return files.vectors(elements).view(np.uint32)
    return level0["vector"][first : first + len(elements)].view(np.uint32)


def restored_vectors(old: Collection, new: Collection, origins: Sequence[Origin]) -> Test:
    """Every vector that was brought back is the one of its origin: bit for bit, of the queue under cosine to
    one step.
    """
    name = f"{new.name}: vectors that were brought back are those of their origin"
    found = [each for each in origins if each.origin not in ("embedded again", "level 0", USER)]
    own = [each for each in origins if each.origin == "level 0"]
    files = [each for each in origins if each.origin == USER]
    wrong = _wrong_elsewhere(old, new, found) + _wrong_own(old, new, own) + _unlike_files(new, files)
    total = len(found) + len(own) + len(files)
    return Test(name=name, passed=wrong == 0, detail=f"{total - wrong} of {total} equal", count=total)


def _wrong_own(old: Collection, new: Collection, own: Sequence[Origin]) -> int:
    if (
        not own
        or isinstance(new.records, Absent)
        or isinstance(old.vector, Absent)
        or isinstance(new.vector, Absent)
    ):
        return 0
    left = np.array([each.ref for each in own], dtype=np.int64)
    if isinstance(old.vector.files.level0, Absent):
        return 0  # the header was repaired first; the elements are compared through the map by `ids_agree`
    return _different(old, new, left, _elements(new, own))


def _unlike_files(new: Collection, lines: Sequence[Origin]) -> int:
    """How many records do not carry what the user's file holds, normalised under cosine."""
    if not lines or isinstance(new.vector, Absent):
        return 0
    files = {path: UserSource.load(path) for path in {line.place for line in lines}}
    wanted = np.stack([files[line.place].vectors[line.ref] for line in lines])
    elements = _elements(new, lines)
    there = elements >= 0
    cosine = new.settings.space == "cosine"
    stored = normalised(wanted)[0] if cosine else wanted
    away = np.abs(new.vector.files.vectors(elements[there]) - stored[there]).max(axis=1, initial=0.0)
    return int((~there).sum()) + int((~(away <= (ONE_STEP if cosine else 0.0))).sum())


def _elements(new: Collection, origins: Sequence[Origin]) -> np.ndarray:
    """(k,) where the repaired index holds these records, -1 where it does not."""
    records = new.records
    if isinstance(records, Absent):
        return np.full(len(origins), -1, dtype=np.int64)
    place = dict(zip(records.rows.ids, np.where(records.indexed, records.elements, -1).tolist(), strict=True))
    return np.array([place.get(each.id, -1) for each in origins], dtype=np.int64)


def _wrong_elsewhere(old: Collection, new: Collection, found: Sequence[Origin]) -> int:
    if not found or isinstance(new.vector, Absent):
        return 0
    count = len(found)
    sources = Sources(
        ids=tuple(each.id for each in found),
        kind=np.array([each.origin for each in found], dtype=object),
        origin=np.array([each.place for each in found], dtype=object),
        ref=np.array([each.ref for each in found], dtype=np.int64),
        current=np.ones(count, dtype=bool),
        has_document=np.zeros(count, dtype=bool),
    )
    elements = _elements(new, found)
    vectors = fetch(old, sources, np.arange(count))
    there = elements >= 0
    stored = new.vector.files.vectors(elements[there])
    wanted = vectors.stored[there]
    exact = (stored.view(np.uint32) == wanted.view(np.uint32)).all(axis=1)
    rounded = np.isin(sources.kind[there].astype(str), sorted(QUEUED)) & (old.settings.space == "cosine")
    near = np.abs(stored - wanted).max(axis=1, initial=0.0) <= ONE_STEP
    return int((~there).sum()) + int((~(exact | (rounded & near))).sum())
