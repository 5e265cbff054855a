"""`repair` of missing vectors against the limit: what it costs to load and add them with chroma-hnswlib, and to read once.

    python -m benchmarks.repairing [--size 500000] [--stores DIR] [--times N] [--parts limits,rebuild,peers,memory,mapped]

Whole repairs of palaces (`palaces.py`), each a fresh process from its start to its report; with their directory set aside
the vectors come from there. The cost by the number of missing vectors at one size of the index, by the size of the index
at one number, and a full rebuild against a raw insert of the same vectors, both on all cores. With --stores the indexes,
which take a while to build, and the environments of the peers are taken from, or left in, DIR.

Then the peers (`peers.py`) at a tenth of the size, and what repairs hold in memory (`memory.py`). Figures of the full size
are kept, part by part, and README.md and the figure are written from them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.embedding_server import serving
from benchmarks.measure import Cost, compiled, keep, kept, python, run
from benchmarks.memory import mapped_row, memory_rows
from benchmarks.palaces import Index, index_of, palace, vectors_of
from benchmarks.peers import PEERS, peer_row, prepared
from benchmarks.repairing_page import write_page

SIZE = 500_000
LIMIT, LIMIT_REBUILD = 1.5, 1.15
MISSING = (500, 5_000, 50_000)
"""Missing vectors at 500,000; at other sizes in proportion."""

_ADD = """
import sys, hnswlib, numpy as np
vectors, first = np.load(sys.argv[1]), int(sys.argv[3])
index = hnswlib.Index("cosine", vectors.shape[1])
index.load_index(sys.argv[2], is_persistent_index=True, max_elements=int(1.1 * (first + len(vectors))))
if len(vectors):
    index.add_items(vectors, np.arange(first, first + len(vectors)), num_threads=1)
index.persist_dirty()
index.close_file_handles()
"""
_INSERT = """
import os, sys, hnswlib, numpy as np
vectors = np.load(sys.argv[1])
index = hnswlib.Index("cosine", vectors.shape[1])
index.init_index(len(vectors), M=16, ef_construction=100, is_persistent_index=True, persistence_location=sys.argv[2])
index.add_items(vectors, np.arange(1, len(vectors) + 1), num_threads=os.cpu_count())
index.persist_dirty()
index.close_file_handles()
"""
_READ = """
import sys
for path in sys.argv[1:]:
    with open(path, "rb", buffering=0) as handle:
        while handle.read(1 << 20):
            pass
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the indexes are kept, where everything else is made, and how often each thing is measured."""

    stores: Path
    scratch: Path
    times: int


def main() -> int:
    """Measures, prints and keeps the figures; status 1 where a limit is passed or a repair is not verified."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=SIZE, help="vectors in the index")
    parser.add_argument("--stores", type=Path)
    parser.add_argument("--times", type=int, default=2, help="the least of so many counts")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS))
    options = parser.parse_args()
    stores = None if options.stores is None else options.stores.absolute()
    figures = dict[str, Any]()
    for name in options.parts:
        with tempfile.TemporaryDirectory(dir=stores) as scratch, compiled():
            bench = Bench(stores or Path(scratch), Path(scratch), options.times)
            figures |= PARTS[name](bench, options.size)
        print(json.dumps(figures), flush=True)
        if options.size >= SIZE:
            keep("repairing", {**kept("repairing"), **figures})
            write_page()
    return int(not holds(figures))


def limits(bench: Bench, size: int) -> dict[str, Any]:
    """By the number of missing vectors, and one number with a fifth of the index."""
    counts = [max(1, count * size // SIZE) for count in MISSING]
    rows = [missing_row(bench, size, count) for count in counts]
    return {"rows": [*rows, missing_row(bench, size // 5, counts[1])], "limit": LIMIT}


def rebuild(bench: Bench, size: int) -> dict[str, Any]:
    """A full rebuild, at that size."""
    return {"rebuild": rebuild_row(bench, size), "limit_rebuild": LIMIT_REBUILD}


def peers(bench: Bench, size: int) -> dict[str, Any]:
    """What each peer costs and leaves, at a tenth of the size."""
    index = index_of(bench.stores, size // 10)
    with serving() as served:
        case = prepared(bench.stores / "peers", index, bench.scratch, served)
        return {"peers": [peer_row(case, peer) for peer in PEERS]}


def memory(bench: Bench, size: int) -> dict[str, Any]:
    """Peaks of the repairs that load no index, at twice the number of records."""
    return {"memory": memory_rows(bench.stores, bench.scratch, size / SIZE)}


def mapped(bench: Bench, size: int) -> dict[str, Any]:
    """The add on memory-mapped files, at twice the number of records."""
    return {"mapped": mapped_row(bench.stores, bench.scratch, size / SIZE)}


PARTS = {"limits": limits, "rebuild": rebuild, "peers": peers, "memory": memory, "mapped": mapped}


def holds(figures: dict[str, Any]) -> bool:
    """No limit is passed, and every repair is verified."""
    rows, rebuilt = figures.get("rows", []), figures.get("rebuild")
    told = [row["verified"] and row["ratio"] <= LIMIT for row in rows]
    told += [rebuilt["verified"] and rebuilt["ratio"] <= LIMIT_REBUILD] if rebuilt else []
    told += [row["peak_mb"] <= row["limit_mb"] and not row["status"] for row in figures.get("memory", [])]
    told += [not figures["mapped"]["status"]] if "mapped" in figures else []
    return all(told)


def missing_row(bench: Bench, size: int, missing: int) -> dict[str, Any]:
    """A repair that adds `missing` vectors to an index of `size`."""
    index = index_of(bench.stores, size)
    store = palace(bench.scratch / "palace", index, missing)
    raw, load = (_least(partial(raw_add, bench, index, count), bench.times) for count in (missing, 0))
    ours, touched = repaired(bench, store, "--engine", "none")
    asked, _ = repaired(bench, store)
    read = _least(partial(python, _READ, *touched), bench.times)
    shutil.rmtree(store)
    engine = max(0.0, asked.cpu - ours.cpu)
    return {
        "index": size,
        "missing": missing,
        "load_cpu_s": load.cpu,
        "raw_add_cpu_s": raw.cpu,
        "read_cpu_s": read.cpu,
        "engine_cpu_s": engine,
        "repair_cpu_s": ours.cpu,
        "ratio": asked.cpu / (raw.cpu + read.cpu + engine),
        "ratio_without_engine": ours.cpu / (raw.cpu + read.cpu),
        "wall_s": ours.wall,
        "wall_with_engine_s": asked.wall,
        "peak_mb": ours.peak_mb,
        "raw_peak_mb": raw.peak_mb,
        "verified": _verified(asked),
    }


def rebuild_row(bench: Bench, size: int) -> dict[str, Any]:
    """A full rebuild of an index of `size` against a raw insert of the same vectors, both on all cores."""
    store = palace(bench.scratch / "palace", index_of(bench.stores, size), 0)
    vectors = bench.scratch / "vectors.npy"
    np.save(vectors, vectors_of(0, size))
    raw = _least(partial(_inserted, bench, vectors), bench.times)
    cores = str(os.cpu_count())
    ours, _ = repaired(bench, store, "--engine", "none", "--rebuild", "*", "--threads", cores)
    shutil.rmtree(store)
    return {
        "index": size,
        "raw_cpu_s": raw.cpu,
        "raw_wall_s": raw.wall,
        "repair_cpu_s": ours.cpu,
        "repair_wall_s": ours.wall,
        "ratio": ours.cpu / raw.cpu,
        "ratio_wall": ours.wall / raw.wall,
        "peak_mb": ours.peak_mb,
        "verified": _verified(ours),
    }


def raw_add(bench: Bench, index: Index, missing: int) -> Cost:
    """chroma-hnswlib loads the index, adds the vectors and persists, in a fresh process on one thread."""
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        copy, vectors = Path(folder) / "index", Path(folder) / "vectors.npy"
        shutil.copytree(index.directory, copy)
        np.save(vectors, vectors_of(index.count, index.count + missing))
        return python(_ADD, str(vectors), str(copy), str(index.count + 1))


def _inserted(bench: Bench, vectors: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        return python(_INSERT, str(vectors), folder)


def repaired(bench: Bench, store: Path, *more: str) -> tuple[Cost, list[str]]:
    """The cheapest of whole repairs of copies of `store`, and the files of `store` that it changed."""
    costs, touched = [], list[str]()
    for _ in range(bench.times):
        with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
            copy, case = Path(folder) / "store", Path(folder) / "case"
            shutil.copytree(store, copy)
            before = _state(copy)
            command = [sys.executable, "-P", "-m", "forensics", "repair", str(copy), "--yes", *more]
            costs.append(run([*command, "--case", str(case), "--format", "json"]))
            after = _state(copy)
            touched = [str(store / name) for name, was in before.items() if after.get(name) != was]
            touched = [path for path in touched if Path(path).exists()]
    failed = [cost for cost in costs if cost.status & ~4]
    if failed:
        raise RuntimeError(failed[0].output)
    return min(costs, key=lambda cost: cost.cpu), touched


def _state(store: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, size and time of each file below `store`."""
    found = ((path, path.stat()) for path in sorted(store.rglob("*")) if path.is_file())
    return {str(path.relative_to(store)): (at.st_ino, at.st_size, at.st_mtime_ns) for path, at in found}


def _least(measure: Callable[[], Cost], times: int) -> Cost:
    """The cheapest of `times` runs. Raises RuntimeError where one failed."""
    costs: list[Cost] = [measure() for _ in range(times)]
    if any(cost.status for cost in costs):
        raise RuntimeError(next(cost.output for cost in costs if cost.status))
    return min(costs, key=lambda cost: cost.cpu)


def _verified(cost: Cost) -> str | None:
    """What the repair says that it proved."""
    return json.loads(cost.output).get("verified")


if __name__ == "__main__":
    sys.exit(main())
