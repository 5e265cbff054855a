"""What a verb leaves in its case, when it may, and what becomes of a case that could not be filled."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

from forensics.case import CASE_FILE, Case, _default_folder, utc_now
from forensics.chronicle import Chronicle, chronicle
from forensics.durable import room
from forensics.errors import CannotComplete, ForensicsError, Refused, UsageError
from forensics.evidence import safe_name, write_rows
from forensics.model import Diagnosis, Json, Plan
from forensics.repair.draft import Draft
from forensics.repair.embedded_kept import keeping
from forensics.repair.in_place_state import is_halfway_in_place
from forensics.repair.journal import Transition
from forensics.repair.stages import plan_of, result
from forensics.seal import Manifest, compare, seal
from forensics.store import Store

CaseLike = Case | str | PathLike[str]
DIAGNOSIS, MANIFEST, PLAN, PROBE = "diagnosis.json", "manifest.json", "plan.json", "probe.json"
HISTORY = "history.json"
OF_AN_ATTEMPT = ("verdict.json", "diagnosis-after.json", "manifest-after.json", "result.json")
REFUSED = "not applied"
"""The event of the action log that says why a plan was not carried out."""
LISTS = re.compile(r"CF\d{3}-.*\.csv")


def case_of(case: CaseLike | None) -> Case:
    """The case that exists there. Raises UsageError where there is none."""
    if isinstance(case, Case):
        return case
    if case is None:
        raise UsageError("Say which case folder is meant.")
    return Case.open(Path(fspath(case)))


def case_for(case: CaseLike | None, store: Path) -> Case:
    """The case of that store: an open one, the one in that folder, or one made there (None: in a folder of its own).

    Raises UsageError where the folder is the case of another store.
    """
    if case is None:
        return Case.create(None, store)
    if not isinstance(case, Case) and not (Path(fspath(case)) / CASE_FILE).exists():
        return Case.create(Path(fspath(case)), store)
    opened = case_of(case)
    if opened.store != store:
        raise UsageError(f"{opened.folder} is the case of another store, {opened.store}.")
    return opened


@contextmanager
def filling(case: CaseLike | None, store: Path, *, applied_too: bool = False) -> Generator[Case]:
    """The case of that store, locked, for a diagnosis and a plan; made if it is not there.

    Raises Refused where its plan was applied: what it holds is the evidence of before. Where the block fails, a case
    that was made for it is gone again.
    """
    folder = case if isinstance(case, Case) else _folder(case, store)
    made = _Made.before(folder)
    with room("the case was written"):
        try:
            opened = case_for(folder, store)
            if was_applied(opened) and not applied_too:
                raise Refused(
                    f"The plan of the case {opened.folder} was applied, and what it holds is the evidence of before;"
                    " give another folder."
                )
            with opened.lock(), keeping(opened.folder):
                yield opened
        except BaseException:
            made.remove()
            raise


def _folder(case: str | PathLike[str] | None, store: Path) -> Path:
    return Path(os.path.realpath(_default_folder(store, utc_now()) if case is None else fspath(case)))


@dataclass(frozen=True, slots=True)
class _Made:
    """What must go if a new case comes to nothing: `top`, the highest folder that was made for it, or what was put
    into the empty folder `filled`.
    """

    top: Path | None = None
    filled: Path | None = None

    @classmethod
    def before(cls, folder: Case | Path) -> _Made:
        """To be asked before anything is made. Of a case that is there already nothing will go."""
        if isinstance(folder, Case):
            return cls()
        if folder.is_dir():
            return cls() if any(folder.iterdir()) else cls(filled=folder)
        missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
        return cls(top=missing[-1] if missing else None)

    def remove(self) -> None:
        """All of it is gone."""
        for path in [self.top] if self.top else list(self.filled.iterdir()) if self.filled else []:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif os.path.lexists(path):
                path.unlink()


def was_applied(case: Case) -> bool:
    """True from the moment the store was touched for this case, also after an undo or a release."""
    if case.draft is not None and case.draft.is_dir() and not Draft.open(case).is_disposable:
        return True
    result = case.read_json("result.json") if case.has("result.json") else {}
    return bool(result.get("applied")) and not result.get("to")


def keep_diagnosis(case: Case, store: Store, found: Diagnosis) -> None:
    """The case holds the diagnosis, the seal of the store and the full lists; a plan for another state is gone."""
    known = Manifest.from_json(case.read_json(MANIFEST)) if case.has(MANIFEST) else None
    sealed = seal(store.path, reuse=known)  # a file with the same inode, size and times is not hashed again
    if case.has(PLAN) and not _is_sealed(case, sealed):
        case.path(PLAN).unlink()
    case.write_json(DIAGNOSIS, found.to_json())
    case.write_json(MANIFEST, sealed.to_json())
    case.write_json(HISTORY, _told(store))
    for path in case.path("evidence").glob("CF*.csv"):
        if LISTS.fullmatch(path.name):
            path.unlink()
    for finding in found.findings:
        for name, items in finding.lists.items():
            label = "-".join(part for part in (finding.code, finding.collection, name) if part)
            rows = (item if isinstance(item, (list, tuple)) else [item] for item in items)
            write_rows(case.evidence(safe_name(label) + ".csv"), [name], rows)
    case.log("diagnosed", findings=list(found.codes()))


def _told(store: Store) -> Json:
    """The timeline; where a store is too strange for it, that and no error: the diagnosis is what was asked for."""
    try:
        return chronicle(store).to_json()
    except Exception as error:  # noqa: BLE001 - as with a check that crashes, the rest goes on and this is said
        return {
            **Chronicle((), (), ()).to_json(),
            "problem": f"not foreseen: {type(error).__name__}: {error}",
        }


def _is_sealed(case: Case, now: Manifest) -> bool:
    return case.has(MANIFEST) and not compare(Manifest.from_json(case.read_json(MANIFEST)), now)


def keep_plan(case: Case, made: Plan) -> None:
    """The case holds the plan, ready for `apply`; what became of an earlier one that was never applied is gone."""
    for stage in OF_AN_ATTEMPT:
        case.path(stage).unlink(missing_ok=True)
    case.write_json(PLAN, made.to_json())
    case.log("planned", actions=[action.kind for action in made.approved])


def keep_probe(case: Case, found: Mapping[str, Json]) -> None:
    """The case holds what the calls did; of a store that was repaired, beside what they did before."""
    case.write_json("probe-after.json" if was_applied(case) else PROBE, found)
    case.log("probed")


@contextmanager
def halfway_told(case: Case) -> Generator[None]:
    """An interruption inside the block says how the store stands: untouched, or closed until the swap is finished."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if not is_halfway(case):
            raise
        raise CannotComplete(
            f"Interrupted in the middle of a swap: no Chroma can open the store now. `forensics apply --case"
            f" {case.folder} --resume` finishes it, `forensics undo --case {case.folder}` takes it back."
        ) from stop


@contextmanager
def refusal_kept(case: Case) -> Generator[None]:
    """Why the plan of the case was not carried out stands in its action log, for the report; else nothing of it."""
    try:
        yield
    except ForensicsError as error:
        with suppress(ForensicsError, OSError):  # what was refused is said anyway
            case.log(REFUSED, why=str(error))
        raise


def is_halfway(case: Case) -> bool:
    """True where a swap or an undo was begun and is not finished."""
    last = _last(case)
    return is_halfway_in_place(case) or (last is not None and last.outcome is None)


def can_finish(case: Case) -> bool:
    """True where `--resume` brings to its end what was approved: a swap that was interrupted, or its record."""
    last = _last(case)
    if is_halfway_in_place(case):
        return True
    return last is not None and (last.outcome is None or Draft.open(case).journal.state == "repaired")


def _last(case: Case) -> Transition | None:
    if case.draft is None or not case.draft.is_dir():
        return None
    return Draft.open(case).journal.last


def stopped_at_plan(case: Case) -> dict[str, Json]:
    """The JSON of `apply` where nothing is done: the records as they are, and the plan with what it predicts."""
    plan = plan_of(case)
    answer = result(case, plan, None)
    predicted = answer["records"]
    now = {**predicted, "after": predicted["before"], "reattached": 0, "reembedded": 0}
    found = case.read_json(DIAGNOSIS) if case.has(DIAGNOSIS) else {"findings": []}
    left = sorted({row["code"] for row in found["findings"] if row["severity"] != "note"})
    return {**answer, "records": now, "predicted": predicted, "remaining": left, "plan": plan.to_json()}


def known_findings(case: Case) -> list[tuple[str, str | None]]:
    """(code, collection) of the case's diagnosis; none once the store was repaired."""
    if was_applied(case) or not case.has(DIAGNOSIS):
        return []
    return [(row["code"], row["collection"]) for row in case.read_json(DIAGNOSIS)["findings"]]
