"""The user's embedder as a witness: which stored vectors it makes of their records' documents, and whose the
others are. It judges nothing; that is what checks and planner do with it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np

from forensics.absent import Absent, NotApplicable, NotAvailable
from forensics.errors import CannotComplete, OtherDimension
from forensics.readers.hnsw import HnswFiles
from forensics.records import Records
from forensics.sources import documents
from forensics.store import Collection

REPRODUCED = 0.999
"""The cosine from which on a vector is the one that the embedder makes."""
QUORUM = 0.8
"""The share of surviving vectors that an embedder has to reproduce before its vectors are stored."""
AT_HOME = 0.1
"""Below this share an embedder is that of another store: it says nothing about the rest."""
NORMS_AGREE = 0.01
SAMPLE = 64
"""Surviving vectors on which an embedder is tried before its own are stored."""
LOOK = 512
"""Records that are compared where nothing makes their labels doubtful; all, as soon as one is not reproduced."""
ALL = 200_000
"""Records up to which a miss in that sample leads to a comparison of all."""
MANY = 4096
"""Vectors that are not reproduced up to which the owner of each is looked for; of more, of a sample first."""
CHUNK = 4096
SEED = 0


class Embeds(Protocol):
    """An embedder whose answers are checked."""

    name: str

    def on(self, collection: Collection) -> Embeds:
        """The one of that collection."""
        ...

    def __call__(self, texts: Sequence[str], dim: int) -> np.ndarray:
        """(n, dim) float32; raises CannotComplete, or OtherDimension where it is that of another collection."""
        ...


@dataclass(frozen=True, slots=True)
class Testimony:
    """Columns over the k records that were compared, of the `of` that can be.

    rows (k,) int64: positions among the records, in rowid order; cosine (k,) float64 of the stored vector and
    what the embedder makes of the record's document; reproduced (k,) bool; owner (k,) int64: position of the
    record of whose document the embedder does make the stored vector, -1: of none, or it is its own.
    """

    rows: np.ndarray
    cosine: np.ndarray
    reproduced: np.ndarray
    owner: np.ndarray
    of: int

    @property
    def whole(self) -> bool:
        """True where every record that can be compared was."""
        return len(self.rows) == self.of

    @property
    def share(self) -> float:
        """The share of those compared that is reproduced; 0 of nothing."""
        return float(self.reproduced.mean()) if len(self.rows) else 0.0

    @property
    def counts(self) -> dict[str, int]:
        """How many were compared, of how many that can be, and of how many the vector came out again."""
        return {"compared": len(self.rows), "of": self.of, "reproduced": int(self.reproduced.sum())}

    @property
    def figures(self) -> str:
        """ "61 of 64 surviving vectors (median cosine 1.000000)"."""
        return figures_of(self.cosine, self.reproduced)


def figures_of(cosine: np.ndarray, reproduced: np.ndarray) -> str:
    """How many of how many vectors, and the median cosine; of none, only that."""
    if not len(cosine):
        return "0 of 0 surviving vectors"
    median = float(np.median(cosine))
    return f"{int(reproduced.sum())} of {len(cosine)} surviving vectors (median cosine {median:.6f})"


def same_vectors(made: np.ndarray, given: np.ndarray, *, scaled: bool) -> tuple[np.ndarray, np.ndarray]:
    """(cosine (n,), reproduced (n,) bool) of rows i of both; `scaled`: their lengths have to agree, too."""
    cosine = cosine_of_rows(made, given)
    reproduced = cosine >= REPRODUCED
    return cosine, reproduced & norms_agree(made, given) if scaled else reproduced


def cosine_of_rows(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n,) float64 cosine of row i of both; 1 where both are zero, 0 where one is."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    products = np.einsum("ij,ij->i", a, b)
    return np.where(both_zero, 1.0, np.divide(products, norms, out=np.zeros_like(products), where=norms > 0))


def norms_agree(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n,) bool: the lengths of row i of both differ by less than one per cent."""
    a, b = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)
    return np.abs(a - b) <= NORMS_AGREE * np.maximum(np.maximum(a, b), 1e-30)


def seeded_sample(count: int, size: int = SAMPLE) -> np.ndarray:
    """(min(size, count),) sorted positions, the same on every run."""
    return np.sort(np.random.default_rng(SEED).choice(count, size=min(size, count), replace=False))


_HEARD: WeakKeyDictionary[Collection, dict[bool, Testimony | Absent]] = WeakKeyDictionary()
"""What was heard of a collection as its checks read it, by whether everything was to be compared."""


def testimony_of(collection: Collection, *, everything: bool) -> Testimony | Absent:
    """What the store's embedder says of the collection as it stands; asked once. Absent with the reason."""
    heard = _HEARD.setdefault(collection, {})
    everything = everything or True in heard
    if everything not in heard:
        heard[everything] = _heard(collection, everything)
    return heard[everything]


def _heard(collection: Collection, everything: bool) -> Testimony | Absent:
    embedder, records, segment = collection.store.embedder, collection.records, collection.vector
    if embedder is None:
        return NotApplicable("no embedder was given")
    embed = embedder.on(collection)
    for need in (records, segment):
        if isinstance(need, Absent):
            return need
    assert isinstance(records, Records)
    assert not isinstance(segment, Absent)
    if isinstance(segment.files.level0, Absent):
        return NotApplicable(f"there is no vector to compare: {segment.files.level0.reason}")
    try:
        waiting = collection.pending
        return testify(collection, records, segment.files, embed, everything=everything, pending=waiting)
    except OtherDimension as error:
        return NotApplicable(str(error))
    except CannotComplete as error:
        return NotAvailable(str(error))


def testify(
    collection: Collection,
    records: Records,
    files: HnswFiles,
    embed: Embeds,
    *,
    everything: bool,
    pending: Container[str],
) -> Testimony:
    """Compares stored vectors with what `embed` makes of their records' documents: of everything, or of a
    sample, and of everything after all where one of it is not reproduced. Raises as the embedder does.

    Left out are records without a document, those in `pending` (ids that a queue row is still about), and vectors that are
    not finite, which no embedder makes.
    """
    rows = _comparable(collection, records, pending)
    witness = _Witness(collection, records, files, embed)
    if not everything and len(rows) > LOOK:
        chosen = witness.finite(rows[seeded_sample(len(rows), LOOK)])
        cosine, reproduced = witness.compare(chosen)
        if reproduced.all() or len(rows) > ALL or reproduced.mean() < AT_HOME:
            return witness.testimony(chosen, cosine, reproduced, len(rows))
    rows = witness.finite(rows)
    return witness.testimony(rows, *witness.compare(rows), len(rows))


def _comparable(collection: Collection, records: Records, pending: Container[str]) -> np.ndarray:
    """(c,) positions of indexed records with a document that no pending queue row is about."""
    rows = np.flatnonzero(records.indexed)
    named = (records.rows.ids[row] in pending for row in rows.tolist())
    rows = rows[~np.fromiter(named, dtype=bool, count=len(rows))]
    return _with_text(collection, records, rows)


def _with_text(collection: Collection, records: Records, rows: np.ndarray) -> np.ndarray:
    texts = documents(collection, [records.rows.ids[row] for row in rows.tolist()])
    return rows[np.fromiter(map(bool, texts), dtype=bool, count=len(rows))]


@dataclass(frozen=True, slots=True)
class _Witness:
    """The embedder beside one level 0 of one collection."""

    collection: Collection
    records: Records
    files: HnswFiles
    embed: Embeds

    @property
    def scaled(self) -> bool:
        """True where the index keeps the lengths of vectors."""
        return self.collection.settings.space != "cosine"

    def made(self, rows: np.ndarray, dim: int) -> np.ndarray:
        """(k, dim) what the embedder makes of these records' documents."""
        texts = documents(self.collection, [self.records.rows.ids[row] for row in rows.tolist()])
        return self.embed([text or "" for text in texts], dim)

    def finite(self, rows: np.ndarray) -> np.ndarray:
        """Those of these records of whose vector each component is a finite number."""
        kept = [rows[:0]]
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            kept.append(part[np.isfinite(self.files.vectors(self.records.elements[part])).all(axis=1)])
        return np.concatenate(kept)

    def compare(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(cosine (k,), reproduced (k,)) of these records."""
        cosine, reproduced = np.empty(len(rows)), np.empty(len(rows), dtype=bool)
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            given = self.files.vectors(self.records.elements[rows[part]])
            made = self.made(rows[part], given.shape[1])
            cosine[part], reproduced[part] = same_vectors(made, given, scaled=self.scaled)
        return cosine, reproduced

    def testimony(self, rows: np.ndarray, cosine: np.ndarray, reproduced: np.ndarray, of: int) -> Testimony:
        """With the owners of what is not reproduced, where the embedder is one of this store."""
        owner = np.full(len(rows), -1, dtype=np.int64)
        missed = np.flatnonzero(~reproduced)
        if missed.size and reproduced.mean() >= AT_HOME:
            owner[missed] = self._owners(rows[missed])
        return Testimony(rows, cosine, reproduced, owner, of)

    def _owners(self, rows: np.ndarray) -> np.ndarray:
        """(m,) whose each of these vectors is; where hardly one of a large sample has an owner, the others have
        none.
        """
        if len(rows) <= MANY:
            return self._owners_of_all(rows)
        chosen = seeded_sample(len(rows), MANY)
        found = self._owners_of_all(rows[chosen])
        if (found >= 0).mean() >= AT_HOME:
            return self._owners_of_all(rows)
        owner = np.full(len(rows), -1, dtype=np.int64)
        owner[chosen] = found
        return owner

    def _owners_of_all(self, rows: np.ndarray) -> np.ndarray:
        """(m,) position of the record of whose document each of these stored vectors is made, -1 for none."""
        given = self.files.vectors(self.records.elements[rows])
        units, best = _units(given), np.full(len(rows), REPRODUCED)
        owner = np.full(len(rows), -1, dtype=np.int64)
        everyone = _with_text(self.collection, self.records, np.arange(len(self.records)))
        for start in range(0, len(everyone), CHUNK):
            part = everyone[start : start + CHUNK]
            made = self.made(part, given.shape[1])
            cosines = units @ _units(made).T
            at = cosines.argmax(axis=1)
            _, same = same_vectors(made[at], given, scaled=self.scaled)
            better = same & (cosines[np.arange(len(rows)), at] > best)
            owner[better], best[better] = part[at[better]], cosines[better, at[better]]
        return owner


def _units(vectors: np.ndarray) -> np.ndarray:
    """Each row divided by its length, float64; zero stays zero."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1.0)
