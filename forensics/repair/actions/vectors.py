"""Vectors that the index lacks: added to it, or an index built again from all that there are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.engine import native_add, native_build
from forensics.engine.mapped import mapped_add
from forensics.errors import Refused
from forensics.readers import layout
from forensics.readers.id_map import IdMap
from forensics.repair.actions.frame import Report, capacity, framed, next_label
from forensics.repair.actions.marks import set_watermark
from forensics.repair.actions.names import element_of, keep_left_out
from forensics.repair.actions.replacing import relink_elements, replace_vectors, retire_spoiled
from forensics.repair.actions.work import Work, new_map, with_ids
from forensics.repair.failures import keep_failures
from forensics.repair.holdings import CLAIMED, EMBED, FLAGGED, INDEXED, PENDING, PROVED, SOURCE, USER
from forensics.repair.site import Site
from forensics.sources import QUEUED, Sources, documents, fetch, find_sources
from forensics.writers.draft_maps import file_for_writing, level0_for_writing, zero_unused

REBUILT = (INDEXED, FLAGGED, PROVED, CLAIMED, SOURCE, PENDING, EMBED)
"""The states of records that a new index holds."""


@dataclass(slots=True)
class Batch:
    """k records that are to get an element: raw (k, dim) as the user gave them; stored and norms where exact.

    exact (k,) bool: `stored` is copied from another level 0 and must stand in the index bit for bit.
    """

    ids: list[str]
    raw: np.ndarray
    stored: np.ndarray
    norms: np.ndarray
    exact: np.ndarray
    origin: list[tuple[str, str, int, bool, str]]

    @classmethod
    def empty(cls, ids: list[str], dim: int) -> Batch:
        count = len(ids)
        floats = np.empty((count, dim), dtype=np.float32)
        return cls(ids, floats, floats.copy(), np.ones(count, np.float32), np.zeros(count, bool), [])

    def without(self, places: list[int]) -> Batch:
        """The same without those rows."""
        left = np.setdiff1d(np.arange(len(self.ids)), places)
        ids, origin = ([column[i] for i in left.tolist()] for column in (self.ids, self.origin))
        raw, stored, norms, exact = (each[left] for each in (self.raw, self.stored, self.norms, self.exact))
        return Batch(ids, raw, stored, norms, exact, origin)

    def rows(self, labels: np.ndarray) -> Iterator[tuple[object, ...]]:
        """The provenance of each record."""
        for name, label, exact, (kind, place, ref, current, proof) in zip(
            self.ids, labels.tolist(), self.exact.tolist(), self.origin, strict=True
        ):
            yield name, label, kind, place, ref, exact, current, proof


def gather(work: Work, site: Site, positions: np.ndarray) -> Batch:
    """The vectors of the records at these positions of `site.holdings`, from where the holdings say; without those whose
    document cannot be embedded.
    """
    holdings, dim = site.holdings, site.dim
    if holdings is None or dim is None:
        raise Refused("the records or their dimension cannot be read.")
    batch = Batch.empty([str(holdings.ids[i]) for i in positions.tolist()], dim)
    batch.origin = [("", "", -1, True, "")] * len(positions)
    state = holdings.state[positions]
    _from_level0(site, batch, positions, np.flatnonzero(np.isin(state, (INDEXED, FLAGGED, PROVED, CLAIMED))))
    _from_elsewhere(site, batch, np.flatnonzero(np.isin(state, (SOURCE, PENDING))))
    failed = _from_documents(site, batch, np.flatnonzero(state == EMBED), dim)
    keep_failures(work, {batch.ids[at]: reason for at, reason in failed.items()})
    batch = batch.without(list(failed)) if failed else batch
    if not np.isfinite(batch.raw).all():
        raise Refused("a vector that should be added has components that are not finite numbers.")
    if failed and not batch.ids:
        raise Refused(f"nothing could be embedded: the embedder {next(iter(failed.values()))}.")
    return batch


def _from_level0(site: Site, batch: Batch, positions: np.ndarray, mine: np.ndarray) -> None:
    if not mine.size or site.files is None or site.records is None or site.summary is None:
        return
    elements = site.records.elements[positions[mine]].copy()
    pairs = [each.pairs() for each in (site.proof, site.claims) if each is not None]
    if pairs:
        place = {name: element for each in pairs for name, element in each.items()}
        both = zip(mine.tolist(), elements.tolist(), strict=True)
        elements = np.array([place.get(batch.ids[i], e) for i, e in both], dtype=np.int64)
    batch.stored[mine], batch.raw[mine] = site.files.vectors(elements), site.raw_vectors(elements)
    batch.exact[mine] = True
    lengths = site.files.lengths
    if not isinstance(lengths, Absent) and site.collection.settings.space == "cosine":
        batch.norms[mine] = lengths[elements]
    for at, element in zip(mine.tolist(), elements.tolist(), strict=True):
        batch.origin[at] = ("level 0", "", element, True, "")


def _from_elsewhere(site: Site, batch: Batch, mine: np.ndarray) -> None:
    """What the holdings found where; pending ones, of which they say nothing, are looked for now."""
    held = None if site.holdings is None else site.holdings.sources
    known = {} if held is None else {name: at for at, name in enumerate(held.ids)}
    index = np.fromiter((known.get(batch.ids[i], -1) for i in mine.tolist()), dtype=np.int64, count=len(mine))
    if held is not None:
        _from_sources(site, batch, held, mine[index >= 0], index[index >= 0])
    rest = mine[index < 0]
    if rest.size:
        found = find_sources(site.collection, [batch.ids[i] for i in rest.tolist()], also=site.also)
        _from_sources(site, batch, found, rest, np.arange(len(rest)))


def _from_sources(site: Site, batch: Batch, sources: Sources, mine: np.ndarray, index: np.ndarray) -> None:
    """Fills the places `mine` of the batch from the places `index` of the sources."""
    if not sources.found[index].all():
        lost = int((~sources.found[index]).sum())
        raise Refused(f"{lost} vectors that the plan counted on are not there any more.")
    own = sources.kind[index] == USER
    _from_user(site, batch, sources, mine[own], index[own])
    found, at_hand = fetch(site.collection, sources, index[~own]), mine[~own]
    batch.raw[at_hand], batch.stored[at_hand] = found.raw, found.stored
    batch.norms[at_hand], batch.exact[at_hand] = found.norms, found.exact
    columns = (sources.kind, sources.origin, sources.ref, sources.current)
    rows = zip(*(column[index].tolist() for column in columns), strict=True)
    for at, (kind, origin, ref, current) in zip(mine.tolist(), rows, strict=True):
        batch.origin[at] = (kind, origin, ref, current, "seq_id" if kind in QUEUED else "element")


def _from_user(site: Site, batch: Batch, sources: Sources, mine: np.ndarray, index: np.ndarray) -> None:
    """Rows of the user's own files; what the index stores of them is made by normalising."""
    files = {source.path: source for source in site.user_sources}
    for at, i in zip(mine.tolist(), index.tolist(), strict=True):
        batch.raw[at] = files[str(sources.origin[i])].vectors[sources.ref[i]]


def _from_documents(site: Site, batch: Batch, mine: np.ndarray, dim: int) -> dict[int, str]:
    """Row of the batch → why its document cannot be embedded."""
    if not mine.size:
        return {}
    if site.embedder is None:
        raise Refused("the plan embeds documents again, but no embedder is named.")
    ids = [batch.ids[i] for i in mine.tolist()]
    texts = site.texts(ids)
    places = site.own_documents.places(ids, documents(site.collection, ids))
    batch.raw[mine], failed = site.embedder.tolerant([text or "" for text in texts], dim)
    trial = site.holdings.trial if site.holdings else None
    proof = trial.reason if trial else ""
    for at, place in zip(mine.tolist(), places, strict=True):
        told = f"{proof}; the document is that of {place}" if place else proof
        batch.origin[at] = ("embedded again", site.embedder.name, -1, True, told)
    return {int(mine[i]): reason for i, reason in failed.items()}


def add_missing_vectors(work: Work) -> Report:
    """Every record whose vector exists, or can be embedded again, is in the index, under a label never given
    before.
    """
    site = work.site()
    segment, _, header, _ = framed(site)
    if site.holdings is None or not isinstance(site.id_map, IdMap):
        raise Refused("vectors are added only where ids and id map can be read.")
    positions = np.flatnonzero(site.holdings.mask(SOURCE, EMBED))
    if not positions.size:
        return {"added": 0}
    batch = gather(work, site, positions)
    first = next_label(site)
    labels = np.arange(first, first + len(batch.ids), dtype=np.int64)
    directory = work.whole(segment)
    retire_spoiled(work, site, directory)
    work.tell(f"adding {len(labels)} vectors", 0.5)
    space = site.collection.settings.space
    add = mapped_add if work.on_maps() else native_add
    room = capacity(work, site, header.cur_element_count + len(labels))
    added = add(directory, space, header.dim, batch.raw, labels, room)
    patch_exact(directory, space, labels, batch)
    zero_unused(directory, space, header.cur_element_count)
    mapping = {**site.mapping, **dict(zip(batch.ids, labels.tolist(), strict=True))}
    work.save_map(site, with_ids(site.id_map, mapping, int(labels[-1])))
    work.keep_provenance(batch.rows(labels))
    return {"added": len(labels), "elements": added.count, "seconds": dict(added.seconds)}


def patch_exact(directory: Path, space: str, labels: np.ndarray, batch: Batch) -> None:
    """Elements copied from another level 0 carry its bits, and for cosine its norms, not what normalising
    again gave.
    """
    chosen = np.flatnonzero(batch.exact)
    if not chosen.size:
        return
    with level0_for_writing(directory) as level0:
        elements = element_of(np.ascontiguousarray(level0["label"]), labels[chosen])
        level0["vector"][elements] = batch.stored[chosen]
    if space == "cosine":
        with file_for_writing(directory / layout.LENGTH_FILE) as raw:
            raw[: raw.size // 4 * 4].view("<f4")[elements] = batch.norms[chosen]


def rebuild_segment(work: Work) -> Report:
    """A new segment directory with an index of every vector there is, its id map, and a watermark that fits
    both.
    """
    site = work.site()
    segment, collection = site.segment, site.collection
    if segment is None or site.holdings is None or site.dim is None:
        raise Refused(f"{collection.name} has no vector segment or no dimension, so nothing can be built.")
    positions = np.flatnonzero(site.holdings.mask(*REBUILT))
    batch = gather(work, site, positions)
    labels = np.arange(1, len(batch.ids) + 1, dtype=np.int64)
    keep_left_out(work, site)
    directory = work.draft.new(segment.relative)
    if directory.exists():
        shutil.rmtree(directory)
    work.tell(f"building an index of {len(labels)} vectors", 0.5)
    M, ef = _parameters(work, site)
    room, threads = capacity(work, site, len(labels)), work.options.threads_for(new_index=True)
    space = collection.settings.space
    native_build(
        directory, space, batch.raw, labels, M=M, ef_construction=ef, max_elements=room, threads=threads
    )
    patch_exact(directory, space, labels, batch)
    zero_unused(directory, space, 0)
    mapping = dict(zip(batch.ids, labels.tolist(), strict=True))
    work.save_map(site, _map_of(site, mapping))
    if collection.store.is_modern or not isinstance(collection.vector_watermark_row, Absent):
        set_watermark(work, site, segment.id, rebuilt_watermark(site))
    work.keep_provenance(batch.rows(labels))
    return {"elements": len(labels), "M": M, "ef_construction": ef}


def _map_of(site: Site, mapping: dict[str, int]) -> IdMap:
    if isinstance(site.id_map, IdMap):
        return with_ids(site.id_map, mapping, len(mapping))
    return new_map(site, mapping, len(mapping), rebuilt_watermark(site))


def rebuilt_watermark(site: Site) -> int:
    """The position up to which a rebuilt index holds everything: what was recorded, never past the
    metadata's.
    """
    marks = site.watermarks
    known = [target.value for target in (marks.vector, marks.metadata) if target.value]
    return max(1, min(known)) if known else max(1, marks.queue_top)


def _parameters(work: Work, site: Site) -> tuple[int, int]:
    """M and ef_construction: those chosen, else the header's where it can be believed, else the settings'."""
    segment, chosen = site.segment, work.action.parameters
    geometry = Absent("") if segment is None else segment.files.geometry
    own = site.collection.settings if isinstance(geometry, Absent) else geometry
    return int(chosen.get("M", own.M)), int(chosen.get("ef_construction", own.ef_construction))


VECTORS: dict[str, Callable[[Work], Report]] = {
    "add-missing-vectors": add_missing_vectors,
    "rebuild-segment": rebuild_segment,
    "compact-segment": rebuild_segment,
    "relink-elements": relink_elements,
    "replace-vectors": replace_vectors,
}
