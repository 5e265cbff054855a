"""The id map and the deleted flags: which id has which element."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers import layout
from forensics.readers.hnsw import Level0Summary
from forensics.readers.id_map import IdMap
from forensics.records import elements_of
from forensics.repair.actions.frame import Report, claimed_elements, framed, name_elements, next_label
from forensics.repair.actions.marks import take_out
from forensics.repair.actions.work import Work, new_map, with_ids
from forensics.repair.holdings import FLAGGED
from forensics.repair.site import Site
from forensics.writers.segment_files import set_deleted


def rebuild_id_map(work: Work) -> Report:
    """Every proved pair is in the id map, beside what it held before; the counter is above every label."""
    site = work.site()
    _, _, _, summary = framed(site)
    proof = site.proof
    if proof is None or not proof.proved.any():
        raise Refused(f"of no vector of {site.collection.name} it can be proved whose it is.")
    taken = np.flatnonzero(proof.proved)
    labels = summary.labels[proof.element[taken]].astype(np.int64)
    pairs = {proof.ids[i]: label for i, label in zip(taken.tolist(), labels.tolist(), strict=True)}
    mapping = {**site.mapping, **pairs}
    work.save_map(site, _saved(site, mapping))
    work.keep_provenance(_rows(proof.ids, taken, labels, proof.how, proof.element))
    return {"proved": len(pairs), "refused": int((~proof.proved).sum()), "reason": proof.refused}


def _saved(site: Site, mapping: dict[str, int]) -> IdMap:
    total = next_label(site) - 1
    if isinstance(site.id_map, IdMap):
        return with_ids(site.id_map, mapping, max(total, site.id_map.total_elements_added or 0))
    return new_map(site, mapping, total, _applied_up_to(site, mapping))


def _applied_up_to(site: Site, mapping: Mapping[str, int]) -> int:
    """For 0.4 and 0.5, whose watermark is lost with the map: the row before the first not indexed."""
    rows = site.collection.queue.rows()
    listed = [] if isinstance(rows, Absent) else rows
    first = next((row.seq_id for row in listed if row.vector_bytes and row.id not in mapping), None)
    last = listed[-1].seq_id if listed else 1
    return max(1, first - 1 if first is not None else last)


def _rows(
    ids: Sequence[str], taken: np.ndarray, labels: np.ndarray, how: np.ndarray, element: np.ndarray
) -> Iterator[tuple[object, ...]]:
    for position, label in zip(taken.tolist(), labels.tolist(), strict=True):
        yield ids[position], label, "level 0", "", int(element[position]), True, True, how[position]


def mend_id_map(work: Work) -> Report:
    """Both halves are each other's inverse, every label is held by level 0, the counter is the highest label
    given.
    """
    site = work.site()
    _, _, _, summary = framed(site)
    id_map = site.id_map
    found = site.collection.id_map
    if not isinstance(id_map, IdMap) or not isinstance(found, IdMap):
        raise Refused("there is no id map to mend; it must be rebuilt.")
    held = set(site.held_labels.tolist())
    mapping = {name: label for name, label in site.mapping.items() if label in held}
    before = {**id_map.id_to_label, **{name: found.id_to_label[name] for name in site.buried}}
    dropped = [(name, label) for name, label in before.items() if name not in mapping]
    total = max(int(summary.labels[summary.labels < 2**62].max(initial=0)), max(mapping.values(), default=0))
    work.save_map(site, with_ids(id_map, mapping, total))
    if site.misnamed:
        work.keep_provenance(_meant(site, mapping))
    if dropped:
        work.keep_rows("dropped-from-id-map", ("id", "label"), dropped)
    return {"ids": len(mapping), "dropped": len(dropped), "counter": total}


def _meant(site: Site, mapping: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    """The provenance of records whose vector stood under an id that reads the same."""
    records = site.records
    for old, name in site.misnamed.items() if records is not None else ():
        element = int(records.elements[site.collection.row_of[name]])  # pyright: ignore[reportOptionalMemberAccess]
        yield name, mapping[name], "level 0", "", element, True, True, f"the id map calls it {old!r}"


def clear_deleted_flags(work: Work) -> Report:
    """No element whose record lives is flagged deleted."""
    site = work.site()
    segment, *_ = framed(site)
    if site.holdings is None or site.records is None:
        raise Refused("SQLite cannot be read, so nobody knows which records live.")
    elements = site.records.elements[site.holdings.mask(FLAGGED)]
    directory = work.changeable(segment, layout.LEVEL0_FILE, layout.HEADER_FILE)
    changed = set_deleted(directory, elements, False)
    labels = site.records.labels[site.holdings.mask(FLAGGED)]
    ids = site.holdings.named(FLAGGED)
    work.keep_provenance(
        (name, int(label), "level 0", "", int(element), True, True, "its own label, flagged deleted")
        for name, label, element in zip(ids, labels, elements, strict=True)
    )
    return {"cleared": changed}


def quarantine_ghosts(work: Work) -> Report:
    """No id without a record is in the map or comes back from the queue; its element is flagged deleted, its vector
    and its queue rows are in the case.
    """
    site = work.site()
    mapped = [name for name in site.ghosts if name in site.mapping]
    rows = take_out(work, site.collection, ghost_rows(site))
    kept = _unmapped(work, site, mapped) if mapped else []
    work.keep_records("quarantined", [*kept, *rows])
    return {"quarantined": len(site.ghosts), "queue_rows": len(rows)}


def _unmapped(work: Work, site: Site, ghosts: list[str]) -> list[dict[str, Json]]:
    """The map is without these ids, their elements are flagged deleted; their vectors, to be kept."""
    segment, _, _, summary = framed(site)
    if not isinstance(site.id_map, IdMap):
        raise Refused("without the id map nobody knows which ids have no record.")
    elements = element_of(summary.labels, [site.mapping[name] for name in ghosts])
    mapping = {name: label for name, label in site.mapping.items() if name not in set(ghosts)}
    there = elements[elements >= 0]
    set_deleted(work.changeable(segment, layout.LEVEL0_FILE, layout.HEADER_FILE), there, True)
    work.save_map(site, with_ids(site.id_map, mapping, site.id_map.total_elements_added or 0))
    return list(_with_vectors(site, ghosts, elements, "ghost"))


def ghost_rows(site: Site) -> list[int]:
    """The seq_ids of the queue rows of ids without a record."""
    rows = site.collection.queue.rows(ids=site.ghosts)
    return [] if isinstance(rows, Absent) else [row.seq_id for row in rows]


def element_of(labels: np.ndarray, wanted: Sequence[int] | np.ndarray) -> np.ndarray:
    """(k,) internal ids of these labels, -1 where level 0 has none."""
    live = Level0Summary(labels, np.zeros(len(labels), dtype=bool), np.zeros(len(labels), dtype=np.uint16))
    return elements_of(np.asarray(wanted, dtype=np.int64), live)


def _with_vectors(
    site: Site, ids: Sequence[str], elements: np.ndarray, kind: str
) -> Iterator[dict[str, Json]]:
    """One JSON record per id, with the vector as the user gave it and as it is stored."""
    for name, element in zip(ids, elements.tolist(), strict=True):
        vector = site.raw_vectors(np.array([element]))[0].tolist() if element >= 0 else None
        yield {
            "kind": kind,
            "collection": site.collection.name,
            "id": name,
            "element": element,
            "vector": vector,
        }


def keep_left_out(work: Work, site: Site) -> None:
    """The case holds the vectors that a new index will not: those of ids without a record, and those that no record
    claims.
    """
    if site.summary is None or site.records is None:
        return
    ghosts = [name for name in site.ghosts if name in site.mapping]
    elements = element_of(site.summary.labels, [site.mapping[name] for name in ghosts])
    taken = np.empty(0, np.int64) if site.proof is None else site.proof.element
    lone = np.concatenate(
        [np.setdiff1d(site.nameless, taken), np.setdiff1d(site.duplicates, claimed_elements(site))]
    )
    labels = [str(label) for label in site.summary.labels[lone].tolist()]
    rows = take_out(work, site.collection, ghost_rows(site) if "CF503" in site.codes else ())
    if ghosts or labels or rows:
        left = [
            _with_vectors(site, ghosts, elements, "ghost"),
            _with_vectors(site, labels, lone, "element without an id"),
        ]
        work.keep_records("quarantined", chain(*left, rows))


def retire_elements(work: Work) -> Report:
    """No search returns an element that no record claims: each is flagged deleted, its vector is in the case.
    Those under another's label that are proved to be records live under a label of their own; an action with the
    parameter `claimed` does only that.
    """
    site = work.site()
    segment, _, _, summary = framed(site)
    claimed = np.intersect1d(site.duplicates, claimed_elements(site))
    if "claimed" in work.action.parameters:
        name_elements(work, site, claimed)
        return {"claimed": len(claimed)}
    unproved = np.setdiff1d(
        site.nameless, np.empty(0, np.int64) if site.proof is None else site.proof.element
    )
    lone = np.concatenate([unproved, np.setdiff1d(site.duplicates, claimed)])
    labels = [str(label) for label in summary.labels[lone].tolist()]
    work.keep_records("quarantined", _with_vectors(site, labels, lone, "element without an id"))
    if unproved.size:
        set_deleted(work.changeable(segment, layout.LEVEL0_FILE, layout.HEADER_FILE), unproved, True)
    name_elements(work, site, site.duplicates)
    return {"nameless": len(unproved), "duplicates": len(site.duplicates)}


NAMES: dict[str, Callable[[Work], Report]] = {
    "rebuild-id-map": rebuild_id_map,
    "mend-id-map": mend_id_map,
    "clear-deleted-flags": clear_deleted_flags,
    "quarantine-ghosts": quarantine_ghosts,
    "retire-elements": retire_elements,
}
