"""What each verb of the command line answers: its JSON, its text, its exit status. Prints nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics import verbs
from forensics.cli_arguments import codes
from forensics.cli_text import Progress, progress
from forensics.errors import EXIT_FOUND, EXIT_INCOMPLETE, ForensicsError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from forensics.case import Case
    from forensics.model import Diagnosis
    from forensics.repair.options import RepairOptions
    from forensics.store import Store

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is the JSON object; `error` the sentence for stderr where the status has bit 8 or 16."""

    data: Json
    text: str
    status: int = 0
    error: str | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def _watched(options: Namespace) -> Generator[Progress | None]:
    with progress(wanted=options.format == "text") as bar:
        yield bar


def _pair(options: Namespace) -> dict[str, str | None]:
    """Which collection is meant."""
    return {"collection": options.collection, "segment": options.segment}


# --- looking ---


def diagnose(options: Namespace) -> Answer:
    """Bits 4 and 8 as the diagnosis says; writes nothing but the case that was asked for."""
    from forensics.report.text import diagnosis_text

    _see_modules(options.embedder)
    kept = None if options.dry_run or not options.case else options.case
    with _watched(options) as bar:
        found = verbs.diagnose(
            options.store,
            **_pair(options),
            metadata_segment=options.metadata_segment,
            only=codes(options.only),
            skip=codes(options.skip),
            deep=options.deep,
            embedder=options.embedder,
            also=options.also,
            source=options.source,
            case=kept,
            progress=bar,
        )
    case = None if kept is None else Path(kept)
    text = diagnosis_text(found, case=case, path=True) + (f"\n\n{_where('case', case)}" if case else "")
    data = {**found.to_json(), **({"case": str(case)} if case else {})}
    return Answer(data, text, found.exit_status, _why_incomplete(found))


def _why_incomplete(found: Diagnosis) -> str | None:
    """One sentence where the exit status has bit 8."""
    if not found.exit_status & EXIT_INCOMPLETE:
        return None
    reasons = []
    if found.store.get("in_use"):
        reasons.append("the store is in use")
    if not found.store.get("unchanged", True):
        reasons.append("it was written while it was read, so that every finding is only possible")
    lacking = [check for check in found.checks if check.outcome in ("skipped", "partial", "crashed")]
    if lacking:
        shown = ", ".join(f"{check.code} {check.outcome}" for check in lacking[:3])
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        reasons.append(f"not everything could be checked ({shown}{more}; {lacking[0].reason})")
    return f"Not complete: {'; '.join(reasons)}."


def _where(label: str, path: object) -> str:
    return f"{label:<10} {path}"


def _see_modules(embedder: str | None) -> None:
    """An embedder may be a module of the working directory, whose name the installed program does not look for."""
    if embedder is not None and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def probe(options: Namespace) -> Answer:
    """0 where every call returned the truth, 4 where one did not."""
    from forensics.probing import exit_status
    from forensics.report.text import probe_text

    if options.dry_run:
        return _would(f"Each call would be made on a throw-away copy of {options.store}, in a child.")
    with _watched(options) as bar:
        result = verbs.probe(
            options.store, **_pair(options), versions=options.chromadb, case=options.case, progress=bar
        )
    where = f"\n\n{_where('case', options.case)}" if options.case else ""
    return Answer(result, probe_text(result) + where, exit_status(result))


def _would(what: str) -> Answer:
    """The answer to --dry-run where there is no plan to stop at."""
    return Answer({"schema": 1, "dry_run": True, "would": what}, f"{what} Nothing was done (--dry-run).")


def explain(options: Namespace) -> Answer:
    """The page."""
    text = verbs.explain(options.what)
    return Answer({"schema": 1, "query": options.what, "text": text}, text)


# --- repairing ---


def _repair_options(options: Namespace) -> RepairOptions:
    from forensics.repair.options import RepairOptions

    _see_modules(options.embedder)
    return RepairOptions(
        embedder=options.embedder,
        also=tuple(os.path.abspath(path) for path in options.also),
        source=tuple(os.path.abspath(path) for path in options.source),
        accept_loss=codes(options.accept_loss),
        also_fix=codes(options.also_fix),
        ids=options.ids,
        set_aside_unsearchable=options.set_aside_unsearchable,
        unverified_embedder=options.unverified_embedder,
        decline=codes(options.skip),
        only=codes(options.only),
        max_elements=options.max_elements,
        threads=options.threads,
    )


@dataclass(frozen=True, slots=True)
class _Planned:
    case: Case
    found: Diagnosis
    plan: Any

    @property
    def text(self) -> str:
        from forensics.report.text import diagnosis_text, plan_text

        return f"{diagnosis_text(self.found, case=self.case.folder, path=True)}\n\n{plan_text(self.plan)}"


def _planned(options: Namespace, *, refuse_use: bool = False) -> _Planned:
    """Diagnosis, seal and plan are in a case, a new one unless --case names one. Nothing of it is made on failure."""
    from forensics.store import open_store
    from forensics.verbs_case import filling

    chosen = _repair_options(options)
    verbs.check_inputs(chosen.embedder, chosen.also, chosen.source)
    with open_store(options.store) as store, _watched(options) as bar:
        wanted = verbs.collection_of(store, **_pair(options), metadata_segment=options.metadata_segment)
        if refuse_use:
            _refuse_use(store)
        with filling(options.case, store.path) as case:
            found = verbs.diagnose(store, collection=wanted, progress=bar)
            made = verbs.plan(store, case=case, diagnosis=found, options=chosen, collection=wanted)
    return _Planned(case, found, made)


def _refuse_use(store: Store) -> None:
    """Raises StoreInUse before anything is made: what would be planned now could not be applied."""
    from forensics.repair.bystanders import refuse_users

    if store.in_use:
        refuse_users(store.path, nobody_else=True)


def plan(options: Namespace) -> Answer:
    """4 where something above a note is found, 8 where not everything could be looked at."""
    done = _planned(options)
    follow = (
        f"\n{_where('next', f'forensics apply --case {done.case.folder} --yes')}"
        if done.plan.approved
        else ""
    )
    text = f"{done.text}\n\n{_where('case', done.case.folder)}{follow}"
    data = {**done.plan.to_json(), "case": str(done.case.folder)}
    return Answer(data, text, done.found.exit_status, _why_incomplete(done.found), _refused(done.plan))


def _refused(made: Any) -> tuple[str, ...]:
    """What was asked for and is not planned: an embedder that does not reproduce what survives."""
    reasons = [str(loss["reason"]) for loss in made.losses if made.options.get("embedder")]
    return tuple(
        f"Not planned: {reason}." for reason in dict.fromkeys(reasons) if "embedder was refused" in reason
    )


def repair(options: Namespace) -> Answer:
    """diagnose … report in one go; without --yes it stops at the plan."""
    verbs.needs("jinja2", "The report")
    go = options.yes and not options.dry_run
    done = _planned(options, refuse_use=go)
    answer = _carried_out(options, done.case, yes=go)
    answer = replace(answer, text=f"{done.text}\n\n{answer.text}", notes=_refused(done.plan))
    return _reported(answer, done.case)


def _reported(answer: Answer, case: Case) -> Answer:
    """The same with the report in the case; a report that cannot be written takes nothing back."""
    try:
        path = str(verbs.report(case))
    except (ForensicsError, OSError) as error:
        text = f"The report could not be written: {error}"
        return replace(answer, status=answer.status | EXIT_INCOMPLETE, error=answer.error or text)
    data = {**answer.data, "report": path}
    return replace(answer, data=data, text=f"{answer.text}\n{_where('report', path)}")


def apply(options: Namespace) -> Answer:
    """Carries the plan of the case out; without --yes it shows the plan."""
    from forensics.report.text import plan_text
    from forensics.verbs_case import case_of, was_applied

    _whole_plan_only(options)
    case = case_of(_need_case(options))
    yes = options.yes and not options.dry_run
    answer = _carried_out(options, case, yes=yes)
    if "plan" in answer.data:
        before = "The plan of this case was applied before.\n\n" if was_applied(case) else ""
        answer = replace(answer, text=f"{before}{plan_text(answer.data['plan'])}\n\n{answer.text}")
    return answer


def _whole_plan_only(options: Namespace) -> None:
    """Raises UsageError where less was asked for than the plan of the case is: it is carried out as it was shown."""
    given = {"--collection": options.collection, "--segment": options.segment, "--only": options.only}
    named = [name for name, value in {**given, "--except": options.skip}.items() if value]
    if named:
        raise UsageError(
            f"`forensics {options.verb}` does what its case says, as a whole; narrow it with {' and '.join(named)}"
            " of `forensics plan STORE --case DIR`."
        )


def _carried_out(options: Namespace, case: Case, *, yes: bool) -> Answer:
    """What `apply` came to; where it refused, the store as it stands and the sentence why."""
    from forensics.report.text import result_text
    from forensics.verbs_case import is_halfway, stopped_at_plan

    try:
        with _watched(options) as bar:
            result = verbs.apply(
                case,
                yes=yes,
                resume=getattr(options, "resume", False) and not options.dry_run,
                to=getattr(options, "to", None),
                nobody_else=options.nobody_else_uses_it,
                engine=options.engine,
                progress=bar,
            )
    except ForensicsError as error:
        if is_halfway(case) or isinstance(error, UsageError) or not case.has("plan.json"):
            raise
        stopped = {**stopped_at_plan(case), "exit": error.exit_status}
        return Answer(
            stopped, f"Nothing was changed.\n{_where('case', case.folder)}", error.exit_status, str(error)
        )
    status, why = _standing(case, result)
    return Answer(result, _with_stays(result, result_text(result)), status, why)


def _with_stays(result: Mapping[str, Any], text: str) -> str:
    """Where nothing could be done about what was found, that is said as well."""
    if result.get("nothing_to_do") and result["remaining"]:
        return f"Nothing can be done without a decision; these stay: {' '.join(result['remaining'])}."
    return text


def _standing(case: Case, result: Mapping[str, Any]) -> tuple[int, str | None]:
    """4 where something above a note is left; 8 where it was done and not verified, or not all could be checked."""
    from forensics.verbs_case import unchecked

    left = EXIT_FOUND if result["remaining"] else 0
    if result["applied"] and not result["verified"]:
        return left | EXIT_INCOMPLETE, "The repair was made, but not verified."
    lacking = unchecked(case, after=result["applied"])
    return (left | EXIT_INCOMPLETE, lacking) if lacking else (left, None)


def _need_case(options: Namespace) -> str:
    if not options.case:
        raise UsageError(f"`forensics {options.verb}` works on a case: say which with --case DIR.")
    return options.case


# --- on a case ---


def verify(options: Namespace) -> Answer:
    """4 where something above a note is left, 8 where a test failed."""
    from forensics.report.text import verdict_text

    if options.dry_run:
        return _would(
            f"The checks of {_need_case(options)} would run again, and the engine on a throw-away copy."
        )
    with _watched(options) as bar:
        verdict = verbs.verify(_need_case(options), engine=options.engine, progress=bar)
    status = (EXIT_FOUND if verdict.remaining else 0) | (0 if verdict.passed else EXIT_INCOMPLETE)
    failed = [f"{test.name}: {test.detail}" for test in verdict.tests if not test.passed]
    error = f"Not verified: {'; '.join(failed[:3])}." if failed else None
    return Answer(verdict.to_json(), verdict_text(verdict), status, error)


def undo(options: Namespace) -> Answer:
    """0 where the store is byte for byte what it was; 8 where something about it differs."""
    from forensics.verbs_case import case_of

    _whole_plan_only(options)
    case = case_of(_need_case(options))
    if options.dry_run:
        return _would(f"The repair of {case.store} would be taken back.")
    result = verbs.undo(
        case, discard_later_writes=options.discard_later_writes, nobody_else=options.nobody_else_uses_it
    )
    what = "as it was before the repair" if result["state"] == "original" else "the repaired one again"
    if result["as_before"]:
        return Answer(result, f"The store is {what}, byte for byte; undo again turns it round.")
    error = f"The store is {what}, but for: {result['differences']}."
    return Answer(result, f"The store is {what}.", EXIT_INCOMPLETE, error)


def report(options: Namespace) -> Answer:
    """The path of the report."""
    if options.dry_run:
        return _would(f"The report of {_need_case(options)} would be written.")
    path = verbs.report(
        _need_case(options),
        options.output,
        include_documents=options.include_documents,
        include_ids=options.include_ids,
    )
    return Answer({"schema": 1, "report": str(path)}, _where("report", path))


def case(options: Namespace) -> Answer:
    """`release`: what is kept for an undo is deleted."""
    from forensics.verbs_case import case_of

    _whole_plan_only(options)
    opened = case_of(_need_case(options))
    if options.dry_run:
        return _would(f"What is kept for an undo of {opened.store} would be deleted.")
    result = verbs.release(opened)
    kept = "the original" if result["state"] == "repaired" else "the repaired store"
    return Answer(
        result, f"{kept.capitalize()} is deleted ({result['freed']:,} bytes); there is no undo any more."
    )


def export(options: Namespace) -> Answer:
    """8 where the records of a collection cannot be read."""
    if options.dry_run:
        return _would(f"The records of {_need_case(options)} would be written as {options.to}.")
    result = verbs.export(
        _need_case(options),
        options.to,
        options.output,
        **_pair(options),
        metadata_segment=options.metadata_segment,
    )
    text = f"{result['records']:,} records written to {result['file']}; {result['without_vector']:,} have no vector."
    unread = [f"{name} ({reason})" for name, reason in result["unreadable"].items()]
    error = f"The records of these collections cannot be read: {', '.join(unread)}." if unread else None
    return Answer(result, text, EXIT_INCOMPLETE if unread else 0, error)


# --- beside ---


def copy(options: Namespace) -> Answer:
    """What was copied."""
    if options.dry_run:
        return _would(f"{options.store} would be copied to {options.dest}.")
    made = verbs.copy(options.store, options.dest)
    count, size = len(made.entries), sum(entry.size for entry in made.entries if entry.kind == "file")
    text = f"{count} entries, {size:,} bytes apparent, copied to {options.dest} and verified by hash."
    return Answer({"schema": 1, "dest": str(options.dest), "entries": count, "bytes": size}, text)


def lab(options: Namespace) -> Answer:
    """JupyterLab until it is ended, which is no failure."""
    verbs.needs("jupyterlab", "The lab")
    verbs.needs("ipywidgets", "The lab")
    if options.dry_run:
        return _would(f"JupyterLab would be opened on {options.store or 'a scratch copy of a sample'}.")
    from forensics.lab.launch import launch

    _same_store(options)
    with _left_to_the_child():
        status = launch(options.store, case=options.case, port=options.port, browser=not options.no_browser)
    error = f"JupyterLab ended with status {status}." if status else None
    return Answer({"schema": 1, "status": status}, "", EXIT_INCOMPLETE if status else 0, error)


def _same_store(options: Namespace) -> None:
    """Raises UsageError where the case that was named is that of another store, or there is no such store."""
    from forensics.store import open_store
    from forensics.verbs_case import case_for

    if options.store is not None and Path(options.store).exists():
        with open_store(options.store) as store:
            path = store.path
        if options.case and (Path(options.case) / "case.json").exists():
            case_for(options.case, path)


@contextmanager
def _left_to_the_child() -> Generator[None]:
    """Ctrl-C inside the block is for the child, which shares the terminal: JupyterLab asks before it ends."""
    import signal

    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


VERBS: dict[str, Callable[[Namespace], Answer]] = {
    "diagnose": diagnose,
    "plan": plan,
    "apply": apply,
    "repair": repair,
    "verify": verify,
    "undo": undo,
    "report": report,
    "case": case,
    "probe": probe,
    "copy": copy,
    "export": export,
    "explain": explain,
    "lab": lab,
}
