"""What to do about one collection's vector index: the cheapest actions that compose to a sound one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from forensics.absent import Absent
from forensics.repair.holdings import CLAIMED, EMBED, FLAGGED, INDEXED, LOST, PENDING, PROVED, SOURCE
from forensics.repair.linkable import RELINK_LIMIT, hopeless_links
from forensics.repair.proposals import Proposal, propose
from forensics.repair.prospect import MISPLACED
from forensics.repair.rules_names import MAP_LOST, doubts, name_proposals, vector_proposals
from forensics.repair.site import Site
from forensics.repair.wording import from_where, how_many, is_unverified
from forensics.store import VectorSegment

BAD_LINKS = frozenset({"CF601", "CF602", "CF603", "CF604", "CF605"})
EXPOSED = frozenset({"CF303", "CF304", "CF306", "CF412"})
"""After these, elements can have neighbours that are not there any more."""
MISCOUNTED = frozenset({"CF306", "CF312", "CF410", "CF412", "CF601", "CF602", "CF604", "CF605", "CF609"})
"""What can be found in slots that the header counts although they are no elements."""
INDEX = (
    frozenset(f"CF30{n}" for n in range(1, 9))
    | {"CF310", "CF311", "CF312", "CF205", "CF207", "CF212", "CF501", "CF503"}
    | {"CF504", "CF505", "CF704", "CF706"}
    | MAP_LOST
    | frozenset(f"CF4{n:02}" for n in range(6, 13))
    | frozenset(f"CF60{n}" for n in range(1, 10))
)


def index_proposals(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """The proposals for the vector segment of one collection in which `codes` were found."""
    found = codes & INDEX if site.foreign_ids else codes & INDEX - {"CF505"}
    if site.segment is None or site.records is None:
        return
    if site.home is not None:
        yield _put_back(site, site.home)
        return
    if {"*", site.collection.name, site.collection.id} & set(site.options.rebuild):
        yield from doubts(site, found)
        yield from _rebuild(site, found, "it was asked for", chosen=True)
        return
    if not found and not site.blocking and "CF705" not in codes:
        return
    yield from doubts(site, found)
    reason = rebuild_reason(site, found)
    if reason:
        yield from _rebuild(site, found, reason)
        return
    yield from _frame(site, found)
    yield from _graph(site, found)
    yield from name_proposals(site, found)
    yield from vector_proposals(site, found)


def _put_back(site: Site, home: VectorSegment) -> Proposal:
    others = site.collection.store.collections
    owner = next((c.name for c in others if c.vector_segment_id == home.relative), home.relative)
    return propose(
        "put-directory-back",
        site.collection.name,
        site.swapped,
        f"Put the index of {site.collection.name} back into its directory: it stands in that of {owner}",
        site.options,
        heals=MISPLACED,
        why="the id maps say so: nearly all ids there are records of this collection",
        parameters={"from": home.relative},
    )


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
    return hopeless_links(site) if codes & (BAD_LINKS | EXPOSED) else ""


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
    counts, asked = holdings.counts(), site.options.parameters if chosen else {}
    held = sum(counts.get(state, 0) for state in (INDEXED, PENDING, FLAGGED, PROVED, CLAIMED, SOURCE, EMBED))
    lost = counts.get(LOST, 0)
    if held == 0:
        if "CF205" in codes or not isinstance(site.collection.vector_watermark_row, Absent):
            yield _stale_watermark(site, codes)
        return
    healed = codes - {"CF501", "CF212", "CF207"}  # these follow from the effect
    yield propose(
        "rebuild-segment",
        name,
        codes,
        f"Build the index of {name} again from {from_where(site, whole=True)}",
        site.options,
        heals=healed,
        safety="lossy" if lost or is_unverified(site) else "safe",
        approval="choice" if chosen else "yes",
        chosen=chosen,
        loses=lost,
        why=f"{reason}; {_kept_of(asked)}",
        parameters={"records": held, **how_many(site), **asked},
    )
    if asked:
        yield _parameters(site, asked)


def _kept_of(asked: Mapping[str, int]) -> str:
    """Which parameters of the index stay, and which become what."""
    stay = [name for name in ("space", "M", "ef_construction") if name not in asked]
    changed = "".join(f", {name} becomes {value}" for name, value in asked.items())
    stay = " and ".join([", ".join(stay[:-1]), stay[-1]] if len(stay) > 1 else stay)
    return f"{stay} {'stay as they are' if ' ' in stay else 'stays as it is'}{changed}"


def _parameters(site: Site, asked: Mapping[str, int]) -> Proposal:
    """The settings say what the new index has, so that a later index is built alike."""
    return propose(
        "set-index-parameters",
        site.collection.name,
        (),
        f"Write {' and '.join(f'{name} {value}' for name, value in asked.items())} where the settings are",
        site.options,
        approval="choice",
        chosen=True,
        why="they are those of the new index; what the settings said is kept in the case",
        parameters=asked,
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
    if _recounted(site):
        of_header |= codes & MISCOUNTED
    if of_header:
        title = f"Write header.bin anew for the {count} elements that level 0 holds"
        yield propose(
            "rebuild-header",
            name,
            of_header,
            title,
            options,
            heals=_healed_by_counting(site, of_header),
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
    if "CF412" in codes and site.phantoms.size:
        title = _phantom_title(site)
        yield propose(
            "drop-phantom-elements",
            name,
            {"CF412"},
            title,
            options,
            parameters={"elements": len(site.phantoms)},
        )
    of_links = codes & {"CF306", "CF307", "CF303", "CF304", "CF412"}
    if _gone(site, "link_lists.bin") or (of_header and not _walks(site)):
        of_links |= codes & {"CF302", "CF303", "CF304", "CF308"}
    if of_links:
        title = "Write link_lists.bin anew from what is valid in it, without holes"
        heals = of_links & (
            {"CF306", "CF307"} | ({"CF302"} if _gone(site, "link_lists.bin") else frozenset())
        )
        yield propose("rewrite-link-lists", name, of_links, title, options, heals=heals)
    if "CF311" in codes:
        yield propose(
            "cut-trailing-bytes",
            name,
            {"CF311"},
            "Cut the bytes after the end of what a file holds (kept in the case)",
            options,
        )


def _phantom_title(site: Site) -> str:
    count = len(site.phantoms)
    kept = 0 if site.claims is None else len(np.intersect1d(site.phantoms, site.claims.element))
    named = f"; {kept} that are proved to be records keep their vectors under a new label" if kept else ""
    return f"Take {count - kept} elements without identity out of the index{named}"


def _recounted(site: Site) -> bool:
    """True where the stored header counts other elements than those that are there."""
    stored = Absent("") if site.segment is None else site.segment.files.geometry
    if isinstance(stored, Absent) or site.header is None:
        return False
    return stored.cur_element_count != site.header.cur_element_count


def _healed_by_counting(site: Site, codes: frozenset[str]) -> frozenset[str]:
    """What the header heals: what it says itself, and what only slots that are no elements showed."""
    gone = {"CF410": not site.duplicates.size, "CF412": not site.phantoms.size, "CF306": _walks(site)}
    return codes & {"CF302", "CF303", "CF304", "CF308"} | {code for code in codes if gone.get(code)}


def _walks(site: Site) -> bool:
    """True where link_lists.bin has whole lists for exactly the elements that the header will count."""
    links = Absent("") if site.files is None else site.files.links
    return not isinstance(links, Absent) and links.problem is None


def _gone(site: Site, file: str) -> bool:
    return site.segment is not None and isinstance(site.segment.facts[file], Absent)


def _graph(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """Links that no graph may hold, and elements that no search reaches."""
    name, options = site.collection.name, site.options
    exposed = codes & EXPOSED
    if _gone(site, "header.bin") or _gone(site, "link_lists.bin"):
        exposed |= codes & {"CF302"}
    if codes & BAD_LINKS or exposed:
        title = "Drop neighbours that cannot be, and link the elements that lost them again"
        yield propose(
            "drop-bad-neighbours", name, codes & BAD_LINKS | exposed, title, options, heals=codes & BAD_LINKS
        )
    if codes & {"CF606", "CF609", "CF608"}:
        title = "Link again every live element that does not find itself"
        why = "a new link costs a search; the rest of the graph stays"
        of_links = codes & {"CF606", "CF608", "CF609"}
        yield propose("relink-elements", name, of_links, title, options, heals=of_links - {"CF608"}, why=why)
