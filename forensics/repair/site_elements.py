"""What a segment under repair holds: its elements as they can be read after the cheap repairs. Pure."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from forensics.absent import Absent
from forensics.readers.hnsw import HnswFiles, Level0Summary
from forensics.readers.id_map import IdMap
from forensics.readers.layout import Header
from forensics.repair.prospect import prospective_header, superseded
from forensics.store import Collection, VectorSegment

CHUNK = 1 << 15
NO_ELEMENTS = np.empty(0, dtype=np.int64)


class Elements:
    """The elements of one collection's index under the header that will be; `codes`: what was found in it."""

    def __init__(self, collection: Collection, codes: frozenset[str]) -> None:
        self.collection, self.codes = collection, codes

    @property
    def segment(self) -> VectorSegment | None:
        """The vector segment where SQLite names one."""
        return None if isinstance(self.collection.vector, Absent) else self.collection.vector

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
    def held_labels(self) -> np.ndarray:
        """(k,) int64 labels that level 0 holds under an identity, of elements flagged deleted, too."""
        if self.summary is None:
            return NO_ELEMENTS
        return self.summary.labels[self.named_elements | self.summary.deleted].astype(np.int64)
