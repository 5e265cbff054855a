"""The user's own files of vectors, believed only after they agreed with vectors that survived.

.npz with arrays `ids` (n,) and `vectors` (n, dim); .jsonl with one object per line that has "id" and "vector" (or
"embedding"); .parquet with columns of these names. Nothing in them is executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forensics.errors import MissingPackage, UsageError
from forensics.witness import REPRODUCED, cosine_of_rows, norms_agree, seeded_sample

VECTOR_NAMES = ("vector", "embedding")


@dataclass(frozen=True, slots=True)
class UserSource:
    """One file: id → row of `vectors` (n, dim) float32. Of an id that it names twice, the last row counts."""

    path: str
    rows: dict[str, int]
    vectors: np.ndarray

    @classmethod
    def load(cls, path: Path) -> UserSource:
        """The vectors in a file. Raises UsageError where it is none of the known kinds or does not hold them."""
        readers = {".npz": _npz, ".jsonl": _jsonl, ".parquet": _parquet}
        reader = readers.get(path.suffix.lower())
        if reader is None:
            raise UsageError(f"{path} is none of {', '.join(readers)}; vectors cannot be read from it.")
        try:
            ids, vectors = reader(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} does not hold ids and vectors: {error}.") from error
        if vectors.ndim != 2 or len(ids) != len(vectors):
            raise UsageError(f"{path} has {len(ids)} ids and vectors of shape {vectors.shape}.")
        return cls(str(path), {name: row for row, name in enumerate(ids)}, vectors)

    def take(self, ids: Sequence[str]) -> np.ndarray:
        """(k, dim) the vectors of these ids, all of which must be there."""
        return self.vectors[[self.rows[name] for name in ids]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether a file agrees with surviving vectors; None where it shares no id with them."""

    agrees: bool | None
    reason: str


def compare(source: UserSource, ids: Sequence[str], raw: np.ndarray, *, scaled: bool) -> Agreement:
    """The file against the surviving vectors `raw` (k, dim) of `ids`; `scaled`: their lengths count as well."""
    shared = np.array([row for row, name in enumerate(ids) if name in source.rows], dtype=np.int64)
    if source.vectors.shape[1] != raw.shape[1]:
        return Agreement(
            False, f"{source.path} has vectors of {source.vectors.shape[1]} components, not {raw.shape[1]}"
        )
    if not shared.size:
        return Agreement(None, f"{source.path} shares no id with the vectors that survive")
    chosen = shared[seeded_sample(len(shared))]
    given, own = source.take([str(ids[row]) for row in chosen.tolist()]), raw[chosen]
    lowest = float(cosine_of_rows(given, own).min())
    figures = f"{source.path} against {len(chosen)} surviving vectors: lowest cosine {lowest:.6f}"
    if lowest < REPRODUCED or (scaled and not norms_agree(given, own).all()):
        return Agreement(False, f"{figures}; {REPRODUCED} and equal lengths are needed")
    return Agreement(True, figures)


def _npz(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return [str(name) for name in arrays["ids"].tolist()], arrays["vectors"].astype(np.float32)


def _jsonl(path: Path) -> tuple[list[str], np.ndarray]:
    rows = list(_pairs(path))
    return [name for name, _ in rows], np.array([vector for _, vector in rows], dtype=np.float32)


def _pairs(path: Path) -> Iterator[tuple[str, Any]]:
    with open(path, encoding="utf-8") as handle:
        for line in handle:
            if line.strip():
                row = json.loads(line)
                yield str(row["id"]), row[next(name for name in VECTOR_NAMES if name in row)]


def _parquet(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        import pandas as pd

        table = pd.read_parquet(path)
    except ImportError as error:
        raise MissingPackage("pyarrow", "reading Parquet") from error
    column = next((name for name in VECTOR_NAMES if name in table.columns), None)
    if column is None or "id" not in table.columns:
        raise ValueError("it has no columns id and vector")
    return [str(name) for name in table["id"]], np.array(table[column].tolist(), dtype=np.float32)
