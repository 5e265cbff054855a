"""Vectors that are wrong where they stand, and elements that no search reaches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.engine import make_searchable, native_self_search
from forensics.engine.doubt import Doubtful, doubtful_elements
from forensics.engine.mapped import mapped_self_search
from forensics.errors import MissingPackage, Refused
from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles
from forensics.repair.actions.frame import Report, framed
from forensics.repair.actions.work import Work, digests
from forensics.repair.proposals import GRAPH
from forensics.repair.site import Site
from forensics.repair.zeroed import replacements
from forensics.sources import QUEUE, fetch, find_sources
from forensics.writers.draft_maps import file_for_writing, level0_for_writing
from forensics.writers.relink import relink
from forensics.writers.segment_files import set_deleted

SEARCH_ALL = 50_000
"""Up to so many elements every one is searched by itself, whatever was done."""
UNIT = 1e-5
"""How far from 1 the length of a stored cosine vector may be by rounding."""
ROUNDED = 4e-7


def relink_elements(work: Work) -> Report:
    """Every live vector of the index has links and finds itself, or is counted here; the case holds what was
    asked and of which files.
    """
    site = work.site()
    segment, _, header, summary = framed(site)
    work.tell("searching every vector by itself", 0.5)
    directory, space = work.whole(segment), site.collection.settings.space
    lone = np.flatnonzero(summary.live & (summary.counts == 0))
    if lone.size and summary.live.sum() > 1:
        relink(directory, lone, space)
    doubtful = _doubtful(work, segment.relative, directory)
    asked, spared = (None, None) if doubtful is None else (doubtful.asked, doubtful.spared)
    threads, search = (
        work.options.threads_for(new_index=True),
        mapped_self_search if work.on_maps() else native_self_search,
    )
    try:
        found = make_searchable(
            directory, space, header.dim, elements=asked, spared=spared, threads=threads, search=search
        )
    except MissingPackage as error:
        return {"linked": len(lone), "skipped": str(error)}
    searched = {
        "asked": found.asked,
        "of": int(summary.live.sum()),
        "missing": len(found.missing),
        "as_before": len(found.left),
        "files": digests(directory.joinpath),
    }
    if doubtful is not None:
        parts = ("new", "weakened", "sample")
        searched |= {name: len(getattr(doubtful, name)) for name in parts}
    work.evidence("self-search", ".json").write_text(json.dumps(searched), encoding="utf-8")
    missing = found.missing.tolist()[:100]
    return {"linked": len(lone), "asked": found.asked, "missing": missing, "hopeless": len(found.hopeless)}


def _doubtful(work: Work, relative: str, directory: Path) -> Doubtful | None:
    """What is worth a search where a large index was only added to; None: every element is.

    An addition can cost only those their way that a link led to and does not any more; they are asked where few are
    left, all new ones, and an even sample of the rest.
    """
    kinds = {a.kind for a in work.context.plan.approved if a.collection == work.action.collection}
    before = HnswFiles(work.context.store / relative).level0
    only_added = "add-missing-vectors" in kinds and not (kinds & GRAPH) - {
        "add-missing-vectors",
        "relink-elements",
    }
    wanted = work.options.search_every_vector or bool(set(work.action.codes) & {"CF606", "CF609"})
    few = not isinstance(before, Absent) and len(before) <= SEARCH_ALL and not work.on_maps()
    if isinstance(before, Absent) or few or not only_added or wanted:
        return None
    after = HnswFiles(directory).level0
    return None if isinstance(after, Absent) else doubtful_elements(before, after)


@dataclass(frozen=True, slots=True)
class Replacement:
    """Elements (k,) and what they should carry: stored (k, dim) and norms (k,); ids (k) of their records."""

    ids: list[str]
    elements: np.ndarray
    stored: np.ndarray
    norms: np.ndarray


def replace_vectors(work: Work) -> Report:
    """Elements carry the vector that the newest applied queue row gives, and under cosine one of length 1;
    the older ones are in the case.
    """
    site = work.site()
    found = {"queue": _from_queue(site)}
    if site.collection.settings.space == "cosine":
        found |= {"normalised": _normalised(site), "zero": Replacement(*replacements(site))}
    return {how: _put(work, site, part, how) for how, part in found.items()}


def _from_queue(site: Site) -> Replacement:
    """Elements that differ from the newest queue row at or below the watermark."""
    records, files = site.records, site.files
    if records is None or files is None:
        raise Refused("SQLite and level 0 are needed to know which vectors are older than the queue.")
    held = np.flatnonzero(records.indexed)
    ids = [records.rows.ids[i] for i in held.tolist()]
    sources = find_sources(site.collection, ids)
    queued = np.flatnonzero((sources.kind == QUEUE) & (sources.ref <= site.watermark))
    new, elements = fetch(site.collection, sources, queued), records.elements[held[queued]]
    tolerance = ROUNDED if site.collection.settings.space == "cosine" else 0.0
    differs = ~(np.abs(new.stored - files.vectors(elements)).max(axis=1, initial=0.0) <= tolerance)
    names = [ids[i] for i in queued[differs].tolist()]
    return Replacement(names, elements[differs], new.stored[differs], new.norms[differs])


def _normalised(site: Site) -> Replacement:
    """Live elements of a cosine index whose vector is not of length 1, scaled to it."""
    records, files, summary = site.records, site.files, site.summary
    if records is None or files is None or summary is None:
        raise Refused("without level 0 nothing can be normalised.")
    held = np.flatnonzero(records.indexed)
    vectors = files.vectors(records.elements[held])
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    wrong = np.isfinite(lengths) & (lengths > 0) & (np.abs(lengths - 1) > UNIT)
    stored = (vectors[wrong] / lengths[wrong, None]).astype(np.float32)
    elements = records.elements[held[wrong]]
    known = files.lengths
    norms = np.ones(len(elements), np.float32) if isinstance(known, Absent) else np.asarray(known)[elements]
    return Replacement([records.rows.ids[i] for i in held[wrong].tolist()], elements, stored, norms)


def _put(work: Work, site: Site, new: Replacement, how: str) -> int:
    """The draft carries these vectors; the older ones are in the case. Returns how many."""
    if not new.elements.size:
        return 0
    segment, files, *_ = framed(site)
    work.keep_records(f"replaced-{how}", _older(new.ids, new.elements, files.vectors(new.elements)))
    names = (layout.HEADER_FILE, layout.LEVEL0_FILE, layout.LENGTH_FILE, layout.LINKS_FILE)
    directory = work.changeable(segment, *names)
    with level0_for_writing(directory) as level0:
        level0["vector"][new.elements] = new.stored
    if site.collection.settings.space == "cosine":
        with file_for_writing(directory / layout.LENGTH_FILE) as raw:
            raw[: raw.size // 4 * 4].view("<f4")[new.elements] = new.norms
    relink(directory, new.elements, site.collection.settings.space)
    return len(new.elements)


def _older(ids: list[str], elements: np.ndarray, vectors: np.ndarray) -> Iterator[dict[str, object]]:
    for name, element, vector in zip(ids, elements.tolist(), vectors, strict=True):
        yield {"kind": "older vector, as stored", "id": name, "element": element, "vector": vector.tolist()}


def retire_spoiled(work: Work, site: Site, directory: Path) -> None:
    """Elements whose vector is not finite are flagged deleted in the draft; their bits are in the case."""
    if not site.spoiled.size or site.files is None or site.summary is None:
        return
    vectors = site.files.vectors(site.spoiled)
    work.keep_records(
        "spoiled",
        (
            {"kind": "not finite", "element": element, "label": int(label), "bits": vector.tobytes()}
            for element, label, vector in zip(
                site.spoiled.tolist(), site.spoiled_labels.tolist(), vectors, strict=True
            )
        ),
    )
    set_deleted(directory, site.spoiled, True)
