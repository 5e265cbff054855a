"""What a diagnosis is measured against, and one run of it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Cost, python, run

LOOK = """
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
"""B: SHA-256 of the files, the id map, all ids."""
CHECK = """
import os, shutil, tempfile
print(database.execute("PRAGMA integrity_check").fetchall())
database.close()
with tempfile.TemporaryDirectory() as scratch:
    copy = shutil.copyfile(store / "chroma.sqlite3", os.path.join(scratch, "copy.sqlite3"))
    judge = sqlite3.connect(copy)
    judge.execute("INSERT INTO embedding_fulltext_search(embedding_fulltext_search) VALUES('integrity-check')")
    judge.close()
"""
"""What D has besides B: SQLite's own checks, that of FTS5 on a copy, since it wants to write."""


@dataclass(frozen=True)
class Measured:
    """CPU seconds, the least of all runs, since other work on the machine only adds to them.

    `first`: to the first verdict, from the start of the program on; what the process costs that watches over the reading
    one is in it. `peak_mb` is the highest of all runs.
    """

    plain: float
    ours: float
    first: float
    peak_mb: float
    records: int
    status: int

    @property
    def figures(self) -> dict[str, object]:
        return {
            "records": self.records,
            "B_cpu_s": self.plain,
            "diagnose_cpu_s": self.ours,
            "ratio": self.ours / self.plain,
            "first_verdict_cpu_s": self.first,
            "first_verdict_ratio": self.first / self.plain,
            "peak_mb": self.peak_mb,
            "status": self.status,
        }


def measured(store: Path, *options: str, plain: str = LOOK, times: int = 5) -> Measured:
    """`diagnose` of a store and the plain look at it, in turn. Raises RuntimeError where one of them fails."""
    pairs = [(python(plain, str(store)), diagnosed(store, *options)) for _ in range(times)]
    watched = [json.loads(python(_WATCHED, str(store)).output) for _ in range(times)]
    if any(look.status or ours.status & ~4 for look, ours in pairs):
        raise RuntimeError(f"{pairs[0][0].output}\n{pairs[0][1].output}")
    answers = [json.loads(ours.output) for _, ours in pairs]
    return Measured(
        plain=min([look.cpu for look, _ in pairs]),
        ours=min([ours.cpu for _, ours in pairs]),
        first=min([_first(ours, times) for (_, ours), times in zip(pairs, watched, strict=True)]),
        peak_mb=max(ours.peak_mb for _, ours in pairs),
        records=sum(each["records"] for each in answers[0]["collections"]),
        status=pairs[0][1].status,
    )


def diagnosed(store: Path, *options: str) -> Cost:
    """One `forensics diagnose` in a fresh process."""
    command = [sys.executable, "-P", "-m", "forensics", "diagnose", str(store), "--format", "json"]
    return run([*command, *options])


_WATCHED = """
import json, sys, time
import forensics as fx
took = {}
def progress(text, share):
    if text.startswith("first verdict"):
        took["first"] = time.process_time()
fx.diagnose(sys.argv[1], progress=progress)
print(json.dumps({**took, "whole": time.process_time()}))
"""


def _first(cost: Cost, took: dict[str, float]) -> float:
    """CPU seconds to the first verdict; what the program spends besides a diagnosis from Python is added to its start."""
    return took["first"] + max(0.0, cost.cpu - took["whole"])
