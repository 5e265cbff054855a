"""Where each record of a repaired index comes from, as the actions wrote it down, and the whole list for the
case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from forensics.absent import Absent
from forensics.case import Case
from forensics.evidence import read_rows, safe_name, write_rows, write_table
from forensics.model import Plan
from forensics.records import Records
from forensics.store import Store

PROVENANCE = ("id", "label", "origin", "place", "ref", "exact", "current", "proof")


@dataclass(frozen=True, slots=True)
class Origin:
    """A line of provenance: where the vector of one record of the repaired index comes from."""

    id: str
    label: int
    origin: str
    place: str
    ref: int
    exact: bool


def origins_of(case: Case, plan: Plan) -> Mapping[str, list[Origin]]:
    """collection name → the lines that the actions left, under the id that the record has in the end; of one that two
    brought back, the last.
    """
    found: dict[str, dict[str, Origin]] = defaultdict(dict)
    for action in plan.approved:
        if action.collection is None:
            continue
        renamed = renamed_in(case, plan, action.collection)
        path = case.evidence(safe_name(f"provenance-{action.collection}-{action.kind}") + ".csv")
        for row in read_rows(path):
            name = renamed.get(row[0], row[0])
            found[action.collection][name] = Origin(
                name, int(row[1]), row[2], row[3], int(row[4]), row[5] == "True"
            )
    return defaultdict(list, {name: list(lines.values()) for name, lines in found.items()})


def renamed_in(case: Case, plan: Plan, collection: str) -> Mapping[str, str]:
    """old id → new id of the records that the plan trims."""
    if not any(a.kind == "trim-ids" and a.collection == collection for a in plan.approved):
        return {}
    return dict(read_rows(case.evidence(safe_name(f"trimmed-ids-{collection}-trim-ids") + ".csv")))


def embedded_again(origins: Mapping[str, list[Origin]]) -> dict[str, int]:
    return {name: sum(line.origin == "embedded again" for line in lines) for name, lines in origins.items()}


def write_provenance(case: Case, after: Store, origins: Mapping[str, list[Origin]]) -> None:
    """evidence/provenance-<collection>.csv names the origin of every record of each touched index."""
    for name, lines in origins.items():
        records, segment = after.collection(name).records, after.collection(name).vector
        if isinstance(records, Absent) or isinstance(segment, Absent):
            continue
        path = case.evidence(safe_name(f"provenance-{name}") + ".csv")
        known = {line.id: line for line in lines}
        write_rows(path, PROVENANCE[:6], _all_records(records, known))
        if not write_table(path.with_suffix(".parquet"), PROVENANCE[:6], _all_records(records, known)):
            case.log("provenance as CSV alone", collection=name, why="pyarrow is not installed")


def _all_records(records: Records, known: Mapping[str, Origin]) -> Iterator[tuple[object, ...]]:
    """id, label, origin, place, ref, exact of every record, column by column: there may be a million."""
    indexed = records.indexed
    kept = np.where(indexed, "kept in the index", np.where(records.pending, "pending in the queue", "lost"))
    origins, exact = kept.tolist(), np.where(indexed, "True", "").tolist()
    labels = [
        label if there else "" for label, there in zip(records.labels.tolist(), indexed.tolist(), strict=True)
    ]
    places, refs = [""] * len(records), [""] * len(records)
    named = np.fromiter(map(known.__contains__, records.rows.ids), dtype=bool, count=len(records))
    for row in np.flatnonzero(named).tolist():
        line = known[records.rows.ids[row]]
        labels[row], origins[row], exact[row] = int(records.labels[row]), line.origin, str(line.exact)
        places[row], refs[row] = line.place, str(line.ref)
    return zip(records.rows.ids, labels, origins, places, refs, exact, strict=True)


def write_losses(case: Case, plan: Plan, after: Store) -> None:
    """evidence/lost-<collection>.csv names every record that has no vector after the repair, with the reason."""
    for effect in plan.effects:
        if not effect.lost:
            continue
        records = after.collection(effect.collection).records
        reasons = "; ".join(
            str(loss["reason"]) for loss in plan.losses if loss["collection"] == effect.collection
        )
        ids = [] if isinstance(records, Absent) else records.ids(records.missing)
        path = case.evidence(safe_name(f"lost-{effect.collection}") + ".csv")
        write_rows(path, ("id", "reason"), ((name, reasons) for name in ids))
