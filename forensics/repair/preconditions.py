"""What has to hold before each kind of action: told in the plan, and looked at again on the draft before the action runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.model import Action
from forensics.readers.database import has_journal
from forensics.readers.id_map import IdMap
from forensics.repair.site_elements import Elements
from forensics.store import Collection, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Condition(Generic[T]):
    """`text` is what has to hold; `holds` looks at the store, or at the collection of the action, as it is then."""

    text: str
    holds: Callable[[T], bool]


def _elements(collection: Collection) -> Elements:
    return Elements(collection, frozenset())


CONDITIONS: Mapping[str, Condition[Collection]] = {
    "records": Condition(
        "the records can be read from SQLite", lambda each: not isinstance(each.rows, Absent)
    ),
    "segment": Condition("SQLite names the vector segment", lambda each: not isinstance(each.vector, Absent)),
    "level0": Condition("level 0 can be cut into elements", lambda each: _elements(each).summary is not None),
    "id-map": Condition("the id map can be read", lambda each: isinstance(each.id_map, IdMap)),
    "queue": Condition("the queue can be read", lambda each: not isinstance(each.queue.extent(), Absent)),
}
OF_THE_STORE: Mapping[str, Condition[Store]] = {
    "database": Condition("the database can be read", lambda store: not isinstance(store.database, Absent)),
    "journal": Condition(
        "a journal of an unfinished transaction is there",
        lambda store: has_journal(store.tree.resolve("chroma.sqlite3")),
    ),
}
_ROWS, _FRAME = ("database",), ("segment", "level0")
PRECONDITIONS: Mapping[str, tuple[str, ...]] = {
    "settle-journal": ("journal",),
    **dict.fromkeys(
        (
            "restore-migrations", "restore-tenants", "mend-segment-rows", "mend-configuration",
            "set-index-parameters", "convert-sequence-ids", "set-dimension", "rebuild-indexes",
            "restore-documents", "rebuild-full-text", "quarantine-orphan-rows", "put-queue-floor", "vacuum",
        ),
        _ROWS,
    ),
    **dict.fromkeys(("restore-watermark", "insert-watermark", "remove-watermark"), ("database", "segment")),
    "put-directory-back": ("records", "segment"),
    **dict.fromkeys(("rebuild-segment", "compact-segment"), ("records", "segment")),
    **dict.fromkeys(
        ("rebuild-header", "restore-lengths", "rewrite-link-lists", "drop-bad-neighbours", "relink-elements"),
        _FRAME,
    ),
    "cut-trailing-bytes": ("segment",),
    "unmap-foreign-vectors": ("records", *_FRAME, "id-map"),
    **dict.fromkeys(
        ("drop-phantom-elements", "rebuild-id-map", "clear-deleted-flags", "retire-elements", "replace-vectors"),
        ("records", *_FRAME),
    ),
    "mend-id-map": (*_FRAME, "id-map"),
    "add-missing-vectors": ("records", *_FRAME, "id-map"),
    **dict.fromkeys(("quarantine-ghosts", "trim-ids", "delete-ids", "set-aside-records"), ("records",)),
    **dict.fromkeys(("quarantine-queue-rows", "purge-queue"), ("records", "queue")),
}  # fmt: skip
"""kind of action → the names of what has to hold; a kind that is not here needs nothing but the draft."""


def requirements(kind: str) -> tuple[str, ...]:
    """The sentences of what has to hold before an action of that kind."""
    texts = {name: each.text for name, each in [*CONDITIONS.items(), *OF_THE_STORE.items()]}
    return tuple(texts[name] for name in PRECONDITIONS.get(kind, ()))


def require(action: Action, store: Store) -> None:
    """Raises Refused in one sentence where something that the action needs does not hold in `store`."""
    named = None if action.collection is None else store.collection(action.collection)
    for name in PRECONDITIONS.get(action.kind, ()):
        if name in OF_THE_STORE:
            text, holds = OF_THE_STORE[name].text, OF_THE_STORE[name].holds(store)
        else:
            text, holds = CONDITIONS[name].text, named is None or CONDITIONS[name].holds(named)
        if not holds:
            place = "" if named is None else f" in {named.name!r}"
            raise Refused(f"{action.kind}{place} was not done: it does not hold that {text}.")
