"""Release 0.6.3, in Python: SQLite by itself, and the index with a buffer before it, when a call first needs vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from forensics.foretell.disk import Disk
from forensics.foretell.foretold import Foretold
from forensics.foretell.loading import Loading
from forensics.foretell.replay import Index, Stuck, records_after
from forensics.readers.embeddings_queue import ADD, DELETE, UPDATE, UPSERT, QueueRow

CONTIGUOUS = "Cannot return the results in a contigious 2D array"
START = -1
"""Where a segment begins that has neither a row in max_seq_id nor an id map."""


class Buffered:
    """The vector segment in memory: the index as last written to, and the batch of rows that it does not have yet."""

    def __init__(
        self, disk: Disk, load: Loading, sync_threshold: int, batch_size: int, width: int | None = None
    ) -> None:
        """`width`: the bytes of a vector of the index; where there is none, of the first that comes."""
        self.disk, self.load = disk, load
        self.sync, self.batch = sync_threshold, batch_size
        self.index = Index(disk, loaded=load.state != "none")
        self.started = load.state != "none"
        self.written: dict[str, QueueRow] = {}
        self.deleted: set[str] = set()
        self.torn: set[str] = set()
        self.since_batch = self.since_flush = 0
        self.mark, self.notes = _start(disk, load), ()
        self.queue_start = vector_start(disk, load)
        self.width = width

    def replay(self) -> None:
        """What the queue holds above the watermark, row by row; an error is logged, and the next row comes."""
        for row in self.disk.rows:
            self.take([row])

    def waiting(self) -> int:
        """How many rows of the queue it will be handed when it starts."""
        return sum(row.seq_id > self.queue_start for row in self.disk.rows)

    def take(self, rows: Iterable[QueueRow]) -> None:
        """Rows that come together; those at or below the number at which it subscribed are never handed to it. After an
        error, which is logged and not raised, the rest is left out.
        """
        try:
            for row in rows:
                if row.seq_id > self.queue_start:
                    self._one(row)
        except Stuck as stuck:
            self.notes = tuple(dict.fromkeys((*self.notes, f"what the queue brings is not indexed: {stuck}")))

    def _one(self, row: QueueRow) -> None:
        self.since_batch += 1
        self.since_flush += 1
        if row.vector_bytes and not self.started:
            self.width = row.vector_bytes
            self._begin()
        if row.vector_bytes and self.width not in (None, row.vector_bytes):
            raise Stuck(f"the vector of row {row.seq_id} has another dimension than the index")
        if not self.started:
            return
        self.mark = max(self.mark, row.seq_id)
        self._buffer(row)
        if self.since_batch >= self.batch:
            self._apply()

    def _begin(self) -> None:
        """hnswlib makes a new index in the directory, over whatever is there."""
        self.started = True
        if len(self.disk.held):
            self.notes = (
                f"a new, empty index is begun over the {len(self.disk.held)} elements of data_level0.bin",
            )
        self.disk = Index(self.disk, loaded=False).onto(self.disk)

    def _buffer(self, row: QueueRow) -> None:
        there = row.id in self.written or row.id in self.index.labels
        if row.operation == DELETE and there:
            known = row.id in self.index.labels
            self.written.pop(row.id, None)
            if known:
                self.deleted.add(row.id)
        elif row.vector_bytes and self._changes(row, there):
            self.deleted.discard(row.id)
            if row.id not in self.written and len(self.written) >= self.batch:
                self.torn.add(row.id)
                raise Stuck(f"no room for {row.id!r} beside {self.batch} that wait")
            self.written[row.id] = row

    def _changes(self, row: QueueRow, there: bool) -> bool:
        if row.operation == ADD:
            return not there or row.id in self.deleted
        return row.operation == UPSERT or (row.operation == UPDATE and there)

    def _apply(self) -> None:
        for name in self.deleted & self.index.labels.keys():
            self.index.remove(name)
        self.index.apply(replace(row, operation=UPSERT) for row in self.written.values())
        self.written, self.deleted = {}, set()
        self.since_batch = 0
        if self.since_flush >= self.sync:
            self.disk = replace(self.index.onto(self.disk), vector_mark=self.mark)
            self.index = Index(self.disk, loaded=True)
            self.since_flush = 0
            self.notes = (*self.notes, f"the index is flushed, its watermark becomes {self.mark}")

    # --- answers ---

    def vectors(self, call: str, ids: Sequence[str]) -> Foretold:
        """`get_vectors`: what has no vector is left out, and those behind it move up, or overflow."""
        torn = next((name for name in ids if name in self.torn), None)
        if torn is not None:
            return Foretold(call=call, outcome="raises", error="KeyError", why=f"{torn!r} waits in half")
        results: list[bool] = []
        wanted: list[tuple[int, str]] = []
        for position, name in enumerate(ids):
            if name in self.written:
                results.append(True)
            elif name in self.index.labels and name not in self.deleted:
                wanted.append((position, name))
                results.append(False)
        found = self._unlabelled(call, [name for _, name in wanted])
        if found is not None:
            return found
        owners = [(at, self.index.names[self.index.labels[name]]) for at, name in wanted]
        places = {name: at for at, name in enumerate(ids)}
        return _placed(call, ids, results, [(places.get(owner, at), owner) for at, owner in owners])

    def _unlabelled(self, call: str, names: Sequence[str]) -> Foretold | None:
        """What is raised where a label has no element, or no id."""
        for name in names:
            label = self.index.labels[name]
            at = self.index.place.get(label)
            if at is None or not self.index.live[at]:
                return Foretold(
                    call=call, outcome="raises", error="Label not found", why=f"label {label} of {name!r}"
                )
            if label not in self.index.names:
                return Foretold(call=call, outcome="raises", error="KeyError", why=f"label {label} has no id")
        return None

    def search(self, call: str, k: int, allowed: Sequence[str] | None = None) -> Foretold:
        """`query_vectors`: the buffer by comparing, the index by its graph, merged."""
        if not self.started:
            return Foretold(call=call, outcome="returns", reaches=0, ids=frozenset(), why="there is no index")
        index = self.index
        k = min(
            k, len(index.labels) + sum(name not in index.labels for name in self.written) - len(self.deleted)
        )
        updates = sum(name in index.labels for name in self.written)
        wide = min(k + updates + len(self.deleted), len(index.labels))
        among = None if allowed is None else {index.labels[name] for name in allowed if name in index.labels}
        wide = wide if among is None else min(wide, len(among))
        found = [
            label
            for label, live, seen in zip(index.held, index.live, index.reached, strict=True)
            if live and seen and (among is None or label in among)
        ]
        if len(found) < wide:
            why = f"{len(found)} elements are reached, {wide} are asked for"
            return Foretold(call=call, outcome="raises", error=CONTIGUOUS, why=why)
        nameless = [label for label in found if label not in index.names]
        if nameless:
            why = f"the search finds label {nameless[0]}, which no id has"
            return Foretold(call=call, outcome="raises", error="KeyError", why=why, confidence="likely")
        shared = len(set(index.labels.values())) < len(index.labels)
        buffered = {name for name in self.written if allowed is None or name in set(allowed)}
        hidden = buffered | self.deleted
        kept = [name for name in (index.names[label] for label in found) if name not in hidden]
        ids = buffered | set(kept)  # two elements of one label give its id twice
        return Foretold(
            call=call,
            outcome="returns",
            reaches=min(max(k, 0), len(buffered) + len(kept)),
            ids=frozenset(ids) if len(buffered) + len(kept) <= k and not shared else None,
            fewer=updates,  # in the merged list a new vector takes the place of its old one, and of a neighbour's
            confidence="likely" if updates else "certain",
        )


def _placed(
    call: str, ids: Sequence[str], results: list[bool], wanted: Sequence[tuple[int, str]]
) -> Foretold:
    """Vectors of the index go where their ids stood last, into a list that has room for those found alone."""
    for name, position in {name: position for position, name in wanted}.items():
        if position >= len(results):
            why = f"{len(ids) - len(results)} ids without a vector come before {name!r}"
            return Foretold(call=call, outcome="raises", error="list assignment index out of range", why=why)
        results[position] = True
    if not all(results):
        return Foretold(call=call, outcome="raises", error="NoneType", why="ids and vectors do not pair")
    why = "" if len(results) == len(ids) else f"{len(ids)} ids and {len(results)} vectors, not paired"
    return Foretold(call=call, outcome="returns", reaches=len(results), why=why)


def _start(disk: Disk, load: Loading) -> int:
    if disk.vector_mark is not None:
        return disk.vector_mark
    if load.state != "none":
        return disk.map_mark if disk.map_mark is not None else START
    return START


def vector_start(disk: Disk, load: Loading) -> int:
    """The vector segment is handed the rows above; 0 is taken for "not given", and then none that are there."""
    return _start(disk, load) or disk.next_seq


def metadata_start(disk: Disk) -> int:
    """The METADATA segment is handed the rows above."""
    return (START if disk.metadata_mark is None else disk.metadata_mark) or disk.next_seq


def purged_by_python(disk: Disk) -> Disk:
    """After a write: rows below the lower of both watermarks go; a missing one counts -1."""
    if not disk.purges:
        return disk
    marks = [-1 if mark is None else mark for mark in (disk.metadata_mark, disk.vector_mark)]
    return replace(disk, rows=tuple(row for row in disk.rows if row.seq_id >= min(marks)))


def metadata_applied(disk: Disk) -> Disk:
    """The METADATA segment after what the queue holds for it."""
    above = [row for row in disk.rows if row.seq_id > metadata_start(disk)]
    if not above:
        return disk
    top = max(row.seq_id for row in above)
    return replace(disk, records=records_after(disk, above), metadata_mark=top)
