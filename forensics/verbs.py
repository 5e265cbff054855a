"""The public verbs. Each ties the parts together for one purpose and imports them when it is called."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.absent import Absent
from forensics.errors import MissingPackage, UsageError
from forensics.store import Store, open_store

if TYPE_CHECKING:
    from forensics.case import Case
    from forensics.diff import IdDiff
    from forensics.model import Diagnosis, Plan, Verdict
    from forensics.repair.options import RepairOptions

StoreLike = Store | str | PathLike[str]
CaseLike = "Case | str | PathLike[str]"
Progress = Callable[[str, float], None]


@contextmanager
def _opened(store: StoreLike) -> Generator[Store]:
    """The store itself, or one opened for the duration."""
    if isinstance(store, Store):
        yield store
        return
    with open_store(store) as opened:
        yield opened


def _case(case: Any, store: Path | None = None) -> Case:
    """A case as given: an open one, an existing folder, or (with a store) one to be made there."""
    from forensics.case import Case

    if isinstance(case, Case):
        return case
    folder = Path(fspath(case)) if case is not None else None
    if store is not None and (folder is None or not (folder / "case.json").exists()):
        return Case.create(folder, store)
    if folder is None:
        raise UsageError("Say which case folder is meant.")
    opened = Case.open(folder)
    if store is not None and opened.store != store:
        raise UsageError(f"{folder} is the case of another store, {opened.store}.")
    return opened


def diagnose(
    store: StoreLike,
    *,
    deep: bool = False,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    collection: str | None = None,
    embedder: str | None = None,
    also: Sequence[str | PathLike[str]] = (),
    source: Sequence[str | PathLike[str]] = (),
    case: Any = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """What is wrong with the store, by looking alone; with `case`, kept there with the full lists and the seal."""
    from forensics.diagnosis import diagnose_store, scope

    wanted = scope(only, skip, collection=collection, deep=deep, embedder=embedder is not None)
    _no_sources(source)
    with _opened(store) as opened:
        if collection is not None:
            opened.collection(collection)
        with _control(deep):
            found = diagnose_store(opened, wanted, progress)
        if case is not None:
            _keep_diagnosis(_case(case, opened.path), opened, found)
    return found


@contextmanager
def _control(deep: bool) -> Generator[None]:
    """A deep diagnosis may build a fresh graph (in a child) to judge what the stored one does not reach."""
    if not deep:
        yield
        return
    from forensics.engine.control import fresh_graph
    from forensics.graph import CONTROL

    token = CONTROL.set(fresh_graph)
    try:
        yield
    finally:
        CONTROL.reset(token)


def _no_sources(source: Sequence[str | PathLike[str]]) -> None:
    for path in source:
        if not Path(fspath(path)).exists():
            raise UsageError(f"The source {fspath(path)} does not exist.")


def _keep_diagnosis(case: Case, store: Store, found: Diagnosis) -> None:
    from forensics.seal import seal

    case.write_json("diagnosis.json", found.to_json())
    case.write_json("manifest.json", seal(store.path).to_json())
    for finding in found.findings:
        for name, items in finding.lists.items():
            label = "-".join(part for part in (finding.code, finding.collection, name) if part)
            _write_list(case.evidence(_file_name(label) + ".csv"), name, items)
    case.log("diagnosed", findings=list(found.codes()))


def _file_name(label: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in label)[:120]


def _write_list(path: Path, name: str, items: Sequence[Any]) -> None:
    with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as handle:
        writer = csv.writer(handle)
        writer.writerow([name])
        writer.writerows(item if isinstance(item, (list, tuple)) else [item] for item in items)


def diff_ids(store: StoreLike) -> dict[str, IdDiff]:
    """collection name → the ids of SQLite against the ids of the id map (pending rows left out of account)."""
    from forensics.diff import diff_sets
    from forensics.readers.id_map import IdMap

    out: dict[str, IdDiff] = {}
    with _opened(store) as opened:
        for collection in opened.collections:
            rows, id_map = collection.rows, collection.id_map
            if not isinstance(rows, Absent):
                mapped = id_map.id_to_label if isinstance(id_map, IdMap) else {}
                out[collection.name] = diff_sets(rows.ids, mapped, "SQLite", "id map")
    return out


def plan(
    store: StoreLike,
    *,
    case: Any = None,
    diagnosis: Diagnosis | None = None,
    options: RepairOptions | None = None,
    collection: str | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> Plan:
    """What would be done about the findings, in order, and what it would lose. Touches nothing in the store.

    `choices` are fields of RepairOptions (embedder, also, source, accept_loss, also_fix, ids, …). With `case` the
    diagnosis, the seal and the plan are kept there, ready for `apply`.
    """
    from forensics.repair.options import RepairOptions
    from forensics.repair.planner import make_plan

    chosen = options or RepairOptions(**choices)
    with _opened(store) as opened:
        folder = _case(case, opened.path) if case is not None else None
        found = diagnosis or diagnose(opened, collection=collection, case=folder, progress=progress)
        made = make_plan(opened, found, chosen)
        if folder is not None:
            if diagnosis is not None:
                _keep_diagnosis(folder, opened, diagnosis)
            folder.write_json("plan.json", made.to_json())
            folder.log("planned", actions=[action.kind for action in made.approved])
    return made


def apply(
    case: Any,
    *,
    yes: bool = False,
    resume: bool = False,
    to: str | PathLike[str] | None = None,
    nobody_else: bool = False,
    engine: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Carries out the approved actions of the case's plan on a draft, verifies it, and swaps it in.

    Without `yes` nothing is changed and the plan is shown. Returns the JSON of the command line.
    """
    from forensics.repair.apply import apply_plan

    opened = _case(case)
    if not yes and not resume:
        return {
            "schema": 1,
            "applied": False,
            "verified": None,
            "case": str(opened.folder),
            "plan": opened.read_json("plan.json"),
        }
    target = None if to is None else Path(fspath(to))
    return apply_plan(
        opened, resume=resume, to=target, nobody_else=nobody_else, engine=engine, progress=progress
    )


def verify(case: Any, *, engine: str | None = None, progress: Progress | None = None) -> Verdict:
    """The same checks again on the store as it is now, against what the case's plan predicted."""
    from forensics.verify import verify_case

    return verify_case(_case(case), engine=engine, progress=progress)


def undo(case: Any, *, discard_later_writes: bool = False) -> dict[str, Any]:
    """The store as it was before `apply`, byte for byte; undoing an undo brings the repair back."""
    from forensics.repair.undo import undo as take_back

    return take_back(_case(case), discard_later_writes=discard_later_writes)


def release(case: Any) -> dict[str, Any]:
    """Deletes the kept original of an applied case; afterwards there is no undo."""
    from forensics.repair.undo import release as let_go

    return let_go(_case(case))


def report(
    case: Any,
    out: str | PathLike[str] | None = None,
    *,
    include_documents: bool = False,
    include_ids: bool = False,
) -> Path:
    """The incident report of the case as one HTML file; returns its path."""
    needs("jinja2", "the report")
    from forensics.report.html import write_report

    target = None if out is None else Path(fspath(out))
    return write_report(_case(case), target, include_documents=include_documents, include_ids=include_ids)


def probe(
    store: StoreLike,
    *,
    versions: Sequence[str] = (),
    collection: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What each API call does on a throw-away copy, in a child, judged against what is on disk."""
    if not versions:
        needs("chromadb", "probe")
    from forensics.probing import probe as ask

    with _opened(store) as opened:
        found = diagnose(opened, collection=collection, progress=progress)
        return ask(opened.path, versions=list(versions) or None, diagnosis=found, collection=collection)


def copy(store: StoreLike, dest: str | PathLike[str]) -> Any:
    """A sparse-aware copy of the whole store, journal included, verified by hash; returns its manifest."""
    from forensics.copying import copy_store

    with _opened(store) as opened:
        path = opened.path
    return copy_store(path, Path(fspath(dest)))


def export(case: Any, form: str = "jsonl", out: str | PathLike[str] | None = None) -> dict[str, Any]:
    """Every record of the case's store that can be recovered, with its vector's origin, as jsonl, npz or parquet."""
    from forensics.exporting import export as write_out

    opened = _case(case)
    target = Path(fspath(out)) if out is not None else opened.folder / f"export.{form}"
    with open_store(opened.store) as store:
        return write_out(store, form, target)


def explain(text: str) -> str:
    """The page of a code, or what an error message of Chroma's can come from."""
    from forensics.explaining import explain as look_up

    return look_up(text)


def needs(package: str, purpose: str) -> None:
    """Raises MissingPackage, with the one line to install it, where `package` cannot be imported."""
    if find_spec(package) is None:
        raise MissingPackage({"hnswlib": "chroma-hnswlib"}.get(package, package), purpose)
