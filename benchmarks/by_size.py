"""What a diagnosis costs by the number of records, from 100 thousand to 10 million, and how fast the graph is looked at.

    python -m benchmarks.by_size [--sizes 100000,300000,1000000] [--stores DIR]

The stores are slim, so that ten million records take 5 GB and not 40: 8 dimensions, M 4, one metadata key, no documents.
With --stores they are taken from, or left in, DIR. The ids of the largest are classified as well, divided by prefix, and
their classes written as Parquet. Sizes that were not asked for keep their last figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.looking import measured
from benchmarks.measure import compiled, keep, kept, python
from benchmarks.stores import build_store

SIZES = (100_000, 300_000, 1_000_000)
SLIM: dict[str, Any] = {"M": 4, "ef": 16, "words": 0, "keys": 1}
LIMIT_GRAPH, LIMIT_POWER, LIMIT_MB = 1_000_000, 1.15, 4096
"""Elements a second and core; the power of the number of records by which the cost grows; memory to classify."""
FIGURE = Path(__file__).parent / "by_size.svg"

_GRAPH = """
import glob, json, sys, time
from pathlib import Path
from forensics.graph import measure
from forensics.segment import read_segment
files = read_segment(Path(glob.glob(sys.argv[1] + "/*/header.bin")[0]).parent).files
start = time.process_time()
found = measure(files)
print(json.dumps({"elements": found.elements, "cpu_s": time.process_time() - start}))
"""
_CLASSIFY = """
import json, sys, tempfile
from pathlib import Path
import pandas, pyarrow.parquet
import forensics as fx
found = fx.classify(sys.argv[1])
table = found.by_prefix()
with tempfile.TemporaryDirectory() as folder:
    size = found.to_parquet(Path(folder) / "classes.parquet").stat().st_size
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
keys = {"peak_mb": "VmHWM", "anonymous_mb_at_the_end": "RssAnon"}
told = {name: int(status[key].split()[0]) / 1024 for name, key in keys.items()}
told = {"ids": len(found), "states": found.counts(), "prefixes": len(table), "parquet_mb": size / 2**20, **told}
print(json.dumps(told))
"""


def main() -> int:
    """Keeps the figures and draws them; status 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=_numbers, default=SIZES)
    parser.add_argument("--stores", type=Path)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, compiled():
        folder = options.stores or Path(scratch)
        rows = [_row(_store(folder, size), options.times) for size in options.sizes]
        classified = _classified(_store(folder, max(options.sizes)))
    figures = _joined(rows, classified)
    print(json.dumps(figures, indent=1))
    keep("by_size", figures)
    draw(figures["rows"])
    return int(not _holds(figures))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _store(folder: Path, size: int) -> Path:
    path = folder / f"slim-{size}"
    return path if path.exists() else build_store(path, size, 8, **SLIM)


def _row(store: Path, times: int) -> dict[str, Any]:
    looks = [json.loads(python(_GRAPH, str(store)).output) for _ in range(times)]
    speed = {"graph_elements_per_cpu_s": max(graph["elements"] / graph["cpu_s"] for graph in looks)}
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    return {**measured(store, times=times).figures, "bytes": size, **speed}


def _classified(store: Path) -> dict[str, Any]:
    cost = python(_CLASSIFY, str(store))
    return {**json.loads(cost.output), "cpu_s": cost.cpu, "limit_mb": LIMIT_MB}


def _joined(rows: list[dict[str, Any]], classified: dict[str, Any]) -> dict[str, Any]:
    before = kept("by_size")
    known = {row["records"]: row for row in [*before.get("rows", []), *rows]}
    ordered = [known[size] for size in sorted(known)]
    powers = [
        float(np.log(b["diagnose_cpu_s"] / a["diagnose_cpu_s"]) / np.log(b["records"] / a["records"]))
        for a, b in pairwise(ordered)
    ]
    return {
        "rows": ordered,
        "powers": powers,
        "limit_power": LIMIT_POWER,
        "limit_graph_elements_per_cpu_s": LIMIT_GRAPH,
        "classified": max(classified, before.get("classified") or classified, key=lambda one: one["ids"]),
    }


def _holds(figures: dict[str, Any]) -> bool:
    graph = all(row["graph_elements_per_cpu_s"] >= LIMIT_GRAPH for row in figures["rows"])
    return (
        graph
        and figures["classified"]["peak_mb"] <= LIMIT_MB
        and max(figures["powers"], default=0) <= LIMIT_POWER
    )


def draw(rows: list[dict[str, Any]]) -> None:
    """CPU seconds and peak memory by the number of records, both axes by powers of ten."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "by-size"
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    sizes = [row["records"] for row in rows]
    for name, label in (
        ("B_cpu_s", "B: SHA-256, id map, ids"),
        ("diagnose_cpu_s", "diagnose"),
        ("first_verdict_cpu_s", "first verdict"),
    ):
        left.loglog(sizes, [row[name] for row in rows], marker="o", label=label)
    linear = [rows[-1]["diagnose_cpu_s"] * size / sizes[-1] for size in sizes]
    left.loglog(sizes, linear, linestyle=":", color="grey", label="linear")
    left.set(xlabel="records", ylabel="CPU seconds")
    left.legend()
    right.loglog(sizes, [row["peak_mb"] for row in rows], marker="o", color="tab:red")
    right.set(xlabel="records", ylabel="peak memory of diagnose, MB")
    figure.savefig(FIGURE, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
