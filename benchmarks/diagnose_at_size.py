"""`diagnose` of 1,000,000 × 64 against B, the cost of looking: SHA-256 of the same files, `pickle.load` of the id map,
`select embedding_id` of all rows. Limits: 3 × B in CPU seconds and 1.5 GB, start-up included.

    python -m benchmarks.diagnose_at_size [--records N] [--store DIR]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import compiled, keep, python, run
from benchmarks.stores import build_store

_LOOK = """
import glob, hashlib, pickle, sqlite3, sys
from pathlib import Path
store = Path(sys.argv[1])
for path in sorted(store.rglob("*")):
    if path.is_file():
        with open(path, "rb") as handle:
            hashlib.file_digest(handle, "sha256")
with open(glob.glob(str(store / "*/index_metadata.pickle"))[0], "rb") as handle:
    loaded = pickle.load(handle)
database = sqlite3.connect(f"file:{store}/chroma.sqlite3?mode=ro&immutable=1", uri=True)
ids = database.execute("SELECT embedding_id FROM embeddings").fetchall()
"""


def main() -> int:
    """Measures three times in turn; prints and keeps the medians; status 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, compiled():
        store = options.store or build_store(Path(scratch) / "store", options.records, 64)
        looks, ours = [], []
        for _ in range(3):
            looks.append(python(_LOOK, str(store)))
            ours.append(
                run([sys.executable, "-P", "-m", "forensics", "diagnose", str(store), "--format", "json"])
            )
    if any(cost.status for cost in ours):
        print(ours[0].output)
        return 1
    look = statistics.median(cost.cpu for cost in looks)
    cpu, peak = statistics.median(cost.cpu for cost in ours), max(cost.peak_mb for cost in ours)
    ratio = cpu / look
    print(
        f"B = {look:.2f} s CPU; diagnose = {cpu:.2f} s CPU, {ratio:.2f} × B (limit 3), peak {peak:.0f} MB (limit 1,500)"
    )
    keep(
        "diagnose_at_size",
        {
            "records": options.records,
            "dimension": 64,
            "B_cpu_s": look,
            "diagnose_cpu_s": cpu,
            "ratio": ratio,
            "limit": 3,
            "peak_mb": peak,
            "status": ours[0].status,
        },
    )
    return 0 if ratio <= 3 and peak <= 1500 else 1


if __name__ == "__main__":
    sys.exit(main())
