"""What `diagnose` says of the user's own sources, and what of it a case keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING

from forensics.evidence import write_rows
from forensics.model import Diagnosis
from forensics.store import Store

if TYPE_CHECKING:
    from forensics.against import Against
    from forensics.case import Case
    from forensics.user_source import UserSource


def load_sources(given: Sequence[str | PathLike[str]]) -> list[UserSource]:
    """Each source, read whole; one without vectors is none the worse. Raises UsageError for what is none."""
    if not given:
        return []
    from forensics.user_source import UserSource

    return [UserSource.load(fspath(each), vectors=False) for each in given]


def beside(
    found: Diagnosis, store: Store, given: Sequence[UserSource], collection: str | None
) -> tuple[Diagnosis, list[Against]]:
    """The diagnosis with what the sources say, and the comparisons with their full lists."""
    if not given:
        return found, []
    from forensics.against import against

    compared = [against(store, source, collection) for source in given]
    return dataclasses.replace(found, sources=tuple(each.to_json() for each in compared)), compared


def keep_sources(case: Case, compared: Sequence[Against]) -> None:
    """The case holds the full lists as evidence/source-*.csv; those of an earlier diagnosis are gone."""
    for old in case.path("evidence").glob("source-*.csv"):
        old.unlink()
    for number, each in enumerate(compared, start=1):
        for name, ids in each.lists.items():
            if ids:
                path = case.evidence(f"source-{number:02d}-{name}.csv")
                write_rows(path, ["id"], ([each] for each in ids))
