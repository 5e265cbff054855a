"""The verbs that tell of a store: its history, who can open it, the timeline of both, and the class of every id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.errors import CannotComplete, UsageError
from forensics.evidence import safe_name
from forensics.selection import select
from forensics.store import Collection, Store, open_store
from forensics.verbs_inputs import PathLikes, StoreLike, check_inputs, needs, outside_store, store_of

if TYPE_CHECKING:
    from forensics.chronicle import Chronicle
    from forensics.classes import Classes
    from forensics.compatibility import Opening
    from forensics.history import Event


def history(store: StoreLike) -> tuple[Event, ...]:
    """What happened to the store and when, by its own stamps; each event observed or inferred. Writes nothing."""
    from forensics.history import history as told

    with store_of(store) as opened:
        return told(opened)


def openings(store: StoreLike, releases: Sequence[str] | None = None) -> tuple[Opening, ...]:
    """Which releases of chromadb can open the store, told from its files; by default of all that were tried."""
    from forensics.compatibility import RELEASES
    from forensics.compatibility import openings as answers

    with store_of(store) as opened:
        return answers(opened, releases or RELEASES)


def timeline(store: StoreLike, *, case: Any = None) -> Chronicle:
    """The history, the releases that have touched the store, and those that can open it. Shows itself in a notebook.

    With `case` it is kept there, as `history.json`; a diagnosis that is kept in a case does so by itself.
    """
    from forensics.chronicle import chronicle

    with store_of(store) as opened:
        if case is None:
            return chronicle(opened)
        from forensics.verbs_case import HISTORY, filling

        with filling(case, opened.path) as folder:
            told = chronicle(opened)
            folder.write_json(HISTORY, told.to_json())
    return told


def classify(
    store: StoreLike,
    *,
    collection: str | None = None,
    segment: str | None = None,
    metadata_segment: str | None = None,
    id_pattern: str | None = None,
    by: Sequence[str] = (),
    also: PathLikes = (),
    out: str | PathLike[str] | None = None,
    case: Any = None,
) -> Classes:
    """Every id of a collection by what is left of it; by prefix (or the first group of `id_pattern`) and metadata keys.

    A store that is given as a path stays open as long as the answer lives. `out`: a Parquet file to be written. With
    `case` that file is kept there, in evidence/, where pyarrow is installed. Raises UsageError where the store has
    several collections and none is named.
    """
    check_inputs(None, also, ())
    _is_pattern(id_pattern)
    if out is not None:
        needs("pyarrow", "A Parquet file")
    opened = store if isinstance(store, Store) else open_store(store)
    if out is not None:
        outside_store(Path(fspath(out)), opened.path)
    chosen = _one(opened, select(opened, collection, segment, metadata_segment))
    found = _classified(chosen, [Path(fspath(path)).resolve() for path in also], id_pattern, by)
    if out is not None:
        found.to_parquet(fspath(out))
    if case is not None:
        _keep(found, case)
    return found


def _is_pattern(text: str | None) -> None:
    try:
        re.compile(text or "")
    except re.error as error:
        raise UsageError(f"{text!r} is no regular expression: {error}.") from error


def _one(store: Store, wanted: str | None) -> Collection:
    """The collection of that id, or the only one."""
    if wanted is not None:
        return store.collection(wanted)
    if len(store.collections) != 1:
        names = ", ".join(repr(each.name) for each in store.collections) or "none"
        raise UsageError(f"Say which collection is meant; there are: {names}.")
    return store.collections[0]


def _classified(
    collection: Collection, also: Sequence[Path], pattern: str | None, keys: Sequence[str]
) -> Classes:
    from forensics.classes import classify as ask
    from forensics.readers.bulk import collector_seldom

    try:
        with collector_seldom():
            return ask(collection, also=also, pattern=pattern, keys=keys)
    except ValueError as error:
        raise CannotComplete(f"Not classified: {error}.") from error


def _keep(found: Classes, case: Any) -> None:
    """The case holds the classes of that collection, where Parquet can be written, and says so in its log."""
    from importlib.util import find_spec

    from forensics.verbs_case import filling

    with filling(case, found.collection.store.path, applied_too=True) as folder:
        if find_spec("pyarrow") is not None:
            found.to_parquet(folder.evidence(f"classes-{safe_name(found.collection.name)}.parquet"))
        folder.log("classified", collection=found.collection.name, states=found.counts())
