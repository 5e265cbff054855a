"""The files of a segment as hnswlib loads them."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from forensics.absent import Absent
from forensics.readers.hnsw import HnswFiles, map_file
from forensics.readers.layout import HEADER, HEADER_FILE, Header
from forensics.segment import VectorSegment


class LoadedFiles(HnswFiles):
    """hnswlib reads the fields of header.bin one by one, and leaves what stands behind them."""

    def _read_header(self) -> Header | Absent:
        raw = map_file(self.path(HEADER_FILE))
        if isinstance(raw, Absent) or raw.size <= HEADER.itemsize:
            return super()._read_header()
        return Header.from_bytes(raw[: HEADER.itemsize].tobytes())


_LOADED: WeakKeyDictionary[VectorSegment, HnswFiles] = WeakKeyDictionary()


def files_of(vector: VectorSegment) -> HnswFiles:
    """The segment's own files; where header.bin is longer than its fields, the same cut by these."""
    if vector not in _LOADED:
        facts = vector.facts[HEADER_FILE]
        longer = not isinstance(facts, Absent) and facts.size > HEADER.itemsize
        _LOADED[vector] = LoadedFiles(vector.directory, vector.path) if longer else vector.files
    return _LOADED[vector]
