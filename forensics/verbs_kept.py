"""The verbs on a case that is there already: apply, verify, undo, release, report, export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.selection import select
from forensics.store import open_store
from forensics.verbs_inputs import needs, outside_store

if TYPE_CHECKING:
    from forensics.case import Case
    from forensics.model import Verdict

Progress = Callable[[str, float], None]


def _case(case: Any) -> Case:
    from forensics.verbs_case import case_of

    return case_of(case)


def apply(
    case: Any,
    *,
    yes: bool = False,
    resume: bool = False,
    to: str | PathLike[str] | None = None,
    in_place: str | PathLike[str] | None = None,
    nobody_else: bool = False,
    engine: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Carries out the approved actions of the case's plan on a draft, verifies it, and swaps it in.

    `to`: a repaired copy there instead. `in_place`: where a draft has no room, files of the index are changed where
    they stand; that undo file, on another disk, holds what is overwritten. Without `yes` nothing is changed and the
    plan is shown; only what was begun is finished by `resume`. Returns the JSON of the command line.
    """
    from forensics.repair.apply import apply_plan
    from forensics.repair.stages import plan_of
    from forensics.verbs_case import can_finish, halfway_told, refusal_kept, stopped_at_plan

    opened = _case(case)
    if not yes and not (resume and can_finish(opened)):
        return stopped_at_plan(opened)
    target, undo_file = (None if each is None else Path(fspath(each)) for each in (to, in_place))
    if not resume and opened.has("plan.json"):
        _embedder(plan_of(opened).options)  # gone or changed: said before anything is made
    with halfway_told(opened), refusal_kept(opened):
        return apply_plan(
            opened,
            resume=resume,
            to=target,
            in_place=undo_file,
            nobody_else=nobody_else,
            engine=engine,
            progress=progress,
        )


def verify(case: Any, *, engine: str | None = None, progress: Progress | None = None) -> Verdict:
    """The same checks again on the store as it is now, against what the case's plan predicted."""
    from forensics.verify import verify_case

    return verify_case(_case(case), engine=engine, progress=progress)


def undo(case: Any, *, discard_later_writes: bool = False, nobody_else: bool = False) -> dict[str, Any]:
    """The store as it was before `apply`, byte for byte; undoing an undo brings the repair back."""
    from forensics.repair.undo import undo as take_back
    from forensics.verbs_case import halfway_told

    opened = _case(case)
    with halfway_told(opened):
        return take_back(opened, discard_later_writes=discard_later_writes, nobody_else=nobody_else)


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
    needs("jinja2", "The report")
    from forensics.report.html import write_report

    opened = _case(case)
    target = None if out is None else outside_store(Path(fspath(out)), opened.store)
    return write_report(opened, target, include_documents=include_documents, include_ids=include_ids)


def export(
    case: Any,
    form: str = "jsonl",
    out: str | PathLike[str] | None = None,
    *,
    collection: str | None = None,
    segment: str | None = None,
    metadata_segment: str | None = None,
    anonymous: bool = False,
) -> dict[str, Any]:
    """Every record of the case's store that can be recovered, with its vector's origin, as jsonl, npz or parquet.

    Vectors under an id without a row are added as ghosts, with `anonymous` also those under no id.
    """
    from forensics.export_files import require
    from forensics.exporting import export as write_out
    from forensics.repair.stages import plan_of
    from forensics.verbs_case import known_findings

    require(form)
    opened = _case(case)
    target = Path(fspath(out)) if out is not None else opened.folder / f"export.{form}"
    outside_store(target, opened.store)
    options = plan_of(opened).options if opened.has("plan.json") else {}
    with open_store(opened.store) as store:
        chosen = select(store, collection, segment, metadata_segment)
        answer = write_out(
            store,
            form,
            target,
            also=[Path(path) for path in options.get("also", ())],
            collection=chosen,
            findings=known_findings(opened),
            embedder=_embedder(options),
            with_anonymous=anonymous,
        )
    opened.log("exported", file=str(target), records=answer["records"])
    return answer


def _embedder(options: Mapping[str, Any]) -> Any:
    from forensics.repair.embedding import Embedder
    from forensics.repair.options import RepairOptions

    return Embedder.of(RepairOptions.from_json(options))
