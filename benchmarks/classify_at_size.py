"""What it costs to classify millions of ids: the columns by number of ids, and a whole store where one is given.

python -m benchmarks.classify_at_size [--store DIR]
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from benchmarks.measure import compiled, keep, python

SIZES = (500_000, 1_000_000, 2_000_000)
LIMIT_MB, AIM = 4_096, 10_000_000

_COLUMNS = """
import json, resource, sys, tempfile, numpy as np
import pandas, pyarrow.parquet
from pathlib import Path
from forensics.classes import Classes
count = int(sys.argv[1])
ids = [f"{'abcdefg'[at % 7]}:record:{at:09d}" for at in range(count)]
state = (np.arange(count) % 8).astype(np.uint8)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
found = Classes(None, ids, state, np.zeros(count, np.uint8), ("",), np.arange(1, count + 1))
table = found.by_prefix()
assert int(table["all"].sum()) == count and len(table) == 7
with tempfile.TemporaryDirectory() as folder:
    found.to_parquet(Path(folder) / "classes.parquet")
print(json.dumps({"ids_mb": before, "peak_mb": peak()}))
"""

_WHOLE = """
import json, resource, sys, time
import forensics as fx
found = fx.classify(sys.argv[1])
counts = found.counts()
found.by_prefix()
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
anonymous = int(status["RssAnon"].split()[0]) / 1024
print(json.dumps({"records": len(found), "states": counts, "anonymous_mb_at_the_end": anonymous}))
"""


def main() -> int:
    """Keeps the figures; 1 where ten million ids would need more than the limit beside what the ids themselves need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store")
    options = parser.parse_args()
    with compiled():
        rows = [_columns(count) for count in SIZES]
        figures: dict[str, Any] = {"columns": rows, **_line(rows)}
        if options.store:
            cost = python(_WHOLE, options.store)
            figures["whole"] = {**json.loads(cost.output), "cpu_s": cost.cpu, "peak_mb": cost.peak_mb}
    print(json.dumps(figures, indent=1))
    keep("classify_at_size", figures)
    return int(figures["ten_million_mb"] > LIMIT_MB)


def _columns(count: int) -> dict[str, float]:
    cost = python(_COLUMNS, str(count))
    return {"ids": count, **json.loads(cost.output), "cpu_s": round(cost.cpu, 2)}


def _line(rows: list[dict[str, float]]) -> dict[str, float]:
    """Bytes per id between the first and the last size, those between the last two, and what ten million come to."""
    first, middle, last = rows[0], rows[1], rows[-1]
    whole = _slope(first, last)
    return {
        "bytes_per_id": whole,
        "bytes_per_id_of_the_last_step": _slope(middle, last),
        "ten_million_mb": last["peak_mb"] + whole * (AIM - last["ids"]) / 2**20,
        "limit_mb": LIMIT_MB,
    }


def _slope(small: dict[str, float], large: dict[str, float]) -> float:
    return (large["peak_mb"] - small["peak_mb"]) * 2**20 / (large["ids"] - small["ids"])


if __name__ == "__main__":
    raise SystemExit(main())
