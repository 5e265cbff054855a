"""Lists in a case: CSV files with a header, under names of harmless letters; an id comes back letter for letter."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

LONGEST_NAME = 120


def safe_name(text: str) -> str:
    """A file name of harmless letters, at most 120 bytes long."""
    tame = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in text)
    return tame.encode(errors="replace")[:LONGEST_NAME].decode(errors="ignore")


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """`path` holds these rows, in UTF-8; bytes of an id that are none come back as they were."""
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as handle:
        writer = csv.writer(handle)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def read_rows(path: Path) -> list[list[str]]:
    """The rows without the header; none where there is no such file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as handle:
        return list(csv.reader(handle))[1:]
