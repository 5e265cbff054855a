"""The user's embedder, and whether it may be used: only after it has reproduced vectors that survived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forensics.errors import CannotComplete, OtherDimension
from forensics.model import plain
from forensics.readers.shelf import once_of
from forensics.repair.embedder_file import EmbedderFile, load
from forensics.repair.options import RepairOptions
from forensics.sources import documents
from forensics.store import Collection
from forensics.witness import QUORUM, REPRODUCED, figures_of, same_vectors

BATCH = 256
NAMED = 5
"""How many ids a sentence names."""


class Embedder:
    """`callable(list[str]) -> (n, dim) float32`, with its answers checked; `name` is module:callable.

    `file`: where its module is; None where it has no file.
    """

    def __init__(
        self, name: str, function: Callable[[list[str]], Any], file: EmbedderFile | None = None
    ) -> None:
        self.name, self.function, self.file = name, function, file
        self._known: dict[str, np.ndarray] = once_of("embedded", (function,), dict)

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

        A text is embedded once in the life of this object, and once in a repair.
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

    `passed`: a quorum is reproduced; None where nothing survives that it could be tried on. missed: id → cosine
    of those that are not reproduced; they are suspects, whether or not the embedder has passed.
    """

    passed: bool | None
    sample: int
    lowest: float | None
    median: float | None
    reason: str
    reproduced: int = 0
    missed: Mapping[str, float] = field(default_factory=dict)

    @property
    def flawless(self) -> bool:
        """True where everything that it was tried on is reproduced."""
        return bool(self.passed) and not self.missed

    def to_json(self) -> dict[str, Any]:
        return {name: plain(getattr(self, name)) for name in self.__slots__}


def try_embedder(collection: Collection, embedder: Embedder, ids: Sequence[str], raw: np.ndarray) -> Trial:
    """Embeds the documents of `ids` and compares with their surviving vectors `raw` (k, dim), as the user
    gave them. Raises CannotComplete where the embedder gives no vectors.
    """
    texts = documents(collection, ids)
    has_text = np.array([bool(text) for text in texts], dtype=bool)
    if not has_text.any():
        return Trial(None, 0, None, None, "no record with a document has a surviving vector to reproduce")
    try:
        made = embedder([text for text in texts if text], raw.shape[1])
    except OtherDimension as error:
        return Trial(False, 0, None, None, str(error))
    asked = [name for name, text in zip(ids, texts, strict=True) if text]
    return _judged(asked, made, raw[has_text], scaled=collection.settings.space != "cosine")


def _judged(ids: Sequence[str], made: np.ndarray, given: np.ndarray, *, scaled: bool) -> Trial:
    cosine, reproduced = same_vectors(made, given, scaled=scaled)
    wrong = np.flatnonzero(~reproduced).tolist()
    passed = bool(reproduced.mean() >= QUORUM)
    return Trial(
        passed,
        len(cosine),
        float(cosine.min()),
        float(np.median(cosine)),
        _reason(cosine, reproduced, [ids[i] for i in wrong], passed=passed),
        int(reproduced.sum()),
        {ids[i]: round(float(cosine[i]), 6) for i in wrong},
    )


def _reason(cosine: np.ndarray, reproduced: np.ndarray, missed: Sequence[str], *, passed: bool) -> str:
    """ "it reproduced 61 of 64 surviving vectors (median cosine 1.000000); not reproduced: …"."""
    text = f"it reproduced {figures_of(cosine, reproduced)}"
    lengths = int((~reproduced & (cosine >= REPRODUCED)).sum())
    if lengths:
        text += f"; {lengths} of those it makes have another length"
    if not passed:
        text = f"it does not reproduce what survives: {text}, lowest cosine {cosine.min():.6f}"
        return f"{text}; of {QUORUM:.0%} a cosine of {REPRODUCED} is needed"
    if missed:
        more = f" and {len(missed) - NAMED} more" if len(missed) > NAMED else ""
        text += f"; not reproduced: {', '.join(missed[:NAMED])}{more}"
    return text
