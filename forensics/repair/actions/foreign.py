"""Ids under which the vector of another record stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.id_map import IdMap
from forensics.repair.actions.frame import Report, framed
from forensics.repair.actions.work import Work
from forensics.repair.foreign import UNMAP, Foreign, without
from forensics.repair.site import Site


def unmap_foreign_vectors(work: Work) -> Report:
    """No id is mapped to a vector that the embedder makes of another record's document; who had which is in the
    case. The vectors stay where they are, without an id, for the record whose they are.
    """
    site = work.site()
    framed(site)
    id_map, foreign = site.collection.id_map, site.foreign
    if not isinstance(id_map, IdMap):
        raise Refused("there is no id map to take ids out of.")
    if not foreign.vectors:
        return {"unmapped": 0}
    work.keep_records("unmapped", _lines(site, foreign))
    work.save_map(site, without(id_map, foreign.vectors))
    return {"unmapped": len(foreign.vectors)}


def _lines(site: Site, foreign: Foreign) -> Iterator[dict[str, Json]]:
    """One JSON record per id, with the vector as the user gave it, so that the pair can be put back."""
    for name, (label, element, cosine, owner) in foreign.vectors.items():
        yield {
            "kind": "vector of another record",
            "collection": site.collection.name,
            "id": name,
            "label": label,
            "element": element,
            "cosine": cosine,
            "owner": owner,
            "vector": site.raw_vectors(np.array([element]))[0].tolist(),
        }


FOREIGN: dict[str, Callable[[Work], Report]] = {UNMAP: unmap_foreign_vectors}
