"""Watermarks beside the queue they count: what both segments say, what the queue and the records reach."""

from __future__ import annotations

from dataclasses import dataclass

from forensics.absent import Absent
from forensics.readers.database import Database
from forensics.readers.settings import parse_json

FILLER = 0x11
"""What the migration makes of a hex digit that is not there."""
DIGITS = 8
IMPOSSIBLE = 2**53
"""No queue ever comes near this number."""


def decode_poisoned(value: int) -> str | None:
    """The last digits (at most 8) of the watermark that was poisoned into `value`; None where it was not.

    metadb migration 5, run on an integer, takes its decimal digits for bytes: in the big-endian bytes of
    `value`, after leading 0x11, stands the number in ASCII. "" for a NULL.
    """
    if not 0 < value < 2**64:
        return None
    digits = value.to_bytes(8, "big").lstrip(bytes([FILLER]))
    if digits and (not digits.isdigit() or (digits[:1] == b"0" and len(digits) < DIGITS)):
        return None
    return digits.decode("ascii")


def whole_numbers(digits: str, lowest: int, highest: int) -> list[int]:
    """The numbers within the bounds that end in these digits; fewer than 8 digits are the whole number."""
    if not digits:
        return []
    first = int(digits)
    if len(digits) < DIGITS:
        return [first]
    step = 10**DIGITS
    found = list(range(first, highest + 1, step))
    return [number for number in found if lowest <= number] or [first]


@dataclass(frozen=True, slots=True)
class QueueReach:
    """Of the whole queue: its highest seq_id (0 where it is empty). The next write gets one more."""

    top: int

    @property
    def next(self) -> int:
        return self.top + 1


def reach(database: Database) -> QueueReach:
    """How far the queue of all collections goes."""
    if "embeddings_queue" not in database.tables:
        return QueueReach(0)
    found = database.rows("SELECT max(seq_id) FROM embeddings_queue")
    return QueueReach(0 if isinstance(found, Absent) or found[0][0] is None else int(found[0][0]))


def newest_record(database: Database, segment: str) -> int:
    """The highest `embeddings.seq_id` of a METADATA segment, however it is stored; 0 without records."""
    sql = "SELECT max(seq_id) FROM embeddings WHERE segment_id = ? AND typeof(seq_id) = ?"
    whole = database.rows(sql, (segment, "integer"))
    blob = database.rows(sql + " AND length(seq_id) = 8", (segment, "blob"))
    highest = 0
    for found in (whole, blob):
        cell = None if isinstance(found, Absent) else found[0][0]
        if cell is not None:
            highest = max(highest, int.from_bytes(cell, "big") if isinstance(cell, bytes) else int(cell))
    return highest


def purges(database: Database) -> bool | None:
    """Whether the engine deletes applied rows (never before 0.5.6); None if the store does not say."""
    if "embeddings_queue_config" not in database.tables:
        return False
    found = database.rows("SELECT config_json_str FROM embeddings_queue_config ORDER BY id LIMIT 1")
    if isinstance(found, Absent) or not found:
        return None
    config = parse_json(found[0][0], "embeddings_queue_config")
    value = None if isinstance(config, Absent) else config.get("automatically_purge")
    return value if isinstance(value, bool) else None
