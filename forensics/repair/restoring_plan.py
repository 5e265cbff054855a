"""The plan of a repair that puts back what another one moved into its case, with the effect that it will have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.model import Action, Effect, Plan
from forensics.readers.embeddings_queue import QueueRow, effects
from forensics.repair.effects import reachable, surely_reachable, untouched
from forensics.repair.options import RepairOptions
from forensics.repair.restoring import RESTORE, Fits
from forensics.repair.site import Site
from forensics.seal import hash_file
from forensics.store import Store
from forensics.words import counted


def reached_after(site: Site, fits: Fits) -> int:
    """How many records will have a vector, indexed or pending."""
    records = site.collection.records
    if isinstance(records, Absent):
        return 0
    reached = {records.rows.ids[i] for i in np.flatnonzero(records.indexed | records.pending).tolist()}
    there = {*records.rows.ids, *(line["id"] for line in fits.records)}
    reached |= {name for name, _, _ in fits.maps if name in there}
    pending = site.collection.pending_rows
    back = [_as_row(row) for table, row in fits.rows if table == "embeddings_queue"]
    rows = [*([] if isinstance(pending, Absent) else pending), *back]
    above = sorted(
        (row for row in rows if row.seq_id > site.collection.vector_watermark), key=lambda row: row.seq_id
    )
    brought = effects(above, site.mapping.__contains__) if back else {}
    reached |= {
        name
        for name, each in brought.items()
        if each.exists and each.vector_seq is not None and name in there
    }
    return len(reached)


def _as_row(row: Mapping[str, Any]) -> QueueRow:
    size = len(row["vector"]) if isinstance(row["vector"], bytes) else None
    return QueueRow(row["seq_id"], row["operation"], row["id"], size, row["encoding"])


def plan_back(
    store: Store,
    path: Path,
    site: Site | None,
    fits: Fits,
    options: RepairOptions,
    codes: tuple[str, ...],
    found: tuple[str, ...],
    left: tuple[str, ...],
) -> Plan:
    """The one action that puts back what fits. codes: what was found before it was put aside, and may be found again;
    found and left: what is found now, and what of it is above a note.
    """
    name = None if site is None else site.found_as.name
    refused = f", {counted(len(fits.refused), 'line')} not: {fits.refused[0][1]}" if fits.refused else ""
    action = Action(
        kind=RESTORE,
        collection=name,
        codes=codes,
        title=f"Put {counted(len(fits), 'item')} of {path.name} back{refused}",
        safety="safe",
        approval="yes",
        approved=True,
        why="what was found before it was put aside may be found again",
        parameters={"file": str(path), "sha256": hash_file(path)[0], "refused": len(fits.refused)},
    )
    effects = [
        _effect(site, fits) if site is not None and each.name == name else untouched(each)
        for each in store.collections
    ]
    return Plan(
        store=str(store.path),
        findings=found,
        actions=(action,),
        effects=tuple(effects),
        promised=(),
        remaining=left,
        losses=tuple(_losses(effects)),
        options=options.to_json(),
    )


def _losses(effects: Iterable[Effect]) -> Iterator[Mapping[str, Any]]:
    """One row for each collection with records that have no vector then."""
    for effect in effects:
        if effect.lost:
            reason = "no vector of it is in the index; a source or an embedder can bring one"
            yield {"collection": effect.collection, "reason": reason, "count": effect.lost, "examples": []}


def _effect(site: Site, fits: Fits) -> Effect:
    """Records that come back without a vector count as lost until one is found."""
    found = site.found_as
    surely, records = surely_reachable(found), 0 if isinstance(found.rows, Absent) else len(found.rows)
    after = reached_after(site, fits)
    return Effect(
        collection=found.name,
        before=reachable(found),
        after=None if reachable(found) is None else after,
        reattached=max(0, after - surely),
        lost=records + len(fits.records) - after,
    )
