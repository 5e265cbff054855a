"""`repair` of a store whose index lacks 2 % of its vectors, against building that index with chroma-hnswlib on one thread.

Whole repairs of copies of one store, each a fresh process from its start to its report: those that our own checks
verify alone (`--engine none`), and the default, which also asks the chromadb that is installed, in children, on a
throw-away copy. Limits: the first at most 1/5 of the CPU seconds of building; the native add at most 1.5 × a raw
chroma-hnswlib load, add and persist of the same vectors.

    python -m benchmarks.add_missing [--records N] [--dimension D] [--store DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Cost, compiled, keep, own_cpu, python, run
from benchmarks.stores import build_store, vectors_of

_BUILD = """
import sys, hnswlib, numpy as np
vectors = np.load(sys.argv[1])
index = hnswlib.Index("l2", vectors.shape[1])
index.init_index(len(vectors), M=16, ef_construction=100, is_persistent_index=True, persistence_location=sys.argv[2])
index.add_items(vectors, np.arange(1, len(vectors) + 1), num_threads=1)
index.persist_dirty()
index.close_file_handles()
"""
_ADD = """
import sys, hnswlib, numpy as np
vectors, first = np.load(sys.argv[1]), int(sys.argv[3])
index = hnswlib.Index("l2", vectors.shape[1])
index.load_index(sys.argv[2], is_persistent_index=True, max_elements=first + len(vectors))
index.add_items(vectors, np.arange(first, first + len(vectors)), num_threads=1)
index.persist_dirty()
index.close_file_handles()
"""


LIMIT, LIMIT_ADD = 0.2, 1.5
TIMES = 3
"""How often each repair is measured; the median counts."""


def main() -> int:
    """Measures each in turn, prints and keeps the ratios; status 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument(
        "--store", type=Path, help="one that build_store made of so many records; it is copied"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, compiled():
        figures = _measure(Path(scratch), options.records, options.dimension, options.store)
    print(json.dumps(figures, indent=1))
    if figures["status"] or figures["status_with_engine"]:
        return 1
    keep("add_missing", figures)
    kept = figures["repair_to_build"] <= LIMIT and figures["add_to_raw_add"] <= LIMIT_ADD
    return 0 if kept else 1


def _measure(scratch: Path, n: int, dim: int, prepared: Path | None) -> dict[str, Any]:
    missing = n // 50
    vectors = vectors_of(n, dim)
    np.save(scratch / "all.npy", vectors)
    np.save(scratch / "missing.npy", vectors[n - missing :])
    store = prepared or build_store(scratch / "built", n, dim, missing=missing)
    segment = next(path for path in store.glob("*/header.bin") if "." not in path.parent.name).parent
    for name in ("raw", "ours"):
        shutil.copytree(segment, scratch / name)
    (scratch / "fresh").mkdir()
    build = python(_BUILD, str(scratch / "all.npy"), str(scratch / "fresh"))
    raw = python(_ADD, str(scratch / "missing.npy"), str(scratch / "raw"), str(n - missing + 1))
    native = _native_add(scratch / "ours", vectors[n - missing :], n - missing + 1)
    checked = _median([_repair(store, scratch, "--engine", "none") for _ in range(TIMES)])
    asked = _median([_repair(store, scratch) for _ in range(TIMES)])
    return {
        "records": n,
        "dimension": dim,
        "missing": missing,
        "build_cpu_s": build.cpu,
        "repair_cpu_s": checked.cpu,
        "repair_to_build": checked.cpu / build.cpu,
        "limit_repair_to_build": LIMIT,
        "repair_with_engine_cpu_s": asked.cpu,
        "repair_with_engine_to_build": asked.cpu / build.cpu,
        "raw_add_cpu_s": raw.cpu,
        "add_cpu_s": native,
        "add_to_raw_add": native / raw.cpu,
        "limit_add_to_raw_add": LIMIT_ADD,
        "repair_peak_mb": checked.peak_mb,
        "status": checked.status,
        "verified": _verified(checked),
        "status_with_engine": asked.status,
        "verified_with_engine": _verified(asked),
    }


def _repair(store: Path, scratch: Path, *more: str) -> Cost:
    """The whole `repair` of a copy of `store`, in a fresh process."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        copy = shutil.copytree(store, Path(folder) / "store")
        command = [sys.executable, "-P", "-m", "forensics", "repair", str(copy), "--yes", *more]
        return run([*command, "--case", str(Path(folder) / "case"), "--format", "json"])


def _median(costs: list[Cost]) -> Cost:
    """The one in the middle by CPU seconds; one that failed, where any did."""
    return next(
        (each for each in costs if each.status), sorted(costs, key=lambda each: each.cpu)[len(costs) // 2]
    )


def _verified(cost: Cost) -> str | None:
    """What the repair says that it proved; nothing where it came to an error."""
    return json.loads(cost.output).get("verified")


def _native_add(directory: Path, vectors: np.ndarray, first: int) -> float:
    """CPU seconds of our own add, its validation and its child included."""
    from forensics.engine import native_add

    before = own_cpu()
    native_add(
        directory,
        "l2",
        vectors.shape[1],
        vectors,
        np.arange(first, first + len(vectors)),
        max_elements=first + len(vectors),
    )
    return own_cpu() - before


if __name__ == "__main__":
    sys.exit(main())
