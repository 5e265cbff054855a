"""Naturally broken stores by the dozen: built, judged, and only then shown to the checks.

Each store is a folder of `.cache/natural/` (`store`, and `told.json` with what its user knows) and a line of
`stores.jsonl` there; one that has its line is not built again. `scripts/natural_corpus.py` runs it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from forensics.engine.releases import release_python
from forensics.testing.natural import FAILURES, Life, break_store
from forensics.testing.nursery import preloaded
from forensics.testing.oracle import Told, judge

RELEASES = ("0.5.23", "0.6.3", "1.0.20", "1.2.1", "1.5.9")
NEWEST = RELEASES[-1]
OPENED = "opened by "
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".cache" / "natural"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One store of the corpus, before and after it is there."""

    kind: str
    seed: int
    folder: Path = FOLDER

    @property
    def release(self) -> str:
        return RELEASES[self.seed % len(RELEASES)]

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.seed}-{self.release}"

    @property
    def store(self) -> Path:
        return self.folder / self.name / "store"

    @property
    def heading(self) -> Json:
        """The beginning of its line."""
        return {"name": self.name, "kind": self.kind, "seed": self.seed, "release": self.release}

    @property
    def is_built(self) -> bool:
        return self.store.with_name("told.json").exists()

    def told(self) -> Json:
        """What `keep` wrote."""
        return json.loads(self.store.with_name("told.json").read_text(encoding="utf-8"))


def interpreter(release: str) -> Path:
    """Raises LookupError where the release is not installed."""
    python = release_python(release)
    if python is None:
        raise LookupError(f"chromadb {release} is not installed")
    return python


def make(case: Case) -> Json:
    """The store and its line: the story, and the verdicts on it."""
    shutil.rmtree(case.store.parent, ignore_errors=True)
    case.store.parent.mkdir(parents=True)
    line = case.heading
    try:
        life = break_store(case.kind, case.seed, case.release, case.store, interpreter, RELEASES)
    except (*FAILURES, TimeoutExpired) as error:
        return line | {"date": today(), "not_built": f"{type(error).__name__}: {error}"[:200]}
    keep(case, life)
    return line | rejudge(case)


def keep(case: Case, life: Life) -> None:
    """Writes down what the user knows, and which interpreter wrote last."""
    told = {
        name: Told(life.documents(name), frozenset(ids), life.store.model.settings[name]["space"])
        for name, ids in life.doubtful.items()
    }
    last = next(release for release in RELEASES if str(interpreter(release)) == str(life.store.python))
    kept = {
        "last": last,
        "story": life.story,
        "told": {name: each.to_json() for name, each in told.items()},
        "past": life.past,
    }
    case.store.with_name("told.json").write_text(json.dumps(kept), encoding="utf-8")


def rejudge(case: Case) -> Json:
    """The judgement of the store as it lies there: by the newest of its writers; where that finds nothing, by the newest
    release. A writer that is older than another one is not asked: whole or not, the store may be too new for it."""
    kept = case.told()
    told = {name: Told.from_json(each) for name, each in kept["told"].items()}
    verdicts: list[Json] = []
    for release in dict.fromkeys((newest_writer(case, kept["story"]), NEWEST)):
        verdict = judge(case.store, told, release, interpreter(release), case.store.parent)
        verdicts.append(verdict.to_json())
        if verdict.broken:
            break
    return {"date": today(), "story": kept["story"], "last": kept["last"], "verdicts": verdicts}


def newest_writer(case: Case, story: Sequence[str]) -> str:
    """The newest release that has opened the store."""
    opened = [line.removeprefix(OPENED) for line in story if line.startswith(OPENED)]
    return max((case.release, *opened), key=RELEASES.index)


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def cases(kinds: Iterable[str], seeds: Sequence[int], folder: Path = FOLDER) -> list[Case]:
    """Seed by seed, so that whoever stops early has some of each kind."""
    chosen = tuple(kinds)
    return [Case(kind, seed, folder) for seed in seeds for kind in chosen]


def lines(folder: Path = FOLDER) -> list[Json]:
    """What is there, the newest line of each store, sorted by kind and seed."""
    file = folder / "stores.jsonl"
    text = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    newest = {line["name"]: line for line in map(json.loads, text)}
    return sorted(newest.values(), key=lambda line: (line["kind"], line["seed"]))


def run(wanted: Iterable[Case], *, again: bool = False) -> Iterator[Json]:
    """Each that has no line yet, with its line appended; `again`: those that are there are judged anew."""
    with preloaded():
        for case in wanted:
            there = case.name in {line["name"] for line in lines(case.folder)}
            if there and not again:
                continue
            line = case.heading | rejudge(case) if there and case.is_built else make(case)
            with (case.folder / "stores.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            yield line
