"""One collection as planner and actions see it: the segment as it can be read after the cheap repairs, and
its records under the watermark that will be. Pure; the planner asks it about the store, actions about the
draft.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.readers import layout
from forensics.readers.embeddings_queue import QueueEffect
from forensics.readers.hnsw import HnswFiles, Level0Summary
from forensics.readers.id_map import BadIdMap, IdMap
from forensics.readers.id_map_salvage import salvage
from forensics.readers.layout import Header
from forensics.records import Records, join_records
from forensics.repair.blocking import blocking_rows
from forensics.repair.embedding import Embedder, Trial, try_embedder
from forensics.repair.foreign import Foreign, find_foreign, one_id_per_label, without
from forensics.repair.holdings import Holdings, find_holdings, surviving_sample
from forensics.repair.id_map_proof import Proof, prove, spread_pairs
from forensics.repair.options import RepairOptions
from forensics.repair.prospect import MISPLACED, at_home, prospective_header, superseded, with_segments
from forensics.repair.replay import ghosts_of, replayed
from forensics.repair.watermarks import Watermarks
from forensics.store import Collection, VectorSegment
from forensics.user_source import UserSource

CHUNK = 1 << 15
NO_ELEMENTS = np.empty(0, dtype=np.int64)


class Site:
    """One collection under repair. `codes`: what was found in it; some things are done only for a finding.
    `unmapped`: ids that an action took off foreign vectors already.
    """

    def __init__(
        self,
        collection: Collection,
        options: RepairOptions,
        embedder: Embedder | None = None,
        codes: frozenset[str] = frozenset(),
        unmapped: frozenset[str] = frozenset(),
        home: VectorSegment | None = None,
    ) -> None:
        self.found_as, self.options, self.embedder, self.codes = collection, options, embedder, codes
        self.unmapped = unmapped
        self.collection, self.home = with_segments(collection) if "CF110" in codes else collection, home
        if home is not None:
            self.codes, self.collection = codes - MISPLACED, at_home(collection, home)
        self.swapped = codes - self.codes

    @property
    def segment(self) -> VectorSegment | None:
        """The vector segment where SQLite names one."""
        return None if isinstance(self.collection.vector, Absent) else self.collection.vector

    @cached_property
    def id_map(self) -> IdMap | BadIdMap | Absent:
        """The id map with one id per label, and without ids whose vector is spoiled or that of another record."""
        found = self.collection.id_map
        if not isinstance(found, IdMap):
            return found
        found = without(found, self.foreign.vectors) if self.foreign.vectors else found
        return one_id_per_label(found, set(self.spoiled_labels.tolist()))

    @property
    def mapping(self) -> Mapping[str, int]:
        """id → label of that map; empty where none can be read."""
        return self.id_map.id_to_label if isinstance(self.id_map, IdMap) else {}

    @cached_property
    def foreign(self) -> Foreign:
        """Vectors that stand under the id of another record now."""
        return find_foreign(self)

    @cached_property
    def foreign_ids(self) -> frozenset[str]:
        """The ids under which such a vector stands, or stood before the repair."""
        return self.unmapped | frozenset(self.foreign.vectors)

    @property
    def also(self) -> list[Path]:
        return [Path(path) for path in self.options.also]

    @cached_property
    def user_sources(self) -> list[UserSource]:
        """The user's own files, as chosen."""
        return [UserSource.load(path) for path in self.options.source]

    @cached_property
    def survivors(self) -> tuple[list[str], np.ndarray]:
        """(ids, raw vectors) of a sample of what survives, with or without documents."""
        if self.records is None:
            return [], np.empty((0, self.dim or 0), dtype=np.float32)
        return surviving_sample(self, self.records, with_text=False)

    @cached_property
    def watermarks(self) -> Watermarks:
        """What the watermarks should be."""
        return Watermarks(self.collection, ahead="CF204" in self.codes)

    @cached_property
    def watermark(self) -> int:
        """The vector watermark as it will be; 0 where the whole queue is to be replayed."""
        if not self.has_vectors and not self.mapping and self.collection.store.is_modern:
            return 0
        return self.watermarks.vector.value or 0

    @cached_property
    def blocking(self) -> frozenset[int]:
        """The seq_ids of queue rows that no release can apply and that a repair takes out."""
        wanted = self.codes & {"CF208", "CF209", "CF809"}
        return frozenset(blocking_rows(self.collection, self.dim)) if wanted else frozenset()

    @cached_property
    def pending(self) -> Mapping[str, QueueEffect]:
        """What the queue above that watermark will do, without the rows that block it."""
        return replayed(self.collection, self.watermark, self.blocking, self.mapping, self.held_labels)

    @cached_property
    def held_labels(self) -> np.ndarray:
        """(k,) int64 labels that level 0 holds under an identity, of elements flagged deleted, too."""
        if self.summary is None:
            return NO_ELEMENTS
        return self.summary.labels[self.named_elements | self.summary.deleted].astype(np.int64)

    @cached_property
    def header(self) -> Header | None:
        """The header that describes what level 0 really holds; None where there is no vector to describe."""
        segment = self.segment
        if segment is None or segment.state != "persisted":
            return None
        return prospective_header(self.collection, segment)

    @cached_property
    def files(self) -> HnswFiles | None:
        """The binary files as that header cuts them; None where level 0 is gone."""
        segment, header = self.segment, self.header
        if segment is None or header is None:
            return None
        if header == segment.files.header:
            return segment.files  # what the checks measured holds
        files = HnswFiles(segment.directory, segment.path)
        files.header = header
        return None if isinstance(files.level0, Absent) else files

    @cached_property
    def summary(self) -> Level0Summary | None:
        """Labels, flags and link counts under that header."""
        found = self.files.summary if self.files is not None else None
        return None if isinstance(found, Absent) else found

    @property
    def has_vectors(self) -> bool:
        """True where level 0 still holds a live element with a label of 1 or more."""
        return self.summary is not None and bool((self.summary.live & (self.summary.labels >= 1)).any())

    @cached_property
    def named_elements(self) -> np.ndarray:
        """(elements,) bool: live, with a label that was really given, the last one to carry it."""
        if self.summary is None:
            return np.empty(0, dtype=bool)
        labels, highest = self.summary.labels, self.highest_label
        given = self.summary.live & (labels >= 1) & (labels <= (highest if highest is not None else 2**62))
        named = given & ~superseded(labels)
        named[self.spoiled] = False
        return named

    @cached_property
    def highest_label(self) -> int | None:
        """The highest label that was ever given, as far as the map tells; None without a map."""
        found = self.collection.id_map
        if not isinstance(found, IdMap):
            return None
        return max(found.total_elements_added or 0, max(found.id_to_label.values(), default=0))

    @cached_property
    def phantoms(self) -> np.ndarray:
        """(p,) internal ids with label 0 or a label that was never given."""
        if self.summary is None:
            return NO_ELEMENTS
        labels, highest = self.summary.labels, self.highest_label
        never = labels > highest if highest is not None else np.zeros(len(labels), dtype=bool)
        return np.flatnonzero((labels < 1) | never)

    @cached_property
    def duplicates(self) -> np.ndarray:
        """(d,) internal ids whose label a later element carries too: hnswlib no longer finds them."""
        if self.summary is None:
            return NO_ELEMENTS
        return np.flatnonzero(superseded(self.summary.labels) & (self.summary.labels >= 1))

    @cached_property
    def spoiled(self) -> np.ndarray:
        """(s,) internal ids of live elements with components that are not finite, where that was found."""
        if "CF704" not in self.codes or self.files is None or self.summary is None:
            return NO_ELEMENTS
        live = np.flatnonzero(self.summary.live)
        parts = (live[at : at + CHUNK] for at in range(0, len(live), CHUNK))
        bad = [part[~np.isfinite(self.files.vectors(part)).all(axis=1)] for part in parts]
        return np.concatenate(bad) if bad else NO_ELEMENTS

    @property
    def spoiled_labels(self) -> np.ndarray:
        return NO_ELEMENTS if self.summary is None else self.summary.labels[self.spoiled].astype(np.int64)

    @cached_property
    def records(self) -> Records | None:
        """The join under the watermark and the header that will be."""
        rows = self.collection.rows
        if isinstance(rows, Absent):
            return None
        return join_records(rows, self.collection.vector, self.id_map, self.pending, summary=self.summary)

    @cached_property
    def ghosts(self) -> list[str]:
        """The ids without a record that the index holds, or gets with the next flush."""
        return ghosts_of(self.collection, self.records)

    @cached_property
    def nameless(self) -> np.ndarray:
        """(k,) internal ids of live elements with a given label that no id maps to."""
        if self.summary is None:
            return NO_ELEMENTS
        mapped = np.fromiter(self.mapping.values(), dtype=np.int64, count=len(self.mapping))
        held = self.summary.labels.astype(np.int64)
        return np.flatnonzero(self.named_elements & ~np.isin(held, mapped))

    @cached_property
    def proof(self) -> Proof | None:
        """Nameless elements against the records that have none."""
        records = self.records
        if records is None or not len(self.nameless):
            return None
        return self._proved(records, records.ids(~records.indexed & (records.elements < 0)), self.nameless)

    @cached_property
    def claims(self) -> Proof | None:
        """Elements without identity, or under another's label, against the records that still have none."""
        records, lone = self.records, np.union1d(self.phantoms, self.duplicates)
        if records is None or self.files is None or not lone.size:
            return None
        vectors = self.files.vectors(lone)
        real = lone[np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)]
        taken = set() if self.proof is None else set(self.proof.pairs())
        without = records.ids(~records.indexed & (records.elements < 0) & ~records.pending)
        return self._proved(records, [name for name in without if name not in taken], real)

    def _proved(self, records: Records, ids: list[str], elements: np.ndarray) -> Proof | None:
        segment = self.segment
        if self.files is None or segment is None:
            return None
        cut = isinstance(self.id_map, BadIdMap) and self.id_map.kind in ("truncated", "malformed")
        return prove(
            self.collection,
            self.files,
            ids,
            elements,
            known=spread_pairs(records) if records.indexed.any() else {},
            salvaged=salvage(segment.path(layout.ID_MAP_FILE)) if cut else {},
            embedder=self.embedder,
            also=self.also,
            ordered=not self.foreign_ids,
        )

    @cached_property
    def holdings(self) -> Holdings | None:
        """Where each record's vector is or will come from; None where SQLite cannot be read."""
        return None if self.records is None else find_holdings(self, self.records)

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
        vectors, lengths = self.files.vectors(elements), self.files.lengths
        cosine = self.collection.settings.space == "cosine"
        if not cosine or isinstance(lengths, Absent) or len(lengths) <= elements.max(initial=-1):
            return vectors
        return vectors * lengths[elements][:, None]

    @property
    def dim(self) -> int | None:
        """The dimension of the index, else the one that SQLite records."""
        return self.header.dim if self.header is not None else self.collection.dimension
