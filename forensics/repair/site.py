"""One collection as planner and actions see it: the segment as it can be read after the cheap repairs, and for each
record where its vector is or will come from. Pure; the planner asks it about the store, the actions about the draft.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.readers import layout
from forensics.readers.embeddings_queue import QueueEffect, effects
from forensics.readers.hnsw import HnswFiles, Level0Summary
from forensics.readers.id_map import BadIdMap, IdMap, salvage
from forensics.readers.layout import Header
from forensics.records import Records, join_records
from forensics.repair.embedding import Embedder, Trial, seeded_sample, try_embedder
from forensics.repair.id_map_proof import Proof, prove
from forensics.repair.options import RepairOptions
from forensics.repair.watermarks import Watermarks
from forensics.sources import Sources, documents, fetch, find_sources
from forensics.store import Collection, VectorSegment

INDEXED, PENDING, FLAGGED, PROVED, SOURCE, EMBED, LOST = (
    "indexed",
    "pending",
    "flagged",
    "proved",
    "source",
    "embed",
    "lost",
)
"""Where the vector of a record is: in the index · in the queue · under a deleted flag · in an element that only lacks its
id · in another place on disk · nowhere, but its document can be embedded again · nowhere."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Columns over the n records in rowid order.

    state (n,) object; why (n,) object: the reason for each lost one, else "". proof: the pairs of ids and nameless
    elements; sources: of the ids that have no vector in this segment; trial: of the embedder, None where none was needed.
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
        return dict(Counter(self.state.tolist()))

    def losses(self) -> dict[str, list[str]]:
        """reason → the ids that are lost for it."""
        out: dict[str, list[str]] = {}
        for index in np.flatnonzero(self.mask(LOST)).tolist():
            out.setdefault(self.why[index], []).append(self.ids[index])
        return out


class Site:
    """One collection under repair. `codes`: what was found in it, for what only a finding tells (CF204)."""

    def __init__(
        self,
        collection: Collection,
        options: RepairOptions,
        embedder: Embedder | None = None,
        codes: frozenset[str] = frozenset(),
    ) -> None:
        self.collection, self.options, self.embedder, self.codes = collection, options, embedder, codes

    @property
    def segment(self) -> VectorSegment | None:
        """The vector segment where SQLite names one."""
        return None if isinstance(self.collection.vector, Absent) else self.collection.vector

    @property
    def id_map(self) -> IdMap | BadIdMap | Absent:
        return self.collection.id_map

    @property
    def mapping(self) -> Mapping[str, int]:
        """id → label of the map that can be read; empty where none can."""
        return self.id_map.id_to_label if isinstance(self.id_map, IdMap) else {}

    @property
    def also(self) -> list[Path]:
        return [Path(path) for path in self.options.also]

    @cached_property
    def watermarks(self) -> Watermarks:
        return Watermarks(self.collection, ahead="CF204" in self.codes)

    @cached_property
    def watermark(self) -> int:
        """The vector watermark as it will be; 0 where the whole queue is to be replayed."""
        segment = self.segment
        if segment is None or (
            segment.is_uninitialised and not self.mapping and self.collection.store.is_modern
        ):
            return 0 if not self.has_vectors else (self.watermarks.vector.value or 0)
        return self.watermarks.vector.value or 0

    @cached_property
    def pending(self) -> Mapping[str, QueueEffect]:
        """What the queue above that watermark will do."""
        rows = self.collection.queue.rows(above=self.watermark)
        return {} if isinstance(rows, Absent) else effects(rows, self.mapping.__contains__)

    # --- the segment, read under the header that it will have ---------------------------------------------------------

    @cached_property
    def header(self) -> Header | None:
        """The header that describes what level 0 really holds; None where there is no vector to describe."""
        segment = self.segment
        if segment is None or segment.state != "persisted":
            return None
        sound = segment.files.geometry
        guess = sound if not isinstance(sound, Absent) else self._guessed_header(segment)
        room = _room(segment, guess) if guess is not None else 0
        if guess is None or room == 0:
            return None
        count = min(guess.cur_element_count, room)
        return replace(guess, cur_element_count=count, max_elements=max(guess.max_elements, count))

    def _guessed_header(self, segment: VectorSegment) -> Header | None:
        """From the dimension and M that SQLite records; counts every element that level 0 has room for."""
        settings, dim = self.collection.settings, self.collection.dimension
        broken = segment.files.header
        if dim is None:
            return None
        M = settings.M
        if not isinstance(broken, Absent) and _fits_size(segment, broken.M, dim):
            M = broken.M
        room = _capacity(segment, layout.element_size(dim, M))
        return _made_header(dim, M, settings.ef_construction, room)

    @cached_property
    def files(self) -> HnswFiles | None:
        """The binary files as that header cuts them; None where level 0 is gone."""
        segment, header = self.segment, self.header
        if segment is None or header is None:
            return None
        files = HnswFiles(segment.directory, segment.path)
        files.header = header
        return None if isinstance(files.level0, Absent) else files

    @cached_property
    def summary(self) -> Level0Summary | None:
        found = self.files.summary if self.files is not None else None
        return None if isinstance(found, Absent) else found

    @property
    def has_vectors(self) -> bool:
        """True where level 0 still holds a live element with a label of 1 or more."""
        return self.summary is not None and bool(self.named_elements.any())

    @cached_property
    def named_elements(self) -> np.ndarray:
        """(elements,) bool: live, with a label that was really given, and the last one to carry it."""
        if self.summary is None:
            return np.empty(0, dtype=bool)
        labels = self.summary.labels
        highest = self.highest_label
        given = self.summary.live & (labels >= 1) & (labels <= (highest if highest is not None else 2**62))
        return given & ~_superseded(labels)

    @cached_property
    def highest_label(self) -> int | None:
        """The highest label that was ever given, as far as the map tells; None without a map."""
        if not isinstance(self.id_map, IdMap):
            return None
        return max(self.id_map.total_elements_added or 0, max(self.mapping.values(), default=0))

    @cached_property
    def phantoms(self) -> np.ndarray:
        """(p,) internal ids with label 0 or a label that was never given."""
        if self.summary is None:
            return np.empty(0, dtype=np.int64)
        labels, highest = self.summary.labels, self.highest_label
        never = labels > highest if highest is not None else np.zeros(len(labels), dtype=bool)
        return np.flatnonzero((labels < 1) | never)

    @cached_property
    def duplicates(self) -> np.ndarray:
        """(d,) internal ids whose label a later element carries too: hnswlib no longer finds them."""
        if self.summary is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(_superseded(self.summary.labels) & (self.summary.labels >= 1))

    # --- the records ----------------------------------------------------------------------------------------------------

    @cached_property
    def records(self) -> Records | None:
        """The join under the watermark and the header that will be."""
        rows = self.collection.rows
        if isinstance(rows, Absent):
            return None
        return join_records(rows, self.collection.vector, self.id_map, self.pending, summary=self.summary)

    @cached_property
    def nameless(self) -> np.ndarray:
        """(k,) internal ids of live elements with a given label that no id maps to."""
        if self.summary is None:
            return np.empty(0, dtype=np.int64)
        mapped = np.fromiter(self.mapping.values(), dtype=np.int64, count=len(self.mapping))
        held = self.summary.labels.astype(np.int64)
        return np.flatnonzero(self.named_elements & ~np.isin(held, mapped))

    @cached_property
    def proof(self) -> Proof | None:
        """Nameless elements against the records that have none."""
        records = self.records
        if records is None or self.files is None or not len(self.nameless):
            return None
        without = records.ids(~records.indexed & (records.elements < 0))
        known = {} if not records.indexed.any() else _known(records)
        segment = self.segment
        cut = (
            segment is not None
            and isinstance(self.id_map, BadIdMap)
            and self.id_map.kind in ("truncated", "malformed")
        )
        salvaged = salvage(segment.path(layout.ID_MAP_FILE)) if cut and segment is not None else {}
        return prove(
            self.collection,
            self.files,
            without,
            self.nameless,
            known=known,
            salvaged=salvaged,
            embedder=self.embedder,
            also=self.also,
        )

    @cached_property
    def holdings(self) -> Holdings | None:
        """Where each record's vector is or will come from; None where SQLite cannot be read."""
        records = self.records
        if records is None:
            return None
        state = np.full(len(records), LOST, dtype=object)
        state[records.pending] = PENDING
        state[records.indexed] = INDEXED
        state[(records.elements >= 0) & ~records.live & ~records.pending] = FLAGGED
        proved = set(self._proved_ids())
        if proved:
            mine = np.fromiter((name in proved for name in records.rows.ids), dtype=bool, count=len(records))
            state[mine] = PROVED
        return self._with_sources(records, state)

    def _proved_ids(self) -> list[str]:
        if self.proof is None:
            return []
        return [self.proof.ids[i] for i in np.flatnonzero(self.proof.proved).tolist()]

    def _with_sources(self, records: Records, state: np.ndarray) -> Holdings:
        """The ids that this segment and the queue's tail do not give: looked for elsewhere, then embedded again."""
        wanted = np.flatnonzero(state == LOST)
        why = np.full(len(state), "", dtype=object)
        if not wanted.size:
            return Holdings(records.rows.ids, state, why, self.proof, None, None)
        ids = [records.rows.ids[i] for i in wanted.tolist()]
        sources = find_sources(self.collection, ids, also=self.also)
        state[wanted[sources.found]] = SOURCE
        nowhere = wanted[~sources.found]
        trial = self.trial if nowhere.size and self.embedder is not None else None
        has_document = sources.has_document[~sources.found]
        usable = trial is not None and (
            trial.passed or (trial.passed is None and self.options.unverified_embedder)
        )
        if usable:
            state[nowhere[has_document]] = EMBED
        why[nowhere] = "its vector exists nowhere and it has no document"
        why[nowhere[has_document]] = "" if usable else self._no_embedding(trial)
        return Holdings(records.rows.ids, state, why, self.proof, sources, trial)

    def _no_embedding(self, trial: Trial | None) -> str:
        if trial is None:
            return "its vector exists nowhere; its document could be embedded again (no embedder was given)"
        if trial.passed is None:
            return f"its document could be embedded again, but the embedder is unverified: {trial.reason}"
        return f"the embedder was refused: {trial.reason}"

    @cached_property
    def trial(self) -> Trial | None:
        """The embedder against a seeded sample of surviving vectors."""
        if self.embedder is None:
            return None
        ids, raw = self.surviving_sample()
        return try_embedder(self.collection, self.embedder, ids, raw)

    def surviving_sample(self) -> tuple[list[str], np.ndarray]:
        """(ids, raw (k, dim)) of records with a document whose vector survives: from the index, else from elsewhere."""
        records = self.records
        empty: tuple[list[str], np.ndarray] = ([], np.empty((0, self.dim or 0), dtype=np.float32))
        if records is None:
            return empty
        elements = records.elements.copy()
        elements[~records.indexed] = -1
        if self.proof is not None:
            place = {
                name: int(e) for name, e in zip(self.proof.ids, self.proof.element, strict=True) if e >= 0
            }
            extra = np.fromiter(
                (place.get(name, -1) for name in records.rows.ids), dtype=np.int64, count=len(records)
            )
            elements = np.where(elements >= 0, elements, extra)
        held = np.flatnonzero(elements >= 0)
        chosen = self._with_documents(held, records)
        if chosen.size:
            return [records.rows.ids[i] for i in chosen.tolist()], self.raw_vectors(elements[chosen])
        return self._sample_elsewhere(records) or empty

    def _with_documents(self, held: np.ndarray, records: Records) -> np.ndarray:
        """A seeded sample of `held` positions; twice the size is drawn, as some may have no document."""
        drawn = held[seeded_sample(len(held), 256)] if held.size else held
        texts = documents(self.collection, [records.rows.ids[i] for i in drawn.tolist()])
        good = drawn[np.fromiter((bool(text) for text in texts), dtype=bool, count=len(texts))]
        return good[seeded_sample(len(good))] if good.size else good

    def _sample_elsewhere(self, records: Records) -> tuple[list[str], np.ndarray] | None:
        positions = seeded_sample(len(records), 256) if len(records) else np.empty(0, dtype=np.int64)
        pending = np.flatnonzero(records.pending)
        positions = np.union1d(positions, pending[seeded_sample(len(pending))] if pending.size else pending)
        ids = [records.rows.ids[i] for i in positions.tolist()]
        sources = find_sources(self.collection, ids, also=self.also)
        found = np.flatnonzero(sources.found & sources.has_document)
        if not found.size or self.dim is None:
            return None
        chosen = found[seeded_sample(len(found))]
        return [ids[i] for i in chosen.tolist()], fetch(self.collection, sources, chosen).raw

    def raw_vectors(self, elements: np.ndarray) -> np.ndarray:
        """(k, dim) float32 vectors as the user gave them: for cosine multiplied by their norms."""
        if self.files is None:
            raise ValueError("level 0 cannot be read")
        vectors = self.files.vectors(elements)
        lengths = self.files.lengths
        if (
            self.collection.settings.space != "cosine"
            or isinstance(lengths, Absent)
            or len(lengths) <= elements.max(initial=-1)
        ):
            return vectors
        return vectors * lengths[elements][:, None]

    @property
    def dim(self) -> int | None:
        """The dimension of the index, else the one that SQLite records."""
        return self.header.dim if self.header is not None else self.collection.dimension


def _known(records: Records) -> dict[str, int]:
    """id → element of up to 4,096 indexed records, spread over the whole."""
    held = np.flatnonzero(records.indexed)
    chosen = held[seeded_sample(len(held), 4096)]
    return {records.rows.ids[i]: int(records.elements[i]) for i in chosen.tolist()}


def _superseded(labels: np.ndarray) -> np.ndarray:
    """(n,) bool: a later element carries the same label."""
    _, last = np.unique(labels[::-1], return_index=True)
    keep = np.zeros(len(labels), dtype=bool)
    keep[len(labels) - 1 - last] = True
    return ~keep


def _capacity(segment: VectorSegment, size: int) -> int:
    facts = segment.facts[layout.LEVEL0_FILE]
    return 0 if isinstance(facts, Absent) else facts.size // size


def _room(segment: VectorSegment, header: Header) -> int:
    return _capacity(segment, header.size_data_per_element)


def _fits_size(segment: VectorSegment, M: int, dim: int) -> bool:
    facts = segment.facts[layout.LEVEL0_FILE]
    return 1 < M <= 10_000 and not isinstance(facts, Absent) and facts.size % layout.element_size(dim, M) == 0


def _made_header(dim: int, M: int, ef_construction: int, count: int) -> Header:
    """A header for a flat graph of `count` elements; where searches start is found when it is written."""
    return Header(
        persistence_version=layout.PERSISTENCE_VERSION,
        offset_level0=0,
        max_elements=max(count, 1),
        cur_element_count=count,
        size_data_per_element=layout.element_size(dim, M),
        label_offset=4 + 8 * M + 4 * dim,
        offset_data=4 + 8 * M,
        maxlevel=0,
        enterpoint=0,
        maxM=M,
        maxM0=2 * M,
        M=M,
        mult=1 / math.log(M),
        ef_construction=ef_construction,
    )
