"""apply: the approved actions on a draft, verified, then one swap. The only writer of store data."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.case import Case
from forensics.copying import copy_target, place, verified_copy
from forensics.durable import room
from forensics.errors import CannotComplete, Refused, StoreChanged
from forensics.model import Action, Json, Plan, Verdict
from forensics.proof.sealing import write_proof
from forensics.readers.shelf import shelf
from forensics.repair import stages, swap
from forensics.repair.apply_in_place import apply_in_place, finished_in_place
from forensics.repair.bystanders import exclusive_lock, refuse_users
from forensics.repair.draft import Draft, DraftContext
from forensics.repair.embedded_kept import keeping
from forensics.repair.embedding import telling
from forensics.repair.foresight import foreseen, require_predicted_room
from forensics.repair.keeping import keep
from forensics.seal import DATABASE, Change, Manifest, compare, describe, seal

if TYPE_CHECKING:
    from forensics.repair.journal import Transition

Progress = Callable[[str, float], None]
Run = Callable[[Action, DraftContext], Mapping[str, Json] | None]
Verify = Callable[..., Verdict]


@shelf()
def apply_plan(
    case: Case,
    *,
    resume: bool = False,
    to: Path | None = None,
    in_place: Path | None = None,
    nobody_else: bool = False,
    engine: str | None = None,
    progress: Progress | None = None,
    run: Run | None = None,
    verify: Verify | None = None,
) -> dict[str, Json]:
    """The store is repaired as the plan of the case says, or (with `to`) a repaired copy stands at `to`.

    `in_place`: where a draft has no room, segment files are changed where they stand, with that undo file.

    Returns the JSON of the command line. Until the swap the store is only read; a swap that was interrupted
    is finished by `resume`. Raises UsageError, StoreInUse, StoreChanged, NoSpace or Refused, each with the
    store as it was; CannotComplete where a swap could be neither made nor taken back.
    """
    with case.lock(), room("the repair was made"), keeping(case.folder), telling(progress):
        if (done := finished_in_place(case, resume=resume, nobody_else=nobody_else)) is not None:
            return done
        if case.draft is not None and case.draft.is_dir():
            answer = _with_old_draft(case, Draft.open(case), resume, nobody_else)
            if answer is not None:
                return answer
        plan = stages.plan_of(case)
        if not plan.approved:
            return _nothing_to_do(case, plan)
        work = Application(case, plan, nobody_else, engine, progress, run, verify)
        if in_place is not None:
            return apply_in_place(work, in_place)
        return work.copy_to(to) if to is not None else work.swap_in()


def _nothing_to_do(case: Case, plan: Plan) -> dict[str, Json]:
    answer = stages.result(case, plan, None, nothing_to_do=True)
    case.write_json(stages.RESULT, answer)
    return answer


class Application:
    """One run of a plan: what is asked for and by which means."""

    def __init__(
        self,
        case: Case,
        plan: Plan,
        nobody_else: bool,
        engine: str | None,
        progress: Progress | None,
        run: Run | None,
        verify: Verify | None,
    ) -> None:
        self.case, self.plan, self.store = case, plan, case.store
        self.nobody_else, self.progress = nobody_else, progress
        self.engine = engine or plan.options.get("engine") or plan.options.get("target_chromadb")
        self.run, self.verify = run or _run_action, verify or _verify_draft

    def swap_in(self) -> dict[str, Json]:
        """The draft takes the place of the original."""
        if not sys.platform.startswith("linux"):
            raise Refused(f"Only Linux can exchange names in one step; {swap.ELSEWHERE}.")
        with ExitStack() as held:
            hidden = refuse_users(self.store, nobody_else=self.nobody_else)
            held.enter_context(exclusive_lock(self.store / DATABASE))
            before = unchanged(self.case)
            require_predicted_room(self.plan, self.store, self.store.parent)
            draft = Draft.create(self.store, self.case)
            try:
                swap.refuse_without_exchange(draft)
                if hidden:
                    draft.journal.append("promised", reasons=list(hidden))
                verdict = self.fill(draft)
                shutil.rmtree(draft.folder / "scratch", ignore_errors=True)
                kept = keep(draft, before)
                unchanged(self.case, before)
                refuse_users(self.store, nobody_else=self.nobody_else)
                after = foreseen(draft, before)
                self.case.write_json(stages.AFTER, after.to_json())
                transition = swap.begin(draft, "apply", "repaired", swap.steps_of(draft))
                self._say("swapping", 0.95)
                swap.carry_out(draft, transition)
            except BaseException:
                if draft.is_disposable:
                    draft.discard()
                raise
        facts = {"draft": str(draft.folder), "hidden": list(hidden), "undo_may_discard": kept.left_out == 0}
        return complete(self.case, draft, self.plan, verdict, facts)

    def copy_to(self, to: Path) -> dict[str, Json]:
        """A repaired copy stands at `to`; the store stays as it is."""
        target = copy_target(self.store, to)
        before = unchanged(self.case)
        require_predicted_room(self.plan, self.store, target.parent, extra=before.allocated)
        folder = target.parent / f".{target.name[:100]}.forensics-{self.case.id}"
        draft = Draft.create(self.store, self.case, folder, strict=False)
        try:
            verdict = self.fill(draft)
            after = foreseen(draft, before)
            place(target, lambda partial: self._copied(draft, partial, before, after))
        finally:
            draft.discard()
        answer = stages.result(self.case, self.plan, verdict, to=str(target))
        self.case.write_json(stages.AFTER, after.to_json())
        self.case.write_json(stages.RESULT, answer)
        self.case.log("copied", to=str(target))
        return {
            **answer,
            "seal": write_proof(self.case, self.plan, [entry.path for entry in draft.entries()]),
        }

    def _copied(self, draft: Draft, partial: Path, before: Manifest, after: Manifest) -> Manifest:
        draft.materialise(partial)
        unchanged(self.case, before)
        return verified_copy(after, partial)

    def fill(self, draft: Draft) -> dict[str, Json]:
        """The actions are done in the draft and verified; returns the verdict. Raises Refused where it did
        not pass.
        """
        context = DraftContext(
            store=self.store, case=self.case, draft=draft, plan=self.plan, progress=self.progress
        )
        for index, action in enumerate(self.plan.approved):
            self._say(action.title, 0.1 + 0.5 * index / len(self.plan.approved))
            effect = self.run(action, context)
            self.case.log("action", kind=action.kind, collection=action.collection, effect=effect)
        draft.finish()
        if not draft.entries():
            raise Refused("The approved actions changed nothing, though the plan said they would.")
        self._say("verifying", 0.6)
        verdict = self.verify(self.case, self.plan, draft, engine=self.engine, progress=self.progress)
        self.case.write_json(stages.VERDICT, verdict.to_json())
        if not verdict.passed:
            failed = [f"{test.name}: {test.detail}" for test in verdict.tests if not test.passed]
            raise Refused(
                f"The draft did not pass its verification ({'; '.join(failed[:3])}); the store is untouched."
            )
        return verdict.to_json()

    def _say(self, what: str, part: float) -> None:
        if self.progress is not None:
            self.progress(what, part)


def _run_action(action: Action, context: DraftContext) -> Mapping[str, Json] | None:
    from forensics.repair.actions import run_action

    return run_action(action, context)


def _verify_draft(case: Case, plan: Plan, draft: Draft, **options: Any) -> Verdict:
    from forensics.verify import verify_draft

    return verify_draft(case, plan, draft, **options)


def unchanged(case: Case, reuse: Manifest | None = None) -> Manifest:
    """The seal of the store, which is the one in the case. Raises StoreChanged where anything differs.

    A file whose inode, size and times are those of the seal is not read again: a write would have changed its ctime.
    """
    planned = stages.manifest_before(case)
    now = seal(case.store, reuse=reuse or stages.settled_before(case, planned))
    changes = compare(planned, now)
    if changes:
        raise StoreChanged(
            f"The store is not what it was when the plan was made: {describe(changes)}."
            " Diagnose and plan again."
        )
    unread = [entry.path for entry in now.entries if entry.kind == "file" and entry.sha256 is None]
    if unread:
        raise Refused(f"{unread[0]} cannot be read: be the owner of the store, or root.")
    return now


def complete(
    case: Case, draft: Draft, plan: Plan, verdict: Mapping[str, Json], facts: Mapping[str, Json]
) -> dict[str, Json]:
    """After the swap: the seal of the repaired store and the result are in the case."""
    last = draft.journal.last
    assert last is not None
    expected = stages.manifest_after(case)
    now = seal(draft.store, reuse=expected)
    surprises = beyond_times(compare(expected, now), last)
    case.write_json(stages.AFTER, (with_times(expected, now, last) if surprises else now).to_json())
    written = {"written_since": describe(surprises)} if surprises else {}
    answer = stages.result(case, plan, verdict, **facts, **written)
    case.write_json(stages.RESULT, answer)
    case.log("applied", draft=str(draft.folder), **written)
    draft.journal.append("acknowledged", number=last.number)
    return {**answer, "seal": write_proof(case, plan, [entry.path for entry in draft.entries()])}


def beyond_times(changes: tuple[Change, ...], transition: Transition) -> tuple[Change, ...]:
    """Without the mtimes of directories in which the transition traded names."""
    touched = swap.touched(transition.steps)
    return tuple(c for c in changes if not (c.what == "mtime" and c.path in touched))


def with_times(expected: Manifest, now: Manifest, transition: Transition) -> Manifest:
    """The expected seal with the mtimes that these directories have now."""
    touched = swap.touched(transition.steps)
    known = now.by_path
    entries = tuple(
        replace(e, mtime_ns=known[e.path].mtime_ns) if e.path in touched and e.path in known else e
        for e in expected.entries
    )
    return replace(expected, entries=entries)


def _with_old_draft(case: Case, draft: Draft, resume: bool, nobody_else: bool) -> dict[str, Json] | None:
    """What a draft that is there already means: None = it was unfinished and is gone, begin anew."""
    if draft.journal.released:
        raise Refused(f"The original of the case {case.folder} was released; make a new case.")
    if draft.is_disposable:
        draft.discard()
        return None
    last = draft.journal.last
    if last is None:
        raise CannotComplete(
            f"The journal of {draft.folder} is gone; nothing was touched. Bring it back first."
        )
    if not resume:
        raise Refused(_why_not(case, last, draft))
    return _resumed(case, draft, last, nobody_else)


def _why_not(case: Case, last: Transition, draft: Draft) -> str:
    if last.outcome is None:
        return f"A swap of the case {case.folder} was interrupted: use --resume, or undo."
    if draft.journal.state == "repaired":
        return f"The plan of the case {case.folder} has been applied; undo it, or make a new case."
    return f"The repair of the case {case.folder} was undone; --resume, or undo again, brings it back."


def _resumed(case: Case, draft: Draft, last: Transition, nobody_else: bool) -> dict[str, Json] | None:
    """Whatever was interrupted, the store is the repaired one."""
    from forensics.repair.undo import finish, turn

    if last.outcome is None:
        finish(draft, last, "made" if last.target == "repaired" else "unmade", nobody_else)
        if draft.is_disposable:  # nothing of the swap had been made: the store is the original
            draft.discard()
            return None
    if draft.journal.state == "original":
        turn(draft, nobody_else=nobody_else)
    plan, verdict = stages.plan_of(case), case.read_json(stages.VERDICT)
    return complete(case, draft, plan, verdict, {"draft": str(draft.folder), "resumed": True})
