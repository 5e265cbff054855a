"""undo: the old store back, byte for byte; undone again, the repaired one. release: the kept one is given
up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath

from forensics.case import Case
from forensics.durable import room, sync_tree, write_whole
from forensics.errors import CannotComplete, Refused
from forensics.model import Json
from forensics.repair import placing, stages, swap
from forensics.repair.bystanders import exclusive_lock, refuse_users
from forensics.repair.draft import Draft
from forensics.repair.in_place import release_in_place, take_back
from forensics.repair.in_place_state import is_in_place
from forensics.repair.journal import Outcome, State, Step, Transition
from forensics.repair.keeping import is_kept
from forensics.repair.placing import KEPT, LATER, SIDECARS, within
from forensics.seal import DATABASE, Change, Manifest, compare, describe, seal


def undo(case: Case, *, discard_later_writes: bool = False, nobody_else: bool = False) -> dict[str, Json]:
    """The store is what it was before `apply`; after an undo, what it was before that undo.

    A swap or an undo that was interrupted is first brought to its end: an `apply` is taken back, an undo
    finished. Raises Refused where the store was written since, unless those writes are to be discarded;
    even then the newer store is kept in the draft, and undoing again brings it back. StoreInUse where
    somebody has it open.
    """
    with case.lock(), room("the repair was undone"):
        if is_in_place(case):
            return take_back(case, nobody_else=nobody_else)
        draft = Draft.open(case)
        if draft.journal.released:
            raise Refused(f"The kept half of {case.store} was released; `release` again clears what is left.")
        last = draft.journal.last
        if draft.is_disposable:
            return _nothing_applied(case, draft)
        if last is None:
            raise CannotComplete(
                f"The journal of {draft.folder} is gone; nothing was touched. Bring it back first."
            )
        if last.outcome is None:
            goal = finish(draft, last, "unmade" if last.name == "apply" else "made", nobody_else)
            if draft.is_disposable:
                return _nothing_applied(case, draft)
            if goal == "unmade":
                turn(draft, nobody_else=nobody_else, discard_later_writes=discard_later_writes)
        elif last.acknowledged or last.name == "apply" or last.outcome == "unmade":
            turn(draft, nobody_else=nobody_else, discard_later_writes=discard_later_writes)
        return _report(case, draft)


def _nothing_applied(case: Case, draft: Draft) -> dict[str, Json]:
    """The unfinished draft is gone; the store is the original."""
    draft.discard()
    case.log("draft discarded")
    return _answer(case, "original", compare(stages.manifest_before(case), seal(case.store)))


def finish(draft: Draft, transition: Transition, goal: Outcome, nobody_else: bool) -> Outcome:
    """An interrupted transition is at its end. One of which nothing was made is unmade: the store may be
    newer.
    """
    refuse_users(draft.store, nobody_else=nobody_else or draft.journal.promised)
    reached: Outcome = goal if swap.progress_of(draft, transition) > 0 else "unmade"
    swap.drive(draft, transition, reached)
    return reached


def turn(draft: Draft, *, nobody_else: bool = False, discard_later_writes: bool = False) -> None:
    """The store goes from its present state to the other one. Raises Refused where it was written since."""
    present = draft.journal.state
    target: State = "original" if present == "repaired" else "repaired"
    refuse_users(draft.store, nobody_else=nobody_else or draft.journal.promised)
    with exclusive_lock(draft.store / DATABASE):
        expected = _manifest(draft.case, present)
        now = seal(draft.store, reuse=expected)
        changes = _beyond_directory_times(compare(expected, now), expected)
        if changes and not discard_later_writes:
            raise Refused(
                f"The store was written since: {describe(changes)}. To give these writes up (they are kept in"
                " the draft), use --discard-later-writes."
            )
        steps = _back(draft, changes)
        if changes:
            _remember(draft, now)
        times = {e.path: e.mtime_ns for e in _manifest(draft.case, target).entries if e.kind == "directory"}
        name = "undo" if target == "original" else "redo"
        swap.carry_out(draft, swap.begin(draft, name, target, steps, times))


def _manifest(case: Case, state: State) -> Manifest:
    return stages.manifest_before(case) if state == "original" else stages.manifest_after(case)


def _beyond_directory_times(changes: Sequence[Change], expected: Manifest) -> tuple[Change, ...]:
    """Without mtimes of directories: names that came and went lose nothing, and they are set back anyway."""
    folders = {entry.path for entry in expected.entries if entry.kind == "directory"}
    return tuple(c for c in changes if not (c.what == "mtime" and c.path in folders))


def _number(draft: Draft) -> int:
    last = draft.journal.last
    return last.number + 1 if last is not None else 1


def _remember(draft: Draft, now: Manifest) -> None:
    """The seal of the newer store, which the next undo is to bring back, lies with what is moved aside."""
    folder = draft.folder / LATER / str(_number(draft))
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "manifest.json", json.dumps(now.to_json()).encode())


def _back(draft: Draft, changes: Sequence[Change]) -> tuple[Step, ...]:
    """The steps of the last transition in reverse, and those that put later writes aside.

    The same step first and last closes and opens the store; the database itself is not exchanged then.
    """
    made = [transition for transition in draft.journal.transitions() if transition.outcome == "made"]
    swap.refuse_incomplete(draft, made[-1])
    base = tuple(reversed(made[-1].steps))
    paths = sorted({change.path for change in changes})
    exchanged = {store for store, _ in base if store != DATABASE or base[0] != base[-1]}
    loose = [path for path in paths if not any(within(path, store) for store in exchanged)]
    extra = _moves(draft, base, [change for change in changes if change.path in loose])
    if not extra:
        return base
    if DATABASE in dict(extra):
        opening = (DATABASE, f"{KEPT}/{DATABASE}")
        inner = [step for step in (*extra, *base) if step[0] != DATABASE]
        return (swap.CLOSE, *inner, opening)
    if base[0][0] == DATABASE:
        return (base[0], *extra, *base[1:])
    return swap.closed_around(base, extra)


def _moves(draft: Draft, base: Sequence[Step], changes: Sequence[Change]) -> list[Step]:
    """Where each later write outside of the repair's own entries goes: its kept original takes its place."""
    added, removed = ({c.path for c in changes if c.what == what} for what in ("added", "removed"))
    closing = base[0][1] if base[0][0] == DATABASE else swap.CLOSE[1]
    beside = PurePosixPath(closing).parent
    later = f"{LATER}/{_number(draft)}"
    steps: list[Step] = []
    lost: list[str] = []
    for path in sorted({change.path for change in changes if not _is_attribute_of_folder(draft, change)}):
        parent = PurePosixPath(path).parent.as_posix()
        if path not in added and not is_kept(draft, path):
            lost.append(path)
        elif parent in added or parent in removed:
            continue  # comes and goes with its directory
        elif path not in added:
            steps.append((path, f"{KEPT}/{path}"))
        else:
            steps.append((path, f"{beside}/{path}" if path in SIDECARS else f"{later}/{path}"))
    if lost:
        raise Refused(
            f"The old store cannot be brought back: {lost[0]}{f' and {len(lost) - 1} more' * (len(lost) > 1)}"
            " was written since in place, and was too large for a copy of it to be kept. Nothing was changed."
        )
    for _, draft_path in steps:
        (draft.folder / draft_path).parent.mkdir(parents=True, exist_ok=True)
    if (draft.folder / LATER).exists():
        sync_tree(draft.folder / LATER)
    return steps


def _is_attribute_of_folder(draft: Draft, change: Change) -> bool:
    """Mode or owner of a directory: it is not traded for that; the difference is reported."""
    return change.what in ("mode", "owner", "mtime") and (draft.store / change.path).is_dir()


def _report(case: Case, draft: Draft) -> dict[str, Json]:
    """What the store is now, against what it should be; then the transition counts as told."""
    last = draft.journal.last
    assert last is not None
    left_behind = draft.folder / LATER / str(last.number) / "manifest.json"
    if last.outcome == "made" and left_behind.exists():
        left = stages.AFTER if last.target == "original" else stages.BEFORE
        case.write_json(left, json.loads(left_behind.read_bytes()))
    state = draft.journal.state
    expected = _manifest(case, state)
    differences = compare(expected, seal(draft.store, reuse=expected))
    answer = _answer(case, state, differences)
    case.log(f"{last.name} reported", state=state, differences=describe(differences))
    draft.journal.append("acknowledged", number=last.number)
    return answer


def _answer(case: Case, state: State, differences: Sequence[Change]) -> dict[str, Json]:
    """`undone`: the store is the original. `as_before`: byte for byte what the seal of that state says."""
    return {
        "schema": 1,
        "undone": state == "original",
        "state": state,
        "as_before": not differences,
        "differences": describe(differences),
        "case": str(case.folder),
    }


def release(case: Case) -> dict[str, Json]:
    """The kept half (the original; after an undo the repair) is deleted; there is no undo any more."""
    with case.lock():
        if is_in_place(case):
            return release_in_place(case)
        draft = Draft.open(case)
        last = draft.journal.last
        if last is None and not draft.is_disposable:
            raise CannotComplete(
                f"The journal of {draft.folder} is gone; look at the folder before deleting it."
            )
        if last is not None and last.outcome is None:
            raise CannotComplete(
                f"A swap of the case {case.folder} was interrupted: use --resume or undo first."
            )
        state, freed = draft.journal.state, placing.allocated(draft.folder)
        if not draft.journal.released and draft.journal.path.exists():
            draft.journal.append("released", state=state)
        placing.remove_folder(draft.store, draft.folder)
        case.set_draft(None)
        case.log("released", state=state, freed=freed)
        return {"schema": 1, "released": True, "state": state, "freed": freed, "case": str(case.folder)}
