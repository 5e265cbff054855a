"""Segment directories that no row of `segments` names: orphans, and set-aside ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from forensics.checks.database_catalogue import claimed
from forensics.checks.folders import folder_rows, is_orphan, nowhere_else, rescues
from forensics.checks.lost_catalogue import is_catalogue_lost
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Place, Remedy
from forensics.store import Store, VectorSegment
from forensics.words import counted, singular


@check("CF006", scope="store", needs=("database",))
def orphan_directory(store: Store) -> Iterator[Finding]:
    """Directories with a segment's name that no row of `segments` names."""
    if is_catalogue_lost(store):
        return
    taken = claimed(store)
    orphans = [s for s in store.unreferenced if is_orphan(s) and s.relative not in taken]
    yield from _unreferenced("CF006", store, orphans, "orphan directories")


@check("CF007", scope="store", needs=("database",))
def set_aside_directory(store: Store) -> Iterator[Finding]:
    """Segment directories under a name that Chroma does not give."""
    aside = [segment for segment in store.unreferenced if not is_orphan(segment)]
    yield from _unreferenced("CF007", store, aside, "set-aside directories")


def _unreferenced(code: str, store: Store, segments: Sequence[VectorSegment], what: str) -> Iterator[Finding]:
    if not segments:
        return
    rows = folder_rows(store, segments)
    only_here = _totals(store, segments)
    unique = sum(len(ids) for ids in only_here.values())
    gone = nowhere_else(store, segments)
    yield finding(
        code,
        store,
        count=len(rows),
        unit="directories",
        expected="every segment directory is named by a row of segments",
        found={
            "directories": rows,
            "only_here": {name: len(ids) for name, ids in only_here.items()},
            "in_no_index": gone,
        },
        where=tuple(Place(file=row["directory"]) for row in rows[:5]),
        means=_means(what, rows, unique, gone),
        remedy=_remedy(unique, gone),
        causes=_causes(code, unique),
        lists={"ids": [name for ids in only_here.values() for name in ids]},
    )


def _totals(store: Store, segments: Sequence[VectorSegment]) -> dict[str, list[str]]:
    """collection → the distinct ids that its index lacks and that any of these directories has."""
    found: dict[str, dict[str, None]] = {}
    for segment in segments:
        for name, ids in rescues(store, segment).items():
            found.setdefault(name, {}).update(dict.fromkeys(ids))
    return {name: list(ids) for name, ids in sorted(found.items())}


def _means(what: str, rows: Sequence[dict[str, Any]], unique: int, gone: int) -> str:
    them = singular(what) if len(rows) == 1 else what
    if unique:
        have = "has its" if unique == 1 else "have their"
        return (
            f"Nothing reads the {them}, but {counted(unique, 'records')} {have} vector only there: "
            "do not delete anything of it before that is added to the index."
        )
    if gone:
        return (
            f"Nothing reads the {them}. {counted(gone, 'vectors')} in it stand in no index of this store: a deleted "
            "collection leaves that behind, and so does a lost one. To remove it is to remove these vectors."
        )
    held = sum(row["ids"] or 0 for row in rows)
    return f"Nothing reads the {them}; of the {counted(held, 'ids')} in it, a living index has every one."


def _remedy(unique: int, gone: int) -> Remedy:
    """A directory is removed at the cost of the vectors that stand nowhere else."""
    if unique:
        return Remedy(action="add-missing-vectors", safety="safe")
    return Remedy(action="remove-directories", safety="lossy" if gone else "safe", loses=gone)


def _causes(code: str, unique: int) -> tuple[Cause, ...]:
    if code == "CF007":
        name, evidence = "somebody moved an index away", "the name is not one that Chroma gives"
        return (Cause(name=name, confidence="likely", evidence=evidence),)
    deleted = Cause(
        name="its collection was deleted",
        confidence="possible" if unique else "likely",
        evidence="0.5, 0.6 and 1.x leave the directory of a deleted collection behind",
    )
    replaced = Cause(
        name="its row in segments was lost or replaced",
        confidence="likely",
        evidence=f"{counted(unique, 'ids')} of it name records of a living collection that its index lacks",
    )
    return (replaced, deleted) if unique else (deleted,)
