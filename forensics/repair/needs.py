"""What a plan needs of disk, memory and time, and what is free: before anything is written. Reads sizes, changes nothing.

The rates are of one core of a common machine, and reckoned generously: a repair takes less more often than more.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from forensics.absent import Absent
from forensics.memory import available_memory
from forensics.model import Action, Effect, Json
from forensics.readers.database import DATABASE
from forensics.readers.hnsw import FileFacts, file_facts
from forensics.readers.layout import LEVEL0_FILE, LINKS_FILE
from forensics.repair.adding import MAPPED, mapped_memory, native_memory
from forensics.repair.proposals import GRAPH, STRUCTURAL
from forensics.repair.rates import seconds_for
from forensics.repair.site import Site
from forensics.store import Collection, Store

NEW_INDEX = frozenset({"rebuild-segment", "compact-segment"})
OF_SEGMENT = (STRUCTURAL | GRAPH) - NEW_INDEX
"""Kinds whose draft holds nothing but files of the segment; a new index may get another watermark, in the database."""
OF_DATABASE = frozenset(
    {
        "convert-sequence-ids", "insert-watermark", "mend-configuration", "mend-segment-rows", "purge-queue",
        "put-queue-floor", "quarantine-orphan-rows", "quarantine-queue-rows", "rebuild-full-text", "remove-watermark",
        "restore-documents", "restore-watermark", "set-dimension",
    }
)  # fmt: skip
"""Kinds whose draft holds nothing but the database; that of all others may hold both."""
SIDES = ("-journal", "-wal")
NODE = 512
"""Bytes on the disk of one more element beside its record in level 0: its share of lists, id map and database."""
STARTED = 150 << 20
"""Bytes of memory of this program with numpy and SQLite before it reads a store."""
PER_RECORD = 260
"""Bytes of memory per record of a store: ids, labels and the columns that are joined."""
LOOKING = 30e-6
"""Seconds per record to look at a store once."""
PASSES = 3
"""How often all records are looked at: before, after, and by the engine."""
ON_MAPS = 12e-3
"""Seconds of one insert on maps at ef_construction 100."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes on the disk beside the store, bytes of memory, seconds."""

    disk: int
    memory: int
    seconds: float

    def to_json(self) -> dict[str, Json]:
        return {"disk": self.disk, "memory": self.memory, "seconds": self.seconds}


def room_of(
    store: Store, approved: Iterable[Action], effects: Iterable[Effect], sites: Mapping[str, Site]
) -> dict[str, Json]:
    """`needs` of these actions, and what is `free` at this moment (disk; memory, null where nobody says)."""
    found = needs_of(store, tuple(approved), tuple(effects), sites)
    free = {"disk": shutil.disk_usage(store.path).free, "memory": available_memory()}
    return {"needs": found.to_json(), "free": free}


def needs_of(
    store: Store, approved: tuple[Action, ...], effects: tuple[Effect, ...], sites: Mapping[str, Site]
) -> Needs:
    """All zero where nothing is approved."""
    if not approved:
        return Needs(0, 0, 0.0)
    disk = draft_bytes(store, approved, effects)
    records = sum(len(c.records) for c in store.collections if not isinstance(c.records, Absent))
    acts = [part for action in approved for part in _of_action(action, effects, sites)]
    memory = STARTED + PER_RECORD * records + max((memory for memory, _ in acts), default=0)
    spent = sum(seconds for _, seconds in acts) + PASSES * LOOKING * records + seconds_for(0, 0, 0, disk)
    return Needs(disk, _rounded(memory), float(f"{spent:.2g}"))


def draft_bytes(
    store: Store, approved: Iterable[Action], effects: Iterable[Effect], *, copies: bool = True
) -> int:
    """Bytes of the draft: the copies of what the actions touch (without `copies`: blocks are shared), and what is
    added to them.
    """
    kinds: dict[str | None, set[str]] = {}
    for action in approved:
        kinds.setdefault(action.collection, set()).add(action.kind)
    added = {effect.collection: effect.reattached + effect.reembedded for effect in effects}
    touched = [c for c in store.collections if kinds.get(c.name, set()) - OF_DATABASE]
    grown = sum(added.get(c.name, 0) * (4 * (c.dimension or 0) + NODE) for c in touched)
    if not copies:
        return grown
    database = any(each - OF_SEGMENT for each in kinds.values())
    return grown + sum(map(_segment_bytes, touched)) + (_database_bytes(store) if database else 0)


def _segment_bytes(collection: Collection) -> int:
    """Bytes on the disk of the segment's files; of link_lists.bin, whose tail is not copied, no more than of level 0."""
    segment = collection.vector
    if isinstance(segment, Absent):
        return 0
    facts = segment.facts
    sizes = {name: fact.allocated for name, fact in facts.items() if isinstance(fact, FileFacts)}
    level0 = facts.get(LEVEL0_FILE)
    if isinstance(level0, FileFacts) and LINKS_FILE in sizes:
        sizes[LINKS_FILE] = min(sizes[LINKS_FILE], max(level0.allocated, 1 << 20))
    return sum(sizes.values())


def _database_bytes(store: Store) -> int:
    path = store.tree.resolve(DATABASE)
    return sum(_allocated(path.with_name(path.name + side)) for side in ("", *SIDES))


def _allocated(path: Path) -> int:
    fact = file_facts(path)
    return fact.allocated if isinstance(fact, FileFacts) else 0


def _of_action(
    action: Action, effects: Iterable[Effect], sites: Mapping[str, Site]
) -> Iterator[tuple[int, float]]:
    """(bytes of memory, seconds) of an action that works on a graph."""
    site = sites.get(action.collection or "")
    if site is None or action.kind not in {*NEW_INDEX, "add-missing-vectors", "relink-elements"}:
        return
    effect = next((each for each in effects if each.collection == action.collection), None)
    added = 0 if effect is None else effect.reattached + effect.reembedded
    held, dim, ef = _shape(site)
    if action.kind == "add-missing-vectors" and action.parameters.get("add") == MAPPED:
        yield mapped_memory(site.header, dim, added), added * ON_MAPS * max(ef, 1) / 100
    elif action.kind == "relink-elements":
        yield native_memory(site.header, dim, added), seconds_for(min(held, 50_000) + 2 * added, dim, ef, 0)
    elif action.kind == "add-missing-vectors":
        yield native_memory(site.header, dim, added), seconds_for(added, dim, ef, held * 4 * dim)
    else:
        total = max(held, 0 if effect is None else effect.after or 0)
        yield native_memory(None, dim, total) + 8 * dim * total, seconds_for(total, dim, ef, 0)


def _shape(site: Site) -> tuple[int, int, int]:
    """(elements, dimension, ef_construction) of the index."""
    held = 0 if site.header is None else site.header.cur_element_count
    return held, site.dim or 0, site.collection.settings.ef_construction


def _rounded(size: int) -> int:
    """To two digits: it is an estimate."""
    return int(float(f"{size:.2g}"))
