"""The user's embedder, and whether it may be used: only after it has reproduced vectors that survived."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from forensics.errors import CannotComplete, OtherDimension
from forensics.evidence import safe_name
from forensics.model import plain
from forensics.readers.shelf import once_of
from forensics.repair import embedded_kept
from forensics.repair.embedded_kept import Kept
from forensics.repair.embedder_file import CONFIGURED, EmbedderFile, load
from forensics.repair.embedder_pace import USUAL, Pace, Paced
from forensics.repair.options import RepairOptions
from forensics.sources import documents
from forensics.store import Collection
from forensics.witness import QUORUM, REPRODUCED, figures_of, same_vectors

NAMED = 5
"""How many ids a sentence names."""
STALE = 3600.0
"""Seconds after which kept vectors are trusted only once the embedder has made some of them again."""
CANARIES = 8

Tell = Callable[[str, float], None]
_TELL: ContextVar[Tell | None] = ContextVar("embedding progress", default=None)


@contextmanager
def telling(tell: Tell | None) -> Generator[None]:
    """Inside the block `tell(text, share)` hears how far an embedder has come, and how long the rest will take."""
    token = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(token)


class Embedder:
    """`callable(list[str]) -> (n, dim) float32`, with its answers checked; `name` is module:callable.

    `file`: where its module is; None where it has no file. It is asked in batches at a pace; what it has made is kept
    in memory, and, inside `keeping`, in the case.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[list[str]], Any],
        file: EmbedderFile | None = None,
        pace: Pace = USUAL,
    ) -> None:
        self.name, self.function, self.file = name, function, file
        self.paced = Paced(name, function, pace)
        self._kept: dict[Path | None, Kept] = once_of("embedded", (function,), dict)
        self._failed: dict[str, str] = once_of("not embedded", (function,), dict)
        self._trusted = False

    @classmethod
    def load(cls, name: str, known: EmbedderFile | None = None, pace: Pace = USUAL) -> Embedder:
        """The callable of that name, from the file that a plan wrote down. Raises UsageError where there is none."""
        return cls(name, *load(name, known), pace)

    @classmethod
    def of(cls, options: RepairOptions) -> Embedder | None:
        """The one that these choices name; None where they name none. Raises UsageError as `load` does."""
        if options.embedder is None:
            return None
        if options.embedder == CONFIGURED:
            from forensics.repair.embedder_configured import Configured

            return Configured(options.pace)
        return cls.load(options.embedder, options.embedder_found, options.pace)

    def on(self, collection: Collection) -> Embedder:
        """The embedder of that collection: the same for all, but for one that is configured."""
        return self

    @property
    def identity(self) -> str:
        """The name of the file in which its vectors are kept: of its name and of its module's content."""
        digest = blake2b(f"{self.name}\0{self.file.sha256 if self.file else ''}".encode(), digest_size=6)
        return f"{safe_name(self.name)[-60:]}-{digest.hexdigest()}"

    def __call__(self, texts: Sequence[str], dim: int) -> np.ndarray:
        """(n, dim) float32, one finite row per text. Raises OtherDimension where the rows have another length, and
        CannotComplete where the embedder raises or gives anything else.

        A text is embedded once in the life of this object, once in a repair, and once in a case.
        """
        made, failed = self.tolerant(texts, dim)
        if failed:
            raise CannotComplete(f"The embedder {self.name} {next(iter(failed.values()))}.")
        return made

    def kept(self) -> Kept:
        """What it has made, as far as that is known here."""
        place = embedded_kept.place()
        if place not in self._kept:
            self._kept[place] = embedded_kept.kept_for(self.identity)
        self._kept[place].refresh()
        return self._kept[place]

    def tolerant(self, texts: Sequence[str], dim: int) -> tuple[np.ndarray, dict[int, str]]:
        """((n, dim) float32, position → why that text cannot be embedded; its row is zero). Raises as a call does."""
        kept, keys = self.kept(), embedded_kept.keys_of(texts)
        self._ask(kept, dict(zip(keys, texts, strict=True)), dim)
        there = [i for i, key in enumerate(keys) if kept.has(key, dim)]
        made = np.zeros((len(texts), dim), dtype=np.float32)
        made[there] = kept.rows([keys[i] for i in there], dim)
        lacking = set(range(len(texts))).difference(there)
        return made, {i: self._failed[texts[i]] for i in sorted(lacking)}

    def _ask(self, kept: Kept, named: Mapping[bytes, str], dim: int) -> None:
        """Every text has a vector that is kept, or a reason."""
        new = [text for key, text in named.items() if not kept.has(key, dim) and text not in self._failed]
        if not new:
            return
        self._trust(kept, [text for key, text in named.items() if kept.has(key, dim)], dim)
        before = self.paced.tally.seconds
        for done, made, failed in self._told(new, dim):
            self._failed.update(failed)
            took, before = self.paced.tally.seconds - before, self.paced.tally.seconds
            if done:
                kept.put(embedded_kept.keys_of(done), made, took)

    def _trust(self, kept: Kept, texts: list[str], dim: int) -> None:
        """What was kept long ago is made again, a few of it. Raises CannotComplete where that gives something else."""
        stale = kept.since is not None and time.time() - kept.since > STALE
        if self._trusted or not stale or not texts:
            return
        few = texts[:CANARIES]
        ((done, made, _),) = self.paced.batches(few, dim)
        before = kept.rows(embedded_kept.keys_of(done), dim)
        _, same = same_vectors(made, before, scaled=True)
        if not same.all():
            raise CannotComplete(
                f"The embedder {self.name} makes other vectors now than those that it made for this case before; begin"
                " again with a new case."
            )
        self._trusted = True

    def _told(self, new: list[str], dim: int) -> Iterator[tuple[list[str], np.ndarray, dict[str, str]]]:
        """The batches; what is done and what the rest will take is told after each."""
        tell, begun, done = _TELL.get(), time.monotonic(), 0
        for batch in self.paced.batches(new, dim):
            yield batch
            done += len(batch[0]) + len(batch[2])
            if tell is not None and len(new) > self.paced.pace.batch:
                rest = (time.monotonic() - begun) / done * (len(new) - done)
                tell(f"embedded {done:,} of {len(new):,}, {spell(rest)} left", 0.1 + 0.4 * done / len(new))


def spell(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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
    return try_texts(embedder, ids, texts, raw, scaled=collection.settings.space != "cosine")


def try_texts(
    embedder: Embedder, ids: Sequence[str], texts: Sequence[str | None], raw: np.ndarray, *, scaled: bool
) -> Trial:
    """The same with documents (None where an id has none) from wherever they are; `scaled`: lengths count as well."""
    has_text = np.array([bool(text) for text in texts], dtype=bool)
    if not has_text.any():
        return Trial(None, 0, None, None, "no record with a document has a surviving vector to reproduce")
    try:
        made, failed = embedder.tolerant([text for text in texts if text], raw.shape[1])
    except OtherDimension as error:
        return Trial(False, 0, None, None, str(error))
    asked: np.ndarray = np.flatnonzero(has_text)
    there = np.setdiff1d(np.arange(len(asked)), list(failed))
    if not there.size:
        raise CannotComplete(f"The embedder {embedder.name} {next(iter(failed.values()))}.")
    at: list[int] = asked[there].tolist()
    return _judged([str(ids[i]) for i in at], made[there], raw[at], scaled=scaled)


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
