"""Each call of each collection, in a process of its own on the store as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from forensics.absent import Absent
from forensics.compatibility import Opening, openings
from forensics.foretell import modern, vintage
from forensics.foretell.calls import CALLS, RELEASES
from forensics.foretell.disk import Disk, read_disk
from forensics.foretell.filters import Filter, a_filter
from forensics.foretell.foretold import Foretold
from forensics.foretell.gates import Gate, closed
from forensics.foretell.loading import loading
from forensics.foretell.situation import Situation, past_a_flush
from forensics.readers.migrations import order
from forensics.store import Collection, Store

FIRST_MODERN = "1.0.0"
OF_THE_MAP = "the id map is"
"""What `openings` says where only calls that need vectors fail."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What one release will do on one collection, call by call."""

    collection: str
    release: str
    calls: tuple[Foretold, ...] = field(repr=False)

    @property
    def destroys(self) -> int:
        """The most vectors that any call costs."""
        return max((call.destroys + call.may_destroy for call in self.calls), default=0)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.collection,
            "chromadb": self.release,
            "destroys": self.destroys,
            "calls": [call.to_json() for call in self.calls],
        }


@dataclass(frozen=True, slots=True)
class Foretelling:
    """What was told of a store, release by release and collection by collection."""

    store: str
    tellings: tuple[Telling, ...]

    def of(self, collection: str, release: str) -> Telling:
        """Raises KeyError for what was not told."""
        found = {(one.collection, one.release): one for one in self.tellings}
        return found[(collection, release)]

    @property
    def destroys(self) -> int:
        """The most vectors that one call of one release costs a collection."""
        return max((one.destroys for one in self.tellings), default=0)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "store": self.store,
            "destroys": self.destroys,
            "collections": [one.to_json() for one in self.tellings],
        }


def tell(store: Store, release: str, collections: Sequence[Collection] | None = None) -> tuple[Telling, ...]:
    """One for each collection. Nothing is opened for writing and no engine is started."""
    opening = openings(store, [release])[0]
    chosen = store.collections if collections is None else collections
    return tuple(Telling(one.name, release, _told(one, release, opening)) for one in chosen)


def _told(collection: Collection, release: str, opening: Opening) -> tuple[Foretold, ...]:
    situation = _before(collection, release)
    names = [name for name in CALLS if name != "filtered query" or situation.filter is not None]
    if not opening.usable and OF_THE_MAP not in opening.why:
        return tuple(_refused(name, opening) for name in names)
    gates = closed(situation)
    found = tuple(_past(gates, situation, name) for name in names)
    return found if release in RELEASES else tuple(map(_less_sure, found))


def _before(collection: Collection, release: str) -> Situation:
    """Of several with one name in one database, every release takes the one with the least id."""
    here = (collection.name, collection.row.database_id)
    same = [one for one in collection.store.collections if (one.name, one.row.database_id) == here]
    answering, situation = min(same, key=lambda one: one.id), _situation(collection, release)
    if answering.id == collection.id:
        return situation
    asked = {name: getattr(situation, name) for name in ("writes", "known", "filter")}
    return replace(_situation(answering, release), **asked)


def _past(gates: Sequence[Gate], situation: Situation, name: str) -> Foretold:
    gate = next((gate for gate in gates if gate.stops(name)), None)
    if gate is None:
        return _call(situation, name)
    return Foretold(call=name, outcome="raises", error=gate.error, why=gate.why)


def _call(situation: Situation, name: str) -> Foretold:
    if name == "open":
        return Foretold(call=name, outcome="returns")
    era = modern if order(situation.release) >= order(FIRST_MODERN) else vintage
    return era.told(situation, name)


def _less_sure(told: Foretold) -> Foretold:
    """Of a release that is not one of those that were watched, but behaves as its neighbours."""
    return replace(told, confidence="likely") if told.confidence == "certain" else told


def _situation(collection: Collection, release: str) -> Situation:
    disk = read_disk(collection, migrates=order(release) >= order(FIRST_MODERN))
    settings = collection.settings
    flush = settings.sync_threshold, settings.batch_size
    return Situation(
        collection=collection,
        disk=disk,
        load=loading(collection),
        release=release,
        sync_threshold=flush[0],
        batch_size=flush[1],
        dimension=collection.dimension,
        filter=_filter(collection, disk),
        writes=past_a_flush(*flush),
        known=len(disk.records),
    )


def _filter(collection: Collection, disk: Disk) -> Filter | None:
    """None where the METADATA segment will change before it is asked."""
    rows = collection.rows
    waiting = any(row.seq_id > (disk.metadata_mark or 0) for row in disk.rows)
    if isinstance(rows, Absent) or (waiting and set(modern.records_now(disk)) != set(disk.records)):
        return None
    return a_filter(collection, rows)


def _refused(name: str, opening: Opening) -> Foretold:
    if opening.outcome == "panics":
        return Foretold(call=name, outcome="raises", error="PanicException", why=opening.why)
    if opening.outcome == "unknown":
        return Foretold(call=name, outcome="undefined", why=opening.why, confidence="undefined behaviour")
    if name == "open":
        return Foretold(call=name, outcome="returns")
    text = opening.why.split(":", 1)[0]
    return replace(Foretold(call=name, outcome="raises", why=opening.why), error=_pattern(text, opening.why))


def _pattern(text: str, why: str) -> str:
    words = ("_type", "max_seq_id", "collections.topic", "TypeError")
    return next((word for word in words if word in why), text)
