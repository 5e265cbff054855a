"""The bytes of a local HNSW segment as numpy dtypes, each field with its meaning.

Little-endian, packed, no checksums; unchanged from chromadb 0.4.24 to 1.5.9
(hnswlib fork of Chroma, persistence version 1: `hnswalg.h`, persistHeader / persistLevel0 / persistLinkLists).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

HEADER_FILE = "header.bin"
LEVEL0_FILE = "data_level0.bin"
LENGTH_FILE = "length.bin"
LINKS_FILE = "link_lists.bin"
ID_MAP_FILE = "index_metadata.pickle"
BINARY_FILES = (HEADER_FILE, LEVEL0_FILE, LENGTH_FILE, LINKS_FILE)
SEGMENT_FILES = (*BINARY_FILES, ID_MAP_FILE)

PERSISTENCE_VERSION = 1
EMPTY_ENTERPOINT = 0xFFFFFFFF
DELETED_FLAG = 1
MAX_LEVEL = 64
"""No graph that hnswlib builds comes near this level (level = -ln(U) / ln(M))."""

HEADER = np.dtype(
    [
        ("persistence_version", "<i4"),
        ("offset_level0", "<u8"),
        ("max_elements", "<u8"),
        ("cur_element_count", "<u8"),  # deleted elements included
        ("size_data_per_element", "<u8"),
        ("label_offset", "<u8"),
        ("offset_data", "<u8"),
        ("maxlevel", "<i4"),  # -1 in an empty index
        ("enterpoint", "<u4"),  # internal id; 0xFFFFFFFF in an empty index
        ("maxM", "<u8"),
        ("maxM0", "<u8"),
        ("M", "<u8"),
        ("mult", "<f8"),  # 1 / ln(M)
        ("ef_construction", "<u8"),
    ]
)
assert HEADER.itemsize == 100


def level0_dtype(dim: int, M: int) -> np.dtype:
    """One element of data_level0.bin: links[count] are internal ids; vector is as stored (cosine: normalised)."""
    return np.dtype(
        [
            ("count", "<u2"),
            ("flags", "u1"),  # bit 0: deleted
            ("unused", "u1"),
            ("links", "<u4", (2 * M,)),
            ("vector", "<f4", (dim,)),
            ("label", "<u8"),
        ]
    )


def element_size(dim: int, M: int) -> int:
    """Bytes of one element in data_level0.bin."""
    return 4 + 8 * M + 4 * dim + 8


def list_size(M: int) -> int:
    """Bytes of one upper-level list in link_lists.bin: a count and M internal ids."""
    return 4 + 4 * M


@dataclass(frozen=True, slots=True)
class ExpectedSizes:
    """The bytes a complete index needs. `link_lists` is the mean for random levels; the bounds are ±6 sigma."""

    header: int
    level0: int
    length: int
    link_lists: int
    link_lists_low: int
    link_lists_high: int


def expected_sizes(n: int, dim: int, M: int) -> ExpectedSizes:
    """The sizes in bytes of the four files of an index of `n` elements.

    A level above 0 is given with probability 1/M per step, so an element has 1 / (M - 1) upper lists on average.
    """
    per_list = list_size(M)
    mean = n / (M - 1) if M > 1 else 0.0
    spread = math.sqrt(n * M) / (M - 1) if M > 1 else 0.0
    low, high = max(0.0, mean - 6 * spread), mean + 6 * spread
    return ExpectedSizes(
        header=HEADER.itemsize,
        level0=n * element_size(dim, M),
        length=4 * n,
        link_lists=round(4 * n + mean * per_list),
        link_lists_low=round(4 * n + low * per_list),
        link_lists_high=round(4 * n + high * per_list),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """header.bin as it stands; `problems()` says where it contradicts itself."""

    persistence_version: int
    offset_level0: int
    max_elements: int
    cur_element_count: int
    size_data_per_element: int
    label_offset: int
    offset_data: int
    maxlevel: int
    enterpoint: int
    maxM: int
    maxM0: int
    M: int
    mult: float
    ef_construction: int

    @classmethod
    def from_bytes(cls, raw: bytes) -> Header:
        """The fields of exactly 100 bytes. Raises ValueError for any other length."""
        if len(raw) != HEADER.itemsize:
            raise ValueError(f"header.bin has {len(raw)} bytes; it needs exactly {HEADER.itemsize}")
        record = np.frombuffer(raw, dtype=HEADER)[0]
        return cls(**{str(name): record[name].item() for name in HEADER.names or ()})

    def to_bytes(self) -> bytes:
        """The 100 bytes of header.bin."""
        record = np.zeros((), dtype=HEADER)
        for name in HEADER.names or ():
            record[name] = getattr(self, name)
        return record.tobytes()

    @property
    def dim(self) -> int:
        """The number of components of a vector, from the offsets."""
        return (self.label_offset - self.offset_data) // 4

    def problems(self) -> tuple[str, ...]:
        """Each way in which the fields contradict one another, in words; empty for a sound header."""
        rules = (
            (self.persistence_version == PERSISTENCE_VERSION, "persistence version is not 1"),
            (self.offset_level0 == 0, "offsetLevel0 is not 0"),
            (1 < self.M <= 10_000, "M is not between 2 and 10,000"),
            (self.maxM == self.M, "maxM differs from M"),
            (self.maxM0 == 2 * self.M, "maxM0 is not 2M"),
            (self.offset_data == 4 + 8 * self.M, "offsetData is not 4 + 8M"),
            (self.label_offset > self.offset_data, "label_offset leaves no room for a vector"),
            ((self.label_offset - self.offset_data) % 4 == 0, "the vector is not a whole number of floats"),
            (self.size_data_per_element == self.label_offset + 8, "the element size is not label_offset + 8"),
            (self.cur_element_count <= self.max_elements, "cur_element_count is above max_elements"),
            (self.max_elements < 2**32, "max_elements does not fit an internal id"),
            (-1 <= self.maxlevel <= MAX_LEVEL, f"maxlevel is not between -1 and {MAX_LEVEL}"),
            (self.ef_construction > 0, "ef_construction is 0"),
            (self.M < 2 or abs(self.mult - 1 / math.log(self.M)) < 1e-6, "mult is not 1 / ln(M)"),
        )
        return tuple(text for holds, text in rules if not holds)
