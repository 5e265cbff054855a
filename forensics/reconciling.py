"""Single calls for Python and notebooks: from a store to its repaired self, or to a new index."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from forensics.case import Case
from forensics.diagnosis import Scope, diagnose_store
from forensics.model import Diagnosis, Json, Plan
from forensics.repair.apply import apply_plan
from forensics.repair.embedding import Embedder
from forensics.repair.options import RepairOptions
from forensics.repair.planner import make_plan
from forensics.seal import seal
from forensics.store import Store, open_store

Progress = Callable[[str, float], None]
Where = str | PathLike[str]


def reconcile(
    store: Store | Where,
    *,
    case: Where | None = None,
    dry_run: bool = False,
    nobody_else: bool = False,
    progress: Progress | None = None,
    **choices: Any,
) -> dict[str, Json]:
    """The store, diagnosed, repaired as far as its plan is approved, and verified; what was done, as JSON.

    The case is a new folder (default `./forensics-case-<store>-<UTC>`) and holds everything, undo included.
    `choices` are fields of RepairOptions. `dry_run` stops at the plan, which is then under "plan".
    """
    path = store.path if isinstance(store, Store) else Path(fspath(store))
    with open_store(path) as opened:
        folder = Case.create(None if case is None else Path(fspath(case)), opened.path)
        chosen = RepairOptions(**choices)
        opened.embedder = Embedder.of(chosen)
        found = diagnose_store(opened, Scope(embedder=opened.embedder is not None), progress)
        plan = make_plan(opened, found, chosen)
        _keep(folder, found, plan)
    if dry_run:
        return {"schema": 1, "applied": False, "case": str(folder.folder), "plan": plan.to_json()}
    return apply_plan(folder, nobody_else=nobody_else, progress=progress)


def rebuild(
    store: Store | Where,
    collection: str | None = None,
    *,
    M: int | None = None,
    ef_construction: int | None = None,
    threads: int | None = None,
    case: Where | None = None,
    **choices: Any,
) -> dict[str, Json]:
    """The index of that collection (default: of all) is built again from all its vectors, sound or not.

    Deleted elements are gone; the space stays, M and ef_construction as well unless they are given, which the settings
    then say too. On all cores unless `threads` is given; 1 gives the same files every time. Else as `reconcile`.
    """
    named = ("*" if collection is None else collection,)
    given = {"M": M, "ef_construction": ef_construction, "threads": threads}
    return reconcile(store, case=case, rebuild=named, **given, **choices)


def _keep(case: Case, found: Diagnosis, plan: Plan) -> None:
    """Diagnosis, seal and plan are in the case, as `apply` needs them."""
    case.write_json("diagnosis.json", found.to_json())
    case.write_json("manifest.json", seal(case.store).to_json())
    case.write_json("plan.json", plan.to_json())
    case.log("planned", actions=[action.kind for action in plan.approved])
