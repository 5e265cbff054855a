"""What the approved actions of a plan do to the records of each collection, and why a record stays without a
vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.checks.id_text import malformed
from forensics.model import Action, Effect
from forensics.repair.holdings import (
    CLAIMED,
    EMBED,
    FLAGGED,
    INDEXED,
    LOST,
    PENDING,
    PROVED,
    SOURCE,
    Holdings,
)
from forensics.repair.proposals import STRUCTURAL
from forensics.repair.rules_index import INDEX
from forensics.repair.site import Site

if TYPE_CHECKING:
    from forensics.store import Collection

EXAMPLES = 5
RECORD_CODES = frozenset({"CF203", "CF204", "CF206", "CF208", "CF209", "CF501", "CF701"})
GAINS: Mapping[str, tuple[str, ...]] = {
    "rebuild-segment": (PROVED, CLAIMED, FLAGGED, SOURCE, EMBED),
    "compact-segment": (PROVED, CLAIMED, FLAGGED, SOURCE, EMBED),
    "drop-phantom-elements": (CLAIMED,),
    "retire-elements": (CLAIMED,),
    "rebuild-id-map": (PROVED,),
    "clear-deleted-flags": (FLAGGED,),
    "add-missing-vectors": (SOURCE, EMBED),
}
"""The states of records that a kind of action makes reachable."""
EMBEDDING_KINDS = frozenset(kind for kind, states in GAINS.items() if EMBED in states)
INDEX_KINDS = STRUCTURAL | {
    "rebuild-segment",
    "compact-segment",
    "put-directory-back",
    "restore-watermark",
    "insert-watermark",
    "mend-segment-rows",
    "quarantine-queue-rows",
}
"""After these the records stand as the site says, not as the damaged store does."""
MAP_KINDS = frozenset({"put-directory-back", "rebuild-id-map", "rebuild-segment", "compact-segment"})
"""After these a lost id map is there again."""
EFFECTIVE_KINDS = INDEX_KINDS | {"set-aside-records", "delete-ids"}
"""All others leave every record as reachable as it was."""
IN_THE_WAY: Mapping[str, str] = {
    PROVED: "its vector is in level 0, but the new id map that would give it back is not approved",
    CLAIMED: "its vector is in level 0, but the action that would give it a label of its own is not approved",
    FLAGGED: "its element is flagged deleted, and nothing is approved that clears the flag",
    SOURCE: "its vector exists elsewhere, but nothing is approved that adds it",
    EMBED: "its document can be embedded again, but nothing is approved that adds it",
}
"""state → why a record that could be had back is not."""
UNPLANNED = "nothing is planned for it"


def effect_of(site: Site, approved: Iterable[Action]) -> Effect:
    """What the approved actions do to the records of one collection."""
    kinds = _kinds(site, approved)
    if not kinds & EFFECTIVE_KINDS or site.holdings is None or site.records is None:
        return untouched(site.found_as)
    holdings, found = site.holdings, site.found_as.records
    removed = _removed(holdings, kinds)
    unknown = not isinstance(found, Absent) and not found.known and not kinds & MAP_KINDS
    after = int((_reached(site, holdings, kinds) & ~removed).sum())
    embedded = int(holdings.mask(EMBED).sum()) if kinds & EMBEDDING_KINDS else 0
    return Effect(
        collection=site.collection.name,
        before=reachable(site.found_as),
        after=None if unknown else after,
        reattached=max(0, after - surely_reachable(site.found_as) - embedded),
        reembedded=embedded,
        lost=len(site.records) - int(removed.sum()) - after,
        set_aside=int(removed.sum()),
    )


def untouched(collection: Collection) -> Effect:
    """The effect of nothing: as many records are lost as surely have no vector now, or none that can be named."""
    before, records = reachable(collection), collection.records
    lost = 0 if isinstance(records, Absent) else len(records) - surely_reachable(collection)
    return Effect(collection=collection.name, before=before, after=before, lost=lost)


def reachable(collection: Collection) -> int | None:
    """Records that are indexed or pending as the collection stands; None where SQLite or the id map cannot be read."""
    records = collection.records
    if isinstance(records, Absent) or not records.known:
        return None
    return surely_reachable(collection)


def surely_reachable(collection: Collection) -> int:
    """As `reachable`; with a lost id map those that the queue brings, without SQLite none."""
    records = collection.records
    return 0 if isinstance(records, Absent) else int(np.count_nonzero(records.indexed | records.pending))


def losses_of(site: Site, approved: Iterable[Action], effect: Effect) -> Iterator[dict[str, object]]:
    """One row per reason: as many records as `effect` says are lost, and those that are set aside for want of a vector."""
    reasons: dict[str, list[str]] = {}
    if effect.lost or effect.set_aside:
        kinds = _kinds(site, approved)
        deleted = _deleted(site.holdings, kinds)
        for name, reason in _unreached(site, kinds):
            if name not in deleted:
                reasons.setdefault(reason, []).append(name)
    for reason, ids in sorted(reasons.items()):
        row = {"collection": effect.collection, "reason": reason, "count": len(ids)}
        yield {**row, "examples": ids[:EXAMPLES]}


def losses_without_site(collection: Collection, effect: Effect) -> Iterator[dict[str, object]]:
    """The same of a collection that nothing is planned for."""
    records = collection.records
    if effect.lost and not isinstance(records, Absent):
        ids = records.ids(records.missing)
        row = {"collection": effect.collection, "reason": UNPLANNED, "count": len(ids)}
        yield {**row, "examples": ids[:EXAMPLES]}


def _unreached(site: Site, kinds: set[str]) -> Iterator[tuple[str, str]]:
    """(id, why) of each record that has no vector once these kinds of actions are done."""
    found = site.found_as.records
    about = bool(site.codes & (INDEX | RECORD_CODES))
    if site.holdings is None or (not about and not kinds & EFFECTIVE_KINDS):
        missing = [] if isinstance(found, Absent) else found.ids(found.missing)
        yield from ((name, UNPLANNED) for name in missing)
        return
    holdings = site.holdings
    if kinds & EFFECTIVE_KINDS or isinstance(found, Absent):
        reached = _reached(site, holdings, kinds)
    else:
        reached = found.indexed | found.pending
    for index in np.flatnonzero(~reached).tolist():
        state = holdings.state[index]
        yield holdings.ids[index], holdings.why[index] if state == LOST else IN_THE_WAY.get(state, UNPLANNED)


def _kinds(site: Site, approved: Iterable[Action]) -> set[str]:
    return {action.kind for action in approved if action.collection in (None, site.collection.name)}


def _reached(site: Site, holdings: Holdings, kinds: set[str]) -> np.ndarray:
    """(n,) bool: indexed or pending once these kinds of actions are done."""
    found = site.found_as.records
    if kinds & INDEX_KINDS or isinstance(found, Absent):
        now = holdings.mask(INDEXED, PENDING)
    else:
        now = found.indexed | found.pending
    gained = {state for kind in kinds for state in GAINS.get(kind, ())}
    return now | holdings.mask(*sorted(gained))


def _removed(holdings: Holdings, kinds: set[str]) -> np.ndarray:
    """(n,) bool: records that these kinds of actions move into the case."""
    gone = holdings.mask(LOST) if "set-aside-records" in kinds else np.zeros(len(holdings.ids), dtype=bool)
    if "delete-ids" in kinds:
        gone[list(malformed(holdings.ids))] = True
    return gone


def _deleted(holdings: Holdings | None, kinds: set[str]) -> set[str]:
    """Records that leave the store because of their ids: they are not also lost."""
    if holdings is None or "delete-ids" not in kinds:
        return set()
    return {holdings.ids[index] for index in malformed(holdings.ids)}
