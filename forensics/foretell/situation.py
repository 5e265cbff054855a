"""What is asked about: a collection as it lies on the disk, what loading it does, and its settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from forensics.foretell.destroying import destroyed
from forensics.foretell.disk import Disk
from forensics.foretell.filters import Filter
from forensics.foretell.foretold import Foretold
from forensics.foretell.holding import held
from forensics.foretell.loading import Loading
from forensics.readers.embeddings_queue import ADD, QueueRow
from forensics.sources import dimension_of
from forensics.store import Collection

MOST_WRITES = 20_000


def past_a_flush(sync_threshold: int, batch_size: int) -> int:
    return min(sync_threshold + 2 * batch_size, MOST_WRITES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One collection before one release.

    `add and reopen` adds `writes` records, enough for a flush; a query asks for as many as are `known`.
    """

    collection: Collection = field(repr=False)
    disk: Disk = field(repr=False)
    load: Loading
    release: str
    sync_threshold: int
    batch_size: int
    dimension: int | None
    filter: Filter | None
    writes: int
    known: int

    def costs(self, after: Disk) -> int:
        """How many vectors are lost where this disk becomes that one."""
        return destroyed(self.collection, self.disk, after)

    def spared(self, call: str, *, linked: bool, touched: bool) -> bool:
        """Whether the call keeps clear of what nobody can know: loading goes well, and it asks for no more than that.

        linked: before it answers, rows of the queue are put into the graph; touched: or change anything of the index.
        """
        if self.load.reach == "links":
            return not linked and call in ("open", "count", "get", "get with embeddings", "peek")
        return self.load.reach == "vectors" and not touched and call in ("open", "count", "get")

    def undefined(self, call: str) -> Foretold:
        """Anything may follow, and what may be written over is what level 0 and the queue hold."""
        return Foretold(
            call=call,
            outcome="undefined",
            why=self.load.why,
            may_destroy=self._at_stake(),
            confidence="undefined behaviour",
        )

    def _at_stake(self) -> int:
        """What level 0 and the queue hold; where level 0 cannot be cut, an element for each label counts."""
        unread = 0 if len(self.disk.held) else len(self.disk.labels)
        return len(held(self.collection)) + unread

    def fresh_rows(self) -> tuple[QueueRow, ...]:
        """The rows that the added records make."""
        first, width = self.disk.next_seq, 4 * (dimension_of(self.collection) or 8)
        names = (f"\0added-{number}" for number in range(self.writes))
        return tuple(QueueRow(first + n, ADD, name, width, "FLOAT32") for n, name in enumerate(names))
