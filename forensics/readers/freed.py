"""Rows that still stand in space of chroma.sqlite3 that SQLite has given up: pages of the freelist, and the part of a
b-tree page that belongs to no cell. Only what the header of such a row vouches for is taken; nothing is guessed.

A row is known by the UUID of its segment, or the topic of its collection, at the place where its own header says that
this column stands; the same header says how long the id behind it is. Read in chunks, so that memory does not depend on
the size of the file, and never by a size that the file states without comparing it with the file itself.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forensics.absent import Absent, Unparsable, Unreadable
from forensics.readers.embeddings_queue import ADD, UPSERT
from forensics.readers.sqlite_header import SIZE, SqliteHeader

CHUNK = 1 << 24
MOST_BYTES = 4 << 30
MOST_SECONDS = 60.0
SHORTEST = 48
"""Bytes below which no row with a UUID and an id fits."""
TOPIC = b"persistent://default/default/"
_BTREES = (2, 5, 10, 13)
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_V = rb"[\x00-\x7f]|[\x80-\xff][\x00-\x7f]|[\x80-\xff]{2}[\x00-\x7f]"
_RECORD = re.compile(rb"\x55(?P<id>" + _V + rb")(?P<seq>[\x01-\x06\x08\x09\x1c])\x33\Z", re.DOTALL)
_QUEUED = re.compile(
    rb"\x33(?P<op>[\x01\x08\x09])\x81\x0f(?P<id>" + _V + rb")(?:" + _V + rb"){3}\Z", re.DOTALL
)
_STAMP = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_WIDTHS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0, 28: 8}


@dataclass(frozen=True, slots=True)
class FreedRow:
    """A row that stands in given-up space. `owner`: the id of its segment (`embeddings`) or collection (the queue)."""

    table: str
    owner: str
    id: str
    created_at: str
    offset: int


@dataclass(frozen=True, slots=True)
class FreedSpace:
    """The rows found; how many pages the freelist has, how many bytes were searched, and whether that was all."""

    rows: tuple[FreedRow, ...]
    free_pages: int
    searched: int
    complete: bool


def freed_rows(
    path: Path, *, most_bytes: int = MOST_BYTES, most_seconds: float = MOST_SECONDS
) -> FreedSpace | Absent:
    """Rows of `embeddings` and `embeddings_queue` in space that is given up, in the order of the file."""
    try:
        with open(path, "rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            first = handle.read(SIZE)
            header = SqliteHeader.from_bytes(first)
            if header is None or header.problems():
                return Unparsable(f"{path.name} has no header of SQLite's")
            free, trunks = _freelist(
                handle.fileno(), struct.unpack_from(">I", first, 32)[0], header.page_size, size
            )
            return _searched(
                handle.fileno(), header.page_size, min(size, most_bytes), size, free, trunks, most_seconds
            )
    except OSError as error:
        return Unreadable(f"{path.name}: {error.strerror}")


def free_pages(path: Path, page_size: int) -> set[int]:
    """The pages that SQLite says are free; none where the header, which says where they begin, is no header."""
    with open(path, "rb") as handle:
        first = handle.read(SIZE)
        header = SqliteHeader.from_bytes(first)
        if header is None or header.problems():
            return set()
        trunk = struct.unpack_from(">I", first, 32)[0]
        free, _ = _freelist(handle.fileno(), trunk, page_size, os.fstat(handle.fileno()).st_size)
    return set(np.flatnonzero(free).tolist())


def _freelist(file: int, trunk: int, page_size: int, size: int) -> tuple[np.ndarray, dict[int, int]]:
    """(bool per page: SQLite says it is free; trunk page → where its list of leaves ends).

    The chain is followed only to pages that the file has, and to none twice.
    """
    free = np.zeros(size // page_size + 1, dtype=bool)
    trunks: dict[int, int] = {}
    while 2 <= trunk < len(free) and trunk not in trunks:
        raw = os.pread(file, page_size, (trunk - 1) * page_size)
        if len(raw) < page_size:
            break
        following, count = struct.unpack_from(">II", raw)
        leaves = np.frombuffer(raw, dtype=">u4", offset=8, count=min(count, page_size // 4 - 2)).astype(
            np.int64
        )
        trunks[trunk] = 8 + 4 * len(leaves)
        free[trunk] = True
        free[leaves[(leaves >= 2) & (leaves < len(free))]] = True
        trunk = following
    return free, trunks


def _searched(
    file: int, page_size: int, stop: int, size: int, free: np.ndarray, trunks: dict[int, int], seconds: float
) -> FreedSpace:
    """Searches page by page in chunks, until the end, `stop` bytes or `seconds` have passed."""
    rows: list[FreedRow] = []
    searched, at, until = 0, 0, time.monotonic() + seconds
    step = max(CHUNK // page_size, 1) * page_size
    while at < stop and time.monotonic() < until:
        raw = os.pread(file, step, at)
        if not raw:
            break
        for start, end in _regions(raw, at // page_size, page_size, free, trunks):
            searched += end - start
            rows.extend(_rows(raw, start, end, at))
        at += len(raw) - len(raw) % page_size or len(raw)
    return FreedSpace(tuple(rows), int(np.count_nonzero(free)), searched, at >= size - size % page_size)


def _regions(
    raw: bytes, before: int, page_size: int, free: np.ndarray, trunks: dict[int, int]
) -> Iterator[tuple[int, int]]:
    """(start, end) in `raw` of the space that is given up; `before` pages come before this chunk."""
    pages = np.frombuffer(raw, dtype=np.uint8)[: len(raw) // page_size * page_size].reshape(-1, page_size)
    numbers = np.arange(len(pages)) + before + 1
    starts, ends = _gaps(pages, numbers)
    given_up = free[np.minimum(numbers, len(free) - 1)]
    starts[given_up], ends[given_up] = 0, page_size
    for index in np.flatnonzero(ends - starts >= SHORTEST).tolist():
        skip = trunks.get(int(numbers[index]), int(starts[index]))
        yield index * page_size + skip, index * page_size + int(ends[index])
    for index in np.flatnonzero(~given_up & np.isin(pages[:, 0], _BTREES)).tolist():
        yield from _freeblocks(raw, index * page_size, page_size)


def _gaps(pages: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k,) where the space between cell pointers and cells begins and ends in each page; equal where there is none."""
    kind = pages[:, 0]
    cells = pages[:, 3].astype(np.int64) << 8 | pages[:, 4]
    content = pages[:, 5].astype(np.int64) << 8 | pages[:, 6]
    starts = np.where(kind < 8, 12, 8) + 2 * cells
    ends = np.where(np.isin(kind, _BTREES) & (content <= pages.shape[1]) & (numbers > 1), content, 0)
    return starts, np.maximum(ends, starts)


def _freeblocks(raw: bytes, page: int, page_size: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the cells of a page that were freed one by one; the chain rises, so that it cannot turn."""
    at, last = struct.unpack_from(">H", raw, page + 1)[0], 0
    while last < at <= page_size - 4:
        following, length = struct.unpack_from(">HH", raw, page + at)
        if 4 <= length <= page_size - at:
            yield page + at + 4, page + at + length
        last, at = at, following


def _rows(raw: bytes, start: int, end: int, base: int) -> Iterator[FreedRow]:
    for match in _UUID.finditer(raw, start, end):
        at, owner = match.end(), match.group().decode()
        topic = match.start() - len(TOPIC)
        queued = topic >= start and raw.startswith(TOPIC, topic)
        found = _queued(raw, start, topic, at, end) if queued else _record(raw, start, match.start(), at, end)
        if found is not None:
            table = "embeddings_queue" if queued else "embeddings"
            yield FreedRow(table, owner, *found, base + match.start())


def _record(raw: bytes, start: int, head: int, at: int, end: int) -> tuple[str, str] | None:
    """Id and stamp of a row of `embeddings`: its header ends at `head`, its id begins at `at`."""
    header = _RECORD.search(raw[max(start, head - 6) : head])
    if header is None:
        return None
    length = _text_length(header["id"])
    stamp = at + length + _WIDTHS[header["seq"][0]]
    if length < 1 or stamp + 19 > end or not _STAMP.match(raw, stamp, stamp + 19):
        return None
    return _whole(raw[at : at + length], raw[stamp : stamp + 19])


def _queued(raw: bytes, start: int, topic: int, at: int, end: int) -> tuple[str, str] | None:
    """Id and stamp of an add or upsert in the queue: stamp and operation stand before the topic, the id behind it."""
    for width in (0, 1):
        head = topic - 19 - width
        if head < start or not _STAMP.match(raw, head, head + 19):
            continue
        header = _QUEUED.search(raw[max(start, head - 16) : head])
        if header is None or (header["op"][0] == 1) != bool(width):
            continue
        length = _text_length(header["id"])
        operation = raw[head + 19] if width else header["op"][0] - 8
        if operation in (ADD, UPSERT) and 1 <= length <= end - at:
            return _whole(raw[at : at + length], raw[head : head + 19])
    return None


def _text_length(varint: bytes) -> int:
    """The bytes of a TEXT column by its serial type; 0 where that is no text."""
    value = 0
    for byte in varint:
        value = value << 7 | byte & 0x7F
    return (value - 13) // 2 if value >= 13 and value % 2 else 0


def _whole(name: bytes, stamp: bytes) -> tuple[str, str] | None:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\x00" in text else (text, stamp.decode())
