"""The calls of 0.6.3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from forensics.absent import Absent
from forensics.foretell.disk import Disk
from forensics.foretell.foretold import Foretold
from forensics.foretell.loading import Loading
from forensics.foretell.python06 import Buffered, metadata_applied, purged_by_python
from forensics.foretell.situation import Situation
from forensics.readers.id_map import BadIdMap, IdMap, map_bytes
from forensics.readers.layout import ID_MAP_FILE
from forensics.readers.pickle_scan import scan
from forensics.sources import dimension_of

PEEKED = 10
RUNS = (
    "the id map holds what none does; 0.6.3 unpickles with Python, which takes that as it is, and executes it"
)
NOT_A_CLASS = "'dict' object has no attribute"
Ask = Callable[[Buffered], Foretold]


def told(situation: Situation, call: str) -> Foretold:
    """One call in a process of its own."""
    disk = metadata_applied(situation.disk)
    if call in ("count", "get"):
        return _of_records(call, disk)
    if _runs(situation):
        return replace(situation.undefined(call), why=RUNS)
    if situation.load.state == "undefined" and not _is_dict(situation):
        waiting = Buffered(disk, situation.load, situation.sync_threshold, situation.batch_size).waiting()
        if not situation.spared(call, linked=waiting >= situation.batch_size, touched=True):
            return situation.undefined(call)
    if call == "add and reopen":
        return _added(situation, disk)
    return _asked(situation, disk, call, situation.load)


def _of_records(call: str, disk: Disk) -> Foretold:
    return Foretold(call=call, outcome="returns", reaches=len(disk.records), ids=frozenset(disk.records))


def _asked(situation: Situation, disk: Disk, call: str, load: Loading) -> Foretold:
    """A call that needs vectors: the segment is loaded and what the queue holds is replayed, then it is asked."""
    opened = _opened(situation, disk, call, load)
    if isinstance(opened, Foretold):
        return opened
    answer = _ask(situation, disk, call)(opened)
    return replace(answer, destroys=situation.costs(opened.disk), also=opened.notes)


def _opened(situation: Situation, disk: Disk, call: str, load: Loading) -> Buffered | Foretold:
    """The segment after its replay, or what the call says instead."""
    if _is_dict(situation):
        return Foretold(
            call=call, outcome="raises", error=NOT_A_CLASS, why="the id map is a dict, as 1.x writes it"
        )
    if load.state == "refused":
        return Foretold(call=call, outcome="raises", error=load.error, why=load.why)
    wide = dimension_of(situation.collection)
    width = None if wide is None else 4 * wide
    segment = Buffered(disk, load, situation.sync_threshold, situation.batch_size, width)
    segment.replay()
    return segment


def _runs(situation: Situation) -> bool:
    """Or takes it as it is: a pickle without fault that holds something else than an id map."""
    id_map = situation.collection.id_map
    if not isinstance(id_map, BadIdMap) or id_map.kind not in ("hostile", "malformed"):
        return False
    vector = situation.collection.vector
    raw = id_map if isinstance(vector, Absent) else map_bytes(vector.path(ID_MAP_FILE))
    return id_map.kind == "hostile" or (not isinstance(raw, BadIdMap) and scan(memoryview(raw)).kind == "ok")


def _is_dict(situation: Situation) -> bool:
    """1.x has written the id map; 0.6.3 stumbles over it before it loads the index."""
    id_map = situation.collection.id_map
    return isinstance(id_map, IdMap) and id_map.form == "dict"


def _ask(situation: Situation, disk: Disk, call: str) -> Ask:
    records = disk.records
    if call == "get with embeddings":
        return lambda segment: segment.vectors(call, records)
    if call == "peek":
        return lambda segment: segment.vectors(call, records[:PEEKED])
    if call == "query":
        return lambda segment: segment.search(call, max(1, situation.known))
    allowed = [name for name in records if situation.filter is not None and name in situation.filter.ids]
    return lambda segment: segment.search(call, len(allowed), allowed)


def _added(situation: Situation, disk: Disk) -> Foretold:
    """The add in one process, then count, get, get with embeddings and a search in another."""
    call = "add and reopen"
    opened = _opened(situation, disk, call, situation.load)
    if isinstance(opened, Foretold):
        return replace(opened, after=_after(situation, disk, situation.load, 0))
    added = situation.fresh_rows()
    opened.take(added)
    written = metadata_applied(opened.disk.with_rows(added))
    left = purged_by_python(written)
    load = Loading("loads") if left.labels else Loading("none")
    after = _after(situation, left, load, situation.writes)
    found = Foretold(call=call, outcome="returns", reaches=after[0].reaches, after=after)
    return replace(found, destroys=situation.costs(left), also=opened.notes)


def _after(situation: Situation, left: Disk, load: Loading, writes: int) -> tuple[Foretold, ...]:
    seen = replace(situation, filter=None)
    k = situation.known + situation.writes
    embeddings = _asked(seen, left, "get with embeddings", load)
    opened = _opened(seen, left, "query", load)
    search = opened if isinstance(opened, Foretold) else opened.search("query", k)
    return (_of_records("count", left), _of_records("get", left), embeddings, search)
