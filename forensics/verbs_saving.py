"""The verbs that bring back what is nearly gone: files that only a process still has, what a repair put aside."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forensics.model import Plan
    from forensics.rescuing import Held
    from forensics.store import Store


def rescue(
    pid: int,
    to: str | PathLike[str] | None = None,
    *,
    embedder: str | None = None,
    batch_size: int | None = None,
    requests_per_minute: float | None = None,
) -> dict[str, Any]:
    """Copies what a living process alone still has of a store: deleted segment files, and the database beside them.

    `to`: a folder that does not exist yet or is empty (default: ./rescued-<pid>). The id map is not among what a
    process holds open; it is proved again in the copy, where that can be done (`embedder` helps). The answer names the
    files, and what to give to a repair with `also`. Raises UsageError or Refused where there is nothing to be had.
    """
    from forensics.rescuing import held_files

    held = held_files(pid)
    stores = sorted({each.store for each in held})
    target = _empty(Path(f"rescued-{pid}" if to is None else fspath(to)))
    folders = [target] if len(stores) == 1 else [target / str(at) for at in range(1, len(stores) + 1)]
    asked = {"embedder": embedder, "batch_size": batch_size, "requests_per_minute": requests_per_minute}
    told = [
        _rescued(Path(store), folder, [each for each in held if each.store == store], asked)
        for store, folder in zip(stores, folders, strict=True)
    ]
    return {"schema": 1, "pid": pid, "to": str(target), "stores": told, "do_not_stop": pid}


def _rescued(store: Path, folder: Path, held: Sequence[Held], asked: dict[str, Any]) -> dict[str, Any]:
    """One store's files are in `folder`, named as they were."""
    from forensics.rescuing import copy_database, copy_out

    files = copy_out(held, folder)
    database = copy_database(store, folder)
    proved = {"id_map": f"not proved: {database}"} if database else _with_map(folder, asked)
    return {"store": str(store), "folder": str(folder), "files": [each.to_json() for each in files], **proved}


def _with_map(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """The id map of the copy is proved and written there by a repair of its own, with its case beside it."""
    from forensics.errors import ForensicsError
    from forensics.verbs import apply, plan

    case = folder.with_name(f"{folder.name}-case")
    try:
        made = plan(folder, case=case, only=("CF401",), engine="none", **asked)
        kinds = [action.kind for action in made.approved]
        if "rebuild-id-map" not in kinds:
            reasons = [str(loss["reason"]) for loss in made.losses]
            return {"id_map": f"not proved: {'; '.join(reasons) or 'nothing tells whose the vectors are'}"}
        result = apply(case, yes=True, nobody_else=True)
    except ForensicsError as error:
        return {"id_map": f"not proved: {error}"}
    finally:
        _let_go(case)
    counts = result["records"]
    return {
        "id_map": f"proved for {counts['reattached']} vectors; {counts['lost']} have none",
        "case": str(case),
    }


def _let_go(case: Path) -> None:
    """What a repair kept of the copy's first state is given up: the process still has it."""
    from forensics.verbs import release
    from forensics.verbs_case import case_of, was_applied

    if (case / "case.json").exists() and was_applied(case_of(case)):
        release(case)


def _empty(folder: Path) -> Path:
    """`folder` exists and is empty. Raises UsageError where it is not, or cannot be made."""
    from forensics.errors import UsageError

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty; give --to a folder that does not exist yet.")
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    return folder.resolve()


def restore_quarantined(
    file: str | PathLike[str],
    *,
    store: str | PathLike[str] | None = None,
    case: Any = None,
    yes: bool = False,
    nobody_else: bool = False,
    engine: str | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Puts back what a repair moved into its case, as a repair of its own: a case, a draft, a verification, an undo.

    `file`: one of the JSON-lines files in the evidence of a case; `store` where it lies in none. Without `yes` the plan
    is shown and nothing is changed. Returns the JSON of `apply`; raises Refused where nothing of it fits any more.
    """
    from forensics.verbs import apply

    folder = _planned_back(Path(fspath(file)).resolve(), store, case, engine, progress)
    return apply(folder, yes=yes, nobody_else=nobody_else, engine=engine, progress=progress)


def _planned_back(
    path: Path, store: str | PathLike[str] | None, case: Any, engine: str | None, progress: Any
) -> Path:
    """The case in which the diagnosis, the seal and the plan are."""
    from forensics.verbs import diagnose
    from forensics.verbs_case import filling, keep_diagnosis, keep_plan
    from forensics.verbs_inputs import store_of

    given, codes = _origin(path)
    with store_of(_named(store, given, path)) as opened, filling(case, opened.path) as folder:
        made = _plan_back(opened, path, codes, engine)
        found = diagnose(opened, progress=progress)
        keep_diagnosis(folder, opened, found)
        keep_plan(folder, made(found.codes(), found.codes(notes=False)))
        return folder.folder


def _named(store: str | PathLike[str] | None, given: str | None, path: Path) -> str:
    from forensics.errors import UsageError

    if store is None and given is None:
        raise UsageError(f"{path} lies in no case, so its store is not known: say which with --store STORE.")
    return str(given) if store is None else fspath(store)


def _origin(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """(the store, the codes that were found before) of the case that the file lies in."""
    from forensics.case import CASE_FILE, Case

    folder = path.parent.parent
    if not (folder / CASE_FILE).exists():
        return None, ()
    case = Case.open(folder)
    found = case.read_json("diagnosis.json")["findings"] if case.has("diagnosis.json") else []
    return str(case.store), tuple(sorted({row["code"] for row in found}))


def _plan_back(
    store: Store, path: Path, codes: tuple[str, ...], engine: str | None
) -> Callable[[tuple[str, ...], tuple[str, ...]], Plan]:
    """The plan, once it is known what is found now. Raises Refused where no line fits."""
    from forensics.errors import Refused
    from forensics.repair.options import RepairOptions
    from forensics.repair.restoring import collection_in, fitting, read_lines
    from forensics.repair.restoring_plan import plan_back
    from forensics.repair.site import Site

    lines = read_lines(path)
    name = collection_in(store, lines)
    options = RepairOptions(engine=engine)
    site = None if name is None else Site(store.collection(name), options, None, frozenset(codes))
    fits = fitting(store, site, lines)
    if not len(fits):
        raise Refused(f"Nothing of {path.name} can be put back: {fits.refused[0][1]}.")
    return lambda found, left: plan_back(store, path, site, fits, options, codes, found, left)
