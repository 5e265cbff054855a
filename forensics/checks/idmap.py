"""The id map: whether it can be read at all. What it says is compared in `idmap_labels`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forensics.absent import Absent
from forensics.checks import idmap_labels as idmap_labels
from forensics.checks.places import in_segment, segment_of
from forensics.checks.registry import check, finding
from forensics.checks.segment import has_index
from forensics.model import Finding, Remedy
from forensics.readers.id_map import BadIdMap, BadKind
from forensics.readers.layout import ID_MAP_FILE
from forensics.store import Collection

_LOST = "No id can be looked up in the index: nothing says which vector belongs to which record."
_MEANS = {
    "CF401": f"{_LOST} Do not open the store: the engine takes the index for new and overwrites its vectors.",
    "CF402": (
        f"{_LOST} Every call fails; deleting the empty file would make the engine overwrite the vectors."
    ),
    "CF403": f"{_LOST} Every call fails; deleting the cut file would make the engine overwrite the vectors.",
    "CF404": (
        f"{_LOST} The file would run code in a program that loads it as a pickle; here it was not executed."
    ),
    "CF405": _LOST,
}
_EXPECTED = {
    "CF401": "an id map beside the index",
    "CF402": "an id map of more than 0 bytes",
    "CF403": "a pickle that ends with STOP",
    "CF404": "only the opcodes and the one class name that id maps have",
    "CF405": "id_to_label (str → int) and label_to_id (int → str)",
}


def _bad(collection: Collection, kind: BadKind) -> BadIdMap | None:
    """The reason why the id map is unusable, if it is of that kind and beside an index."""
    segment = segment_of(collection)
    id_map = segment.id_map
    if isinstance(id_map, BadIdMap) and id_map.kind == kind and has_index(segment):
        return id_map
    return None


def _lost(code: str, collection: Collection, bad: BadIdMap) -> Finding:
    segment = segment_of(collection)
    facts, header, summary = segment.facts[ID_MAP_FILE], segment.files.header, segment.files.summary
    return finding(
        code,
        collection,
        count=1,
        unit="id map",
        expected=_EXPECTED[code],
        found={
            "problem": bad.reason,
            "bytes": None if isinstance(facts, Absent) else facts.size,
            "offset": bad.offset,
            "elements": None if isinstance(header, Absent) else header.cur_element_count,
            "live": None if isinstance(summary, Absent) else int(summary.live.sum()),
            "records": None if isinstance(collection.rows, Absent) else len(collection.rows),
        },
        where=(in_segment(collection, ID_MAP_FILE, offset=bad.offset or None),),
        means=_MEANS[code],
        remedy=Remedy(action="rebuild-id-map", safety="safe"),
    )


def _register(code: str, kind: BadKind) -> Callable[[Collection], Iterator[Finding]]:
    def id_map_lost(collection: Collection) -> Iterator[Finding]:
        bad = _bad(collection, kind)
        if bad is not None:
            yield _lost(code, collection, bad)

    id_map_lost.__doc__ = f"{code}: the id map beside an index is {kind}."
    return check(code, needs=("segment",))(id_map_lost)


id_map_missing = _register("CF401", "missing")
id_map_empty = _register("CF402", "empty")
id_map_truncated = _register("CF403", "truncated")
id_map_hostile = _register("CF404", "hostile")
id_map_malformed = _register("CF405", "malformed")
