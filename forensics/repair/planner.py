"""Findings → an ordered plan with its predicted effect and what it will lose. Pure: nothing is written
anywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.model import Action, Diagnosis, Effect, Finding, Plan
from forensics.repair.embedding import Embedder
from forensics.repair.holdings import EMBED, FLAGGED, LOST, PENDING, PROVED, SOURCE
from forensics.repair.options import RepairOptions
from forensics.repair.proposals import GRAPH, STRUCTURAL, Proposal, merged, propose
from forensics.repair.rules_index import INDEX, index_proposals
from forensics.repair.rules_records import record_proposals
from forensics.repair.rules_store import store_proposals
from forensics.repair.site import Site

if TYPE_CHECKING:
    from forensics.store import Collection, Store

EXAMPLES = 5
UNREADABLE = frozenset({"CF001", "CF002", "CF003", "CF008", "CF101", "CF102", "CF104", "CF111"})
"""With one of these nothing else is planned: the records themselves cannot be read, or not told apart."""
RECORD_CODES = frozenset({"CF203", "CF204", "CF206", "CF208", "CF209", "CF501", "CF701"})


def make_plan(store: Store, diagnosis: Diagnosis, options: RepairOptions) -> Plan:
    """The cheapest actions that heal what was found, in the order in which they compose.

    Calls the embedder (if one is named) on documents of the store; else it only reads.
    """
    findings = [found for found in diagnosis.findings if _wanted(found.code, options)]
    sites = make_sites(store, findings, options)
    blocked = {found.code for found in diagnosis.findings} & UNREADABLE
    proposals = [] if blocked else _composed(_proposals(store, findings, sites, options), options)
    approved = [item for item in proposals if item.action.approved]
    promised, remaining = _outlook(diagnosis.findings, proposals)
    return Plan(
        store=str(store.path),
        findings=tuple(sorted({found.code for found in diagnosis.findings})),
        actions=tuple(item.action for item in proposals),
        effects=tuple(_effects(store, sites, [item.action for item in approved])),
        promised=promised,
        remaining=remaining,
        losses=tuple(loss for site in sites.values() for loss in _losses(site)),
        options=options.to_json(),
    )


def _wanted(code: str, options: RepairOptions) -> bool:
    return code not in options.decline and (not options.only or code in options.only)


def make_sites(store: Store, findings: Iterable[Finding], options: RepairOptions) -> dict[str, Site]:
    """collection name → its site, for every collection in which something was found."""
    embedder = Embedder.load(options.embedder) if options.embedder else None
    codes: dict[str, set[str]] = defaultdict(set)
    for found in findings:
        if found.collection is not None:
            codes[found.collection].add(found.code)
    named: dict[str, Collection] = {collection.name: collection for collection in store.collections}
    forced = named if "*" in options.rebuild else set(options.rebuild) & set(named)
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
        if site is not None:
            yield effect_of(site, approved)
        else:
            before, records = reachable(collection), collection.records
            lost = 0 if isinstance(records, Absent) or before is None else len(records) - before
            yield Effect(collection=collection.name, before=before, after=before, lost=lost)


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


def _outlook(
    findings: Iterable[Finding], proposals: Iterable[Proposal]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(codes that will be gone from every collection, codes above a note that will still be there)."""
    listed = list(proposals)
    gone: dict[str, bool] = {}
    above: set[str] = set()
    for found in findings:
        if found.code.startswith("CF9"):
            continue  # of the tool, not of the store
        gone[found.code] = gone.get(found.code, True) and _is_healed(found, listed)
        if found.severity != "note":
            above.add(found.code)
    promised = tuple(sorted(code for code, healed in gone.items() if healed))
    return promised, tuple(sorted(above.difference(promised)))


def _is_healed(found: Finding, proposals: Iterable[Proposal]) -> bool:
    """True where approved actions heal it, and none that it needs as well is left out."""
    about = [item for item in proposals if item.action.collection in (None, found.collection)]
    return any(found.code in item.heals and item.action.approved for item in about)


def effect_of(site: Site, approved: Iterable[Action]) -> Effect:
    """What the approved actions do to the records of one collection."""
    kinds = {action.kind for action in approved if action.collection == site.collection.name}
    before = reachable(site.collection)
    holdings = site.holdings
    if holdings is None or not kinds:
        records = site.collection.records
        lost = 0 if isinstance(records, Absent) or before is None else len(records) - before
        return Effect(collection=site.collection.name, before=before, after=before, lost=lost)
    counts = holdings.counts()
    embedded = counts.get(EMBED, 0) if kinds & {"add-missing-vectors", "rebuild-segment"} else 0
    after = _after(site, kinds)
    lost = counts.get(LOST, 0)
    aside = lost if "set-aside-records" in kinds else 0
    return Effect(
        collection=site.collection.name,
        before=before,
        after=after,
        reattached=max(0, after - (before or 0) - embedded),
        reembedded=embedded,
        lost=lost - aside,
        set_aside=aside,
    )


GAINS: Mapping[str, tuple[str, ...]] = {
    "rebuild-segment": (PROVED, FLAGGED, SOURCE, EMBED),
    "rebuild-id-map": (PROVED,),
    "clear-deleted-flags": (FLAGGED,),
    "add-missing-vectors": (SOURCE, EMBED),
}


def _after(site: Site, kinds: set[str]) -> int:
    """indexed + pending once these kinds of actions are done."""
    holdings, records = site.holdings, site.records
    assert holdings is not None
    assert records is not None
    counts = holdings.counts()
    gained = sum(counts.get(state, 0) for state in {s for kind in kinds for s in GAINS.get(kind, ())})
    reached = reachable(site.collection) or 0
    now = int((holdings.mask("indexed") | holdings.mask(PENDING)).sum())
    return (now if kinds & INDEX_KINDS else reached) + gained


INDEX_KINDS = STRUCTURAL | {"rebuild-segment", "restore-watermark", "insert-watermark"}
"""After these the records stand as the site says, not as the damaged store does."""


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
