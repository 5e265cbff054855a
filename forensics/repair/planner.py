"""Findings → an ordered plan with its predicted effect and what it will lose. Pure: nothing is written
anywhere.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.checks.id_text import malformed
from forensics.model import Action, Diagnosis, Effect, Finding, Plan
from forensics.readers.database import DATABASE
from forensics.readers.hnsw import FileFacts, file_facts
from forensics.repair.embedding import Embedder
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
from forensics.repair.options import RepairOptions
from forensics.repair.proposals import GRAPH, STRUCTURAL, Proposal, merged, propose
from forensics.repair.rules_index import INDEX, index_proposals
from forensics.repair.rules_records import record_proposals
from forensics.repair.rules_store import store_proposals
from forensics.repair.site import Site
from forensics.store import PlainTree

if TYPE_CHECKING:
    from forensics.store import Collection, Store

EXAMPLES = 5
UNREADABLE = frozenset({"CF001", "CF002", "CF003", "CF008", "CF101", "CF102", "CF104", "CF111"})
"""With one of these nothing else is planned: the records themselves cannot be read, or not told apart."""
IDLE_AS_NOTES = frozenset({"CF107", "CF108", "CF606", "CF608"})
RECORD_CODES = frozenset({"CF203", "CF204", "CF206", "CF208", "CF209", "CF501", "CF701"})


def make_plan(store: Store, diagnosis: Diagnosis, options: RepairOptions) -> Plan:
    """The cheapest actions that heal what was found, in the order in which they compose.

    Calls the embedder (if one is named) on documents of the store; else it only reads.
    """
    findings = [found for found in diagnosis.findings if _wanted(found.code, options) and not _idle(found)]
    sites = make_sites(store, findings, options)
    blocked = {found.code for found in diagnosis.findings} & UNREADABLE
    proposals = [] if blocked else _composed(_proposals(store, findings, sites, options), options)
    approved = [item for item in proposals if item.action.approved]
    effects = tuple(_effects(store, sites, [item.action for item in approved]))
    promised, remaining = _outlook(diagnosis.findings, proposals, effects)
    plan = Plan(
        store=str(store.path),
        findings=tuple(sorted({found.code for found in diagnosis.findings})),
        actions=tuple(item.action for item in proposals),
        effects=effects,
        promised=promised,
        remaining=remaining,
        losses=tuple(loss for site in sites.values() for loss in _losses(site)),
        options=_located(options).to_json(),
    )
    return replace(plan, remaining=(*plan.remaining, *_space_short(plan, store)))


def _located(options: RepairOptions) -> RepairOptions:
    """The choices with the file of their embedder: `apply` loads it from there, or not at all."""
    embedder = Embedder.of(options)
    return options.having_found(None if embedder is None else embedder.file)


def _space_short(plan: Plan, store: Store) -> tuple[str, ...]:
    """CF009 where the draft of the plan would not fit beside the store; `apply` then refuses before it writes."""
    if not plan.approved or not isinstance(store.tree, PlainTree):
        return ()
    touched = {action.collection for action in plan.approved}
    folders = [c.vector_segment_id for c in store.collections if c.name in touched and c.vector_segment_id]
    needed = sum(_allocated(store.path / name) for name in (DATABASE, *folders))
    return ("CF009",) if needed > shutil.disk_usage(store.path).free else ()


def _allocated(path: Path) -> int:
    """Bytes on the disk of a file, or of the files of a directory."""
    files = list(path.iterdir()) if path.is_dir() and not path.is_symlink() else [path]
    facts = (file_facts(file) for file in files)
    return sum(fact.allocated for fact in facts if isinstance(fact, FileFacts))


def _idle(found: Finding) -> bool:
    """A note about the graph or about rows left behind: every fresh index has such, so nothing is done about it."""
    return found.severity == "note" and found.code in IDLE_AS_NOTES


def _wanted(code: str, options: RepairOptions) -> bool:
    return code not in options.decline and (not options.only or code in options.only)


def make_sites(store: Store, findings: Iterable[Finding], options: RepairOptions) -> dict[str, Site]:
    """collection name → its site, for every collection in which something was found, or that is to be rebuilt.

    Raises UsageError where no collection is called as `options.rebuild` says.
    """
    embedder = Embedder.of(options)
    codes: dict[str, set[str]] = defaultdict(set)
    for found in findings:
        if found.collection is not None:
            codes[found.collection].add(found.code)
    named: dict[str, Collection] = {collection.name: collection for collection in store.collections}
    asked = {store.collection(each).name for each in options.rebuild if each != "*"}
    forced = named if "*" in options.rebuild else asked
    return {
        name: Site(named[name], options, embedder, frozenset(codes[name]))
        for name in sorted({*codes, *forced})
        if name in named
    }


def _proposals(
    store: Store, findings: Iterable[Finding], sites: Mapping[str, Site], options: RepairOptions
) -> Iterable[Proposal]:
    by_code: dict[str, list[Finding]] = defaultdict(list)
    for found in findings:
        by_code[found.code].append(found)
    yield from store_proposals(store, by_code, options)
    for site in sites.values():
        yield from index_proposals(site, site.codes)
        yield from record_proposals(site, site.codes)


def _composed(proposals: Iterable[Proposal], options: RepairOptions) -> list[Proposal]:
    """Joined, without conflicts, in order; whatever changes a graph is followed by a search of every vector
    by itself.
    """
    listed = merged(_without_conflicts(proposals))
    changed: dict[str, set[str]] = defaultdict(set)
    for item in listed:
        if item.action.kind in GRAPH and item.action.approved and item.action.collection is not None:
            changed[item.action.collection].update(item.action.codes)
    title = "Search every vector by itself, and link again what does not find itself"
    checks = [
        propose("relink-elements", name, codes, title, options, heals=()) for name, codes in changed.items()
    ]
    return merged([*listed, *checks])


def _effects(store: Store, sites: Mapping[str, Site], approved: list[Action]) -> Iterable[Effect]:
    """The effect on every collection of the store, touched or not."""
    for collection in store.collections:
        site = sites.get(collection.name)
        yield untouched(collection) if site is None else effect_of(site, approved)


def untouched(collection: Collection) -> Effect:
    """The effect of nothing: as many records are lost as have no vector now."""
    before, records = reachable(collection), collection.records
    lost = 0 if isinstance(records, Absent) or before is None else len(records) - before
    return Effect(collection=collection.name, before=before, after=before, lost=lost)


def _without_conflicts(proposals: Iterable[Proposal]) -> list[Proposal]:
    """Without what a new segment of the same collection makes unnecessary."""
    listed = list(proposals)
    rebuilt = {
        item.action.collection
        for item in listed
        if item.action.kind == "rebuild-segment" and item.action.approved
    }
    return [
        item for item in listed if not (item.action.collection in rebuilt and item.action.kind in STRUCTURAL)
    ]


FOLLOW_THE_EFFECT = frozenset({"CF501", "CF212"})
"""Gone where no record of the collection is left without a vector."""
FOLLOW_THE_REST = frozenset({"CF207"})
"""Gone where everything else about the index of the collection is."""


def _outlook(
    findings: Iterable[Finding], proposals: Iterable[Proposal], effects: Iterable[Effect]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(codes that will be gone from every collection, codes above a note that will still be there)."""
    about = [found for found in findings if not found.code.startswith("CF9")]  # those are of the tool
    whole = {effect.collection for effect in effects if not effect.lost}
    healed = [(found, _is_healed(found, list(proposals), whole)) for found in about]
    errors = [(found, gone) for found, gone in healed if found.severity != "note"]
    unhealed = {f.collection for f, gone in errors if not gone and f.code in INDEX - FOLLOW_THE_REST}
    done = [
        (found, found.collection not in unhealed if found.code in FOLLOW_THE_REST else gone)
        for found, gone in healed
    ]
    left = {found.code for found, gone in done if not gone}
    above = {found.code for found, gone in done if not gone and found.severity != "note"}
    return tuple(sorted({found.code for found, _ in done} - left)), tuple(sorted(above))


def _is_healed(found: Finding, proposals: Iterable[Proposal], whole: set[str]) -> bool:
    """True where approved actions heal it."""
    if found.code in FOLLOW_THE_EFFECT:
        return found.collection in whole
    about = [item for item in proposals if item.action.collection in (None, found.collection)]
    return any(found.code in item.heals and item.action.approved for item in about)


def effect_of(site: Site, approved: Iterable[Action]) -> Effect:
    """What the approved actions do to the records of one collection."""
    kinds = {action.kind for action in approved if action.collection in (None, site.collection.name)}
    before = reachable(site.found_as)
    if not kinds & EFFECTIVE_KINDS or site.holdings is None or site.records is None:
        return untouched(site.found_as)
    holdings, records = site.holdings, site.records
    removed = _removed(site, holdings, kinds)
    after = int((_reached(site, holdings, kinds) & ~removed).sum())
    embedded = int(holdings.mask(EMBED).sum()) if kinds & EMBEDDING_KINDS else 0
    return Effect(
        collection=site.collection.name,
        before=before,
        after=after,
        reattached=max(0, after - (before or 0) - embedded),
        reembedded=embedded,
        lost=len(records) - int(removed.sum()) - after,
        set_aside=int(removed.sum()),
    )


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
    "restore-watermark",
    "insert-watermark",
    "mend-segment-rows",
    "quarantine-queue-rows",
}
"""After these the records stand as the site says, not as the damaged store does."""
EFFECTIVE_KINDS = INDEX_KINDS | {"set-aside-records", "delete-ids"}
"""All others leave every record as reachable as it was."""


def _reached(site: Site, holdings: Holdings, kinds: set[str]) -> np.ndarray:
    """(n,) bool: indexed or pending once these kinds of actions are done."""
    found = site.found_as.records
    if kinds & INDEX_KINDS or isinstance(found, Absent):
        now = holdings.mask(INDEXED, PENDING)
    else:
        now = found.indexed | found.pending
    gained = {state for kind in kinds for state in GAINS.get(kind, ())}
    return now | holdings.mask(*sorted(gained))


def _removed(site: Site, holdings: Holdings, kinds: set[str]) -> np.ndarray:
    """(n,) bool: records that these kinds of actions move into the case."""
    gone = holdings.mask(LOST) if "set-aside-records" in kinds else np.zeros(len(holdings.ids), dtype=bool)
    if "delete-ids" in kinds:
        gone[list(malformed(holdings.ids))] = True
    return gone


def reachable(collection: Collection) -> int | None:
    """Records that are indexed or pending as the collection stands; None where SQLite cannot be read."""
    records = collection.records
    if isinstance(records, Absent):
        return None
    return int(np.count_nonzero(records.indexed | records.pending))


def _losses(site: Site) -> Iterable[dict[str, object]]:
    if site.holdings is None or not site.codes & (INDEX | RECORD_CODES):
        return
    for reason, ids in sorted(site.holdings.losses().items()):
        yield {
            "collection": site.collection.name,
            "reason": reason,
            "count": len(ids),
            "examples": ids[:EXAMPLES],
        }
