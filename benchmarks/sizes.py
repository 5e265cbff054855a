"""Three cases at size, each built, repaired and looked at from outside.

    python -m benchmarks.sizes [--only orphans,sparse,spaces] [--size 1.0] [--stores DIR]

orphans: a palace of 500,000 x 384 and 10,404 drawers more that SQLite alone has, with their documents. Repaired by
    `examples/mempalace_repair.py`; then SQLite and index hold the same ids, mempalace 3.11.0 finds reconciled drawers, and
    its repair-status counts no difference.
sparse: link_lists.bin of 20 GiB: the sample whose engine was killed in a flush and started again, so that sizes which it
    read from nowhere made it seek over gigabytes; the hole at its end is made longer.
spaces: two ids with trailing spaces among a million, in SQLite and in the id map; they are trimmed, nothing else changes.

`--size` 0.01 is a hundredth of the records. What each cost, and what was found, goes to `results/sizes.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.embedder import document
from benchmarks.embedding_server import Served, serving
from benchmarks.measure import Cost, compiled, keep, kept, run
from benchmarks.memory import pad_ids
from benchmarks.palaces import index_of, palace
from benchmarks.peers import installed
from benchmarks.repairing_page import write_page
from benchmarks.stores import build_store
from forensics import samples

DRAWERS, ORPHANS, RECORDS = 500_000, 10_404, 1_000_000
GIB = 1 << 30
APPARENT, LIMIT_MB = 20 * GIB, 400
"""Bytes of link_lists.bin in case (b), and what its repair, the engine's children included, may hold."""
ROOT = Path(__file__).parents[1]


def main() -> int:
    """Prints and keeps what each case came to; status 1 where one does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CASES))
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--stores", type=Path)
    options = parser.parse_args()
    figures = dict[str, Any]()
    for name in options.only:
        with tempfile.TemporaryDirectory(dir=options.stores) as scratch, compiled():
            folder = options.stores or Path(scratch)
            figures[name] = CASES[name](folder.absolute(), Path(scratch).absolute(), options.size)
        print(json.dumps({name: figures[name]}), flush=True)
    if options.size >= 1:
        keep("sizes", {**kept("sizes"), **figures})
        write_page()
    return int(not all(case["holds"] for case in figures.values()))


def orphans(stores: Path, scratch: Path, size: float) -> dict[str, Any]:
    """Case (a): drawers that SQLite alone has, embedded again from their documents."""
    count, lost = int(DRAWERS * size), max(20, int(ORPHANS * size))
    store = palace(scratch / "palace", index_of(stores, count), lost, aside=False)
    embedder = Path(__file__).with_name("embedder.py")
    words = ["--mode", "reconcile", "--embedder", f"{embedder}:embed"]
    cost = run([sys.executable, str(ROOT / "examples/mempalace_repair.py"), str(store), *words], cwd=scratch)
    reconciled = range(count, count + lost, lost // 10)
    with serving() as served:
        mempalace = Mempalace(installed(stores / "peers", "mempalace")["mempalace"], store, served)
        status = mempalace.say("repair-status")
        tops = [mempalace.top(document(i)) == document(i) for i in reconciled]
    difference = json.loads(_python(_DIFFERENCE, str(store)))
    found = {"drawers": count + lost, "orphans": lost, "sqlite_against_index": difference}
    told = re.findall(r"(sqlite count|hnsw count|divergence|status): +([\w,]+)", status)[:4]
    found |= {"repair_status": dict(told), "searched": len(tops), "top_hits": sum(tops)}
    agrees = dict(told).get("divergence") == "0" and dict(told).get("status") == "OK"
    return _case(cost, found, difference == [[0, 0]] and all(tops) and agrees)


class Mempalace:
    """mempalace as it is installed, on one palace, with its own switch for an embedder that is asked over HTTP."""

    def __init__(self, python: Path, store: Path, served: Served) -> None:
        self.command = [str(python.with_name("mempalace")), "--palace", str(store)]
        self.environment = {
            **os.environ,
            **served.mempalace,
            "HOME": str(store.parent),
            "PYTHONWARNINGS": "ignore",
        }

    def say(self, *words: str) -> str:
        return subprocess.run(
            [*self.command, *words], env=self.environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def top(self, text: str) -> str:
        """The text of the first drawer that its search shows."""
        found = re.search(r"\[1\].*?Match:[^\n]*\n\n(.*?)\n\s*-----", self.say("search", text), re.DOTALL)
        return " ".join(found.group(1).split()) if found else ""


def sparse(stores: Path, scratch: Path, size: float) -> dict[str, Any]:
    """Case (b): a link_lists.bin whose apparent size is beyond all reason, as a cut flush leaves it."""
    store = samples.restore("1.5.9/flush-cut-reopened", scratch / "store")
    links = max(store.glob("*/link_lists.bin"), key=lambda path: path.stat().st_size)
    os.truncate(links, APPARENT)
    before = {"apparent_gib": links.stat().st_size / GIB, "allocated_mb": _allocated(store) / 2**20}
    cost = _repair(store, scratch)
    found = {**before, "apparent_after_mb": links.stat().st_size / 2**20}
    found["allocated_all_mb"] = _allocated(scratch) / 2**20
    bounded = found["allocated_all_mb"] < 100 + 4 * before["allocated_mb"] and cost.peak_mb <= LIMIT_MB
    return _case(cost, found, bounded and links.stat().st_size < GIB)


def spaces(stores: Path, scratch: Path, size: float) -> dict[str, Any]:
    """Case (c): two ids with trailing spaces; what is repaired is their rows, and nothing else."""
    count = int(RECORDS * size)
    prepared, store = stores / f"slim-{count}", scratch / "store"
    if not prepared.exists():
        build_store(prepared, count, 8, M=4, ef=16, words=0, keys=1)
    shutil.copytree(prepared, store)
    before = _content(store)
    padded = pad_ids(store, count // 2)
    assert _unlike(before, _content(store))
    cost = _repair(store, scratch)
    after = _content(store)
    found = {"records": count, "with_spaces": padded, "unlike_before": _unlike(before, after)}
    return _case(cost, found, padded == 2 and before == after)


def _content(store: Path) -> dict[str, str]:
    """SHA-256 of the rows of each table of records and segments, of what the id map says, and of each other file."""
    tables = ("collections", "segments", "embeddings", "embedding_metadata", "embeddings_queue", "max_seq_id")
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database:
        found = {name: sha256() for name in tables}
        for name, digest in found.items():
            for row in database.execute(f"SELECT * FROM {name} ORDER BY 1, 2"):
                digest.update(repr(row).encode())
    told = {name: digest.hexdigest() for name, digest in found.items()}
    for path in sorted(store.glob("*/*")):
        raw = path.read_bytes()
        said = (
            repr(sorted(pickle.loads(raw)["id_to_label"].items())).encode()
            if path.suffix == ".pickle"
            else raw
        )
        told[path.name] = sha256(said).hexdigest()
    return told


def _unlike(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(name for name in before | after if before.get(name) != after.get(name))


_DIFFERENCE = """
import json, sys
import forensics as fx
print(json.dumps([[len(each.only_left), len(each.only_right)] for each in fx.diff_ids(sys.argv[1]).values()]))
"""


def _python(code: str, *words: str) -> str:
    command = [sys.executable, "-P", "-c", code, *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _repair(store: Path, scratch: Path) -> Cost:
    command = [sys.executable, "-P", "-m", "forensics", "repair", str(store), "--yes", "--format", "json"]
    return run([*command, "--case", str(scratch / "case")])


def _case(cost: Cost, found: dict[str, Any], holds: bool) -> dict[str, Any]:
    costs = {"cpu_s": cost.cpu, "wall_s": cost.wall, "peak_mb": cost.peak_mb, "status": cost.status}
    return {**found, **costs, "holds": holds and not cost.status}


def _allocated(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


CASES: dict[str, Callable[[Path, Path, float], dict[str, Any]]] = {
    "orphans": orphans,
    "sparse": sparse,
    "spaces": spaces,
}


if __name__ == "__main__":
    sys.exit(main())
