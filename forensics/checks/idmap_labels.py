"""What the id map says, against itself, against level 0, and against the counter of labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forensics.absent import Absent
from forensics.checks.causes_elements import causes_of, labels_without_element
from forensics.checks.places import (
    examples,
    geometry_of,
    id_map_of,
    in_segment,
    records_of,
    summary_of,
)
from forensics.checks.registry import check, finding
from forensics.checks.replay import written_again
from forensics.checks.survivors import remedy_for
from forensics.model import Cause, Finding, Place, Remedy
from forensics.readers.columns import are_distinct
from forensics.readers.id_map import IdMap
from forensics.readers.layout import ID_MAP_FILE, LEVEL0_FILE
from forensics.records import elements_of
from forensics.store import Collection
from forensics.words import counted

NO_LABEL = -1


@check("CF406", needs=("id_map",))
def id_map_not_bijective(collection: Collection) -> Iterator[Finding]:
    """id_to_label and label_to_id are not each other's inverse."""
    id_map = id_map_of(collection)
    if id_map.is_mirrored:
        return
    shared, unmirrored, orphans = _not_mirrored(id_map)
    yield finding(
        "CF406",
        collection,
        count=len(set(shared) | set(unmirrored)) + len(orphans),
        unit="entries",
        expected="label_to_id[id_to_label[id]] is id, for every id and every label",
        found={
            "ids_sharing_a_label": examples(shared),
            "ids_whose_label_leads_elsewhere": examples(unmirrored),
            "labels_of_no_id": examples(orphans),
        },
        where=(in_segment(collection, ID_MAP_FILE),),
        means="A search that meets one of these labels fails as a whole, or names the wrong record.",
        remedy=Remedy(
            action="mend-id-map",
            safety="lossy" if shared else "safe",
            loses=max(0, len(shared) - len(set(map(id_map.id_to_label.get, shared)))),
        ),
        lists={"ids": sorted({*shared, *unmirrored}), "labels": orphans},
    )


def _not_mirrored(id_map: IdMap) -> tuple[list[str], list[str], list[int]]:
    """(ids that share their label with another id, ids whose label leads elsewhere, labels that lead to no
    such id)."""
    labels = id_map.labels()
    values, counts = np.unique(labels, return_counts=True)
    doubled = set(values[counts > 1].tolist())
    shared = sorted(name for name, label in id_map.id_to_label.items() if label in doubled)
    unmirrored = sorted(
        name for name, label in id_map.id_to_label.items() if id_map.label_to_id.get(label) != name
    )
    orphans = sorted(
        label for label, name in id_map.label_to_id.items() if id_map.id_to_label.get(name) != label
    )
    return shared, unmirrored, orphans


@check("CF407", needs=("id_map",))
def label_counter_behind(collection: Collection) -> Iterator[Finding]:
    """total_elements_added is below a label that an id already has."""
    id_map = id_map_of(collection)
    highest, total = id_map.highest_label, id_map.total_elements_added
    if total is None or highest <= total:
        return
    endangered = int((id_map.labels() > total).sum())
    yield finding(
        "CF407",
        collection,
        count=endangered,
        unit="labels",
        expected={"total_elements_added": f"at least {highest}"},
        found={"total_elements_added": total, "highest_label": highest},
        where=(in_segment(collection, ID_MAP_FILE),),
        means=f"The next {endangered} new records get labels that others have: their vectors are overwritten "
        "without an error.",
        remedy=Remedy(action="mend-id-map", safety="safe"),
        lists={"labels": np.sort(id_map.labels()[id_map.labels() > total])},
    )


def highest_given(id_map: IdMap) -> int:
    """No label above this was ever given: the counter, or the highest label in use where the counter is
    behind."""
    return max(id_map.total_elements_added or 0, id_map.highest_label)


@check("CF408", needs=("id_map", "summary"))
def label_without_vector(collection: Collection) -> Iterator[Finding]:
    """An id has a label that no element of level 0 carries."""
    id_map, summary = id_map_of(collection), summary_of(collection)
    labels = id_map.labels()
    gone = elements_of(labels, summary) < 0
    if not gone.any():
        return
    ids = [name for name, lost in zip(id_map.id_to_label, gone.tolist(), strict=True) if lost]
    yield finding(
        "CF408",
        collection,
        count=len(ids),
        unit="ids",
        expected="an element of data_level0.bin for every label that an id has",
        found={"ids": examples(ids), "labels": examples(labels[gone]), "elements": len(summary.labels)},
        where=(in_segment(collection, ID_MAP_FILE), in_segment(collection, LEVEL0_FILE)),
        means="Calls that ask for these vectors fail with 'Error getting embedding'; deleting or "
        "changing such "
        "a record fails for ever.",
        remedy=remedy_for(collection, _in_need(collection, ids), action="add-missing-vectors"),
        causes=_cut_flush(labels, gone, summary.labels),
        lists={"ids": ids, "labels": labels[gone]},
    )


def _in_need(collection: Collection, ids: list[str]) -> list[str]:
    """Those of `ids` that are records and that no queue row brings back."""
    records = collection.records
    if isinstance(records, Absent):
        return ids
    return [name for name in records.ids(records.missing) if name in set(ids)]


def _cut_flush(labels: np.ndarray, gone: np.ndarray, held: np.ndarray) -> tuple[Cause, ...]:
    """All lost labels are above all that level 0 holds: the map was written, the vectors were not."""
    if not held.size or labels[gone].min() <= int(held.max()):
        return ()
    evidence = (
        f"the {counted(int(gone.sum()), 'labels')} ({int(labels[gone].min())} to {int(labels[gone].max())}) are all "
        "above the highest "
        f"one in data_level0.bin ({int(held.max())}): a flush wrote the id map but could not write the "
        "vectors"
    )
    return (Cause(name="flush-without-vectors", confidence="likely", evidence=evidence),)


@check("CF409", needs=("id_map", "summary"))
def vector_without_label(collection: Collection) -> Iterator[Finding]:
    """A live element carries a label that was given to an id once and that no id maps to now."""
    id_map, summary = id_map_of(collection), summary_of(collection)
    labels = summary.labels.astype(np.int64)
    given = summary.live & (labels >= 1) & (labels <= highest_given(id_map))
    stray = np.flatnonzero(given & ~np.isin(labels, _mapped_either_way(id_map)))
    if not stray.size:
        return
    yield finding(
        "CF409",
        collection,
        count=stray.size,
        unit="elements",
        expected="an id for the label of every live element",
        found={"elements": examples(stray), "labels": examples(labels[stray])},
        where=(_element(collection, int(stray[0])), in_segment(collection, ID_MAP_FILE)),
        means="A search that meets one of these elements fails as a whole with 'Error finding id'. The "
        "vectors "
        "are those of records that the id map has lost.",
        remedy=Remedy(action="rebuild-id-map", safety="safe"),
        lists={"elements": stray, "labels": labels[stray]},
    )


def _mapped_either_way(id_map: IdMap) -> np.ndarray:
    """Labels of id_to_label, and those that only label_to_id has (CF406 names these)."""
    return np.concatenate([id_map.labels(), id_map.back_labels])


def _element(collection: Collection, element: int) -> Place:
    size = geometry_of(collection).size_data_per_element
    return in_segment(collection, LEVEL0_FILE, offset=element * size, rows=f"element {element}")


@check("CF410", needs=("summary",))
def label_duplicated(collection: Collection) -> Iterator[Finding]:
    """One label of 1 or more stands on two elements."""
    labels = summary_of(collection).labels
    if are_distinct(labels[labels >= 1]):
        return
    values, counts = np.unique(labels[labels >= 1], return_counts=True)
    doubled = values[counts > 1]
    elements = np.flatnonzero(np.isin(labels, doubled))
    yield finding(
        "CF410",
        collection,
        count=doubled.size,
        unit="labels",
        expected="each label on one element",
        found={"labels": examples(doubled), "elements": examples(elements)},
        where=(_element(collection, int(elements[0])),),
        means="Of two vectors under one label the engine uses the one that it read last; which of them "
        "belongs "
        "to the record cannot be seen.",
        remedy=Remedy(action="retire-elements", safety="lossy", loses=int(doubled.size)),
        lists={"labels": doubled, "elements": elements},
    )


@check("CF411", needs=("records", "summary"))
def label_deleted(collection: Collection) -> Iterator[Finding]:
    """A record's element is flagged deleted, although no delete of the record is pending."""
    records = records_of(collection)
    flagged = flagged_records(collection)
    if not flagged.any():
        return
    ids, elements = records.ids(flagged), records.elements[flagged]
    yield finding(
        "CF411",
        collection,
        count=len(ids),
        unit="records",
        expected="the deleted flag only on elements that no record needs",
        found={"ids": examples(ids), "elements": examples(elements)},
        where=(_element(collection, int(elements[0])),),
        means="No search finds these records, and deleting or changing one of them fails for ever. Their "
        "vectors "
        "are still there.",
        remedy=Remedy(action="clear-deleted-flags", safety="safe"),
        lists={"ids": ids, "elements": elements, "labels": records.labels[flagged]},
    )


def flagged_records(collection: Collection) -> np.ndarray:
    """(n,) bool over the records: mapped to an element that is flagged deleted, and not brought by the
    queue."""
    records = records_of(collection)
    return (records.elements >= 0) & ~records.live & ~records.pending


@check("CF412", needs=("id_map", "summary"))
def element_without_identity(collection: Collection) -> Iterator[Finding]:
    """Elements with label 0, or with a label that was never given and that the replay will not give either."""
    labels = summary_of(collection).labels
    given = highest_given(id_map_of(collection))
    nameless = np.flatnonzero(((labels == 0) | (labels > given)) & ~written_again(collection))
    if not nameless.size:
        return
    yield finding(
        "CF412",
        collection,
        count=nameless.size,
        unit="elements",
        expected={"labels": f"1 to {given}"},
        found={"elements": examples(nameless), "labels": examples(labels[nameless]), "of": len(labels)},
        where=(_element(collection, int(nameless[0])),),
        means=f"{_what_is_lost(collection)} A search can meet these elements, and the next write can crash.",
        remedy=Remedy(action="drop-phantom-elements", safety="safe"),
        causes=causes_of(collection, nameless),
        lists={"elements": nameless, "labels": labels[nameless]},
    )


def _what_is_lost(collection: Collection) -> str:
    gone = labels_without_element(collection)
    if not gone:
        return "Nothing is lost with them."
    return f"{counted(gone, 'ids')} of the id map have a label that no element holds: their vectors may have stood here."
