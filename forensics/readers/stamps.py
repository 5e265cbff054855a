"""`embeddings.created_at` of one METADATA segment as numbers, millions at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent

if TYPE_CHECKING:
    from forensics.readers.database import Database

LENGTH = 19
"""Characters of `2025-06-14 03:15:02`, which is how SQLite writes CURRENT_TIMESTAMP."""
DIGITS = (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)


def read_stamps(database: Database, segment: str | None) -> np.ndarray:
    """(n,) int64 YYYYMMDDhhmmss, ascending, UTC; stamps of any other form are left out. Empty where none can be read."""
    segments = database.segments
    alone = not isinstance(segments, Absent) and sum(row.scope == "METADATA" for row in segments) == 1
    found = database.rows(
        "SELECT group_concat(created_at, '') FROM embeddings"
        f" {'NOT INDEXED' if alone else ''} WHERE segment_id = ? AND length(created_at) = {LENGTH}",
        (segment,),
    )
    text = None if isinstance(found, Absent) else found[0][0]
    return np.sort(_numbers(text)) if isinstance(text, str) and text.isascii() else np.empty(0, np.int64)


def _numbers(text: str) -> np.ndarray:
    """(n,) int64 of as many stamps, one after another, without those that are none."""
    letters = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    if len(letters) % LENGTH:
        return np.empty(0, np.int64)
    table = letters.reshape(-1, LENGTH)
    numbers, sound = np.zeros(len(table), dtype=np.int64), np.ones(len(table), dtype=bool)
    for column in DIGITS:
        digit = table[:, column] - np.uint8(ord("0"))  # below "0" it wraps, so that one comparison is enough
        sound &= digit <= 9
        numbers = numbers * 10 + digit
    return numbers if sound.all() else numbers[sound]


def in_words(stamp: int) -> str:
    """`2025-06-14 03:15:02` of 20250614031502."""
    text = f"{stamp:014d}"
    return f"{text[:4]}-{text[4:6]}-{text[6:8]} {text[8:10]}:{text[10:12]}:{text[12:14]}"


def hour_of(stamp: int) -> int | None:
    """Hours since 1970; None for what no calendar has."""
    try:
        moment = datetime.strptime(f"{stamp:014d}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) // 3600
