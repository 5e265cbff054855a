"""The calls of the releases from 1.0 on."""

from __future__ import annotations

from dataclasses import replace

from forensics.foretell.answering import searched, with_embeddings
from forensics.foretell.disk import Disk
from forensics.foretell.foretold import Foretold
from forensics.foretell.loading import Loading
from forensics.foretell.replay import records_after
from forensics.foretell.rust import Process, backfilled
from forensics.foretell.situation import Situation
from forensics.readers.embeddings_queue import DELETE

PEEKED = 10


def records_now(disk: Disk) -> tuple[str, ...]:
    """The ids of the METADATA segment once it has applied what the queue holds for it."""
    return records_after(disk, [row for row in disk.rows if row.seq_id > (disk.metadata_mark or 0)])


def told(situation: Situation, call: str) -> Foretold:
    """One call in a process of its own."""
    if situation.load.state == "undefined" and situation.dimension is not None:
        rows = [row for row in situation.disk.rows if row.seq_id > (situation.disk.vector_mark or 0)]
        linked = any(row.vector_bytes and row.operation != DELETE for row in rows)
        if not situation.spared(call, linked=linked, touched=bool(rows)):
            return situation.undefined(call)
    if call == "add and reopen":
        return _added(situation)
    process = _opened(situation)
    return _with_cost(situation, process, _answer(situation, process, call))


def _opened(situation: Situation) -> Process:
    if situation.dimension is None:
        return Process(situation.disk, None)
    return backfilled(situation.disk, situation.load, situation.sync_threshold)


def _with_cost(situation: Situation, process: Process, answer: Foretold) -> Foretold:
    return replace(answer, destroys=situation.costs(process.disk), also=process.notes)


def _answer(situation: Situation, process: Process, call: str) -> Foretold:
    """What the call says after the backfill."""
    records = process.disk.records
    if process.error:
        return Foretold(call=call, outcome="raises", error=process.error, why=process.why)
    if call in ("count", "get"):
        return Foretold(call=call, outcome="returns", reaches=len(records), ids=frozenset(records))
    if situation.dimension is None:
        return _without_dimension(call, records)
    if call in ("get with embeddings", "peek"):
        return with_embeddings(call, process.index, records if call != "peek" else records[:PEEKED])
    chosen = None
    if call == "filtered query" and situation.filter is not None:
        chosen = [name for name in records if name in situation.filter.ids]
    k = max(1, situation.known) if chosen is None else len(chosen)
    return searched(call, process.index, k, chosen)


def _without_dimension(call: str, records: tuple[str, ...]) -> Foretold:
    """The engine takes the collection for one that was never written to: ids, and no vectors."""
    ids = {"get with embeddings": records, "peek": records[:PEEKED]}.get(call, ())
    why = "SQLite has no dimension for this collection, so nothing is searched"
    return Foretold(call=call, outcome="returns", reaches=0, ids=frozenset(ids), why=why)


def _added(situation: Situation) -> Foretold:
    """The add in one process, then count, get, get with embeddings and a search in another."""
    disk = situation.disk.with_rows(situation.fresh_rows())
    writing = backfilled(disk, situation.load, situation.sync_threshold)
    left = writing.disk
    again = _reloaded(situation, left)
    process = backfilled(left, again, situation.sync_threshold)
    seen = replace(situation, disk=left, dimension=situation.dimension or 8)
    after = tuple(_answer(seen, process, call) for call in ("count", "get", "get with embeddings"))
    k = situation.known + situation.writes
    search = (
        Foretold(call="query", outcome="raises", error=process.error)
        if process.error
        else searched("query", process.index, k)
    )
    told = (
        Foretold(call="add and reopen", outcome="raises", error=writing.error, why=writing.why)
        if writing.error
        else Foretold(call="add and reopen", outcome="returns", reaches=after[0].reaches)
    )
    notes = dict.fromkeys((*writing.notes, *process.notes))
    cost = situation.costs(process.disk)
    return replace(told, destroys=cost, also=tuple(notes), after=(*after, search))


def _reloaded(situation: Situation, left: Disk) -> Loading:
    """What loading does once the first process has written."""
    if situation.load.state == "refused":
        return situation.load
    return Loading("loads") if left.labels else Loading("none", "nothing was flushed")
