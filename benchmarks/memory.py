"""What repairs hold in memory at a million records: those that load no index, and the add on memory-mapped files.

The peak is that of the whole tree of processes, pages of mapped files included. The mapped add runs under a limit of a
quarter of the vectors' size on all memory that is not a mapped file (RLIMIT_DATA).
"""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost, run
from benchmarks.stores import build_store, write_map

LIMIT_MB = 400
RECORDS, DIMENSION, WIDE = 1_000_000, 64, 256
MISSING = 1000
_LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.argv[2], sys.argv[2:])
"""


def bloat(store: Path) -> None:
    """link_lists.bin has a hole of a gigabyte at its end."""
    (links,) = store.glob("*/link_lists.bin")
    os.truncate(links, links.stat().st_size + (1 << 30))


def pad_ids(store: Path, every: int = 1000) -> int:
    """Every so-manieth id ends with two spaces, in SQLite and in the id map, as an application added it; how many do."""
    (path,) = store.glob("*/index_metadata.pickle")
    labels = pickle.loads(path.read_bytes())["id_to_label"]
    ids = sorted(labels, key=labels.__getitem__)
    padded = ids[7::every]
    ids[7::every] = [f"{name}  " for name in padded]
    write_map(path, ids)
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        rename = "UPDATE embeddings SET embedding_id = embedding_id || '  ' WHERE embedding_id = ?"
        database.executemany(rename, [(name,) for name in padded])
    return len(padded)


def poison(store: Path) -> None:
    """The watermark of the index is beyond every queue."""
    where = "segment_id IN (SELECT id FROM segments WHERE scope = 'VECTOR')"
    _sql(store, f"UPDATE max_seq_id SET seq_id = 1230000000000000000 WHERE {where}")


def _sql(store: Path, statement: str) -> None:
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute(statement)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "link lists of a gigabyte": bloat,
    "ids with spaces": pad_ids,
    "watermark poisoned": poison,
}


def memory_rows(stores: Path, scratch: Path, size: float = 1.0) -> list[dict[str, Any]]:
    """One row per repair without native load, each of a copy of one store; `size` 0.01 is a hundredth of the records."""
    count = int(RECORDS * size)
    store = _prepared(stores, count, DIMENSION, 0)
    rows = list[dict[str, Any]]()
    for name, damage in DAMAGES.items():
        copy = Path(shutil.copytree(store, scratch / "copy"))
        damage(copy)
        rows.append(_row(name, _repair(copy), count, DIMENSION, LIMIT_MB))
        _clear(scratch)
    return rows


def mapped_row(stores: Path, scratch: Path, size: float = 1.0) -> dict[str, Any]:
    """Missing vectors are added on the memory-mapped files, under a quarter of the vectors' size."""
    count = int(RECORDS * size)
    store = _prepared(stores, count, WIDE, MISSING)
    copy = Path(shutil.copytree(store, scratch / "copy"))
    limit = max(count * WIDE * 4 // 4, 128 << 20)
    limited = [sys.executable, "-P", "-c", _LIMITED, str(limit)]
    row = _row("missing vectors, mapped", _repair(copy, limited), count, WIDE, None)
    _clear(scratch)
    return {**row, "limit_of_data_mb": limit / 2**20}


def _clear(scratch: Path) -> None:
    for path in (scratch / "copy", scratch / "case", *scratch.glob(".copy.*")):
        shutil.rmtree(path, ignore_errors=True)


def _prepared(stores: Path, count: int, dim: int, missing: int) -> Path:
    path = stores / f"plain-{count}x{dim}"
    return path if path.exists() else build_store(path, count, dim, missing=missing)


def _repair(store: Path, before: list[str] | None = None) -> Cost:
    words = ["repair", str(store), "--yes", "--engine", "none", "--format", "json"]
    command = [*(before or []), sys.executable, "-P", "-m", "forensics", *words]
    return run([*command, "--case", str(store.with_name("case"))])


def _row(name: str, cost: Cost, count: int, dim: int, limit: float | None) -> dict[str, Any]:
    told = {"name": name, "records": count, "dimension": dim, "peak_mb": cost.peak_mb, "limit_mb": limit}
    return {**told, "cpu_s": cost.cpu, "wall_s": cost.wall, "status": cost.status}
