"""The user's own vectors are believed only after they agreed with vectors that survived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from forensics.errors import UsageError
from forensics.user_source import UserSource
from forensics.witness import REPRODUCED, cosine_of_rows, norms_agree, seeded_sample


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether a file agrees with surviving vectors; None where it shares no id with them."""

    agrees: bool | None
    reason: str


def compare(source: UserSource, ids: Sequence[str], raw: np.ndarray, *, scaled: bool) -> Agreement:
    """The file against the surviving vectors `raw` (k, dim) of `ids`; `scaled`: their lengths count as well."""
    held = set(np.flatnonzero(np.isfinite(source.vectors).all(axis=1)).tolist())
    rows = [source.rows.get(name, -1) for name in ids]
    shared = np.array([at for at, row in enumerate(rows) if row in held], dtype=np.int64)
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


def refuse_disagreement(sources: Sequence[UserSource], wanted: Iterable[str]) -> None:
    """Raises UsageError where two sources give one of these ids vectors that are not the same."""
    ids = list(wanted)
    for at, first in enumerate(sources):
        for second in sources[at + 1 :]:
            both = [name for name in ids if name in first.rows and name in second.rows]
            if first.vectors.shape[1] != second.vectors.shape[1]:
                continue  # one of them does not fit the store, and is refused for it
            one, other = first.take(both), second.take(both)
            there = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
            differ = np.flatnonzero(there & (one != other).any(axis=1)).tolist()
            if differ:
                names = ", ".join(repr(both[i]) for i in differ[:3])
                raise UsageError(
                    f"{first.path} and {second.path} give other vectors for {len(differ)} of the records that are to be"
                    f" brought back ({names}{' …' if len(differ) > 3 else ''}): name one of the two."
                )
