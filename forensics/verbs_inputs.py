"""What a verb is given, looked at before anything is read: each complaint is one sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path

from forensics.errors import MissingPackage, Refused, UsageError
from forensics.selection import is_paired_by_hand, select
from forensics.store import Store, open_store
from forensics.user_source import check_source

PathLikes = Sequence[str | PathLike[str]]
StoreLike = Store | str | PathLike[str]
RELEASE = re.compile(r"\d+(\.\w+)+")


@contextmanager
def store_of(store: StoreLike) -> Generator[Store]:
    """The store itself, or one opened for the duration."""
    if isinstance(store, Store):
        yield store
        return
    with open_store(store) as found:
        yield found


def check_inputs(embedder: str | None, also: PathLikes, source: PathLikes) -> None:
    """Raises UsageError where one of them cannot be had, before anything is read."""
    for path in source:
        check_source(fspath(path))
    for path in also:
        if not Path(fspath(path)).is_dir() or not os.access(path, os.R_OK | os.X_OK):
            raise UsageError(f"The other copy {fspath(path)} is no folder that can be read.")
    if embedder is not None:
        from forensics.repair.embedding import Embedder
        from forensics.repair.options import RepairOptions

        Embedder.of(RepairOptions(embedder=embedder))


def collection_of(
    store: Store,
    collection: str | None = None,
    segment: str | None = None,
    metadata_segment: str | None = None,
) -> str | None:
    """The id of the collection that is meant, for `plan`; None for all.

    Raises Refused for a pair of segments that SQLite does not give to one collection: a repair would not find it again.
    """
    wanted = select(store, collection, segment, metadata_segment)
    if is_paired_by_hand(store, wanted):
        raise Refused(
            "SQLite does not give these two segments to one collection, and what a repair cannot find again is not"
            " planned; export what they hold, or have the rows of segments mended first."
        )
    return wanted


def outside_store(target: Path, store: Path) -> Path:
    """`target`, which does not lie in the store. Raises UsageError where it does, or where its folder is missing."""
    full = Path(os.path.realpath(target))
    if full == store or store in full.parents:
        raise UsageError(f"{target} lies in the store; nothing is written there.")
    if not full.parent.is_dir():
        raise UsageError(f"{full.parent} is no folder; make it first.")
    return target


def release_names(versions: Sequence[str]) -> None:
    """Raises UsageError for what cannot be the number of a release."""
    for version in versions:
        if not RELEASE.fullmatch(version):
            raise UsageError(f"{version!r} is not a release of chromadb; give a number such as 1.5.9.")


def needs(package: str, purpose: str) -> None:
    """Raises MissingPackage, with the one line to install it, where `package` cannot be imported."""
    if find_spec(package) is None:
        raise MissingPackage({"hnswlib": "chroma-hnswlib"}.get(package, package), purpose)
