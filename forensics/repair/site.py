"""One collection as planner and actions see it: the segment as it can be read after the cheap repairs, and
its records under the watermark that will be. Pure; the planner asks it about the store, actions about the
draft.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.readers import layout
from forensics.readers.embeddings_queue import QueueEffect
from forensics.readers.id_map import BadIdMap, IdMap
from forensics.readers.id_map_salvage import salvage
from forensics.records import Records, join_records
from forensics.repair.blocking import blocking_rows
from forensics.repair.embedder_trial import tried
from forensics.repair.embedding import Embedder, Trial
from forensics.repair.foreign import Foreign, find_foreign, one_id_per_label, without
from forensics.repair.holdings import Holdings, find_holdings, surviving_sample
from forensics.repair.id_map_proof import Proof, prove, spread_pairs
from forensics.repair.misnamed import misnamed, with_names
from forensics.repair.options import RepairOptions
from forensics.repair.prospect import MISPLACED, at_home, with_segments
from forensics.repair.replay import buried_ids, ghosts_of, replayed
from forensics.repair.site_elements import NO_ELEMENTS, Elements
from forensics.repair.user_documents import OwnDocuments, believed_documents
from forensics.repair.watermarks import Watermarks
from forensics.sources import documents
from forensics.store import Collection, VectorSegment
from forensics.user_source import UserSource


class Site(Elements):
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
        super().__init__(with_segments(collection) if "CF110" in codes else collection, codes)
        self.found_as, self.options = collection, options
        self.embedder = None if embedder is None else embedder.on(collection)
        self.unmapped, self.home = unmapped, home
        if home is not None:
            self.codes, self.collection = codes - MISPLACED, at_home(collection, home)
        self.swapped = codes - self.codes

    @cached_property
    def id_map(self) -> IdMap | BadIdMap | Absent:
        """The id map with one id per label, and without ids whose vector is spoiled or that of another record."""
        found = self.collection.id_map
        if not isinstance(found, IdMap):
            return found
        found = with_names(found, self.misnamed) if self.misnamed else found
        found = without(found, self.buried) if self.buried else found
        found = without(found, self.foreign.vectors) if self.foreign.vectors else found
        return one_id_per_label(found, set(self.spoiled_labels.tolist()))

    @cached_property
    def misnamed(self) -> Mapping[str, str]:
        """id of the map → the record that is meant, where only what nobody sees tells them apart."""
        return misnamed(self.collection) if "CF503" in self.codes else {}

    @cached_property
    def buried(self) -> frozenset[str]:
        """Ids that the map still names although a pending delete has flagged their element already."""
        return frozenset(buried_ids(self.collection)) if "CF207" in self.codes else frozenset()

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
        """The user's own files, as chosen; one may have documents and no vectors."""
        loaded = [UserSource.load(path, vectors=False) for path in self.options.source]
        return [each if any(each.documents) else UserSource.load(each.path) for each in loaded]

    @cached_property
    def own_documents(self) -> OwnDocuments:
        """What of these may be embedded for records without a document."""
        return believed_documents(self)

    def texts(self, ids: Sequence[str]) -> list[str | None]:
        """The document of each id: SQLite's, else that of the user's own files."""
        return self.own_documents.fill(ids, documents(self.collection, ids))

    @cached_property
    def survivors(self) -> tuple[list[str], np.ndarray]:
        """(ids, raw vectors) of a sample of what survives, with or without documents."""
        if self.records is None:
            return [], np.empty((0, self.dim or 0), dtype=np.float32)
        return surviving_sample(self, self.records, with_text=False)

    @cached_property
    def watermarks(self) -> Watermarks:
        """What the watermarks should be."""
        return Watermarks(self.collection, ahead="CF204" in self.codes, also=self.also)

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
            sources=[each for each in self.user_sources if each.vectors.shape[1]],
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
        return tried(self, self.records, self.embedder)

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
