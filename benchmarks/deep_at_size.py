"""`diagnose --deep` against D, the cost of the same by the plainest means: SHA-256 of the files, `pickle.load` of the id
map, all ids, `PRAGMA integrity_check`, and FTS5's own integrity-check on a copy of the database. Limit: 3 × D in CPU.

    python -m benchmarks.deep_at_size [--records 50000] [--store DIR]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.diagnose_at_size import _LOOK
from benchmarks.measure import compiled, keep, python, run
from benchmarks.stores import build_store

_CHECK = """
import os, shutil, tempfile
print(database.execute("PRAGMA integrity_check").fetchall())
database.close()
with tempfile.TemporaryDirectory() as scratch:
    copy = shutil.copyfile(store / "chroma.sqlite3", os.path.join(scratch, "copy.sqlite3"))
    judge = sqlite3.connect(copy)
    judge.execute("INSERT INTO embedding_fulltext_search(embedding_fulltext_search) VALUES('integrity-check')")
    judge.close()
"""
LIMIT = 3.0


def main() -> int:
    """Measures three times in turn; prints and keeps the medians; status 1 where the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, compiled():
        store = options.store or build_store(Path(scratch) / "store", options.records, 64, words=46, keys=5)
        command = [
            sys.executable,
            "-P",
            "-m",
            "forensics",
            "diagnose",
            str(store),
            "--deep",
            "--format",
            "json",
        ]
        pairs = [(python(_LOOK + _CHECK, str(store)), run(command)) for _ in range(3)]
    if any(plain.status or ours.status for plain, ours in pairs):
        print(pairs[0][0].output, pairs[0][1].output)
        return 1
    plain = statistics.median(cost.cpu for cost, _ in pairs)
    cpu, peak = statistics.median(cost.cpu for _, cost in pairs), max(cost.peak_mb for _, cost in pairs)
    ratio = cpu / plain
    print(
        f"D = {plain:.2f} s CPU; --deep = {cpu:.2f} s CPU, {ratio:.2f} × D (limit {LIMIT:g}), peak {peak:.0f} MB"
    )
    keep(
        "deep_at_size",
        {
            "records": options.records,
            "dimension": 64,
            "metadata_keys": 5,
            "document_characters": 400,
            "sqlite": json.loads(pairs[0][1].output)["tool"]["sqlite"],
            "D_cpu_s": plain,
            "deep_cpu_s": cpu,
            "ratio": ratio,
            "limit": LIMIT,
            "peak_mb": peak,
        },
    )
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
