"""The verbs that repair: the answers of plan, repair and apply."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from forensics import verbs
from forensics.cli_answer import (
    Answer,
    labelled,
    need_case,
    pair,
    refuse_less,
    watched,
    why_incomplete,
)
from forensics.cli_arguments import codes
from forensics.errors import EXIT_FOUND, EXIT_INCOMPLETE, ForensicsError, UsageError
from forensics.readers.shelf import shelf
from forensics.user_source import absolute

if TYPE_CHECKING:
    from argparse import Namespace

    from forensics.case import Case
    from forensics.model import Diagnosis
    from forensics.repair.options import RepairOptions
    from forensics.store import Store


def _repair_options(options: Namespace) -> RepairOptions:
    from forensics.repair.options import RepairOptions

    return RepairOptions(
        embedder=options.embedder,
        also=tuple(os.path.abspath(path) for path in options.also),
        source=tuple(absolute(path) for path in options.source),
        accept_loss=codes(options.accept_loss),
        also_fix=codes(options.also_fix),
        ids=options.ids,
        set_aside_unsearchable=options.set_aside_unsearchable,
        unverified_embedder=options.unverified_embedder,
        batch_size=options.batch_size,
        requests_per_minute=options.requests_per_minute,
        price_per_million_tokens=options.price_per_million_tokens,
        stop_at_failed_record=options.stop_at_failed_record,
        decline=codes(options.skip),
        only=codes(options.only),
        max_elements=options.max_elements,
        M=options.M,
        ef_construction=options.ef_construction,
        purge_queue=options.purge_queue,
        threads=options.threads,
        add=options.add,
        rebuild=tuple(options.rebuild),
        search_every_vector=options.search_every_vector,
        target_chromadb=options.target_chromadb,
    )


@dataclass(frozen=True, slots=True)
class _Planned:
    case: Case
    found: Diagnosis
    plan: Any

    def text(self, *, verbose: bool) -> str:
        from forensics.report.text import diagnosis_text, plan_text

        found = diagnosis_text(self.found, case=self.case.folder, path=True, brief=not verbose)
        return f"{found}\n\n{plan_text(self.plan)}"


def _planned(options: Namespace, *, refuse_use: bool = False) -> _Planned:
    """Diagnosis, seal and plan are in a case, a new one unless --case names one. Nothing of it is made on failure."""
    from forensics.store import open_store
    from forensics.verbs_case import filling

    chosen = _repair_options(options)
    verbs.check_inputs(chosen.embedder, chosen.also, chosen.source)
    with open_store(options.store) as store, watched(options) as bar:
        wanted = verbs.collection_of(store, **pair(options), metadata_segment=options.metadata_segment)
        if refuse_use:
            _refuse_use(store)
        with filling(options.case, store.path) as case:
            found = verbs.diagnose(store, collection=wanted, **chosen.of_the_embedder(), progress=bar)
            made = verbs.plan(
                store, case=case, diagnosis=found, options=chosen, collection=wanted, progress=bar
            )
    return _Planned(case, found, made)


def _refuse_use(store: Store) -> None:
    """Raises StoreInUse before anything is made: what would be planned now could not be applied."""
    from forensics.repair.bystanders import refuse_users

    if store.in_use:
        refuse_users(store.path, nobody_else=True)


def plan(options: Namespace) -> Answer:
    """4 where something above a note is found, 8 where not everything could be looked at."""
    done = _planned(options)
    follow = f"\n{_next(done.case)}" if done.plan.approved else ""
    text = f"{done.text(verbose=options.verbose)}\n\n{labelled('case', done.case.folder)}{follow}"
    data = {**done.plan.to_json(), "case": str(done.case.folder)}
    return Answer(
        data, text, done.found.exit_status, why_incomplete(done.found.to_json()), _refused(done.plan)
    )


def _next(case: Case) -> str:
    return labelled("next", f"forensics apply --case {case.folder} --yes")


def _refused(made: Any) -> tuple[str, ...]:
    """What was asked for and is not planned: an embedder that does not reproduce what survives."""
    reasons = [str(loss["reason"]) for loss in made.losses if made.options.get("embedder")]
    return tuple(
        f"Not planned: {reason}." for reason in dict.fromkeys(reasons) if "embedder was refused" in reason
    )


@shelf()
def repair(options: Namespace) -> Answer:
    """diagnose … report in one go; without --yes it stops at the plan."""
    verbs.needs("jinja2", "The report")
    go = options.yes and not options.dry_run
    done = _planned(options, refuse_use=go)
    answer = _carried_out(options, done.case, yes=go)
    told = answer.data["applied"] or answer.error is not None  # on one screen, from what was wrong on
    whole = options.verbose or not go or not told
    text = f"{done.text(verbose=options.verbose)}\n\n{answer.text}" if whole else answer.text
    return _reported(replace(answer, text=text, notes=_refused(done.plan)), done.case)


def _reported(answer: Answer, case: Case) -> Answer:
    """The same with the report in the case; a report that cannot be written takes nothing back."""
    try:
        path = str(verbs.report(case))
    except (ForensicsError, OSError) as error:
        text = f"The report could not be written: {error}"
        return replace(answer, status=answer.status | EXIT_INCOMPLETE, error=answer.error or text)
    data = {**answer.data, "report": path}
    return replace(answer, data=data, text=f"{answer.text}\n{labelled('report', path)}")


def apply(options: Namespace) -> Answer:
    """Carries the plan of the case out; without --yes it shows the plan."""
    from forensics.report.text import plan_text
    from forensics.verbs_case import case_of, was_applied

    refuse_less(options)
    case = case_of(need_case(options))
    yes = options.yes and not options.dry_run
    answer = _carried_out(options, case, yes=yes)
    if "plan" in answer.data and (answer.error is None or options.verbose):
        before = "The plan of this case was applied before.\n\n" if was_applied(case) else ""
        answer = replace(answer, text=f"{before}{plan_text(answer.data['plan'])}\n\n{answer.text}")
    return answer


def _carried_out(options: Namespace, case: Case, *, yes: bool) -> Answer:
    """What `apply` came to; where it refused, the store as it stands and the sentence why."""
    from forensics.verbs_case import is_halfway, stopped_at_plan

    try:
        with watched(options) as bar:
            result = verbs.apply(
                case,
                yes=yes,
                resume=getattr(options, "resume", False) and not options.dry_run,
                to=getattr(options, "to", None),
                in_place=options.in_place,
                nobody_else=options.nobody_else_uses_it,
                engine=options.engine,
                progress=bar,
            )
    except ForensicsError as error:
        if is_halfway(case) or isinstance(error, UsageError) or not case.has("plan.json"):
            raise
        stopped = {**stopped_at_plan(case), "exit": error.exit_status}
        return Answer(stopped, _told(case, stopped, str(error)), error.exit_status, str(error))
    status, why = _standing(case, result)
    return Answer(result, _told(case, result, None), status, why)


def _told(case: Case, result: Mapping[str, Any], why: str | None) -> str:
    """What became of it on one screen, and where its case is; `why` it was refused."""
    from forensics.repair.failures import as_it_went
    from forensics.repair.stages import plan_of
    from forensics.report.brief import repaired_text, stopped_text
    from forensics.report.text import result_text
    from forensics.verbs_case import was_applied

    folder = labelled("case", case.folder)
    before = case.read_json("diagnosis.json") if case.has("diagnosis.json") else None
    if before is None or result.get("to") or (why is None and not result["applied"]):
        return f"{_with_stays(result, result_text(result))}\n\n{folder}{_proof(case, result)}"
    plan = as_it_went(case, plan_of(case)).to_json()
    if why is not None and was_applied(case):
        return f"Nothing was changed. {why}\n\n{folder}"
    if why is not None:
        return f"{stopped_text(before, plan, why)}\n\n{folder}"
    verdict = case.read_json("verdict.json") if case.has("verdict.json") else None
    back = labelled("undo", f"forensics undo --case {case.folder}")
    return f"{repaired_text(before, plan, verdict, result)}\n\n{folder}\n{back}{_proof(case, result)}"


def _proof(case: Case, result: Mapping[str, Any]) -> str:
    """The command with which anybody can see that it is so; empty where nothing was applied."""
    seal = result.get("seal")
    return f"\n{labelled('proof', f'python {case.folder}/verify.py --seal {seal}')}" if seal else ""


def _with_stays(result: Mapping[str, Any], text: str) -> str:
    """Where nothing could be done about what was found, that is said as well."""
    if result.get("nothing_to_do") and result["remaining"]:
        stay = " ".join(result["remaining"])
        return (
            f"Nothing was changed: what was found needs a decision or cannot be repaired. These stay: {stay}."
        )
    return text


def _standing(case: Case, result: Mapping[str, Any]) -> tuple[int, str | None]:
    """4 where something above a note is left; 8 where it was done and not verified, or not all could be checked."""
    left = EXIT_FOUND if result["remaining"] else 0
    if result["applied"] and not result["verified"]:
        return left | EXIT_INCOMPLETE, "The repair was made, but not verified."
    name = "diagnosis-after.json" if result["applied"] else "diagnosis.json"
    why = why_incomplete(case.read_json(name)) if case.has(name) else None
    return (left | EXIT_INCOMPLETE, why) if why else (left, None)
