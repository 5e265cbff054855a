"""What happens when an engine loads the files of a vector segment: it does, it refuses, or nobody can know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forensics.absent import Absent
from forensics.foretell.reading import files_of
from forensics.graph import measure
from forensics.readers.id_map import BadIdMap
from forensics.readers.layout import (
    HEADER_FILE,
    LENGTH_FILE,
    LEVEL0_FILE,
    LINKS_FILE,
    PERSISTENCE_VERSION,
)
from forensics.segment import VectorSegment
from forensics.store import Collection

State = Literal["none", "loads", "refused", "undefined"]
Reach = Literal["everything", "vectors", "links"]


@dataclass(frozen=True, slots=True)
class Loading:
    """none: the engine takes the segment for one that was never persisted. `error` is what is refused with.

    `reach`, where undefined: everything from loading on; or loading goes well and whoever looks at elements, or only who
    follows links, meets what nobody can know.
    """

    state: State
    why: str = ""
    error: str = ""
    reach: Reach = "everything"


UNPICKLED = {
    "truncated": "EOF while parsing|Ran out of input|pickle data was truncated",
    "empty": "EOF while parsing|Ran out of input",
}


def loading(collection: Collection) -> Loading:
    """What an engine makes of the files of the vector segment; 1.x takes an empty id map for none."""
    vector = collection.vector
    if isinstance(vector, Absent):
        return Loading("refused", "SQLite names no vector segment", "Missing vector segment|VECTOR")
    found = _of_map(vector)
    if found is not None:
        return found
    missing = [name for name in (HEADER_FILE, LEVEL0_FILE, LENGTH_FILE, LINKS_FILE) if _lacks(vector, name)]
    if missing:
        return Loading("refused", f"{missing[0]} is missing", "Error loading hnsw index|Cannot open")
    return _of_header(vector) or _of_elements(vector) or _of_graph(vector) or Loading("loads")


def _lacks(vector: VectorSegment, name: str) -> bool:
    facts = vector.facts[name]
    return isinstance(facts, Absent) or facts.kind != "file"


def _of_map(vector: VectorSegment) -> Loading | None:
    id_map = vector.id_map
    if isinstance(id_map, BadIdMap):
        if id_map.kind == "missing":
            return Loading("none", "index_metadata.pickle is missing")
        words = UNPICKLED.get(id_map.kind, "")
        return Loading(
            "refused", id_map.reason, f"Error deserializing pickle file|Unpickling|{words}".strip("|")
        )
    return Loading("none", "the id map is empty") if not id_map.id_to_label else None


def _of_header(vector: VectorSegment) -> Loading | None:
    facts, header = vector.facts[HEADER_FILE], files_of(vector).header
    size = 0 if isinstance(facts, Absent) else facts.size
    refused = "Error loading hnsw index|wrong persistence version"
    if size == 0:
        return Loading("refused", "header.bin is empty", refused)
    if isinstance(header, Absent):
        return Loading("undefined", "header.bin is cut short: the engine goes on with uninitialised memory")
    if header.persistence_version != PERSISTENCE_VERSION:
        return Loading("refused", "header.bin does not begin with version 1", refused)
    problems = header.problems()
    if problems:
        return Loading("undefined", f"header.bin contradicts itself ({problems[0]})")
    return None


def _of_elements(vector: VectorSegment) -> Loading | None:
    """hnswlib reads as much as there is, looks up every label, and goes on."""
    files = files_of(vector)
    walk, header = files.links, files.geometry
    if isinstance(walk, Absent) or walk.problem is not None:
        what = "" if isinstance(walk, Absent) else f" ({walk.problem})"
        return Loading(
            "undefined", f"link_lists.bin cannot be walked{what}: its sizes are believed as they are"
        )
    short = 0 if isinstance(header, Absent) else header.cur_element_count - files.capacity_on_disk
    if short <= 0:
        return None
    why = f"data_level0.bin ends {short} elements before the count: the rest is uninitialised memory"
    return Loading("undefined", why, reach="vectors")


def _of_graph(vector: VectorSegment) -> Loading | None:
    graph = measure(files_of(vector))
    if isinstance(graph, Absent):
        return Loading("undefined", graph.reason)
    if graph.entry_problem is not None and graph.elements:
        why = f"searches start outside of the graph: {graph.entry_problem}"
        return Loading("undefined", why, reach="links")
    for kind, what in (
        ("out_of_range", "neighbours that no element has"),
        ("too_long", "lists that are too long"),
        ("absent_level", "neighbours without a list there"),
    ):
        owners = graph.owners(kind)
        if owners:
            why = f"{what} on level {min(owners)}: memory beyond the elements is read"
            return Loading("undefined", why, reach="links")
    return None
