"""What the calls on a collection answer from an index in memory: 1.x, where one bad id fails the whole call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from forensics.foretell.foretold import Foretold
from forensics.foretell.replay import Index

NO_ID = "Error finding id"
NO_VECTOR = "Error getting embedding"
NOTHING = "Nothing found on disk"
FEW = 100
DEGRADED = 0.2
"""With fewer live elements than FEW and a larger share deleted, 1.x compares all instead of walking the graph."""


def with_embeddings(call: str, index: Index | None, ids: Sequence[str]) -> Foretold:
    """The vector of each id in turn; the first that has none is the answer to all."""
    if index is None:
        return Foretold(
            call=call, outcome="raises", error=NOTHING, why="there is no index and nothing to replay"
        )
    for name in ids:
        label = index.labels.get(name)
        if label is None:
            return Foretold(
                call=call, outcome="raises", error=NO_ID, why=f"the id map has no label for {name!r}"
            )
        at = index.place.get(label)
        if at is None or not index.live[at]:
            what = "is on no element" if at is None else "is on a deleted element"
            return Foretold(
                call=call, outcome="raises", error=NO_VECTOR, why=f"label {label} of {name!r} {what}"
            )
    return Foretold(call=call, outcome="returns", reaches=len(ids), ids=frozenset(ids))


def searched(call: str, index: Index | None, k: int, allowed: Sequence[str] | None = None) -> Foretold:
    """The `k` nearest of all, or of the ids that a filter lets through, each of which needs a label first."""
    if index is None:
        return Foretold(
            call=call, outcome="raises", error=NOTHING, why="there is no index and nothing to replay"
        )
    lacking = next((name for name in allowed or () if name not in index.labels), None)
    if lacking is not None:
        why = f"the filter lets {lacking!r} through, and the id map has no label for it"
        return Foretold(call=call, outcome="raises", error=NO_ID, why=why)
    labels = None if allowed is None else {index.labels[name] for name in allowed}
    found = [label for label in _found(index) if labels is None or label in labels]
    nameless = [label for label in found if label not in index.names]
    if nameless and k > len(found) - len(nameless):  # there are not enough others
        why = f"the search finds label {nameless[0]}, which no id has"
        return Foretold(call=call, outcome="raises", error=NO_ID, why=why)
    confidence = "likely" if nameless or not all(index.reached) else "certain"
    told = Foretold(call=call, outcome="returns", confidence=confidence, why=_why(index))
    if _frayed(index):
        return told
    ids = frozenset(index.names[label] for label in found) if not nameless and len(found) <= k else None
    return replace(told, reaches=min(k, len(found)), ids=ids)


def _found(index: Index) -> list[int]:
    """The labels that a search can find."""
    deleted = index.live.count(False)
    living = len(index.live) - deleted
    everyone = living < FEW and len(index.live) and deleted / len(index.live) > DEGRADED
    sighted = [True] * len(index.live) if everyone else index.reached
    return [label for label, live, seen in zip(index.held, index.live, sighted, strict=True) if live and seen]


def _frayed(index: Index) -> bool:
    """New elements were linked into a graph of which most is not reached: with what, threads decide, and how many a
    search then finds.
    """
    old = [seen for seen, origin in zip(index.reached, index.origin, strict=True) if origin >= 0]
    return len(old) < len(index.origin) and 2 * sum(old) < len(old)


def _why(index: Index) -> str:
    lost = sum(live and not seen for live, seen in zip(index.live, index.reached, strict=True))
    said = f"no search reaches {lost} elements" if lost else ""
    return f"{said}, and new ones have few to be linked with" if _frayed(index) else said
