"""How far a repair in place has come, as its case knows it, and the store closed meanwhile."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from forensics.case import Case
from forensics.durable import sync_directory, write_whole
from forensics.errors import StoreInUse
from forensics.repair import placing
from forensics.repair.exchange import trade
from forensics.repair.placing import NOTICE
from forensics.repair.swap import refuse_late_comers
from forensics.seal import DATABASE

FACTS = "in-place.json"


@dataclass(frozen=True, slots=True)
class Place:
    """What the case knows of a repair in place. state: recorded, writing, repaired, restoring or original."""

    case: Case
    undo_file: Path
    new: Path
    closed: Path
    state: str
    store_mtime_ns: int

    @classmethod
    def of(cls, case: Case) -> Place:
        facts = case.read_json(FACTS)
        undo_file, new, closed = (Path(facts[name]) for name in ("undo_file", "new", "closed"))
        return cls(case, undo_file, new, closed, facts["state"], facts["store_mtime_ns"])

    def now(self, state: str) -> Place:
        """The same in that state; the case says so, on the disk."""
        paths = {name: str(getattr(self, name)) for name in ("undo_file", "new", "closed")}
        self.case.write_json(FACTS, {**paths, "state": state, "store_mtime_ns": self.store_mtime_ns})
        self.case.log("in place", state=state, undo_file=str(self.undo_file))
        return Place(self.case, self.undo_file, self.new, self.closed, state, self.store_mtime_ns)

    @property
    def store(self) -> Path:
        return self.case.store


def is_in_place(case: Case) -> bool:
    """True where the store of the case is repaired in place, or that was begun or taken back."""
    return case.has(FACTS)


def is_halfway_in_place(case: Case) -> bool:
    """True where it was begun and neither finished nor taken back."""
    return is_in_place(case) and Place.of(case).state in ("recorded", "writing", "restoring")


def is_closed(store: Path) -> bool:
    return (store / DATABASE).is_dir()


def close_store(place: Place) -> None:
    """No Chroma can open the store: a directory stands in the place of its database. Raises StoreInUse for who did."""
    if is_closed(place.store):
        return
    notice = place.closed / DATABASE
    if not notice.is_dir():
        notice.mkdir(parents=True, mode=0o700)
        write_whole(notice / NOTICE, os.fsencode(placing.notice(place.case, place.closed.parent)))
        sync_directory(place.closed.parent.parent)
    trade(place.store / DATABASE, notice)
    try:
        refuse_late_comers(place.closed)
    except StoreInUse:
        trade(place.store / DATABASE, notice)
        raise


def open_store_again(place: Place) -> None:
    """The database stands where it stood, and nothing is left beside the store."""
    if is_closed(place.store):
        trade(place.store / DATABASE, place.closed / DATABASE)
    if place.closed.parent.is_dir():
        placing.remove_folder(place.store, place.closed.parent)
    placing.set_mtime(place.store, place.store_mtime_ns)
