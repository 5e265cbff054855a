"""`diagnose` of 1,000,000 × 64 against B, the cost of looking: SHA-256 of the same files, `pickle.load` of the id map,
`select embedding_id` of all rows. Limits: 1.5 × B in CPU seconds, 1 × B to the first verdict, and 1.5 GB, start-up included.

    python -m benchmarks.diagnose_at_size [--records N] [--true] [--store DIR]

With --true each record has five metadata keys and a document of 400 characters instead of one key and 60 characters.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.looking import measured
from benchmarks.measure import compiled, keep
from benchmarks.stores import TRUE, build_store

LIMIT, LIMIT_FIRST, LIMIT_MB = 1.5, 1.0, 1500


def main() -> int:
    """Measures five times in turn; prints and keeps the least; status 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--true", action="store_true", help="records in true proportions")
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, compiled():
        shape = TRUE if options.true else {}
        store = options.store or build_store(Path(scratch) / "store", options.records, 64, **shape)
        found = measured(store)
    limits = {"limit": LIMIT, "limit_first_verdict": LIMIT_FIRST, "limit_mb": LIMIT_MB}
    figures = {"dimension": 64, "proportions": "true" if options.true else "slim", **found.figures, **limits}
    print(json.dumps(figures, indent=1))
    keep("diagnose_at_size_true" if options.true else "diagnose_at_size", figures)
    kept = found.ours <= LIMIT * found.plain and found.first <= LIMIT_FIRST * found.plain
    return 0 if kept and found.peak_mb <= LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main())
