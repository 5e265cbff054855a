"""A bounded scan of a pickle that accepts only what an id map needs; nothing is executed.

An id map is a dict of str, int and None, or an instance of one known class with such a state. So: no tuples
but the empty one, no REDUCE, no lists, at most one class name, no memo index or length beyond the file. One compiled
pattern eats the bulk (strings, small ints, memo); the rare opcodes go through a table. About 0.2 s for a million ids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Buffer = bytes | memoryview
Kind = Literal["ok", "truncated", "hostile", "malformed"]

GLOBAL, STACK_GLOBAL, NEWOBJ, STOP, PROTO, FRAME = b"c", b"\x93", b"\x81", b".", b"\x80", b"\x95"
CHUNK = 4096
"""Opcodes that the pattern eats in one go."""
SHORT_FILE, SHORT_TEXT = 1 << 13, 32
"""Files up to here are scanned with a pattern for strings up to so many bytes only: it takes longer to make than to use."""

_NEVER_NEEDED = {
    0x52: "REDUCE",
    0x69: "INST",
    0x6F: "OBJ",
    0x92: "NEWOBJ_EX",
    0x82: "EXT1",
    0x83: "EXT2",
    0x84: "EXT4",
    0x50: "PERSID",
    0x51: "BINPERSID",
    0x74: "TUPLE",
    0x85: "TUPLE1",
    0x86: "TUPLE2",
    0x87: "TUPLE3",
    0x5D: "EMPTY_LIST",
    0x6C: "LIST",
    0x64: "DICT",
    0x28 + 0x67: "FROZENSET",
    0x97: "NEXT_BUFFER",
}


@dataclass(frozen=True, slots=True)
class Scan:
    """What the scan ended on. `end` is the offset of the first byte that was not accepted, or after STOP."""

    kind: Kind
    end: int
    detail: str
    class_name: str | None = None


def scan(raw: Buffer) -> Scan:
    """Walks `raw` from its PROTO opcode to STOP, in time linear in its length."""
    size = len(raw)
    if (refused := _opening(raw)) is not None:
        return refused
    longest = 255 if size >= SHORT_FILE else SHORT_TEXT
    bulk, position, class_name, objects = _bulk_pattern(max(20, size.bit_length()), longest), 2, None, 0
    promised = 0
    while True:
        eaten = bulk.match(raw, position)
        if eaten is not None:
            position = eaten.end()
            continue
        if position >= size:
            return Scan("truncated", position, "it ends before its STOP opcode", class_name)
        opcode = raw[position]
        if opcode == STOP[0]:
            return _stopped(position, class_name, fits=promised <= size)
        if opcode == FRAME[0] and position + 9 <= size:
            position, promised = position + 9, max(promised, _end_of_frame(raw, position))
            continue
        if opcode in (STACK_GLOBAL[0], GLOBAL[0]):
            class_name, position, problem = _class(raw, position, class_name)
        elif opcode == NEWOBJ[0]:
            objects, position, problem = (
                objects + 1,
                position + 1,
                "it makes two objects" if objects else None,
            )
        else:
            position, problem = _long_string(raw, position)
        if problem is not None:
            return Scan(_kind_of(opcode, problem), position, problem, class_name)


def _opening(raw: Buffer) -> Scan | None:
    """What is wrong with the first two bytes."""
    if len(raw) < 2 or raw[0] != 0x80:
        return Scan(
            "malformed" if len(raw) > 1 else "truncated", 0, "it does not start with a protocol opcode"
        )
    return Scan("malformed", 1, f"protocol {raw[1]} does not exist") if raw[1] > 5 else None


def _stopped(position: int, class_name: str | None, *, fits: bool) -> Scan:
    """What STOP at `position` ends; an unpickler would make room for a frame that does not fit into the file."""
    if not fits:
        return Scan("malformed", position, "a frame is longer than the file", class_name)
    return Scan("ok", position + 1, "", class_name)


def _end_of_frame(raw: Buffer, position: int) -> int:
    return position + 9 + int.from_bytes(bytes(raw[position + 1 : position + 9]), "little")


def _kind_of(opcode: int, problem: str) -> Kind:
    if "ends" in problem:
        return "truncated"
    return (
        "hostile"
        if opcode in _NEVER_NEEDED or opcode in (STACK_GLOBAL[0], GLOBAL[0], NEWOBJ[0])
        else "malformed"
    )


def _class(raw: Buffer, position: int, seen: str | None) -> tuple[str | None, int, str | None]:
    """One class name may be asked for; which one is judged by the unpickler's find_class."""
    if seen is not None:
        return seen, position, "it names more than one callable"
    if raw[position] == STACK_GLOBAL[0]:
        return "stack", position + 1, None
    text = bytes(raw[position + 1 : position + 400]).split(b"\n", 2)
    if len(text) < 3:
        return seen, position, "the file ends inside a class name"
    return f"{text[0]!r}.{text[1]!r}", position + 3 + len(text[0]) + len(text[1]), None


def _long_string(raw: Buffer, position: int) -> tuple[int, str | None]:
    """Steps over a string that is too long for the pattern, or says what else stands there."""
    opcode = raw[position]
    if opcode == 0x8C and position + 1 < len(raw) and position + 2 + raw[position + 1] <= len(raw):
        return position + 2 + raw[position + 1], None
    if opcode == 0x58:
        head = bytes(raw[position + 1 : position + 5])
        end = position + 5 + int.from_bytes(head, "little")
        if len(head) == 4 and end <= len(raw):
            return end, None
        return position, "the file ends inside a string"
    if opcode == 0x8C:  # the pattern eats every short string that is whole
        return position, "the file ends inside a string"
    if opcode in _NEVER_NEEDED:
        return position, f"opcode {_NEVER_NEEDED[opcode]} at byte {position} is never needed by an id map"
    if len(raw) - position < 10 and opcode in b"X\x8cJMKjrhq\x8a\x95":
        return position, "the file ends inside an opcode"
    if opcode in b"rj":
        return position, f"memo index at byte {position} is larger than the file"
    return position, f"opcode {opcode:#04x} at byte {position} is not one that id maps have"


@lru_cache(maxsize=64)
def _bulk_pattern(bits: int, longest: int) -> re.Pattern[bytes]:
    """The pattern for runs of harmless opcodes, with strings up to `longest` bytes; memo indexes have at most so many
    bits, those of the file's length (and 20 in small files, so that one pattern does for most)."""
    short = b"|".join(re.escape(bytes([n])) + b".{%d}" % n for n in range(longest + 1))
    four = b"|".join(re.escape(n.to_bytes(4, "little")) + b".{%d}" % n for n in range(longest + 1))
    long1 = b"|".join(re.escape(bytes([n])) + b".{%d}" % n for n in range(9))
    most = (1 << bits) - 1
    top, third = min(most >> 24, 255), min(most >> 16, 255)
    index = (
        b"..[" + b"\\x00-" + re.escape(bytes([third])) + b"][" + b"\\x00-" + re.escape(bytes([top])) + b"]"
    )
    tokens = (
        rb"X(?:" + four + rb")",
        rb"\x8c(?:" + short + rb")",
        rb"[\x94(}uN)sb]",
        rb"[qhK].",
        rb"M..",
        rb"J.{4}",
        rb"[jr]" + index,
        rb"\x8a(?:" + long1 + rb")",
    )
    # Greedy, not possessive: before Python 3.11.5 a possessive match ends behind a token that it has not matched.
    return re.compile(rb"(?s:(?:" + b"|".join(tokens) + rb"){1,%d})" % CHUNK)
