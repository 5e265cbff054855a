"""For each finding the ways to deal with it, cheapest first: what each would cost and lose, which one the plan takes,
and why not the others. Pure; a plan shows it, nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from forensics.absent import Absent
from forensics.model import Action, Diagnosis, Finding, Json
from forensics.readers.database import DATABASE
from forensics.readers.hnsw import FileFacts, file_facts
from forensics.readers.layout import LEVEL0_FILE, LINKS_FILE
from forensics.repair.holdings import CLAIMED, EMBED, FLAGGED, INDEXED, LOST, PENDING, PROVED, SOURCE
from forensics.repair.other_ways import LEFT_ALONE, OTHER_WAYS, OtherWay
from forensics.repair.proposals import GRAPH, STRUCTURAL
from forensics.repair.rates import seconds_for
from forensics.repair.rules_index import INDEX
from forensics.repair.rules_names import MAP_LOST, OF_ADDING
from forensics.repair.site import Site
from forensics.store import Store
from forensics.words import counted

HELD = (INDEXED, FLAGGED, PROVED, CLAIMED, SOURCE, PENDING, EMBED)
OF_VECTORS = OF_ADDING | MAP_LOST | {"CF301", "CF302", "CF205"}
NEW_INDEX = frozenset({"rebuild-segment", "compact-segment"})
OF_SEGMENT = STRUCTURAL | GRAPH | NEW_INDEX
"""Kinds whose draft holds files of the segment; those of the others hold the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to deal with a finding. `cost`: inserts, links, documents, bytes of the draft, seconds; only what is not 0."""

    kind: str
    title: str
    chosen: bool
    why: str
    loses: int = 0
    cost: Mapping[str, Json] = field(default_factory=dict)
    actions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        plain = {name: getattr(self, name) for name in ("kind", "title", "chosen", "why", "loses")}
        return {**plain, "cost": dict(self.cost), "actions": list(self.actions)}


def alternatives(
    store: Store, diagnosis: Diagnosis, actions: Sequence[Action], sites: Mapping[str, Site], left: set[str]
) -> Iterator[dict[str, Json]]:
    """A row for each finding above a note and each that an action is about; `left`: codes that the user left alone."""
    database = _size(store, DATABASE)
    held: dict[str, dict[str, int]] = {}
    for found in diagnosis.findings:
        about = [each for each in actions if found.code in each.codes and _same(each, found)]
        if found.code.startswith("CF9") or (found.severity == "note" and not about):
            continue
        site = sites.get(found.collection or "")
        of_site = _counts(found, site, held)
        ways = _ways(found, about, Scales(found, site, of_site, database), left)
        yield {
            "code": found.code,
            "collection": found.collection,
            "ways": [way.to_json() for way in sorted(ways, key=_dearness)],
        }


def _counts(found: Finding, site: Site | None, known: dict[str, dict[str, int]]) -> dict[str, int]:
    """Records of the collection by their state, counted once; nothing where the finding is not about its index."""
    if site is None or found.code not in INDEX or site.holdings is None:
        return {}
    name = site.collection.name
    if name not in known:
        known[name] = site.holdings.counts()
    return known[name]


def _same(action: Action, found: Finding) -> bool:
    return action.collection is None or action.collection == found.collection


def _dearness(way: Way) -> tuple[float, int, str]:
    cost = way.cost
    work = cost.get("inserts", 0) + cost.get("links", 0) + 10 * cost.get("documents", 0)
    return work, cost.get("bytes", 0), way.kind


@dataclass(frozen=True, slots=True)
class Scales:
    """What a way costs for one finding. `counts`: records by their state; `database`: bytes of chroma.sqlite3."""

    found: Finding
    site: Site | None
    counts: Mapping[str, int]
    database: int

    def count(self, *states: str) -> int:
        """Records of the collection in these states; 0 where nobody looked."""
        return sum(self.counts.get(state, 0) for state in states)

    def of(self, kinds: Iterable[str]) -> dict[str, Json]:
        """The cost of doing these kinds of actions together."""
        named = set(kinds)
        inserts = self.count(*HELD) if named & NEW_INDEX else 0
        if "add-missing-vectors" in named:
            inserts = inserts or self.count(SOURCE, EMBED)
        embeds = named & {"add-missing-vectors", *NEW_INDEX}
        links = self._elements() if named & {"relink-elements", "drop-bad-neighbours"} and not inserts else 0
        return self.cost(inserts, links, self.count(EMBED) if embeds else 0, self._bytes(named, inserts))

    def cost(self, inserts: int, links: int, documents: int, size: int) -> dict[str, Json]:
        """Only what is not 0, with the seconds that it takes without embedding."""
        dim, ef = self._shape()
        seconds = seconds_for(inserts + links, dim, ef, size)
        parts = {
            "inserts": inserts,
            "links": links,
            "documents": documents,
            "bytes": size,
            "seconds": seconds,
        }
        return {name: value for name, value in parts.items() if value}

    def mending(self) -> dict[str, Json]:
        """The cost of linking what was found again where it lies."""
        return self.cost(0, self._elements(), 0, self._segment())

    def embeddable(self) -> tuple[int, str]:
        """Records that are lost but for their document, and why it is not embedded."""
        holdings = self.site.holdings if self.count(LOST) and self.site is not None else None
        if holdings is None or holdings.sources is None:
            return 0, ""
        open_ = ~holdings.sources.found & holdings.sources.has_document
        names = {holdings.sources.ids[i] for i in np.flatnonzero(open_).tolist()}
        lost = [i for i in np.flatnonzero(holdings.mask(LOST)).tolist() if holdings.ids[i] in names]
        return len(lost), str(holdings.why[lost[0]]) if lost else ""

    def _elements(self) -> int:
        return self.found.count if self.found.unit.startswith("element") else 0

    def whole(self) -> int:
        """Bytes of a new index of everything that there is."""
        return self._each() * self.count(*HELD)

    def _shape(self) -> tuple[int, int]:
        if self.site is None:
            return 0, 0
        return self.site.dim or 0, self.site.collection.settings.ef_construction

    def _each(self) -> int:
        header = None if self.site is None else self.site.header
        if header is not None:
            return header.size_data_per_element
        return 4 * self._shape()[0] + 8 * (16 if self.site is None else self.site.collection.settings.M) + 12

    def _bytes(self, kinds: set[str], inserts: int) -> int:
        size = self.database if kinds - OF_SEGMENT else 0
        if kinds & NEW_INDEX:
            return size + self.whole()
        return size + (self._segment() + inserts * self._each() if kinds & OF_SEGMENT else 0)

    def _segment(self) -> int:
        """Apparent bytes of the segment's files; of link_lists.bin, which can be any size, no more than of level 0."""
        segment = None if self.site is None else self.site.segment
        if segment is None:
            return 0
        sizes = {n: fact.size for n, fact in segment.facts.items() if isinstance(fact, FileFacts)}
        sizes[LINKS_FILE] = min(sizes.get(LINKS_FILE, 0), sizes.get(LEVEL0_FILE, 0))
        return sum(sizes.values())


def _size(store: Store, name: str) -> int:
    facts = file_facts(store.tree.resolve(name))
    return 0 if isinstance(facts, Absent) else facts.size


def _ways(found: Finding, about: Sequence[Action], scales: Scales, left: set[str]) -> Iterator[Way]:
    done = [action for action in about if action.approved]
    if done:
        yield _taken(done, scales)
    yield from (_waiting(action, scales) for action in about if not action.approved)
    yield _left_alone(found, about, taken=bool(done), asked=found.code in left)
    named = {action.kind for action in about}
    yield from _rebuilt(found, done, named, scales)
    yield from (_other(way, scales) for way in OTHER_WAYS.get(found.code, ()) if way.kind not in named)
    if found.code in OF_VECTORS:
        yield from _embedded(scales)


def _taken(done: Sequence[Action], scales: Scales) -> Way:
    """The actions that the plan does for the finding, as one way."""
    first = max(done, key=lambda action: (action.kind in NEW_INDEX, action.kind == "add-missing-vectors"))
    kinds = tuple(action.kind for action in done)
    why = first.why or "it heals this and changes nothing else"
    loses = max(action.loses for action in done)
    return Way(
        kind=first.kind,
        title=first.title,
        chosen=True,
        why=why,
        loses=loses,
        cost=scales.of(kinds),
        actions=kinds,
    )


_WAITS = {
    "accept-loss": "it discards something, so it waits for --accept-loss",
    "also-fix": "it heals nothing, so it waits for --also-fix",
    "choice": "it waits for your choice",
    "manual": "no tool can do it; it is explained",
}


def _waiting(action: Action, scales: Scales) -> Way:
    why = "; ".join(part for part in (_WAITS.get(action.approval, "it waits"), action.why) if part)
    kind, cost = action.kind, {} if action.approval == "manual" else scales.of([action.kind])
    return Way(
        kind=kind, title=action.title, chosen=False, why=why, loses=action.loses, cost=cost, actions=(kind,)
    )


def _left_alone(found: Finding, about: Sequence[Action], *, taken: bool, asked: bool) -> Way:
    """Doing nothing: what it means, and why it is what happens where nothing else does."""
    if taken:
        return Way(kind="leave", title="Leave it as it is", chosen=False, why=found.means)
    if asked:
        why = "you asked to leave it"
    elif about:
        why = "nothing is done about it without a decision"
    else:
        refused = found.found.get("refused") if isinstance(found.found, dict) else None
        why = refused or LEFT_ALONE.get(found.code, f"only a person can decide it: {found.remedy.action}")
    return Way(kind="leave", title="Leave it as it is", chosen=True, why=why)


def _rebuilt(found: Finding, done: Sequence[Action], named: set[str], scales: Scales) -> Iterator[Way]:
    """A new index, where the plan does with less; less, where the plan builds a new index."""
    held = scales.count(*HELD)
    new = [action for action in done if action.kind in NEW_INDEX]
    if new:
        title, cost = "Mend the index that is there", scales.mending()
        yield Way(kind="mend", title=title, chosen=False, why=new[0].why, cost=cost)
    elif held and not named & NEW_INDEX:
        yield Way(
            kind="rebuild-segment",
            title=f"Build the whole index again from {counted(held, 'vector')}",
            chosen=False,
            why="it heals no more than the smaller repair, and makes every element anew"
            if done
            else "it brings nothing back that is not in the index now",
            loses=scales.count(LOST),
            cost=scales.of(["rebuild-segment"]),
        )


def _other(way: OtherWay, scales: Scales) -> Way:
    size = {"database": scales.database, "index": scales.whole(), "segment": 0, "": 0}[way.writes]
    cost = scales.cost(0, 0, 0, size)
    return Way(kind=way.kind, title=way.title, chosen=False, why=way.why, cost=cost)


def _embedded(scales: Scales) -> Iterator[Way]:
    """Embedding documents again: of what still exists somewhere, and of what exists nowhere."""
    there, (lost, reason) = scales.count(SOURCE), scales.embeddable()
    cost = scales.of(["add-missing-vectors"])
    if there:
        why = "their own vectors still exist: nothing has to be computed, paid for or believed"
        yield _embedding(there, why, {**cost, "documents": scales.count(SOURCE, EMBED)})
    if lost:
        yield _embedding(lost, reason, {**cost, "inserts": lost, "documents": lost})


def _embedding(count: int, why: str, cost: Mapping[str, Json]) -> Way:
    title = f"Embed {'its document' if count == 1 else 'their documents'} again: {counted(count, 'record')}"
    return Way(kind="embed-documents", title=title, chosen=False, why=why, cost=cost)
