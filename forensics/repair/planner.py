"""Findings → an ordered plan with its predicted effect and what it will lose. Pure: nothing is written
anywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from forensics.errors import Refused
from forensics.model import Action, Diagnosis, Effect, Finding, Plan
from forensics.repair.alternatives import alternatives
from forensics.repair.effects import effect_of, losses_of, losses_without_site, untouched
from forensics.repair.embedding import Embedder
from forensics.repair.embedding_bill import bill
from forensics.repair.foreign import VOUCH
from forensics.repair.needs import room_of
from forensics.repair.options import RepairOptions
from forensics.repair.proposals import GRAPH, STRUCTURAL, Proposal, merged, propose
from forensics.repair.prospect import MISPLACED, home_of
from forensics.repair.recovery.ground import kind_for, plan_on_new_database
from forensics.repair.rules_index import INDEX, index_proposals
from forensics.repair.rules_records import record_proposals
from forensics.repair.rules_store import store_proposals
from forensics.repair.site import Site
from forensics.repair.target_release import target_proposals
from forensics.store import PlainTree

if TYPE_CHECKING:
    from forensics.store import Collection, Store

UNREADABLE = frozenset({"CF001", "CF002", "CF003", "CF008", "CF101", "CF102", "CF104", "CF111"})
"""With one of these nothing is planned for the store as it is: its records cannot be read, or not told apart."""
IDLE_AS_NOTES = frozenset({"CF107", "CF108", "CF606", "CF608"})


def make_plan(store: Store, diagnosis: Diagnosis, options: RepairOptions) -> Plan:
    """The cheapest actions that heal what was found, in the order in which they compose.

    Calls the embedder (if one is named) on documents of the store; else it only reads. Where the database must be made
    anew first, the rest is planned for what comes out.
    """
    kind = kind_for(diagnosis, options)
    if kind is None:
        return _planned(store, diagnosis, options)
    try:
        return plan_on_new_database(kind, store, diagnosis, options, make_plan)
    except Refused:
        return _planned(store, diagnosis, options)


def _planned(store: Store, diagnosis: Diagnosis, options: RepairOptions) -> Plan:
    """The plan for a store whose records can be read; without an action for another."""
    findings = [found for found in diagnosis.findings if _wanted(found.code, options) and not _idle(found)]
    sites = make_sites(store, findings, options)
    blocked = {found.code for found in diagnosis.findings} & UNREADABLE
    proposals = [] if blocked else _composed(_proposals(store, findings, sites, options), options)
    approved = [item for item in proposals if item.action.approved]
    effects = tuple(_effects(store, sites, [item.action for item in approved]))
    promised, remaining = _outlook(diagnosis.findings, proposals, effects)
    remaining = tuple(sorted({*remaining, *in_doubt(item.action for item in proposals)}))
    left = {found.code for found in diagnosis.findings if not _wanted(found.code, options)}
    plan = Plan(
        store=str(store.path),
        findings=tuple(sorted({found.code for found in diagnosis.findings})),
        actions=tuple(item.foretold for item in proposals),
        effects=effects,
        promised=promised,
        remaining=remaining,
        losses=tuple(_losses(store, sites, [item.action for item in approved], effects)),
        alternatives=tuple(alternatives(store, diagnosis, [item.action for item in proposals], sites, left)),
        embedding=bill(sites.values(), [item.action for item in approved], options),
        options=_located(options).to_json(),
    )
    room = room_of(store, plan.approved, effects, sites)
    return replace(plan, remaining=(*plan.remaining, *_space_short(room, store)), room=room)


def in_doubt(actions: Iterable[Action]) -> tuple[str, ...]:
    """CF505 where nobody tells whose the vectors are that stand under labels given twice."""
    return ("CF505",) if any(action.kind == VOUCH for action in actions) else ()


def _located(options: RepairOptions) -> RepairOptions:
    """The choices with the file of their embedder: `apply` loads it from there, or not at all."""
    embedder = Embedder.of(options)
    return options.having_found(None if embedder is None else embedder.file)


def _space_short(room: Mapping[str, Any], store: Store) -> tuple[str, ...]:
    """CF009 where the draft of the plan would not fit beside the store; `apply` then refuses before it writes."""
    short = room["needs"]["disk"] > room["free"]["disk"]
    return ("CF009",) if short and isinstance(store.tree, PlainTree) else ()


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
        name: Site(
            named[name], options, embedder, frozenset(codes[name]), home=home_of(named[name], codes[name])
        )
        for name in sorted({*codes, *forced})
        if name in named
    }


def _proposals(
    store: Store, findings: Iterable[Finding], sites: Mapping[str, Site], options: RepairOptions
) -> Iterable[Proposal]:
    by_code: dict[str, list[Finding]] = defaultdict(list)
    moved = {name for name, site in sites.items() if site.home is not None}
    for found in findings:
        if found.collection not in moved or found.code not in MISPLACED:
            by_code[found.code].append(found)
    yield from store_proposals(store, by_code, options)
    yield from target_proposals(store, options)
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


def _losses(
    store: Store, sites: Mapping[str, Site], approved: list[Action], effects: Iterable[Effect]
) -> Iterable[dict[str, object]]:
    """Why each record that the effects count as lost is so."""
    for collection, effect in zip(store.collections, effects, strict=True):
        site = sites.get(collection.name)
        if site is None:
            yield from losses_without_site(collection, effect)
        else:
            yield from losses_of(site, approved, effect)


def _without_conflicts(proposals: Iterable[Proposal]) -> list[Proposal]:
    """Without what a new segment of the same collection makes unnecessary."""
    listed = list(proposals)
    rebuilt = {
        item.action.collection
        for item in listed
        if item.action.kind == "rebuild-segment" and item.action.approved
    }
    unneeded = STRUCTURAL | {"compact-segment"}
    return [
        item for item in listed if not (item.action.collection in rebuilt and item.action.kind in unneeded)
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
        return found.collection in whole and not found.lists.get("older")  # what may be older stays so
    about = [item for item in proposals if item.action.collection in (None, found.collection)]
    return any(found.code in item.heals and item.action.approved for item in about)
