"""Whether an embedder is the one that made the vectors of a store: it is tried on those that survive. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forensics.errors import CannotComplete
from forensics.model import Json
from forensics.repair.embedding import Embedder, Trial
from forensics.repair.options import RepairOptions
from forensics.repair.site import Site
from forensics.store import Collection, Store

REPRODUCES, OTHER, NOTHING, FAILED = "reproduces", "does not reproduce", "no survivor", "not tried"
EXITS: Mapping[str, int] = {REPRODUCES: 0, OTHER: 4, NOTHING: 8, FAILED: 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One collection. `verdict`: reproduces, does not reproduce, no survivor (nothing that could prove it), or not tried;
    `trial` has the figures, None where it could not be tried.
    """

    collection: str
    dimension: int | None
    records: int | None
    verdict: str
    reason: str
    trial: Trial | None

    def to_json(self) -> dict[str, Json]:
        own = {name: getattr(self, name) for name in self.__slots__ if name != "trial"}
        return {**own, "trial": None if self.trial is None else self.trial.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderCheck:
    """What the trial of an embedder on a store came to; `file` and `sha256` of its module, where it has one."""

    store: str
    embedder: str
    file: str | None
    sha256: str | None
    collections: tuple[Tried, ...]

    @property
    def reproduces(self) -> bool | None:
        """True where it makes the vectors of every collection, False where not of one; None where nobody can tell."""
        verdicts = {each.verdict for each in self.collections}
        return False if OTHER in verdicts else True if verdicts == {REPRODUCES} else None

    @property
    def exit_status(self) -> int:
        """0: it reproduces what survives; bits 4: somewhere it does not; 8: somewhere nothing survives to try it on."""
        status = 0
        for each in self.collections:
            status |= EXITS[each.verdict]
        return status if self.collections else EXITS[NOTHING]

    def to_json(self) -> dict[str, Json]:
        return {
            "schema": 1,
            "store": self.store,
            "embedder": self.embedder,
            "file": self.file,
            "sha256": self.sha256,
            "reproduces": self.reproduces,
            "collections": [each.to_json() for each in self.collections],
        }

    def __repr__(self) -> str:
        from forensics.report.embedder import check_text

        return check_text(self.to_json())


def check_embedder(store: Store, options: RepairOptions, collection: str | None = None) -> EmbedderCheck:
    """The embedder of these choices against a seeded sample of each collection's surviving vectors.

    `collection`: the id of the one that is meant. Raises UsageError where the embedder cannot be loaded.
    """
    embedder = Embedder.of(options)
    assert embedder is not None
    chosen = [each for each in store.collections if collection is None or each.id == collection]
    file = embedder.file
    return EmbedderCheck(
        store=str(store.path),
        embedder=embedder.name,
        file=None if file is None else file.path,
        sha256=None if file is None else file.sha256,
        collections=tuple(_tried(each, options, embedder) for each in chosen),
    )


def _tried(collection: Collection, options: RepairOptions, embedder: Embedder) -> Tried:
    site = Site(collection, options, embedder)
    facts: dict[str, Any] = {
        "collection": collection.name,
        "dimension": site.dim,
        "records": None if site.records is None else len(site.records),
    }
    try:
        trial = site.trial
    except CannotComplete as error:
        return Tried(**facts, verdict=FAILED, reason=str(error), trial=None)
    if trial is None:
        why = getattr(collection.rows, "reason", "its records cannot be read")
        return Tried(**facts, verdict=FAILED, reason=str(why), trial=None)
    verdict = NOTHING if trial.passed is None else REPRODUCES if trial.passed else OTHER
    return Tried(**facts, verdict=verdict, reason=trial.reason, trial=trial)
