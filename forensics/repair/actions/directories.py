"""Directories of segments that stand under the wrong name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import numpy as np

from forensics.absent import Absent
from forensics.copying import copy_tree
from forensics.elsewhere import OTHER
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.id_map import IdMap
from forensics.records import elements_of
from forensics.repair.actions.work import Work
from forensics.store import VectorSegment

Report = dict[str, Json]


def put_directory_back(work: Work) -> Report:
    """The directory of the collection holds what stands in the store under that of another collection."""
    collection = work.collection()
    if isinstance(collection.vector, Absent):
        raise Refused(f"{collection.name} has no vector segment.")
    source = work.context.store / str(work.action.parameters["from"])
    target = work.draft.new(collection.vector.relative)
    shutil.rmtree(target, ignore_errors=True)
    copy_tree(source, target)
    here = VectorSegment(collection.vector.id, work.store.tree, collection.vector.relative)
    work.keep_provenance(_origins(here, source.name))
    return {"from": source.name}


def _origins(segment: VectorSegment, place: str) -> Iterator[tuple[object, ...]]:
    """The provenance of every id of the map that has an element."""
    id_map, summary = segment.id_map, segment.files.summary
    if not isinstance(id_map, IdMap) or isinstance(summary, Absent):
        raise Refused(f"the index that stands in {place} cannot be read.")
    labels = np.fromiter(id_map.id_to_label.values(), dtype=np.int64, count=len(id_map.id_to_label))
    rows = zip(id_map.id_to_label.items(), elements_of(labels, summary).tolist(), strict=True)
    for (name, label), element in rows:
        if element >= 0 and not summary.deleted[element]:
            yield name, label, OTHER, place, element, True, True, "ids of the map"


DIRECTORIES: dict[str, Callable[[Work], Report]] = {"put-directory-back": put_directory_back}
