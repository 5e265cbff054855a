"""A diagnosis that a case already holds, so that the next notebook need not look again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.model import (
    Cause,
    CollectionSummary,
    Diagnosis,
    Effect,
    Finding,
    Json,
    Outcome,
    Place,
    Remedy,
    Test,
    Verdict,
)
from forensics.seal import Manifest, compare, seal

if TYPE_CHECKING:
    from forensics.case import Case

OF_THE_MOMENT = ("CF005", "CF009")
"""Who has the store open and how full the disk is: asked anew each time."""


def recall(case: Case, store: Path) -> Diagnosis | None:
    """The diagnosis of the case; None where it has none, or where the store is not what it was when it was made."""
    if not (case.has("diagnosis.json") and case.has("manifest.json")):
        return None
    then = Manifest.from_json(case.read_json("manifest.json"))
    found = diagnosis_from_json(case.read_json("diagnosis.json"))
    if set(found.codes()) & set(OF_THE_MOMENT) or compare(then, seal(store, reuse=then)):
        return None
    return found


def diagnosis_from_json(row: Mapping[str, Json]) -> Diagnosis:
    """The record that `Diagnosis.to_json` was made of; the full lists are in the case's evidence instead."""
    return Diagnosis(
        tool=row["tool"],
        store=row["store"],
        collections=tuple(CollectionSummary(**one) for one in row["collections"]),
        findings=tuple(_finding(one) for one in row["findings"]),
        checks=tuple(Outcome(**one) for one in row["checks"]),
        sources=tuple(row.get("sources", ())),
    )


def _finding(row: Mapping[str, Json]) -> Finding:
    parts: dict[str, Any] = {
        "where": tuple(Place(**place) for place in row["where"]),
        "follows": tuple(row["follows"]),
        "causes": tuple(Cause(**cause) for cause in row["causes"]),
        "remedy": Remedy(**row["remedy"]),
    }
    return Finding(**{**row, **parts})


def verdict_from_json(row: Mapping[str, Json]) -> Verdict:
    """The record that `Verdict.to_json` was made of."""
    return Verdict(
        verified=row["verified"],
        tests=tuple(Test(**test) for test in row["tests"]),
        effects=tuple(Effect(**effect) for effect in row["effects"]),
        remaining=tuple(row["remaining"]),
    )
