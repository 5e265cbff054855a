"""Header, link lists, lengths and sizes: the frame that the elements of level 0 stand in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers import layout
from forensics.readers.hnsw import FileFacts, HnswFiles, Level0Summary
from forensics.readers.id_map import IdMap
from forensics.readers.link_walk import LinkWalk
from forensics.repair.actions.norms import fill_norms
from forensics.repair.actions.work import Work, with_ids
from forensics.repair.linkable import counted_elements, worth_linking
from forensics.repair.site import Site
from forensics.store import VectorSegment
from forensics.writers import segment_files
from forensics.writers.atomic import replacing
from forensics.writers.draft_maps import level0_for_writing, level0_summary, well_connected
from forensics.writers.link_surgery import drop_bad_neighbours as drop_bad
from forensics.writers.relink import relink

Report = dict[str, Json]


def framed(site: Site) -> tuple[VectorSegment, HnswFiles, layout.Header, Level0Summary]:
    """Segment, files, header and level 0 of a collection that has them. Raises Refused where it has not."""
    if site.segment is None or site.files is None or site.header is None or site.summary is None:
        raise Refused(f"the index of {site.collection.name} has no level 0 that can be read.")
    return site.segment, site.files, site.header, site.summary


def settled(header: layout.Header, summary: Level0Summary, walk: LinkWalk | Absent) -> layout.Header:
    """The header with maxlevel and enterpoint that the lists and the live elements allow; kept where they are
    right.
    """
    levels = (
        walk.levels
        if not isinstance(walk, Absent) and walk.problem is None
        else np.zeros(len(summary.labels), np.uint8)
    )
    top = int(levels.max(initial=0))
    entry = header.enterpoint
    if header.maxlevel != top or entry >= len(levels) or levels[entry] != top:
        entry = well_connected(summary, np.flatnonzero(levels == top))
    empty = len(levels) == 0
    return replace(
        header, maxlevel=-1 if empty else top, enterpoint=layout.EMPTY_ENTERPOINT if empty else entry
    )


def capacity(work: Work, site: Site, elements: int) -> int:
    """What an index of so many elements has room for: as chosen, else ten per cent more than it will have to hold; never
    below them, nor below the records of the collection.
    """
    needed = max(elements, 0 if site.records is None else len(site.records))
    return max(work.options.max_elements or -(-11 * needed // 10), needed)


def rebuild_header(work: Work) -> Report:
    """header.bin describes what level 0 holds; its capacity is never below the records."""
    site = work.site()
    segment, files, header, summary = framed(site)
    room = max(header.max_elements, capacity(work, site, header.cur_element_count))
    roomy = replace(header, max_elements=room)
    segment_files.write_header(work.place(segment, layout.HEADER_FILE), settled(roomy, summary, files.links))
    return {"elements": header.cur_element_count, "max_elements": roomy.max_elements}


def rewrite_link_lists(work: Work) -> Report:
    """link_lists.bin holds the valid lists, zeros for elements behind a break, no tail and no hole."""
    site = work.site()
    segment, files, header, summary = framed(site)
    walk = files.links
    empty = np.empty(0, dtype=np.uint8)
    raw, end, walked = (empty, 0, 0) if isinstance(walk, Absent) else (walk.raw, walk.end, walk.walked)
    with replacing(work.place(segment, layout.LINKS_FILE)) as handle:
        for start in range(0, end, 1 << 24):
            handle.write(raw[start : min(start + (1 << 24), end)].tobytes())
        handle.write(bytes(4 * (header.cur_element_count - walked)))
    levels = np.zeros(header.cur_element_count, dtype=np.uint8)
    if not isinstance(walk, Absent):
        levels[:walked] = walk.levels
    none = np.empty(0, dtype=np.int64)
    whole = LinkWalk(raw, header.M, header.cur_element_count, levels, none, none, end, None)
    new = settled(header, summary, whole)
    if new != header or not isinstance(files.header, layout.Header) or segment.files.header != new:
        segment_files.write_header(work.place(segment, layout.HEADER_FILE), new)
    return {"kept_bytes": end, "flattened": header.cur_element_count - walked}


def restore_lengths(work: Work) -> Report:
    """length.bin has one float per element: what it held; for cosine else the norm of the queued vector, else
    of the document embedded again where that gives the direction that is stored, else 1.
    """
    site = work.site()
    segment, files, header, summary = framed(site)
    lengths = np.ones(header.cur_element_count, dtype=np.float32)
    known = np.empty(0, np.float32) if isinstance(files.lengths, Absent) else np.asarray(files.lengths)
    lengths[: len(known)] = known
    report: Report = {"unknown": 0}
    if site.collection.settings.space == "cosine":
        unknown = ~(np.isfinite(lengths) & (lengths > 0))
        unknown[len(known) :] = True
        lengths[unknown] = 1.0
        report = fill_norms(site, unknown & summary.live, lengths)
    segment_files.write_lengths(work.place(segment, layout.LENGTH_FILE), lengths)
    return report


def cut_trailing_bytes(work: Work) -> Report:
    """No file has bytes after its last element; what is cut off goes to the case."""
    site = work.site()
    segment, files, header, _ = framed(site)
    links = files.links
    wanted = {layout.LEVEL0_FILE: header.cur_element_count * header.size_data_per_element}
    wanted[layout.LENGTH_FILE] = 4 * header.cur_element_count
    if not isinstance(links, Absent) and links.problem is None:
        wanted[layout.LINKS_FILE] = links.end
    facts = segment.facts[layout.ID_MAP_FILE]
    if isinstance(site.id_map, IdMap) and isinstance(facts, FileFacts):
        wanted[layout.ID_MAP_FILE] = facts.size - site.id_map.trailing
    cut: Report = {}
    for name, size in wanted.items():
        facts = segment.facts[name]
        if not isinstance(facts, Absent) and facts.size > size:
            cut[name] = facts.size - size
            _keep_tail(work, segment, name, size)
            with open(work.draft.copy_in(f"{segment.relative}/{name}"), "r+b") as handle:
                handle.truncate(size)
    return cut


def _keep_tail(work: Work, segment: VectorSegment, name: str, size: int) -> None:
    with (
        open(segment.path(name), "rb") as source,
        open(work.evidence(f"tail-{name}", ".bin"), "wb") as target,
    ):
        source.seek(size)
        while part := source.read(1 << 20):
            target.write(part)


def drop_phantom_elements(work: Work) -> Report:
    """No element is without identity: proved ones have a label and their record, the last others are cut off,
    the rest is named, flagged deleted and left alone.
    """
    site = work.site()
    segment, _, header, summary = framed(site)
    count = header.cur_element_count
    claimed = np.intersect1d(site.phantoms, claimed_elements(site))
    keep = counted_elements(site)
    if keep < count:
        short = replace(header, cur_element_count=keep)
        cut = Level0Summary(summary.labels[:keep], summary.deleted[:keep], summary.counts[:keep])
        path = work.place(segment, layout.HEADER_FILE)
        segment_files.write_header(path, settled(short, cut, Absent("not walked yet")))
    name_elements(work, site, site.phantoms[site.phantoms < keep])
    return {
        "cut": count - keep,
        "claimed": len(claimed),
        "retired": int((site.phantoms < keep).sum()) - len(claimed),
    }


def claimed_elements(site: Site) -> np.ndarray:
    """(c,) internal ids that are proved to be records although they lack identity."""
    return np.empty(0, np.int64) if site.claims is None else site.claims.element[site.claims.proved]


def name_elements(work: Work, site: Site, elements: np.ndarray) -> None:
    """Each of these has a label that no other has: proved ones live under their record's id, the others are
    flagged deleted. The counter of the id map is above all of them.
    """
    if not elements.size:
        return
    segment, *_ = framed(site)
    first = next_label(site)
    labels = np.arange(first, first + len(elements), dtype=np.int64)
    owned = np.isin(elements, claimed_elements(site))
    directory = work.changeable(segment, layout.LEVEL0_FILE, layout.HEADER_FILE)
    with level0_for_writing(directory) as level0:
        level0["label"][elements] = labels.astype(np.uint64)
        level0["flags"][elements[~owned]] |= layout.DELETED_FLAG
        level0["flags"][elements[owned]] &= ~np.uint8(layout.DELETED_FLAG)
    _map_claimed(work, site, dict(zip(elements.tolist(), labels.tolist(), strict=True)))


def _map_claimed(work: Work, site: Site, labels: dict[int, int]) -> None:
    """The id map, where there is one, also has the proved ids; without one they are proved again when it is
    made.
    """
    if not isinstance(site.id_map, IdMap):
        return
    claims = site.claims
    pairs = {} if claims is None else {n: e for n, e in claims.pairs().items() if e in labels}
    mapping = {**site.mapping, **{name: labels[element] for name, element in pairs.items()}}
    total = max(*labels.values(), site.id_map.total_elements_added or 0)
    work.save_map(site, with_ids(site.id_map, mapping, total))
    how = {} if claims is None else dict(zip(claims.ids, claims.how.tolist(), strict=True))
    if not pairs:
        return
    work.keep_provenance(
        (name, labels[element], "level 0", "", element, True, True, how[name])
        for name, element in pairs.items()
    )


def next_label(site: Site) -> int:
    """A label above every one that was given, or that an element which stays carries."""
    summary = site.summary
    held = 0
    if summary is not None and len(summary.labels):
        real = np.setdiff1d(np.arange(len(summary.labels)), site.phantoms)
        held = int(summary.labels[real].max(initial=0))
    return max(held, site.highest_label or 0) + 1


def drop_bad_neighbours(work: Work) -> Report:
    """No list names a neighbour that it may not; elements that lost links have new ones."""
    site = work.site()
    segment, *_ = framed(site)
    directory = work.changeable(
        segment, layout.HEADER_FILE, layout.LEVEL0_FILE, layout.LINKS_FILE, layout.LENGTH_FILE
    )
    changed = drop_bad(directory)
    poor = worth_linking(changed, level0_summary(directory), framed(site)[2].M)
    linked = relink(directory, poor, site.collection.settings.space) if poor.size else poor
    segment_files.settle_entry(directory)
    return {"cleaned": len(changed), "relinked": len(linked)}


FRAME: dict[str, Callable[[Work], Report]] = {
    "rebuild-header": rebuild_header,
    "rewrite-link-lists": rewrite_link_lists,
    "restore-lengths": restore_lengths,
    "cut-trailing-bytes": cut_trailing_bytes,
    "drop-phantom-elements": drop_phantom_elements,
    "drop-bad-neighbours": drop_bad_neighbours,
}
