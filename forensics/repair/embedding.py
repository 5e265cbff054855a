"""The user's embedder, and whether it may be used: only after it has reproduced vectors that survived."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forensics.errors import CannotComplete
from forensics.repair.embedder_file import EmbedderFile, load
from forensics.repair.options import RepairOptions
from forensics.sources import documents
from forensics.store import Collection

SAMPLE = 64
REPRODUCED = 0.999
NORMS_AGREE = 0.01
BATCH = 256
SEED = 0


class OtherDimension(CannotComplete):
    """The vectors of an embedder have another length than those of the collection: it is that of another one."""


class Embedder:
    """`callable(list[str]) -> (n, dim) float32`, with its answers checked; `name` is module:callable.

    `file`: where its module is; None where it has no file.
    """

    def __init__(
        self, name: str, function: Callable[[list[str]], Any], file: EmbedderFile | None = None
    ) -> None:
        self.name, self.function, self.file = name, function, file
        self._known: dict[str, np.ndarray] = {}

    @classmethod
    def load(cls, name: str, known: EmbedderFile | None = None) -> Embedder:
        """The callable of that name, from the file that a plan wrote down. Raises UsageError where there is none."""
        return cls(name, *load(name, known))

    @classmethod
    def of(cls, options: RepairOptions) -> Embedder | None:
        """The one that these choices name; None where they name none. Raises UsageError as `load` does."""
        return None if options.embedder is None else cls.load(options.embedder, options.embedder_found)

    def __call__(self, texts: Sequence[str], dim: int) -> np.ndarray:
        """(n, dim) float32, one finite row per text. Raises OtherDimension where the rows have another length, and
        CannotComplete where the embedder raises or gives anything else.

        A text is embedded once in the life of this object.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            self._known.update(zip(part, self._embed(part, dim), strict=True))
        rows = [self._known[text] for text in texts]
        return np.stack(rows) if rows else np.empty((0, dim), dtype=np.float32)

    def _embed(self, texts: list[str], dim: int) -> np.ndarray:
        try:
            answer = np.asarray(self.function(texts), dtype=np.float32)
        except (Exception, SystemExit) as error:
            raise CannotComplete(
                f"The embedder {self.name} raised {type(error).__name__}: {error}."
            ) from error
        if answer.shape != (len(texts), dim):
            raise self._misshaped(answer, len(texts), dim)
        if not np.isfinite(answer).all():
            raise CannotComplete(f"The embedder {self.name} gave components that are not finite numbers.")
        return answer

    def _misshaped(self, answer: np.ndarray, count: int, dim: int) -> CannotComplete:
        text = f"The embedder {self.name} gave an array of shape {answer.shape}, not {count} vectors of {dim} components."
        other = answer.ndim == 2 and len(answer) == count
        return OtherDimension(text) if other else CannotComplete(text)


@dataclass(frozen=True, slots=True)
class Trial:
    """How well an embedder reproduces surviving vectors: `sample` of them, the lowest and the median cosine.

    `passed` is None where nothing survives that it could be tried on.
    """

    passed: bool | None
    sample: int
    lowest: float | None
    median: float | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def try_embedder(collection: Collection, embedder: Embedder, ids: Sequence[str], raw: np.ndarray) -> Trial:
    """Embeds the documents of `ids` and compares with their surviving vectors `raw` (k, dim), as the user
    gave them. Raises CannotComplete where the embedder gives no vectors.
    """
    texts = documents(collection, ids)
    has_text = np.array([bool(text) for text in texts], dtype=bool)
    if not has_text.any():
        return Trial(None, 0, None, None, "no record with a document has a surviving vector to reproduce")
    given = raw[has_text]
    try:
        made = embedder([text for text in texts if text], raw.shape[1])
    except OtherDimension as error:
        return Trial(False, 0, None, None, str(error))
    return _judged(made, given, scaled=collection.settings.space != "cosine")


def _judged(made: np.ndarray, given: np.ndarray, *, scaled: bool) -> Trial:
    cosines = cosine_of_rows(made, given)
    lowest, median = float(cosines.min()), float(np.median(cosines))
    figures = f"{len(cosines)} surviving vectors: lowest cosine {lowest:.6f}, median {median:.6f}"
    if lowest < REPRODUCED:
        return Trial(
            False, len(cosines), lowest, median, f"it does not reproduce {figures}; {REPRODUCED} is needed"
        )
    if scaled and not norms_agree(made, given).all():
        return Trial(
            False, len(cosines), lowest, median, f"its vectors have other lengths than the {figures}"
        )
    return Trial(True, len(cosines), lowest, median, f"it reproduces {figures}")


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
