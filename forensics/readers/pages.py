"""Pages of an SQLite file one by one, without SQLite: cells, records and overflow chains, none of them trusted.

What does not hold together is a reason in words or nothing at all, never an exception: a page whose header, cell pointers
or record headers contradict each other is damaged, and so is a chain that leaves the file or turns back on itself.
(https://www.sqlite.org/fileformat2.html)
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType

INTERIOR_INDEX, INTERIOR_TABLE, LEAF_INDEX, LEAF_TABLE = 2, 5, 10, 13
KINDS = frozenset({INTERIOR_INDEX, INTERIOR_TABLE, LEAF_INDEX, LEAF_TABLE})
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
Cell = int | float | str | bytes | None
Record = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A b-tree page. `keys`: rowids of a table; `payloads`: (where, length) of each cell's; `children` of an interior page.

    `problem` says why it is no page, or not the whole of one; then cells that cannot be read are left out.
    """

    number: int
    kind: int
    keys: tuple[int, ...]
    payloads: tuple[tuple[int, int], ...]
    children: tuple[int, ...]
    problem: str | None = None


class PageFile:
    """The pages of a file, from 1 to `count`; a last page that is cut short is none."""

    def __init__(self, path: Path, page_size: int, reserved: int = 0) -> None:
        self.path, self.page_size = path, page_size
        self.usable = page_size - reserved
        self._file = os.open(path, os.O_RDONLY)
        self.count = os.fstat(self._file).st_size // page_size

    def __enter__(self) -> PageFile:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        os.close(self._file)

    def raw(self, number: int) -> bytes:
        """The bytes of a page; nothing where the file has no such page or the disk does not give it."""
        if not 1 <= number <= self.count:
            return b""
        try:
            return os.pread(self._file, self.page_size, (number - 1) * self.page_size)
        except OSError:
            return b""

    def page(self, number: int) -> Page:
        """The page as a b-tree page."""
        raw = self.raw(number)
        head = 100 if number == 1 else 0
        if len(raw) < self.page_size:
            return _no(number, "the file has no such page, or it cannot be read")
        kind = raw[head]
        if kind not in KINDS:
            return _no(number, f"its first byte is {kind}, which no page of a b-tree has")
        return _parsed(raw, number, kind, head, self)

    def records(self, page: Page) -> Iterator[tuple[int, Record | None]]:
        """(rowid, record) of each cell; of an index the rowid is 0. None where the record does not hold together."""
        raw = self.raw(page.number)
        keys = page.keys or (0,) * len(page.payloads)
        for key, (at, length) in zip(keys, page.payloads, strict=True):
            payload = self._payload(raw, page.kind, at, length)
            yield key, None if payload is None else decode(payload)

    def _payload(self, raw: bytes, kind: int, at: int, length: int) -> bytes | None:
        local = local_size(self.usable, kind, length)
        if local == length:
            return raw[at : at + length]
        (following,) = struct.unpack_from(">I", raw, at + local)
        parts, left, seen = [raw[at : at + local]], length - local, set[int]()
        while left > 0:
            if following in seen or len(more := self.raw(following)) < self.usable:
                return None
            seen.add(following)
            parts.append(more[4 : min(4 + left, self.usable)])
            left -= len(parts[-1])
            (following,) = struct.unpack_from(">I", more)
        return None if following else b"".join(parts)  # a chain ends with its record


def local_size(usable: int, kind: int, length: int) -> int:
    """Bytes of a payload that stand on the page itself."""
    most = usable - 35 if kind == LEAF_TABLE else (usable - 12) * 64 // 255 - 23
    if length <= most:
        return length
    least = (usable - 12) * 32 // 255 - 23
    size = least + (length - least) % (usable - 4)
    return size if size <= most else least


def _no(number: int, problem: str) -> Page:
    return Page(number, 0, (), (), (), problem)


def _parsed(raw: bytes, number: int, kind: int, head: int, file: PageFile) -> Page:
    """The page of that kind; with a problem where header and cells do not agree."""
    interior = kind in (INTERIOR_INDEX, INTERIOR_TABLE)
    _, count, content = struct.unpack_from(">HHH", raw, head + 1)
    start = head + (12 if interior else 8)
    if start + 2 * count > file.usable or (content or 65536) < start + 2 * count:
        return _no(number, f"it says that it has {count} cells, which do not fit")
    pointers = struct.unpack_from(f">{count}H", raw, start)
    cells = [_cell(raw, at, kind, start + 2 * count, file) for at in pointers]
    whole = [cell for cell in cells if cell is not None]
    children = tuple(cell[2] for cell in whole) if interior else ()
    if interior:
        children = (*children, struct.unpack_from(">I", raw, head + 8)[0])
    keys = tuple(cell[0] for cell in whole) if kind in (LEAF_TABLE, INTERIOR_TABLE) else ()
    problem = _contradiction(len(cells) - len(whole), count, keys, children, file.count)
    payloads = () if kind == INTERIOR_TABLE else tuple(cell[1] for cell in whole)
    return Page(number, kind, keys, payloads, children, problem)


def _contradiction(
    bad: int, count: int, keys: tuple[int, ...], children: tuple[int, ...], pages: int
) -> str | None:
    if bad:
        return f"{bad} of its {count} cells lie outside of it"
    if any(second <= first for first, second in pairwise(keys)):
        return "its rowids do not rise"
    if children and not any(2 <= child <= pages for child in children):
        return "it names only children that the file does not have"
    return None


def _cell(
    raw: bytes, at: int, kind: int, lowest: int, file: PageFile
) -> tuple[int, tuple[int, int], int] | None:
    """(rowid, (where its payload is, how long), left child); None where it does not lie within the page."""
    child = 0
    if not lowest <= at < file.usable - 3:
        return None
    if kind in (INTERIOR_INDEX, INTERIOR_TABLE):
        (child,) = struct.unpack_from(">I", raw, at)
        at += 4
    if kind == INTERIOR_TABLE:
        return varint(raw, at)[0], (at, 0), child
    length, at = varint(raw, at)
    rowid, at = varint(raw, at) if kind == LEAF_TABLE else (0, at)
    local = local_size(file.usable, kind, length)
    end = at + local + (4 if local < length else 0)
    if length > file.count * file.page_size or end > file.usable:
        return None
    return rowid, (at, length), child


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """(the number, what follows it): up to nine bytes, two's complement; what is cut off counts as 0."""
    value = 0
    for index in range(8):
        byte = raw[at + index] if at + index < len(raw) else 0
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    value = value << 8 | (raw[at + 8] if at + 8 < len(raw) else 0)
    return value - (1 << 64) if value >= 1 << 63 else value, at + 9


def decode(payload: bytes) -> Record | None:
    """The columns of a record; None where header and body do not have the same length or a text is no UTF-8."""
    end, at = varint(payload, 0)
    if not 1 <= end <= len(payload):
        return None
    body, columns = end, list[Cell]()
    while at < end:
        kind, at = varint(payload, at)
        size = _size(kind)
        if size is None or body + size > len(payload):
            return None
        try:
            columns.append(_value(kind, payload[body : body + size]))
        except UnicodeDecodeError:
            return None
        body += size
    return tuple(columns) if at == end and body == len(payload) else None


def _size(kind: int) -> int | None:
    if kind >= 12:
        return (kind - 12) // 2
    return _SIZES[kind] if 0 <= kind <= 9 else None


def _value(kind: int, raw: bytes) -> Cell:
    if kind >= 12:
        return raw.decode("utf-8") if kind % 2 else raw
    if kind == 7:
        return struct.unpack(">d", raw)[0]
    return None if kind == 0 else kind - 8 if kind >= 8 else int.from_bytes(raw, "big", signed=True)
