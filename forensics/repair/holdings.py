"""For each record of a collection: where its vector is, or where it can be had from, or why it is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from forensics.records import Records
from forensics.repair.embedding import Trial, try_embedder
from forensics.repair.foreign import doubted
from forensics.repair.id_map_proof import Proof
from forensics.repair.proof_order import CONFIRMATIONS
from forensics.repair.user_source import compare, refuse_disagreement
from forensics.sources import NOWHERE, STRAY, Sources, documents, fetch, find_sources
from forensics.witness import seeded_sample

if TYPE_CHECKING:
    from forensics.repair.site import Site

INDEXED, PENDING, FLAGGED, PROVED, CLAIMED = "indexed", "pending", "flagged", "proved", "claimed"
SOURCE, EMBED, LOST = "source", "embed", "lost"
"""In the index · in the queue · under a deleted flag · in an element that only lacks its id · in one
without identity · in another place on disk · nowhere, but its document can be embedded again · nowhere.
"""
USER = "source"
"""The kind of source that is the user's own file."""
USER_SAMPLE = 4096
DRAWN = 256
"""Records of which documents are read to find a sample that has some."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Columns over the n records in rowid order.

    state (n,) object; why (n,) object: the reason for each lost one, else "". proof: the pairs of ids and
    nameless elements; sources: of the ids that have no vector in this segment; trial: of the embedder, None
    where none was needed.
    """

    ids: Sequence[str] = field(repr=False)
    state: np.ndarray = field(repr=False)
    why: np.ndarray = field(repr=False)
    proof: Proof | None
    sources: Sources | None
    trial: Trial | None

    def mask(self, *states: str) -> np.ndarray:
        """(n,) bool."""
        return np.isin(self.state, states)

    def named(self, *states: str) -> list[str]:
        """The ids in one of these states, in rowid order."""
        return [self.ids[index] for index in np.flatnonzero(self.mask(*states)).tolist()]

    def counts(self) -> dict[str, int]:
        """state → how many records are in it."""
        return dict(Counter(self.state.tolist()))

    def losses(self) -> dict[str, list[str]]:
        """reason → the ids that are lost for it."""
        out: dict[str, list[str]] = {}
        for index in np.flatnonzero(self.mask(LOST)).tolist():
            out.setdefault(self.why[index], []).append(self.ids[index])
        return out


def find_holdings(site: Site, records: Records) -> Holdings:
    """The holdings of a collection under the watermark and the header that will be."""
    state = np.full(len(records), LOST, dtype=object)
    state[records.pending] = PENDING
    state[records.indexed] = INDEXED
    state[(records.elements >= 0) & ~records.live & ~records.pending] = FLAGGED
    for pairs, name in ((site.proof, PROVED), (site.claims, CLAIMED)):
        proved = {} if pairs is None else pairs.pairs()
        if proved:
            mine = (each in proved for each in records.rows.ids)
            state[np.fromiter(mine, dtype=bool, count=len(records))] = name
    return _with_sources(site, records, state)


def _with_sources(site: Site, records: Records, state: np.ndarray) -> Holdings:
    """The ids that neither segment nor queue gives: looked for elsewhere, then embedded again."""
    wanted = np.flatnonzero(state == LOST)
    why = np.full(len(state), "", dtype=object)
    if not wanted.size:
        return Holdings(records.rows.ids, state, why, site.proof, None, None)
    ids = [records.rows.ids[i] for i in wanted.tolist()]
    sources = believed(site, records, find_sources(site.collection, ids, also=site.also))
    sources = doubted(site, sources)
    refused = from_user(site, sources)
    state[wanted[sources.found]] = SOURCE
    nowhere = wanted[~sources.found]
    texts = site.texts([records.rows.ids[i] for i in nowhere.tolist()])
    has_document = np.array([bool(text) for text in texts], dtype=bool)
    trial = _better(site.trial, site.own_documents.trial) if nowhere.size else None
    usable = trial is not None and (
        trial.passed or (trial.passed is None and site.options.unverified_embedder)
    )
    if usable:
        state[nowhere[has_document]] = EMBED
    gone = "; ".join([_gone(site), *refused, *site.own_documents.refused])
    why[nowhere] = f"{gone}, and it has no document"
    why[nowhere[has_document]] = "" if usable else _no_embedding(trial, gone)
    return Holdings(records.rows.ids, state, why, site.proof, sources, trial)


def _better(trial: Trial | None, own: Trial | None) -> Trial | None:
    """What the user's own documents prove counts where those of SQLite prove nothing."""
    return own if own is not None and own.passed and (trial is None or trial.passed is None) else trial


def believed(site: Site, records: Records, sources: Sources) -> Sources:
    """The sources without elements behind the last counted one, where the order of the log is not confirmed.

    It is where every label that the map gives goes up with the rows; with a proven embedder a sample has to
    agree too.
    """
    stray = np.flatnonzero(sources.kind == STRAY)
    if not stray.size:
        return sources
    labels = records.labels[records.indexed]
    confirmed = bool((np.diff(labels) > 0).all()) and len(labels) >= CONFIRMATIONS
    if confirmed and site.embedder is not None and site.trial is not None and site.trial.passed:
        chosen = stray[seeded_sample(len(stray))]
        ids = [sources.ids[i] for i in chosen.tolist()]
        raw = fetch(site.collection, sources, chosen).raw
        tried = try_embedder(site.collection, site.embedder, ids, raw)
        confirmed = tried.passed is None or tried.flawless
    if not confirmed:
        sources.kind[stray], sources.origin[stray] = NOWHERE, ""
    return sources


def from_user(site: Site, sources: Sources) -> list[str]:
    """Fills what is found nowhere from the user's own files; returns why a file was refused.

    A file is believed where it agrees with surviving vectors; where it shares none, only on a confirmation.
    """
    refused: list[str] = []
    own = [each for each in site.user_sources if each.vectors.shape[1]]
    refuse_disagreement(own, [sources.ids[i] for i in np.flatnonzero(~sources.found).tolist()])
    for source in own:
        verdict = compare(source, *site.survivors, scaled=site.collection.settings.space != "cosine")
        if not (verdict.agrees or (verdict.agrees is None and site.options.unverified_embedder)):
            refused.append(f"the source was refused: {verdict.reason}")
            continue
        for index in np.flatnonzero(~sources.found).tolist():
            row = source.rows.get(sources.ids[index])
            if row is not None and np.isfinite(source.vectors[row]).all():
                sources.kind[index], sources.origin[index] = USER, source.path
                sources.ref[index], sources.current[index] = row, False
    return refused


def _gone(site: Site) -> str:
    """What is known of a vector that was not found."""
    proof = site.proof
    if proof is not None and not proof.proved.all() and len(site.nameless) > int(proof.proved.sum()):
        return f"which vector of level 0 is its own cannot be proved ({proof.refused})"
    return "its vector exists nowhere"


def _no_embedding(trial: Trial | None, gone: str) -> str:
    if trial is None:
        return f"{gone}; its document could be embedded again (no embedder was given)"
    if trial.passed is None:
        return f"{gone}; its document could be embedded again, but the embedder is unverified: {trial.reason}"
    return f"{gone}; the embedder was refused: {trial.reason}"


def surviving_sample(site: Site, records: Records, *, with_text: bool = True) -> tuple[list[str], np.ndarray]:
    """(ids, raw (k, dim)) of a seeded sample of records whose vector survives: in the index, else elsewhere.

    `with_text`: only of records that have a document.
    """
    elements = np.where(records.indexed, records.elements, -1)
    if site.proof is not None:
        place = site.proof.pairs()
        extra = (place.get(name, -1) for name in records.rows.ids)
        elements = np.maximum(elements, np.fromiter(extra, dtype=np.int64, count=len(records)))
    elements[_rewritten(site)] = -1
    held = np.flatnonzero(elements >= 0)
    chosen = (
        _with_documents(site, held, records) if with_text else held[seeded_sample(len(held), USER_SAMPLE)]
    )
    if chosen.size:
        return [records.rows.ids[i] for i in chosen.tolist()], site.raw_vectors(elements[chosen])
    return _sample_elsewhere(site, records, with_text=with_text)


def _rewritten(site: Site) -> list[int]:
    """The rows of records for which the queue still holds a newer vector than the index: theirs is of an older document."""
    places = ((site.collection.row_of.get(name), left) for name, left in site.pending.items())
    return [at for at, left in places if at is not None and left.vector_seq is not None]


def _with_documents(site: Site, held: np.ndarray, records: Records) -> np.ndarray:
    """A seeded sample of `held` positions whose records have a document."""
    if not held.size:
        return held
    drawn = held[seeded_sample(len(held), DRAWN)]
    texts = documents(site.collection, [records.rows.ids[i] for i in drawn.tolist()])
    good = drawn[np.fromiter((bool(text) for text in texts), dtype=bool, count=len(texts))]
    return good[seeded_sample(len(good))] if good.size else good


def _sample_elsewhere(site: Site, records: Records, *, with_text: bool) -> tuple[list[str], np.ndarray]:
    """The same from the queue and from other directories; of vectors that may be older than their records only where
    there are no others.
    """
    positions = seeded_sample(len(records), DRAWN) if len(records) else np.empty(0, dtype=np.int64)
    pending = np.flatnonzero(records.pending)
    positions = np.union1d(positions, pending[seeded_sample(len(pending))] if pending.size else pending)
    ids = [records.rows.ids[i] for i in positions.tolist()]
    sources = find_sources(site.collection, ids, also=site.also)
    good = sources.found & (sources.has_document | (not with_text))
    found = np.flatnonzero(good & (sources.current | ~(good & sources.current).any()))
    if not found.size or site.dim is None:
        return [], np.empty((0, site.dim or 0), dtype=np.float32)
    chosen = found[seeded_sample(len(found))]
    return [ids[i] for i in chosen.tolist()], fetch(site.collection, sources, chosen).raw
