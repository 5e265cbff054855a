"""One collection as planner and actions see it: the segment as it can be read after the cheap repairs, and
for each record where its vector is or will come from. Pure; the planner asks it about the store, the actions
about the draft.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
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
from forensics.repair.holdings import Holdings, find_holdings, surviving_sample
from forensics.repair.id_map_proof import Proof, prove
from forensics.repair.options import RepairOptions
from forensics.repair.watermarks import Watermarks
from forensics.store import Collection, VectorSegment


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

    # --- the segment, read under the header that it will have -----------------------------------------------

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
        believable = not isinstance(broken, Absent) and _fits_size(segment, broken.M, dim)
        M = broken.M if believable and not isinstance(broken, Absent) else settings.M
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

    # --- the records ----------------------------------------------------------------------------------------

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
        return None if records is None else find_holdings(self, records)

    @cached_property
    def trial(self) -> Trial | None:
        """The embedder against a seeded sample of surviving vectors; None without an embedder or SQLite."""
        if self.embedder is None or self.records is None:
            return None
        ids, raw = surviving_sample(self, self.records)
        return try_embedder(self.collection, self.embedder, ids, raw)

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
