"""`repair` of a store whose index lacks 2 % of its vectors, against building that index with chroma-hnswlib on one thread.

Limits: the whole `repair` (diagnosis, plan, draft, add, verification of the touched collection, report) at most 1/5 of
the CPU seconds of building; the native add at most 1.5 × a raw chroma-hnswlib load, add and persist of the same vectors.

    python -m benchmarks.add_missing [--records N] [--dimension D]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import keep, own_cpu, python, run
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


def main() -> int:
    """Measures each once in turn, prints and keeps the ratios; status 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        figures = _measure(Path(scratch), options.records, options.dimension)
    print(json.dumps(figures, indent=1))
    keep("add_missing", figures)
    return (
        0
        if figures["repair_to_build"] <= 0.2 and figures["add_to_raw_add"] <= 1.5 and figures["status"] == 0
        else 1
    )


def _measure(scratch: Path, n: int, dim: int) -> dict[str, float]:
    missing = n // 50
    vectors = vectors_of(n, dim)
    np.save(scratch / "all.npy", vectors)
    np.save(scratch / "missing.npy", vectors[n - missing :])
    (scratch / "fresh").mkdir()
    build = python(_BUILD, str(scratch / "all.npy"), str(scratch / "fresh"))
    store = build_store(scratch / "store", n, dim, missing=missing)
    segment = next(path for path in store.glob("*/header.bin") if "." not in path.parent.name).parent
    shutil.copytree(segment, scratch / "raw")
    shutil.copytree(segment, scratch / "ours")
    raw = python(_ADD, str(scratch / "missing.npy"), str(scratch / "raw"), str(n - missing + 1))
    native = _native_add(scratch / "ours", vectors[n - missing :], n - missing + 1)
    command = [
        sys.executable,
        "-P",
        "-m",
        "forensics",
        "repair",
        str(store),
        "--yes",
        "--case",
        str(scratch / "case"),
        "--format",
        "json",
    ]
    repair = run(command)
    return {
        "records": n,
        "dimension": dim,
        "missing": missing,
        "build_cpu_s": build.cpu,
        "repair_cpu_s": repair.cpu,
        "repair_to_build": repair.cpu / build.cpu,
        "limit_repair_to_build": 0.2,
        "raw_add_cpu_s": raw.cpu,
        "add_cpu_s": native,
        "add_to_raw_add": native / raw.cpu,
        "limit_add_to_raw_add": 1.5,
        "repair_peak_mb": repair.peak_mb,
        "status": repair.status,
    }


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
