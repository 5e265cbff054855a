"""Vectors that stand under the id of another record, by the word of an embedder that makes those of a quorum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from forensics.absent import Absent
from forensics.checks.doubt import accused, has_doubtful_labels
from forensics.errors import CannotComplete
from forensics.readers.id_map import IdMap
from forensics.records import Records, join_records
from forensics.repair.prospect import shared_labels
from forensics.sources import NOWHERE, QUEUE, Sources, documents, fetch
from forensics.witness import QUORUM, Testimony, same_vectors, testify

if TYPE_CHECKING:
    from forensics.repair.site import Site

UNMAP = "unmap-foreign-vectors"
VOUCH = "show-whose-vectors"
"""What only the user can do: name an embedder, where two writers gave the same labels."""
OLDER_ASKED = 1000
"""Up to so many vectors that may be older than their records are compared with the documents, each."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """id → (label, element, cosine with its own text, id of the record whose vector it is or ""); figures of all."""

    vectors: Mapping[str, tuple[int, int, float, str]] = field(default_factory=dict)
    figures: str = ""


def find_foreign(site: Site) -> Foreign:
    """What CF505 found, by the site's embedder; nothing where it does not reproduce a quorum."""
    rows = site.collection.rows
    heard = _heard(site) if "CF505" in site.codes else None
    if heard is None or heard[1].share < QUORUM or isinstance(rows, Absent):
        return Foreign()
    records, testimony = heard
    wrong = accused(testimony, doubtful=has_doubtful_labels(site.collection)).foreign
    place, ids = testimony.rows[wrong], rows.ids
    columns = (
        records.labels[place],
        records.elements[place],
        testimony.cosine[wrong],
        testimony.owner[wrong],
    )
    vectors = {
        ids[row]: (label, element, round(cosine, 6), ids[owner] if owner >= 0 else "")
        for row, label, element, cosine, owner in zip(
            place.tolist(), *(column.tolist() for column in columns), strict=True
        )
    }
    return Foreign(vectors, testimony.figures)


def vouches(site: Site) -> bool:
    """True where the site's embedder reproduces a quorum of all vectors, so that it would have named the others."""
    heard = _heard(site)
    return heard is not None and heard[1].share >= QUORUM


def _heard(site: Site) -> tuple[Records, Testimony] | None:
    """The join by the id map as it stands (`site.id_map` is without foreign ids), and what the embedder says of it."""
    collection, rows = site.collection, site.collection.rows
    if site.embedder is None or site.files is None:
        return None
    if isinstance(rows, Absent) or not isinstance(collection.id_map, IdMap):
        return None
    above = collection.queue.rows(above=site.watermark)
    waiting = set() if isinstance(above, Absent) else {row.id for row in above}
    records = join_records(rows, collection.vector, collection.id_map, {}, summary=site.summary)
    try:
        heard = testify(collection, records, site.files, site.embedder, everything=True, pending=waiting)
    except CannotComplete:
        return None  # it gives no vectors: the trial says so where one is needed
    return records, heard


def without(id_map: IdMap, ids: Mapping[str, object] | frozenset[str]) -> IdMap:
    """The same map, neither half of which has one of these ids."""
    return replace(
        id_map,
        id_to_label={name: label for name, label in id_map.id_to_label.items() if name not in ids},
        label_to_id={label: name for label, name in id_map.label_to_id.items() if name not in ids},
        id_to_seq_id={name: seq for name, seq in id_map.id_to_seq_id.items() if name not in ids},
    )


def one_id_per_label(id_map: IdMap, spoiled: set[int]) -> IdMap:
    """The same map without these labels, and of ids that share one with that to which label_to_id leads."""
    labels = id_map.id_to_label
    if len(set(labels.values())) == len(labels) and not spoiled:
        return id_map
    shared = shared_labels(labels)
    kept = {
        name: label
        for name, label in labels.items()
        if label not in spoiled and (label not in shared or id_map.label_to_id.get(label) == name)
    }
    return replace(id_map, id_to_label=kept)


def doubted(site: Site, sources: Sources) -> Sources:
    """The sources without vectors of other directories that the embedder does not make of the record's document,
    where a foreign vector stood under its id, or where they may be older than the record (of many such none is asked);
    the newest queue row is believed.
    """
    older = ~sources.current & sources.found & sources.has_document
    judged = 0 < older.sum() <= OLDER_ASKED and site.trial is not None and site.trial.passed
    asked = [
        index
        for index, (name, kind) in enumerate(zip(sources.ids, sources.kind.tolist(), strict=True))
        if (judged and older[index])
        or (name in site.foreign_ids and kind not in (NOWHERE, QUEUE) and sources.has_document[index])
    ]
    if asked and site.embedder is not None:
        at = np.array(asked, dtype=np.int64)
        raw = fetch(site.collection, sources, at).raw
        texts = documents(site.collection, [sources.ids[index] for index in asked])
        made, failed = site.embedder.tolerant([text or "" for text in texts], raw.shape[1])
        _, right = same_vectors(made, raw, scaled=site.collection.settings.space != "cosine")
        right[list(failed)] = True  # of these the embedder says nothing
        sources.current[at[right]] = True
        sources.kind[at[~right]], sources.origin[at[~right]] = NOWHERE, ""
    return sources
