"""Which chromadb releases can open a store as it stands, told from its files; each rule was seen with releases at work.

A store moves up by itself: a newer release applies the migrations that are missing. It does not move down, and what a
release before it makes of a newer store depends on the release, not on any damage. Settings that a release refuses are
not considered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from forensics.absent import Absent
from forensics.readers.database import Database
from forensics.readers.id_map import IdMap
from forensics.readers.migrations import BY_KEY, keys_of, order, set_of
from forensics.store import Collection, Store
from forensics.words import counted

RELEASES = (
    *("0.4.24", "0.5.0", "0.5.5", "0.5.7", "0.5.12", "0.5.13", "0.5.23", "0.6.3"),
    *("1.0.0", "1.0.20", "1.1.1", "1.2.1", "1.2.2", "1.3.7", "1.4.1", "1.5.0", "1.5.9"),
)
"""Those that were tried; one of each behaviour, and its neighbours."""
PANICKING = ("1.0.0", "1.2.1")
"""First and last release that panics on a migration that it does not know (chroma-core/chroma#5909, mended in 1.2.2)."""
TOPIC_REMOVED = ("sysdb", 5)
MADE_INTEGER = ("metadb", 5)
Outcome = Literal["opens", "migrates", "fails", "panics", "unknown"]


@dataclass(frozen=True, slots=True)
class Opening:
    """What one release makes of the store. fails: calls on a collection raise; panics: the client cannot be made."""

    release: str
    outcome: Outcome
    why: str

    @property
    def usable(self) -> bool:
        """True where reading and writing work."""
        return self.outcome in ("opens", "migrates")

    def to_json(self) -> dict[str, Any]:
        return {"release": self.release, "outcome": self.outcome, "why": self.why}


def openings(store: Store, releases: Sequence[str] = RELEASES) -> tuple[Opening, ...]:
    """One answer per release. Damage is not considered here: see the diagnosis for that."""
    database = store.database
    if not isinstance(database, Database) or isinstance(database.migrations, Absent):
        return tuple(Opening(release, "unknown", "the migrations cannot be read") for release in releases)
    here = frozenset(keys_of(database.migrations))
    return tuple(_opening(store, here, release) for release in releases)


def _opening(store: Store, here: frozenset[tuple[str, int]], release: str) -> Opening:
    known = set_of(release)
    refused = _refused(store, here, known, release)
    if refused is not None:
        return refused
    missing = sorted(known - here)
    if missing:
        firsts = max((BY_KEY[key].first for key in missing), key=order)
        return Opening(
            release, "migrates", f"it applies {counted(len(missing), 'migrations')}, up to that of {firsts}"
        )
    return Opening(release, "opens", "")


def _refused(
    store: Store, here: frozenset[tuple[str, int]], known: frozenset[tuple[str, int]], release: str
) -> Opening | None:
    """Why this release cannot use the store, the reason that it meets first."""
    number = order(release)
    newer = sorted(here - known)
    if newer and order(PANICKING[0]) <= number <= order(PANICKING[1]):
        rows = ", ".join(f"{folder} {version}" for folder, version in newer)
        return Opening(
            release, "panics", f"it cannot skip migrations that it does not know ({rows}): PanicException"
        )
    if TOPIC_REMOVED in newer:
        return Opening(release, "fails", "no such column: collections.topic")
    if MADE_INTEGER in newer:
        return _after_1(store, known, release)
    if ("embeddings_queue", 2) not in known and any(map(_without_mark, store.collections)):
        return Opening(
            release, "fails", "'PersistentData' object has no attribute 'max_seq_id': the id map is newer"
        )
    return None


def _after_1(store: Store, known: frozenset[tuple[str, int]], release: str) -> Opening | None:
    """A store of 1.x under 0.5 or 0.6."""
    if ("sysdb", 7) not in known:  # before configurations were stored
        return Opening(release, "fails", "max_seq_id holds integers, and it expects bytes: TypeError")
    if any(map(_is_untyped, store.collections)):
        return Opening(
            release, "fails", "KeyError: '_type': the configuration of a collection is that of 1.x (CF805)"
        )
    if any(map(_with_dict, store.collections)):
        return Opening(
            release, "fails", "'dict' object has no attribute 'dimensionality': the id map is that of 1.x"
        )
    return None


def _is_untyped(collection: Collection) -> bool:
    """The configuration does not name its class at the top, as 0.5.4 to 0.6.3 want it; nothing at all means the defaults."""
    try:
        told = json.loads(collection.row.config_json_str or "null")
    except ValueError:
        return True
    return told is not None and not (isinstance(told, dict) and "_type" in told)


def _with_dict(collection: Collection) -> bool:
    """Its id map was written by 1.x, which a collection made by 0.5 gets at its first flush there."""
    segment = collection.vector
    return (
        not isinstance(segment, Absent)
        and isinstance(segment.id_map, IdMap)
        and segment.id_map.form == "dict"
    )


def _without_mark(collection: Collection) -> bool:
    """Its id map is one of 0.5.6 and later, which keeps no watermark."""
    segment = collection.vector
    return (
        not isinstance(segment, Absent)
        and isinstance(segment.id_map, IdMap)
        and segment.id_map.max_seq_id is None
    )
