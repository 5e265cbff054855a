"""What to do about ids, labels and vectors of one collection's index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.doubt import first_overwritten_label
from forensics.repair.adding import MAPPED, adding
from forensics.repair.foreign import UNMAP, VOUCH, vouches
from forensics.repair.holdings import EMBED, LOST, PROVED, SOURCE
from forensics.repair.proposals import Proposal, propose
from forensics.repair.site import Site
from forensics.repair.wording import from_where, how_many, is_unverified
from forensics.repair.zeroed import replaceable, zeroed
from forensics.words import counted

MAP_LOST = frozenset({"CF401", "CF402", "CF403", "CF404", "CF405"})
OF_ADDING = frozenset({"CF212", "CF304", "CF408", "CF501", "CF505", "CF704"})
"""What can be the reason for adding vectors; also a queue row that had to be taken out."""
_ONLY = "only what is missing is added; the index is not built again"


def name_proposals(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """Ids and labels."""
    name, options, proof = site.collection.name, site.options, site.proof
    proved = 0 if proof is None else int(proof.proved.sum())
    if "CF505" in codes:
        yield _unmapping(site)
    if codes & MAP_LOST:
        yield from _lost_map(site, codes & MAP_LOST, proved)
    elif proved and codes & {"CF409", "CF501", "CF505"}:
        title = f"Give {proved} vectors that only lack their id back to their records"
        heals = codes & {"CF409"}
        yield propose(
            "rebuild-id-map",
            name,
            codes & {"CF409", "CF501", "CF505"},
            title,
            options,
            heals=heals,
            why=_proofs(site),
            parameters={"proved": proved},
        )
    of_map = codes & {"CF304", "CF310", "CF406", "CF407", "CF408"} | (
        codes & {"CF207"} if site.buried else set()
    )
    if of_map:
        title = "Make the two halves of the id map each other's inverse, and its counter right"
        dropped = f"; {counted(len(site.buried), 'id')} whose pending delete is in level 0 already leave it"
        why = "a pending delete of an element that is deleted blocks every write" if site.buried else ""
        yield propose("mend-id-map", name, of_map, title + (dropped if site.buried else ""), options, why=why)
    if "CF411" in codes:
        yield propose(
            "clear-deleted-flags",
            name,
            {"CF411"},
            "Clear the deleted flag of elements whose records live",
            options,
        )
    if site.misnamed:
        yield _named_as_read(site, codes)
    if "CF503" in codes and site.records is not None and (site.ghosts or not site.misnamed):
        ghosts = len(site.ghosts)
        title = f"Move {counted(ghosts, 'id')} without a record out of index and queue into the case, with their vectors"
        yield propose(
            "quarantine-ghosts", name, {"CF503"}, title, options, parameters={"quarantined": ghosts}
        )
    yield from _retired(site, codes, proved)


def _named_as_read(site: Site, codes: frozenset[str]) -> Proposal:
    count = len(site.misnamed)
    return propose(
        "mend-id-map",
        site.collection.name,
        codes & {"CF501", "CF503"},
        f"Call {counted(count, 'id')} of the id map what SQLite calls its record",
        site.options,
        heals=() if site.ghosts else {"CF503"},
        why="blanks, control or zero-width characters alone tell them apart, and each fits one record without a vector",
        parameters={"renamed": count},
    )


def _unmapping(site: Site) -> Proposal:
    """Ids under which the vector of another record stands, by the embedder's word."""
    count = len(site.foreign_ids)
    return propose(
        UNMAP,
        site.collection.name,
        {"CF505"},
        f"Take {counted(count, 'id')} off vectors of other records; each gets its own, at worst by embedding its document",
        site.options,
        why=f"the embedder reproduced {site.foreign.figures}, not these",
        parameters={"unmapped": count},
    )


def doubts(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """Where two writers gave the same labels and no embedder tells whose the vectors are: how many are in doubt."""
    first, records = first_overwritten_label(site.found_as), site.found_as.records
    if first is None or isinstance(records, Absent) or vouches(site):
        return
    count = int((records.indexed & (records.labels >= first)).sum())
    if count:
        yield propose(
            VOUCH,
            site.collection.name,
            codes & {"CF406", "CF408", "CF409", "CF410"},
            f"The vectors of {count} records cannot be shown to be theirs: labels from {first} on were given twice",
            site.options,
            heals=(),
            safety="manual",
            approval="manual",
            why="a record can have the vector of another; plan again with an embedder that makes these vectors",
            parameters={"records": count, "first_label": first},
        )


def _retired(site: Site, codes: frozenset[str], proved: int) -> Iterator[Proposal]:
    """Elements that no record claims. Where records are lost they may be theirs, and an embedder could prove it;
    those under another's label that are proved to be records do not wait for that.
    """
    claimed = 0 if site.claims is None else len(np.intersect1d(site.duplicates, site.claims.element))
    count = len(_unproved(site)) + len(site.duplicates) - claimed
    wanted = codes & {"CF409", "CF410", "CF505"} or (codes & MAP_LOST and proved)
    if not wanted:
        return
    if claimed:
        yield _renamed(site, codes, claimed, last=not count)
    if count:
        yield _unclaimed(site, codes, count)


def _renamed(site: Site, codes: frozenset[str], claimed: int, *, last: bool) -> Proposal:
    return propose(
        "retire-elements",
        site.collection.name,
        codes & {"CF409", "CF410"} | codes & MAP_LOST,
        f"Give {claimed} elements under another's label one of their own: they are proved to be records",
        site.options,
        heals=codes & {"CF410"} if last else (),
        parameters={"claimed": claimed},
    )


def _unclaimed(site: Site, codes: frozenset[str], count: int) -> Proposal:
    lost = site.holdings is not None and bool(site.holdings.mask(LOST).any()) and not site.foreign_ids
    return propose(
        "retire-elements",
        site.collection.name,
        codes & {"CF409", "CF410", "CF505"} | codes & MAP_LOST,
        f"Flag {counted(count, 'element')} that no record claims as deleted; their vectors go to the case",
        site.options,
        heals=codes & {"CF409", "CF410"},
        safety="lossy" if lost else "safe",
        approval="accept-loss" if lost else "yes",
        why="they may belong to the lost records; an embedder could prove it" if lost else "",
    )


def _unproved(site: Site) -> np.ndarray:
    """Nameless elements that the proof gives to no record."""
    taken = site.proof.element if site.proof is not None else np.empty(0, dtype=np.int64)
    return np.setdiff1d(site.nameless, taken)


def _lost_map(site: Site, codes: frozenset[str], proved: int) -> Iterator[Proposal]:
    if not proved or site.holdings is None or site.proof is None:
        return
    lost = int(site.holdings.mask(LOST).sum())
    yield propose(
        "rebuild-id-map",
        site.collection.name,
        codes,
        f"Write the id map anew: of {len(site.nameless)} vectors {proved} are proved to be their record's",
        site.options,
        safety="lossy" if lost else "safe",
        approval="accept-loss" if lost else "yes",
        loses=lost,
        why=_proofs(site) + (f"; refused: {site.proof.refused}" if site.proof.refused else ""),
        parameters={"proved": proved},
    )


def _proofs(site: Site) -> str:
    """ "279 by order, 1 by queue"."""
    counts = {} if site.proof is None else site.proof.counts()
    return ", ".join(f"{count} by {how}" for how, count in sorted(counts.items()) if how)


def _zeroed(site: Site) -> Iterator[Proposal]:
    """Zero vectors under cosine that have another vector somewhere; the others stay, and the finding with them."""
    ids, wanted = zeroed(site)[0], replaceable(site)
    if wanted:
        yield propose(
            "replace-vectors",
            site.collection.name,
            {"CF705"},
            f"Write the vector that {counted(len(wanted), 'record')} of {len(ids)} have elsewhere over a zero one (kept)",
            site.options,
            heals={"CF705"} if len(wanted) == len(ids) else (),
            why="from a queue row or another directory, else from the document; a zero vector is never ranked",
            parameters={"zero": len(wanted)},
        )


def vector_proposals(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """Vectors that are missing or wrong."""
    holdings, name = site.holdings, site.collection.name
    if holdings is None:
        return
    if codes & {"CF504", "CF706"}:
        title = "Write the vector of the newest queue row, or the normalised one, over the wrong one (kept)"
        yield propose("replace-vectors", name, codes & {"CF504", "CF706"}, title, site.options)
    yield from _zeroed(site)
    counts = holdings.counts()
    added, lost = counts.get(SOURCE, 0) + counts.get(EMBED, 0), counts.get(LOST, 0)
    if codes & MAP_LOST and (
        (lost and not set(site.options.accept_loss) & codes) or not counts.get(PROVED, 0)
    ):
        return
    healed = codes & {"CF704"} if not lost else frozenset[str]()
    if added:
        way = adding(site, added)
        yield propose(
            "add-missing-vectors",
            name,
            codes & (OF_ADDING | MAP_LOST) or site.codes & {"CF208", "CF209", "CF809"},
            f"Add {counted(added, 'missing vector')} to the index of {name}: {from_where(site)}",
            site.options,
            heals=healed,
            safety="lossy" if lost or is_unverified(site) else "safe",
            loses=lost,
            why="; ".join(part for part in (_ONLY, way.why) if part),
            parameters=how_many(site) | ({"add": way.how} if way.how == MAPPED else {}),
        )
