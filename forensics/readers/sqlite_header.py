"""The first 100 bytes of an SQLite database, field by field (https://www.sqlite.org/fileformat2.html)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"SQLite format 3\x00"
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
JOURNAL_HEAD = 28  # magic, count of records, nonce, pages at the start, sector and page size
SIZE = 100


@dataclass(frozen=True, slots=True)
class SqliteHeader:
    """The fields that say what the file is and how long it should be."""

    magic: bytes
    page_size: int
    write_version: int
    read_version: int
    fractions: tuple[int, int, int]
    change_counter: int
    page_count: int
    freelist_count: int
    schema_format: int
    text_encoding: int
    version_valid_for: int

    @classmethod
    def from_bytes(cls, raw: bytes) -> SqliteHeader | None:
        """The fields; None where there are fewer than 100 bytes."""
        if len(raw) < SIZE:
            return None
        size, write, read, _, high, low, leaf = struct.unpack_from(">HBBBBBB", raw, 16)
        counter, pages, _, free, _, form = struct.unpack_from(">6I", raw, 24)
        (encoding,) = struct.unpack_from(">I", raw, 56)
        (valid_for,) = struct.unpack_from(">I", raw, 92)
        real = 65536 if size == 1 else size
        parts = (high, low, leaf)
        return cls(raw[:16], real, write, read, parts, counter, pages, free, form, encoding, valid_for)

    def problems(self) -> tuple[str, ...]:
        """Each way in which these cannot be the first bytes of a database, in words; empty if sound."""
        rules = (
            (self.magic == MAGIC, "it does not begin with 'SQLite format 3'"),
            (self.page_size in (2**power for power in range(9, 17)), "impossible page size"),
            (self.write_version in (1, 2) and self.read_version in (1, 2), "unknown format version"),
            (self.fractions == (64, 32, 32), "payload fractions are not 64, 32 and 32"),
            (0 <= self.schema_format <= 4, "unknown schema format"),
            (0 <= self.text_encoding <= 3, "unknown text encoding"),
        )
        return tuple(text for holds, text in rules if not holds)

    @property
    def pages_needed(self) -> int | None:
        """The pages that the file must have; None where the header does not vouch for its own count."""
        known = self.page_count > 0 and self.version_valid_for == self.change_counter
        return self.page_count if known else None

    @property
    def is_wal(self) -> bool:
        """True where SQLite keeps a -wal (Chroma's stores use a rollback journal)."""
        return self.write_version == 2
