"""Ids by the million as columns of numbers: cut out of a pickle or of a text, and told apart by a hash.

No object is made for an id, so that a million cost a tenth of a second and eight bytes each. The hash has 64 bits and a
key that is drawn anew by each process: among ten million ids two of one hash are a matter of one in a hundred thousand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

BLOCK = 1 << 12
"""Ids hashed in one step: with their text they stay in the cache."""
WINDOW = 1 << 20
"""Bytes of a pickle that are cut in one step."""
PART = 1 << 20
"""Characters of a text that are looked at in one step."""
DENSE = 16
"""Up to so many times their number, labels are looked up in a table over all numbers."""
_STRING, _NUMBER_SIZES = ord("X"), ((b"J", 5), (b"K", 2), (b"M", 3))
_HEAD = 5
"""Bytes before the text of a string: its opcode and its length."""
_KEYS = tuple(int.from_bytes(os.urandom(8), "little") | 1 for _ in range(3))
_HIGH = np.uint64(0x8080808080808080)


@dataclass(frozen=True)
class Column:
    """hashes (n,) uint64 of the ids, in their order."""

    hashes: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.hashes)

    @cached_property
    def order(self) -> np.ndarray:
        """(n,) the places by rising hash."""
        return np.argsort(self.hashes)

    @cached_property
    def ranked(self) -> np.ndarray:
        """(n,) the hashes, rising."""
        return self.hashes[self.order]

    @property
    def is_distinct(self) -> bool:
        """True where no id is there twice."""
        return not bool((self.ranked[1:] == self.ranked[:-1]).any())

    def places(self, others: Column) -> np.ndarray:
        """(k,) the place of each of `others` in this column, -1 where it is not there."""
        if len(others) == len(self) and np.array_equal(others.hashes, self.hashes):
            return np.arange(len(self))
        found = np.full(len(others), -1, dtype=np.int64)
        if np.array_equal(others.ranked, self.ranked):
            found[others.order] = self.order
        elif len(self):
            at = np.minimum(np.searchsorted(self.ranked, others.ranked), len(self) - 1)
            found[others.order] = np.where(self.ranked[at] == others.ranked, self.order[at], -1)
        return found


def place_of(held: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(k,) int64 the place of each label in `held` (n,) int64, the last of several; -1 where it is not there or below 0."""
    if len(held) == 0 or len(labels) == 0:
        return np.full(len(labels), -1, dtype=np.int64)
    top = int(held.max())
    if held.min() >= 0 and top <= DENSE * len(held):  # a table costs less than a sort
        place = np.full(top + 2, -1, dtype=np.int64)
        place[held] = np.arange(len(held))
        return place[np.where((labels < 0) | (labels > top), top + 1, labels)]
    order = np.argsort(held, kind="stable")
    ranked = held[order]
    at = np.searchsorted(ranked, labels, side="right") - 1
    hit = (at >= 0) & (ranked[np.maximum(at, 0)] == labels) & (labels >= 0)
    return np.where(hit, order[np.maximum(at, 0)], -1)


def are_distinct(labels: np.ndarray) -> bool:
    """True where no number is there twice."""
    if len(labels) and labels.min() >= 0 and labels.max() <= DENSE * len(labels):
        seen = np.zeros(int(labels.max()) + 1, dtype=bool)
        seen[labels] = True
        return int(np.count_nonzero(seen)) == len(labels)
    ranked = np.sort(labels)
    return not bool((ranked[1:] == ranked[:-1]).any())


def column_of(ids: Iterable[str]) -> Column:
    """The column of ids that are no more than a few."""
    raw = [name.encode("utf-8", "surrogatepass") for name in ids]
    lengths = np.fromiter(map(len, raw), dtype=np.int64, count=len(raw))
    text = np.frombuffer(b"".join(raw), dtype=np.uint8)
    return Column(_hashes(text, np.cumsum(lengths) - lengths, lengths)[0])


def column_of_lines(text: str) -> Column:
    """The column of the lines of a text."""
    return Column(np.concatenate([_of_lines(part) for part in line_parts(text)]))


def _of_lines(part: str) -> np.ndarray:
    raw = np.frombuffer(part.encode("utf-8", "surrogatepass"), dtype=np.uint8)
    ends = np.append(np.flatnonzero(raw == ord("\n")), len(raw))
    starts = np.concatenate([[0], ends[:-1] + 1])
    return _hashes(raw, starts, ends - starts)[0]


def line_parts(text: str) -> Iterator[str]:
    """The text in parts of whole lines, so that what is made of a part stays in the cache. Joined by line breaks they are
    the text."""
    start = 0
    while len(text) - start > PART:
        stop = text.rfind("\n", start, start + PART)
        stop = text.find("\n", start) if stop < 0 else stop
        if stop < 0:
            break
        yield text[start:stop]
        start = stop + 1
    yield text[start:]


@dataclass(frozen=True)
class Pairs:
    """A run of (id, label) in a pickle: ids as a Column, labels (n,) int64; `end` is the first byte after it."""

    ids: Column
    labels: np.ndarray = field(repr=False)
    end: int

    def place_of(self, labels: np.ndarray) -> np.ndarray:
        """(k,) the place of each label, -1 where it is not there; the last of those that have it."""
        return place_of(self.labels, labels)


def cut_pairs(raw: np.ndarray, start: int, *, label_first: bool) -> Pairs | None:
    """The pairs from `start` on, as far as they go; None where an id is no UTF-8."""
    labels, hashes = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.uint64)]
    while True:
        window = raw[start : start + WINDOW]
        texts, lengths, numbers, end = _cut(window, label_first=label_first)
        found, plain = _hashes(window, texts, lengths)
        if not plain and not _is_text(window, texts, lengths):
            return None
        hashes.append(found)
        labels.append(_numbers(window, numbers))
        start += end
        if not len(texts):
            return Pairs(Column(np.concatenate(hashes)), np.concatenate(labels), start)


def _cut(window: np.ndarray, *, label_first: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Where the texts start, how long they are, where their numbers start, and where the last whole pair ends.

    What looks like the head of a string is one where each pair ends exactly where the next begins.
    """
    at = np.flatnonzero(window[: max(len(window) - _HEAD, 0)] == _STRING)
    at = at[(window[at + 2] == 0) & (window[at + 3] == 0) & (window[at + 4] == 0)]
    lengths = window[at + 1].astype(np.int64)
    ends = at + _HEAD + lengths
    numbers = np.concatenate([[0], ends[:-1]])[: len(ends)] if label_first else ends
    inside = numbers + _HEAD <= len(window)
    sizes = np.where(inside, _SIZES[window[np.where(inside, numbers, 0)]], 0)
    begins, finishes = (numbers, ends) if label_first else (at, ends + sizes)
    after = numbers + sizes == at if label_first else sizes > 0
    sound = after & (sizes > 0) & (finishes <= len(window))
    sound &= begins == np.concatenate([[0], finishes[:-1]])[: len(begins)]
    count = len(sound) if sound.all() else int(np.argmin(sound))
    end = int(finishes[count - 1]) if count else 0
    return at[:count] + _HEAD, lengths[:count], numbers[:count], end


def _size_table() -> np.ndarray:
    sizes = np.zeros(256, dtype=np.int64)
    for opcode, size in _NUMBER_SIZES:
        sizes[ord(opcode)] = size
    return sizes


_SIZES = _size_table()


def _numbers(window: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(n,) int64 the whole numbers whose opcodes stand there; each has at least four bytes behind it."""
    value = _gathered(window, at + 1, 4).view("<i4").astype(np.int64)
    sizes = _SIZES[window[at]]
    return np.where(sizes == 5, value, value & np.where(sizes == 3, 0xFFFF, 0xFF))


def _gathered(raw: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """(n,) `width` bytes from each start, as they stand."""
    cells = np.ndarray(max(len(raw) - width + 1, 0), f"V{width}", raw, strides=(1,))
    return cells[starts] if len(starts) else np.empty(0, dtype=f"V{width}")


def _is_text(window: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> bool:
    raw = window.tobytes()
    try:
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            raw[start : start + length].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _hashes(raw: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, bool]:
    """(n,) uint64 of the texts, and whether all of them are ASCII. Starts rise."""
    out, plain = np.empty(len(starts), dtype=np.uint64), True
    for first in range(0, len(starts), BLOCK):
        part = slice(first, first + BLOCK)
        here, sizes = starts[part], lengths[part]
        low, high = int(here[0]), int(here[-1] + sizes[-1])
        padded = np.zeros(high - low + int(sizes.max()) + 8, dtype=np.uint8)
        padded[: high - low] = raw[low:high]
        for size, which in _by_size(sizes):
            out[first + which], ascii_only = _hashed(padded, here[which] - low, size)
            plain = plain and ascii_only
    return out, plain


def _by_size(sizes: np.ndarray) -> Iterable[tuple[int, np.ndarray]]:
    order = np.argsort(sizes, kind="stable")
    ranked = sizes[order]
    edges = np.flatnonzero(np.diff(ranked)) + 1
    for which in np.split(order, edges):
        yield int(sizes[which[0]]), which


def _hashed(raw: np.ndarray, starts: np.ndarray, size: int) -> tuple[np.ndarray, bool]:
    """Hashes of texts of one size; `raw` goes on for eight bytes and more behind the last of them."""
    words = -(-size // 8)
    cells = _gathered(raw, starts, 8 * words).view("<u8").reshape(len(starts), words) if size else None
    mixed = np.full(len(starts), (_KEYS[0] ^ (size * _KEYS[2])) & (2**64 - 1), dtype=np.uint64)
    high = np.uint64(0)
    for at in range(words):
        assert cells is not None
        word = cells[:, at].copy()
        if 8 * (at + 1) > size:
            word &= np.uint64((1 << (8 * (size % 8))) - 1)
        high |= np.bitwise_or.reduce(word) & _HIGH
        mixed ^= word
        mixed *= np.uint64(_KEYS[1])
        mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(_KEYS[2])
    mixed ^= mixed >> np.uint64(32)
    return mixed, not high


_FORWARD, _BACKWARD = b"X\x0b\0\0\0id_to_label}(", b"uX\x0b\0\0\0label_to_id}("
_OPENING = 512
"""Bytes at the front of a pickle within which the first dict must begin."""
_REST = 1 << 20
"""Bytes behind the second dict, above which a file is read by objects."""


@dataclass(frozen=True)
class Cut:
    """A pickle of 1.x in three: id_to_label, label_to_id, and `rest`, the same pickle with both of them empty."""

    forward: Pairs
    backward: Pairs
    rest: bytes


def cut(view: memoryview) -> Cut | None:
    """The pickle by columns; None where it is not shaped as 1.x writes it, or holds what a dict would not hold as it
    stands: an id or a label twice, a label below 0."""
    opening = bytes(view[:_OPENING]).find(_FORWARD)
    if opening < 0:
        return None
    raw, first = np.frombuffer(view, dtype=np.uint8), opening + len(_FORWARD)
    forward = cut_pairs(raw, first, label_first=False)
    if forward is None or bytes(view[forward.end : forward.end + len(_BACKWARD)]) != _BACKWARD:
        return None
    second = forward.end + len(_BACKWARD)
    backward = cut_pairs(raw, second, label_first=True)
    if backward is None or len(view) - backward.end > _REST or not _as_dicts(forward, backward):
        return None
    return Cut(forward, backward, bytes(view[:first]) + _BACKWARD + bytes(view[backward.end :]))


def _as_dicts(forward: Pairs, backward: Pairs) -> bool:
    signed = min(backward.labels.min(initial=0), forward.labels.min(initial=0)) < 0
    return not signed and forward.ids.is_distinct and are_distinct(backward.labels)
