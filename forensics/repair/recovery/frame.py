"""How the pages of a damaged database are cut, and what its header said beside that: from the header where it is sound,
else from the pages themselves.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from forensics.readers.pages import PageFile
from forensics.readers.sqlite_header import SIZE, SqliteHeader

CHROMAS = 4096
SIZES = (CHROMAS, 512, 1024, 2048, 8192, 16384, 32768, 65536)
SAMPLE = 256
"""So many pages are tried for each size that a page may have."""


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
    """The size of which the most pages are b-trees without a contradiction; Chroma's own wins a tie."""
    return max(SIZES, key=lambda size: _sound(path, size) * size)


def _sound(path: Path, size: int) -> int:
    with PageFile(path, size) as file:
        step = max(1, file.count // SAMPLE)
        pages = (file.page(number) for number in range(2, file.count + 1, step))
        return sum(page.problem is None and bool(page.payloads) for page in pages)
