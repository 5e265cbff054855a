"""`diagnose --deep` against D, the cost of the same by the plainest means: SHA-256 of the files, `pickle.load` of the id
map, all ids, `PRAGMA integrity_check`, and FTS5's own integrity-check on a copy of the database. Limit: 3 × D in CPU.

    python -m benchmarks.deep_at_size [--records 50000] [--store DIR]

The records are in true proportions: five metadata keys and a document of 400 characters each.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.looking import CHECK, LOOK, diagnosed, measured
from benchmarks.measure import compiled, keep
from benchmarks.stores import TRUE, build_store

LIMIT = 3.0


def main() -> int:
    """Measures five times in turn; prints and keeps the least; status 1 where the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, compiled():
        store = options.store or build_store(Path(scratch) / "store", options.records, 64, **TRUE)
        found = measured(store, "--deep", plain=LOOK + CHECK)
        sqlite = json.loads(diagnosed(store, "--only", "CF001").output)["tool"]["sqlite"]
    figures = {
        "records": found.records,
        "dimension": 64,
        "metadata_keys": 5,
        "document_characters": 400,
        "sqlite": sqlite,
        "D_cpu_s": found.plain,
        "deep_cpu_s": found.ours,
        "ratio": found.ours / found.plain,
        "limit": LIMIT,
        "peak_mb": found.peak_mb,
    }
    print(json.dumps(figures, indent=1))
    keep("deep_at_size", figures)
    return 0 if found.ours <= LIMIT * found.plain else 1


if __name__ == "__main__":
    sys.exit(main())
