"""How the pages of a damaged database are cut, and what its header said beside that: from the header where it is sound,
else from the pages themselves.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from forensics.readers.pages import PageFile
from forensics.readers.sqlite_header import SIZE, SqliteHeader

CHROMAS = 4096
SIZES = (CHROMAS, 512, 1024, 2048, 8192, 16384, 32768, 65536)
BLOCK, SAMPLE = 65536, 64
"""Bytes of a stretch, and of how many at most the records are counted for each size that a page may have."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes of a page, bytes at its end that are not used, and what the new header will say. `made`: the header is lost."""

    page_size: int
    reserved: int
    pragmas: Mapping[str, int] = field(default_factory=dict)
    made: bool = False

    @classmethod
    def of(cls, path: Path) -> Frame:
        """From the header, or where that is torn from the size in which most pages hold together."""
        with open(path, "rb") as handle:
            raw = handle.read(SIZE)
        header = SqliteHeader.from_bytes(raw)
        if header is None or header.problems() or header.text_encoding not in (0, 1):
            size = _measured(path)
            return cls(size, 0, {"page_size": size}, made=True)
        (user,) = struct.unpack_from(">i", raw, 60)
        (application,) = struct.unpack_from(">i", raw, 68)
        pragmas = {"page_size": header.page_size, "user_version": user, "application_id": application}
        return cls(header.page_size, raw[20], pragmas)


def _measured(path: Path) -> int:
    """The size in which the same stretches of the file hold the most records; Chroma's own wins a tie. Pages that are taken
    for twice as long as they are look sound too, but show the records of every other page only.
    """
    return max(SIZES, key=lambda size: _records(path, size))


def _records(path: Path, size: int) -> int:
    with PageFile(path, size) as file:
        pages = (file.page(number) for number in _sampled(file))
        sound = (page for page in pages if page.problem is None and page.payloads)
        return sum(record is not None for page in sound for _, record in file.records(page))


def _sampled(file: PageFile) -> Iterator[int]:
    """The pages but the first of stretches that lie evenly over the file, the same for every size of a page."""
    blocks, each = -(-file.count * file.page_size // BLOCK), BLOCK // file.page_size
    for block in range(0, blocks, -(-blocks // SAMPLE) or 1):
        yield from range(max(2, block * each + 1), min((block + 1) * each, file.count) + 1)
