"""What to do about one collection's vector index: the cheapest actions that compose to a sound one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.repair.holdings import EMBED, FLAGGED, INDEXED, LOST, PENDING, PROVED, SOURCE
from forensics.repair.proposals import Proposal, propose
from forensics.repair.site import Site
from forensics.repair.wording import from_where, how_many, is_unverified

MAP_LOST = frozenset({"CF401", "CF402", "CF403", "CF404", "CF405"})
BAD_LINKS = frozenset({"CF601", "CF602", "CF603", "CF604", "CF605"})
INDEX = (
    frozenset(f"CF30{n}" for n in range(1, 9))
    | {"CF310", "CF311", "CF312", "CF205", "CF207", "CF212", "CF501", "CF503", "CF504", "CF704", "CF706"}
    | MAP_LOST
    | frozenset(f"CF4{n:02}" for n in range(6, 13))
    | frozenset(f"CF60{n}" for n in range(1, 10))
)
RELINK_LIMIT = 0.5
"""Above this share of elements without links, building again is cheaper than finding neighbours one by one.
"""


def index_proposals(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """The proposals for the vector segment of one collection in which `codes` were found."""
    found = codes & INDEX
    if site.segment is None or site.records is None:
        return
    if {"*", site.collection.name} & set(site.options.rebuild):
        yield from _rebuild(site, found, "it was asked for", chosen=True)
        return
    if not found:
        return
    reason = rebuild_reason(site, found)
    if reason:
        yield from _rebuild(site, found, reason)
        return
    yield from _frame(site, found)
    yield from _graph(site, found)
    yield from _names(site, found)
    yield from _vectors(site, found)


def rebuild_reason(site: Site, codes: frozenset[str]) -> str:
    """Why nothing less than a new segment heals this one; empty where something less does."""
    if "CF301" in codes or ("CF205" in codes and not site.has_vectors):
        return "there is no index to mend"
    if codes & {"CF302", "CF303", "CF304"} and not site.has_vectors:
        return "no whole element is left in level 0"
    if codes & MAP_LOST and site.proof is not None and not site.proof.proved.any() and _replaceable(site):
        return "of no vector in level 0 it can be proved whose it is"
    if "CF609" in codes and _unlinked_share(site) > RELINK_LIMIT:
        return "most elements have no links, so building again costs less than linking each"
    return ""


def _replaceable(site: Site) -> bool:
    """True where every record that the proof leaves out can be had from elsewhere."""
    return site.holdings is not None and not site.holdings.mask(LOST).any()


def _unlinked_share(site: Site) -> float:
    summary = site.summary
    if summary is None or not summary.live.any():
        return 0.0
    return float((summary.counts[summary.live] == 0).mean())


def _rebuild(site: Site, codes: frozenset[str], reason: str, *, chosen: bool = False) -> Iterator[Proposal]:
    holdings, name = site.holdings, site.collection.name
    if holdings is None:
        return
    counts = holdings.counts()
    held = sum(counts.get(state, 0) for state in (INDEXED, PENDING, FLAGGED, PROVED, SOURCE, EMBED))
    lost = counts.get(LOST, 0)
    if held == 0:
        if "CF205" in codes or not isinstance(site.collection.vector_watermark_row, Absent):
            yield _stale_watermark(site, codes)
        return
    healed = codes - ({"CF501", "CF301"} if lost else frozenset())
    if lost and "CF301" in codes:
        healed |= {"CF301"}  # an index stands again; the records that it lacks are CF501
    yield propose(
        "rebuild-segment",
        name,
        codes,
        f"Build the index of {name} again from {from_where(site)}",
        site.options,
        heals=healed,
        safety="lossy" if lost or is_unverified(site) else "safe",
        approval="choice" if chosen else "yes",
        chosen=chosen,
        loses=lost,
        why=f"{reason}; space, M and ef_construction stay as they are",
        parameters={"records": held, **how_many(site)},
    )


def _stale_watermark(site: Site, codes: frozenset[str]) -> Proposal:
    return propose(
        "remove-watermark",
        site.collection.name,
        codes & {"CF205", "CF301"} or {"CF205"},
        "Remove the watermark of an index that is gone, so that nothing in the queue is purged for it",
        site.options,
        heals=codes & {"CF205"},
        why="of no record a vector is left that an index could be built from",
    )


def _frame(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """The header and the sizes of the other files."""
    name, options, header = site.collection.name, site.options, site.header
    count = 0 if header is None else header.cur_element_count
    of_header = codes & {"CF303", "CF304", "CF308"} | (
        codes & {"CF302"} if _gone(site, "header.bin") else frozenset()
    )
    if of_header:
        title = f"Write header.bin anew for the {count} elements that level 0 holds"
        yield propose(
            "rebuild-header",
            name,
            of_header,
            title,
            options,
            why="every field follows from the files and the settings",
        )
    if codes & {"CF305", "CF312"} or ("CF302" in codes and _gone(site, "length.bin")):
        title = "Write length.bin anew; norms that are lost come from the queue, else they are 1"
        cosine = site.collection.settings.space == "cosine"
        yield propose(
            "restore-lengths",
            name,
            codes & {"CF302", "CF305", "CF312"},
            title,
            options,
            safety="lossy" if cosine else "safe",
            why="without its norm a cosine vector keeps its direction; searches are not changed",
        )
    if "CF412" in codes:
        title = f"Take {len(site.phantoms)} elements without identity out of the index"
        yield propose(
            "drop-phantom-elements",
            name,
            {"CF412"},
            title,
            options,
            parameters={"elements": len(site.phantoms)},
        )
    links_gone = "CF302" in codes and _gone(site, "link_lists.bin")
    if codes & {"CF306", "CF307", "CF303", "CF304", "CF412"} or links_gone:
        of_links = codes & {"CF306", "CF307", "CF303", "CF304", "CF412"} | (
            codes & {"CF302"} if links_gone else frozenset()
        )
        title = "Write link_lists.bin anew from what is valid in it, without holes"
        yield propose(
            "rewrite-link-lists", name, of_links, title, options, heals=of_links & {"CF302", "CF306", "CF307"}
        )
    if "CF311" in codes:
        yield propose(
            "cut-trailing-bytes",
            name,
            {"CF311"},
            "Cut the bytes after the last element (kept in the case)",
            options,
        )


def _gone(site: Site, file: str) -> bool:
    return site.segment is not None and isinstance(site.segment.facts[file], Absent)


def _graph(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """Links that no graph may hold, and elements that no search reaches."""
    name, options = site.collection.name, site.options
    exposed = codes & {"CF302", "CF303", "CF304", "CF306", "CF307", "CF412"}
    if codes & BAD_LINKS or exposed:
        title = "Drop neighbours that cannot be, and link the elements that lost them again"
        yield propose(
            "drop-bad-neighbours", name, codes & BAD_LINKS | exposed, title, options, heals=codes & BAD_LINKS
        )
    if codes & {"CF606", "CF609", "CF608"}:
        title = "Link again every live element that does not find itself"
        why = "a new link costs a search; the rest of the graph stays"
        yield propose("relink-elements", name, codes & {"CF606", "CF609"}, title, options, why=why)


def _names(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """Ids and labels."""
    name, options, proof = site.collection.name, site.options, site.proof
    proved = 0 if proof is None else int(proof.proved.sum())
    if codes & MAP_LOST:
        yield from _lost_map(site, codes & MAP_LOST, proved)
    elif proved and codes & {"CF409", "CF501"}:
        title = f"Give {proved} vectors that only lack their id back to their records"
        heals = (codes & {"CF409"}) | (codes & {"CF501"} if _only_names_lack(site) else frozenset())
        yield propose(
            "rebuild-id-map",
            name,
            codes & {"CF409", "CF501"},
            title,
            options,
            heals=heals,
            why=_proofs(site),
            parameters={"proved": proved},
        )
    if codes & {"CF310", "CF406", "CF407", "CF408"}:
        title = "Make the two halves of the id map each other's inverse, and its counter right"
        yield propose("mend-id-map", name, codes & {"CF310", "CF406", "CF407", "CF408"}, title, options)
    if "CF411" in codes:
        yield propose(
            "clear-deleted-flags",
            name,
            {"CF411"},
            "Clear the deleted flag of elements whose records live",
            options,
        )
    if "CF503" in codes and site.records is not None:
        ghosts = len(site.records.ghosts)
        title = f"Move {ghosts} ids without a record out of the index into the case, with their vectors"
        yield propose(
            "quarantine-ghosts", name, {"CF503"}, title, options, parameters={"quarantined": ghosts}
        )
    yield from _retired(site, codes, proved)


def _only_names_lack(site: Site) -> bool:
    """True where proved elements are all that the records of this collection miss."""
    return site.holdings is not None and not site.holdings.mask(SOURCE, EMBED, LOST).any()


def _retired(site: Site, codes: frozenset[str], proved: int) -> Iterator[Proposal]:
    """Elements that no record claims. Where records are lost they may be theirs, and an embedder could prove
    it.
    """
    count = len(_unproved(site)) + len(site.duplicates)
    wanted = codes & {"CF409", "CF410"} or (codes & MAP_LOST and proved)
    if not count or not wanted:
        return
    lost = site.holdings is not None and bool(site.holdings.mask(LOST).any())
    of_map = codes & MAP_LOST
    yield propose(
        "retire-elements",
        site.collection.name,
        codes & {"CF409", "CF410"} | of_map,
        f"Flag {count} elements that no record claims as deleted; their vectors go to the case",
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


def _vectors(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """Vectors that are missing or wrong."""
    holdings, name = site.holdings, site.collection.name
    if holdings is None:
        return
    if codes & {"CF504", "CF706"}:
        title = (
            "Write the vectors that the queue holds for these records over the older ones (kept in the case)"
        )
        yield propose("replace-vectors", name, codes & {"CF504", "CF706"}, title, site.options)
    counts = holdings.counts()
    added, lost = counts.get(SOURCE, 0) + counts.get(EMBED, 0), counts.get(LOST, 0)
    if codes & MAP_LOST and (
        (lost and not set(site.options.accept_loss) & codes) or not counts.get(PROVED, 0)
    ):
        return
    healed = codes & ({"CF212", "CF207", "CF501"} if not lost else {"CF207"})
    if added:
        yield propose(
            "add-missing-vectors",
            name,
            codes & {"CF212", "CF207", "CF304", "CF408", "CF501"} | codes & MAP_LOST or {"CF501"},
            f"Add {added} missing vectors to the index of {name}: {from_where(site)}",
            site.options,
            heals=healed,
            safety="lossy" if lost or is_unverified(site) else "safe",
            loses=lost,
            why="only what is missing is added; the index is not built again",
            parameters=how_many(site),
        )
