"""What else repairs a store that lacks vectors, each in an environment of its own, and what is left of the vectors after it.

The store: an index of 50,000 x 384, and 2 % more drawers in SQLite alone, with their documents; their vectors lie in a
directory that was set aside. What a peer left is asked through chromadb itself, of the release that wrote the store.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.embedding_server import Served
from benchmarks.measure import Cost, run
from benchmarks.palaces import COLLECTION, Index, drawer, palace, vectors_of
from forensics.engine.releases import install

QUERIES = 200
PACKAGES = {
    "mempalace": ("mempalace==3.11.0", "chromadb==1.5.9"),
    "chromadb-ops": ("chromadb-ops==0.1.5", "click<8.2", "chromadb==1.0.16"),
}
READ_AND_ADD = """
import sys, chromadb
from chromadb.config import Settings
client = chromadb.PersistentClient(sys.argv[1], settings=Settings(anonymized_telemetry=False))
old = client.get_collection(sys.argv[2], embedding_function=None)
new = client.create_collection(sys.argv[3], embedding_function=None, metadata=old.metadata)
def move(ids):
    try:
        got = old.get(ids=ids, include=["embeddings", "documents", "metadatas"])
    except Exception:  # one that is not in the index fails the whole batch
        if len(ids) > 1:
            move(ids[: len(ids) // 2])
            move(ids[len(ids) // 2 :])
        return
    if got["ids"]:
        new.add(**{name: got[name] for name in ("ids", "embeddings", "documents", "metadatas")})
ids = old.get(include=[])["ids"]
for start in range(0, len(ids), 1000):
    move(ids[start : start + 1000])
"""
"""chromadb reads every record that it can and adds it to a new collection."""
_ASK = """
import sys, json, chromadb, numpy as np
from chromadb.config import Settings
path, name, vectors, ids, queries, out = sys.argv[1:]
client = chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))
collection = client.get_collection(name, embedding_function=None)
vectors, ids, queries = np.load(vectors, mmap_mode="r"), json.load(open(ids)), np.load(queries)
place = {each: i for i, each in enumerate(ids)}
kept = 0
def ask(some):
    global kept
    try:
        got = collection.get(ids=some, include=["embeddings"])
    except Exception:
        if len(some) > 1:
            ask(some[: len(some) // 2])
            ask(some[len(some) // 2 :])
        return
    if got["ids"]:
        held, own = np.asarray(got["embeddings"]), vectors[[place[each] for each in got["ids"]]]
        alike = (held * own).sum(1) / np.linalg.norm(held, axis=1) / np.linalg.norm(own, axis=1)
        kept += int((alike >= 0.999999).sum())
for start in range(0, len(ids), 1000):
    ask(ids[start : start + 1000])
hits = []
for query in queries:
    try:
        hits.append(collection.query(query_embeddings=[query], n_results=10, include=[])["ids"][0])
    except Exception:  # a search that meets an element without an id fails
        hits.append([])
json.dump({"records": collection.count(), "kept": kept, "hits": hits}, open(out, "w"))
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Damaged stores by name, each of `count` drawers, where peers are installed, and where copies are made."""

    stores: dict[str, Path]
    count: int
    pythons: dict[str, Path]
    scratch: Path
    served: Served


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to repair: its name, its command of interpreter and store, the environment it runs in, which store it gets, and
    the collection that it leaves."""

    name: str
    command: Callable[[Path, Path], list[str]]
    environment: str = ""
    store: str = "set aside"
    collection: str = COLLECTION["name"]


def _tool(name: str, *words: str) -> Callable[[Path, Path], list[str]]:
    return lambda python, store: [str(python.with_name(name)), *(w.format(store=store) for w in words)]


def _ours(*words: str) -> Callable[[Path, Path], list[str]]:
    def command(python: Path, store: Path) -> list[str]:
        case = ["--case", str(store.with_name("case")), "--format", "json"]
        return [sys.executable, "-P", "-m", "forensics", "repair", str(store), "--yes", *case, *words]

    return command


def _read_and_add(python: Path, store: Path) -> list[str]:
    return [sys.executable, "-P", "-c", READ_AND_ADD, str(store), COLLECTION["name"], "again"]


_EMBEDDER = str(Path(__file__).with_name("embedder.py")) + ":embed"
_PALACE = ("--palace", "{store}", "repair", "--yes")
PEERS = (
    Peer("forensics repair", _ours()),
    Peer("forensics repair --engine none", _ours("--engine", "none")),
    Peer("forensics repair --embedder", _ours("--embedder", _EMBEDDER), store="documents"),
    Peer("forensics repair --rebuild", _ours("--rebuild", "*", "--threads", str(os.cpu_count()))),
    Peer("chromadb 1.5.9, read and add again", _read_and_add, collection="again"),
    Peer("mempalace 3.11.0 legacy", _tool("mempalace", *_PALACE, "--mode", "legacy"), "mempalace"),
    Peer(
        "mempalace 3.11.0 from-sqlite",
        _tool("mempalace", *_PALACE, "--mode", "from-sqlite", "--archive-existing"),
        "mempalace",
    ),
    Peer(
        "chromadb-ops 0.1.5",
        _tool("chops", "hnsw", "rebuild", "-y", "-c", COLLECTION["name"], "{store}"),
        "chromadb-ops",
        "1.0.16",
    ),
)


def prepared(folder: Path, index: Index, scratch: Path, served: Served) -> Case:
    """Environments in `folder`, and in `scratch` the stores: that index, and 2 % more drawers that are not in it."""
    pythons, missing = installed(folder), index.count // 50
    old = str(pythons["chromadb-ops"])
    stores = {
        "set aside": palace(scratch / "aside", index, missing),
        "documents": palace(scratch / "documents", index, missing, aside=False),
        "1.0.16": palace(scratch / "old", index, missing, python=old),
    }
    return Case(stores, index.count + missing, pythons, scratch, served)


def installed(folder: Path, *names: str) -> dict[str, Path]:
    """The interpreter of each of these peers' environments in `folder` (of all where none is named), made if need be."""
    found = {name: folder / name / "bin" / "python" for name in names or PACKAGES}
    for name in found:
        whole = folder / name / "installed"
        if not whole.exists():  # or an installation that was cut off
            shutil.rmtree(folder / name, ignore_errors=True)
            install(folder / name, PACKAGES[name])
            whole.touch()
    return found


def peer_row(case: Case, peer: Peer) -> dict[str, Any]:
    """One peer on a copy of the case's store: what it cost, and what of the vectors is there afterwards."""
    folder = case.scratch / "peer"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(case.stores[peer.store], folder / "store")
    python = case.pythons.get(peer.environment, Path(sys.executable))
    asked = case.served.documents
    environment = {**os.environ, **case.served.mempalace, "HOME": str(folder)}
    if peer.environment:  # its modules are compiled where they are
        environment.pop("PYTHONPYCACHEPREFIX", None)
    cost = run(peer.command(python, folder / "store"), environment=environment)
    embedded = case.served.documents - asked
    left = _left(case, python, folder / "store", peer.collection)
    shutil.rmtree(folder)
    return {
        "name": peer.name,
        "cpu_s": cost.cpu,
        "wall_s": cost.wall,
        "peak_mb": cost.peak_mb,
        "status": cost.status,
        "embedded": embedded or _reembedded(cost),
        **left,
    }


def _reembedded(cost: Cost) -> int:
    """How many documents our own repair embedded, as it says itself."""
    try:
        return int(json.loads(cost.output)["records"]["reembedded"])
    except ValueError:
        return 0


def _left(case: Case, python: Path, store: Path, collection: str) -> dict[str, Any]:
    """Records, vectors kept and recall@10, as chromadb answers for this store."""
    vectors, ids = case.scratch / "truth.npy", case.scratch / "ids.json"
    queries, out = case.scratch / "queries.npy", case.scratch / "left.json"
    out.unlink(missing_ok=True)
    if not vectors.exists():
        np.save(vectors, vectors_of(0, case.count))
        ids.write_text(json.dumps([drawer(i) for i in range(case.count)]), encoding="utf-8")
        np.save(queries, vectors_of(10**7, 10**7 + QUERIES))
    command = [str(python), "-P", "-c", _ASK, *map(str, (store, collection, vectors, ids, queries, out))]
    subprocess.run(command, check=False)
    if not out.exists():
        return {"records": None, "kept": 0, "recall": 0.0}
    told = json.loads(out.read_text(encoding="utf-8"))
    return {
        "records": told["records"],
        "kept": told["kept"],
        "recall": _recall(told["hits"], vectors, queries),
    }


def _recall(hits: list[list[str]], vectors: Path, queries: Path) -> float:
    """The share of the ten truly nearest that were found, by cosine."""
    held = np.load(vectors)
    held /= np.linalg.norm(held, axis=1, keepdims=True)
    near = np.argsort(-(np.load(queries) @ held.T), axis=1)[:, :10]
    names = [[drawer(int(i)) for i in row] for row in near]
    return sum(len({*some} & {*true}) for some, true in zip(hits, names, strict=True)) / (10 * len(names))
