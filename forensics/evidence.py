"""Lists in a case: CSV files with a header, under names of harmless letters; an id comes back letter for letter. The
longest also as Parquet, in which what is no UTF-8 is escaped.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

LONGEST_NAME = 120
PART = 50_000
"""Rows of a Parquet file that are made at once."""


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


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> bool:
    """`path` holds these rows as Parquet, a column of text each, null where a cell is empty; False without pyarrow."""
    if find_spec("pyarrow") is None:
        return False
    import pyarrow as pa
    from pyarrow import parquet

    schema, left = pa.schema([(name, pa.string()) for name in header]), iter(rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while part := list(islice(left, PART)):
            columns = [[_cell(cell) for cell in column] for column in zip(*part, strict=True)]
            writer.write_table(pa.table(dict(zip(header, columns, strict=True)), schema=schema))
    return True


def _cell(value: object) -> str | None:
    text = str(value)
    return (text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")) or None
