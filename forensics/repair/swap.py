"""The swap: steps that each trade two names, journaled before they are made; killed anywhere it can be
finished.

Where more than one entry changes, or the database, the store is *closed* meanwhile: a directory stands at
chroma.sqlite3, which no Chroma opens and none replaces. How far a transition came is read from the inodes
that stand at its places, not from what the journal hopes: the journal says what was meant.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from forensics.absent import Absent
from forensics.errors import CannotComplete, NoSpace, Refused, StoreInUse
from forensics.handles import open_handles
from forensics.repair.draft import Draft
from forensics.repair.exchange import mount_of, trade, why_no_exchange
from forensics.repair.journal import Outcome, State, Step, Transition
from forensics.repair.placing import CLOSED, ENTRIES, SIDECARS, set_mtime, within
from forensics.seal import DATABASE

Places = Mapping[str, int | None]
CLOSE: Step = (DATABASE, f"{CLOSED}/{DATABASE}")
ELSEWHERE = "give --to DIR for a repaired copy elsewhere"


def steps_of(draft: Draft) -> tuple[Step, ...]:
    """The steps that put the draft in the place of the original, in order."""
    entries = [entry.path for entry in draft.entries()]
    if len(entries) == 1 and entries[0] not in (DATABASE, *SIDECARS):
        return ((entries[0], f"{ENTRIES}/{entries[0]}"),)
    others = [(path, f"{ENTRIES}/{path}") for path in entries if path != DATABASE]
    if DATABASE not in entries:
        return closed_around(others, [])
    stash = [(name, f"{CLOSED}/{name}") for name in SIDECARS if os.path.lexists(draft.store / name)]
    fresh = [
        (name, f"{ENTRIES}/{name}") for name in SIDECARS if os.path.lexists(draft.folder / ENTRIES / name)
    ]
    return (CLOSE, *stash, *others, *fresh, (DATABASE, f"{ENTRIES}/{DATABASE}"))


def closed_around(steps: Iterable[Step], sidecars: Iterable[Step]) -> tuple[Step, ...]:
    """The steps between closing the store and opening it with the same database; nothing where there are
    none.
    """
    inner = (*sidecars, *steps)
    return (CLOSE, *inner, CLOSE) if inner else ()


def begin(
    draft: Draft,
    name: str,
    target: State,
    steps: Sequence[Step],
    times_after: Mapping[str, int] | None = None,
) -> Transition:
    """The transition is in the journal, nothing of it is made. Raises Refused where a step cannot be made."""
    last = draft.journal.last
    if last is not None and last.outcome is None:
        raise CannotComplete(f"The {last.name} of {draft.case.folder} was interrupted; finish it first.")
    _refuse_what_cannot_be_traded(draft, steps)
    places = places_of(draft, steps)
    wanted = times_after or {}
    folders = sorted({*touched(steps), *(path for path in wanted if _stays(draft, path, steps))})
    before = {folder: os.stat(draft.store / folder).st_mtime_ns for folder in folders}
    transition = Transition(
        number=last.number + 1 if last is not None else 1,
        name=name,
        target=target,
        steps=tuple(_worth_making(steps, places)),
        inodes=places,
        times_before=before,
        times_after={folder: wanted[folder] for folder in folders if folder in wanted},
    )
    draft.case.log(f"{name} begins", steps=len(transition.steps), draft=str(draft.folder))
    draft.journal.append("begin", transition=transition.to_json())
    draft.mirror_journal()
    return transition


def touched(steps: Iterable[Step]) -> set[str]:
    """The directories of the store in which the steps trade names."""
    return {PurePosixPath(store).parent.as_posix() for store, _ in steps}


def _stays(draft: Draft, folder: str, steps: Iterable[Step]) -> bool:
    """A directory that the steps leave where it is."""
    path = draft.store / folder
    inside = any(within(folder, store) for store, _ in steps)
    return not inside and path.is_dir() and not path.is_symlink()


def carry_out(draft: Draft, transition: Transition) -> None:
    """All steps are made. Where one fails, all are taken back and Refused says why; the store is as it
    was.
    """
    try:
        drive(draft, transition, "made")
    except BaseException as error:
        _turn_back(draft, transition, error)
        if isinstance(error, OSError):
            why = error.strerror or str(error)
            raise Refused(f"The store was not changed: {why} at a step of the swap; {ELSEWHERE}.") from error
        raise


def _turn_back(draft: Draft, transition: Transition, error: BaseException) -> None:
    try:
        drive(draft, transition, "unmade")
    except (OSError, CannotComplete) as second:
        raise CannotComplete(
            f"The swap stopped ({error}) and could not be taken back ({second}). Nothing is lost: finish with"
            f" `forensics apply --case {draft.case.folder} --resume`, or with undo."
        ) from error


def drive(draft: Draft, transition: Transition, goal: Outcome) -> None:
    """The transition is wholly made, or wholly unmade, from wherever it stands. May be called again at any
    time.
    """
    made = progress_of(draft, transition)
    forward = goal == "made"
    indices = range(made, len(transition.steps)) if forward else range(made - 1, -1, -1)
    for index in indices:
        store, other = transition.steps[index]
        _journal(draft, goal, "step", number=transition.number, step=index, way=goal)
        trade(draft.store / store, draft.folder / other)
        if forward and index == 0 and len(transition.steps) > 1:
            refuse_late_comers((draft.folder / other).parent)
    _set_times(draft, transition.times_after if forward else transition.times_before)
    _journal(draft, goal, "end", number=transition.number, outcome=goal)
    with suppress(
        OSError, NoSpace
    ):  # the swap is done; a full or lost disk under the case must not hide that
        draft.mirror_journal()
        draft.case.log(f"{transition.name} {'done' if forward else 'taken back'}")


def refuse_late_comers(closed: Path) -> None:
    """Raises StoreInUse where somebody opened the database after the last look and before it was moved
    away.
    """
    handles = open_handles(closed)
    if not isinstance(handles, Absent) and handles.writers:
        first = handles.writers[0]
        raise StoreInUse(
            f"Process {first.pid} ({first.command}) opened the store during the swap; stop it first."
        )


def _journal(draft: Draft, goal: Outcome, event: str, **facts: object) -> None:
    """A step forward is not made unless it is journaled; the way back needs no room, the inodes say how far
    it is.
    """
    try:
        draft.journal.append(event, **facts)
    except NoSpace:
        if goal == "made":
            raise


def _set_times(draft: Draft, times: Mapping[str, int]) -> None:
    for folder, mtime_ns in times.items():
        set_mtime(draft.store / folder, mtime_ns)


def progress_of(draft: Draft, transition: Transition) -> int:
    """How many steps are made, by the inodes. Raises Refused where somebody else moved what the steps
    move.
    """
    now = places_of(draft, transition.steps)
    for count, places in enumerate(_after_each(transition)):
        if places == now:
            return count
    raise Refused(
        f"The files of the interrupted {transition.name} were moved by somebody else: {draft.store} and"
        f" {draft.folder} are not as the journal has them. Nothing was touched; put them back first."
    )


def _after_each(transition: Transition) -> Iterator[Places]:
    """What stands at each place after 0, 1, … steps."""
    places = dict(transition.inodes)
    yield dict(places)
    for store, draft in transition.steps:
        one, other = f"store:{store}", f"draft:{draft}"
        places[one], places[other] = places[other], places[one]
        yield dict(places)


def refuse_incomplete(draft: Draft, made: Transition) -> None:
    """Raises Refused where what a finished transition left in the draft is not there any more."""
    *_, final = _after_each(made)
    now = places_of(draft, made.steps)
    gone = [place for place in final if place.startswith("draft:") and now[place] != final[place]]
    if gone:
        raise Refused(f"The kept half of the store is not complete: {gone[0][6:]} was changed or deleted.")


def _worth_making(steps: Sequence[Step], places: Places) -> Iterator[Step]:
    """The steps without those that would trade nothing for nothing."""
    now = dict(places)
    for store, draft in steps:
        one, other = f"store:{store}", f"draft:{draft}"
        if now[one] is None and now[other] is None:
            continue
        now[one], now[other] = now[other], now[one]
        yield store, draft


def places_of(draft: Draft, steps: Iterable[Step]) -> dict[str, int | None]:
    """The inode at each place that the steps name; None where nothing stands."""
    found: dict[str, int | None] = {}
    for store, other in steps:
        found[f"store:{store}"] = _inode(draft.store / store)
        found[f"draft:{other}"] = _inode(draft.folder / other)
    return found


def _inode(path: Path) -> int | None:
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return None


def refuse_without_exchange(draft: Draft) -> None:
    """Raises Refused where the file system of the draft cannot exchange two names."""
    reason = why_no_exchange(draft.folder)
    if reason is not None:
        raise Refused(f"This file system cannot exchange two names in one step ({reason}); {ELSEWHERE}.")


def _refuse_what_cannot_be_traded(draft: Draft, steps: Sequence[Step]) -> None:
    refuse_without_exchange(draft)
    home = mount_of(draft.folder)
    for store, _ in steps:
        path = draft.store / store
        if mount_of(path.parent) != home or mount_of(path) not in (home, None):
            raise Refused(
                f"{store} lies on another mount than the draft and cannot be exchanged; {ELSEWHERE}."
            )
        if path.is_symlink():
            raise Refused(f"{store} is a link; it is not followed and not replaced.")


def is_closed(draft: Draft) -> bool:
    """True where a directory stands in the place of the database."""
    return (draft.store / DATABASE).is_dir()
