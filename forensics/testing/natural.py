"""Stores that break as they break in life: random work of real releases, interrupted by what really happens.

Nothing here knows a check. `break_store(kind, seed, …)` works on a store with real engine processes and lets one
misfortune of that kind happen: a kill at a random system call, a full disk, a second writer, a directory removed or put
back from an older copy, another release in between, a power loss that keeps only some of the pages that nobody synced.
What the user was told is kept in a model; `forensics.testing.oracle` judges the store by it and by the engine.
"""

from __future__ import annotations

import random
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from forensics.testing.builder import EngineDied, EngineHung, EngineRaised, StoreBuilder
from forensics.testing.outage import drop_unsynced, happened, inject, recording, unsynced_files
from forensics.testing.texts import Record, fresh, records

PythonOf = Callable[[str], Path]
Content = dict[str, dict[str, int]]
COLLECTIONS = ("terms", "notes")
SYNC = 20
TRIES = 5
FAILURES = (EngineDied, EngineHung, EngineRaised)


@dataclass(slots=True)
class Life:
    """One store and what its user knows of it.

    doubtful: per collection the ids of calls that were never acknowledged. story: what happened, a line each.
    past: what the user could have read after each call, per collection id → CRC-32 of its document.
    """

    store: StoreBuilder
    random: random.Random
    doubtful: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    story: list[str] = field(default_factory=list[str])
    past: list[Content] = field(default_factory=list[Content])
    turn: int = 0

    @classmethod
    def begin(cls, path: Path, python: Path, seed: int) -> Life:
        """Makes the collections and works for a while."""
        life = cls(StoreBuilder(path, python), random.Random(seed))
        for name in COLLECTIONS[: life.random.randint(1, 2)]:
            space = life.random.choice(("cosine", "l2", "ip"))
            life.store.create(name, space=space, sync_threshold=SYNC, batch_size=10)
            life.doubtful[name] = set()
        life.work(life.random.randint(6, 16))
        return life

    def work(self, steps: int) -> bool:
        """Random calls; False as soon as one fails, with its ids in doubt."""
        return all(self.step() for _ in range(steps))

    def step(self) -> bool:
        """One random call on one collection."""
        name = self.random.choice(sorted(self.doubtful))
        kind = self.random.choices(("add", "update", "upsert", "delete", "query"), (8, 2, 3, 2, 2))[0]
        known = list(self.store.model.records[name].values())
        chosen = self.random.sample(known, min(len(known), self.random.randint(1, 9)))
        self.turn += 1
        if kind == "add" or not known:
            chosen, kind = list(self._new(self.random.randint(3, 25))), "add"
        elif kind in ("update", "upsert"):
            chosen = [replace(each, document=f"{each.document} Rev {self.turn}.") for each in chosen]
        return self._call(name, kind, chosen)

    def _new(self, count: int) -> Sequence[Record]:
        start = 40 * self.turn
        return records()[start : start + count] if start + count < 300 else fresh(count, start=start)

    def _call(self, name: str, kind: str, chosen: list[Record]) -> bool:
        try:
            if kind == "query":
                self.store.engine.call("query", collection=name, documents=[chosen[0].document], k=3)
            elif kind == "delete":
                self.store.delete(name, [record.id for record in chosen])
            else:
                self.store.add(name, chosen, how=kind)
        except FAILURES as error:
            if kind != "query":
                self.doubtful[name].update(record.id for record in chosen)
            self.story.append(
                f"{kind} of {len(chosen)} in {name!r} failed: {type(error).__name__} {error}"[:160]
            )
            return False
        self.past.append(content_of({known: self.documents(known) for known in self.doubtful}))
        return True

    def documents(self, name: str) -> dict[str, str]:
        """What the user believes to be in that collection: id → document."""
        return {id: record.document for id, record in self.store.model.records[name].items()}

    def pause(self) -> None:
        """No engine process has the store open afterwards."""
        try:
            self.store.engine.close()
        except OSError as error:
            self.story.append(f"closing: {error}")

    def say(self, text: str) -> None:
        self.story.append(text)

    def directories(self) -> list[Path]:
        """Segment directories."""
        return sorted(path.parent for path in self.store.store.glob("*/header.bin"))

    def files(self) -> list[Path]:
        """The database, its journal, and the files of the segments."""
        segments = [file for folder in self.directories() for file in sorted(folder.iterdir())]
        database = self.store.store / "chroma.sqlite3"
        return [database, database.with_name("chroma.sqlite3-journal"), *segments]


def content_of(documents: Mapping[str, Mapping[str, str | None]]) -> Content:
    """Per collection, id → CRC-32 of the document."""
    return {
        name: {id: zlib.crc32((text or "").encode()) for id, text in known.items()}
        for name, known in documents.items()
    }


Misfortune = Callable[[Life, PythonOf, Sequence[str]], None]


def killed(life: Life, python_of: PythonOf, releases: Sequence[str]) -> None:
    """SIGKILL at a random write, rename or truncation of one of the store's files."""
    _interrupted(life, "signal=SIGKILL", life.random.randint(1, 12))


def disk_full(life: Life, python_of: PythonOf, releases: Sequence[str]) -> None:
    """From a random write on, one of the files cannot grow."""
    _interrupted(life, "error=ENOSPC", life.random.randint(1, 12), lasting=True)


def _interrupted(life: Life, what: str, when: int, *, lasting: bool = False) -> None:
    """One that does not come to pass, because the file is not written that often, is tried again with another file."""
    log = life.store.store.with_name(f"{life.store.store.name}.calls")
    for _ in range(TRIES):
        life.pause()
        path = life.random.choice(life.files())
        life.say(f"{what} at call {when}{' and after' if lasting else ''} on {path.name}")
        life.store.restart(watched=inject(path, what, when, log, lasting=lasting))
        life.work(25)
        life.pause()
        if happened(log):
            break
        life.say("it was not called that often")
        when = life.random.randint(1, 3)
    log.unlink()
    _after(life)


def _after(life: Life) -> None:
    """The engine is gone; sometimes the user starts it again and goes on."""
    life.pause()
    if life.random.random() < 0.5:
        life.say("started again, and went on")
        life.store.restart()
        life.work(life.random.randint(1, 8))
        life.pause()


def two_writers(life: Life, python_of: PythonOf, releases: Sequence[str]) -> None:
    """A second process works on the same store at the same time."""
    first = life.store
    life.work(1)
    with first.peer() as second:
        for _ in range(life.random.randint(4, 10)):
            life.store = life.random.choice((first, second))
            life.step()
        life.store = first
    life.say("two processes wrote by turns")
    life.pause()


def file_removed(life: Life, python_of: PythonOf, releases: Sequence[str]) -> None:
    """Somebody deletes one segment directory, or one of its files."""
    life.pause()
    folders = life.directories()
    if not folders:
        life.say("nothing was there to remove")
        return
    folder = life.random.choice(folders)
    if life.random.random() < 0.5:
        shutil.rmtree(folder)
        life.say("a segment directory was removed")
    else:
        file = life.random.choice(sorted(folder.iterdir()))
        file.unlink()
        life.say(f"{file.name} was removed")
    _after(life)


def put_back(life: Life, python_of: PythonOf, releases: Sequence[str]) -> None:
    """A part of an older copy is put back: the database, or one segment directory."""
    life.pause()
    folders, copy = life.directories(), life.store.store.with_name(f"{life.store.store.name}.backup")
    shutil.copytree(life.store.store, copy)
    life.store.restart()
    life.work(life.random.randint(3, 12))
    life.pause()
    part = life.random.choice(
        [Path("chroma.sqlite3"), *(folder.relative_to(life.store.store) for folder in folders)]
    )
    _replace(copy / part, life.store.store / part)
    shutil.rmtree(copy)
    life.say(f"{'the database' if part.suffix else 'a segment directory'} was put back from an older copy")
    _after(life)


def _replace(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def hopped(life: Life, python_of: PythonOf, releases: Sequence[str]) -> None:
    """Other releases open the store in between, newer and older ones."""
    for release in life.random.sample(list(releases), min(3, len(releases))):
        life.pause()
        life.store.restart(python_of(release))
        life.say(f"opened by {release}")
        life.work(life.random.randint(1, 6))
    life.pause()


def power_lost(life: Life, python_of: PythonOf, releases: Sequence[str]) -> None:
    """The machine stops: of files that were written and not synced, some pages are still the old ones."""
    lost = 0
    for _ in range(TRIES):
        lost = lost or _stop(life)
    life.say(f"power was lost: {lost} pages that nobody had synced are the old ones")
    _after(life)


def _stop(life: Life) -> int:
    """The number of pages that are the old ones."""
    life.pause()
    before = life.store.store.with_name(f"{life.store.store.name}.before")
    log = life.store.store.with_name(f"{life.store.store.name}.calls")
    shutil.copytree(life.store.store, before)
    life.store.restart(watched=recording(log))
    life.work(life.random.randint(2, 12))
    life.store.engine.kill()
    lost = drop_unsynced(life.store.store, before, unsynced_files(log, life.store.store), life.random)
    shutil.rmtree(before)
    log.unlink()
    return lost


MISFORTUNES: dict[str, Misfortune] = {
    "killed": killed,
    "disk-full": disk_full,
    "two-writers": two_writers,
    "file-removed": file_removed,
    "put-back": put_back,
    "hopped": hopped,
    "power-lost": power_lost,
}


def break_store(
    kind: str, seed: int, release: str, path: Path, python_of: PythonOf, releases: Sequence[str]
) -> Life:
    """A store of `release` at `path` after one misfortune of that kind; the same seed gives the same story as far as
    the engine's threads let it."""
    life = Life.begin(path, python_of(release), seed)
    MISFORTUNES[kind](life, python_of, releases)
    life.pause()
    return life
