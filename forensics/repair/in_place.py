"""A repair of segment files where they stand: the one exception to drafts, only where a draft has no room beside the store.

The replacement is made and verified on another disk, then an undo file with every byte that will be overwritten, and
only then is the store closed (a directory stands at chroma.sqlite3) and changed. The case says how far it came before
each step; killed at any moment, `apply --resume` or `undo` finishes. The database is never changed in place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.case import Case
from forensics.copying import free_bytes, require_room, verified_copy
from forensics.durable import room, sync_directory
from forensics.errors import CannotComplete, ForensicsError, NoSpace, Refused
from forensics.extents import digest
from forensics.model import Json
from forensics.proof.sealing import write_proof
from forensics.repair import placing, stages
from forensics.repair.bystanders import refuse_users
from forensics.repair.draft import Draft
from forensics.repair.foresight import predicted_bytes, require_predicted_room
from forensics.repair.in_place_state import Place, close_store, open_store_again
from forensics.repair.placing import CLOSED, ENTRIES, SIDECARS
from forensics.repair.undo_file import Patched, check_undo_file, put_new, put_old, record, write_undo_file
from forensics.seal import DATABASE, Manifest, compare, describe, seal

if TYPE_CHECKING:
    from forensics.model import Plan

SPARE = 1 << 20
"""Bytes beside the store for the directory that closes it."""


def refuse_needless(plan: Plan, store: Path, undo_file: Path) -> None:
    """Raises Refused where a draft fits beside the store, or the undo file would lie on the same disk or in the way."""
    if os.path.lexists(undo_file) or not undo_file.parent.is_dir():
        raise Refused(f"{undo_file} must be a new file in a folder that exists.")
    if os.stat(undo_file.parent).st_dev == os.stat(store).st_dev:
        raise Refused(
            f"{undo_file} would be on the disk of the store; the undo file belongs on another disk."
        )
    try:
        require_predicted_room(plan, store, store.parent)
    except NoSpace:
        return
    raise Refused("A draft of this repair fits beside the store; --in-place is only for where it does not.")


def patches_of(draft: Draft) -> tuple[Patched, ...]:
    """What changes in which segment file. Raises Refused where anything else would change."""
    found: list[Patched] = []
    for path in _files_of(draft):
        at = sum(piece.length for each in found for piece in each.pieces)
        each = record(draft.store, path, draft.folder / ENTRIES / path, at)
        if each.pieces or each.grown or each.old_size != each.new_size:
            found.append(each)
    return tuple(found)


def _files_of(draft: Draft) -> list[str]:
    """The files of the draft's entries, sorted. Raises Refused for the database, for what is no segment's, for removals."""
    files: list[str] = []
    for entry in draft.entries():
        if entry.path in (DATABASE, *SIDECARS):
            raise Refused(
                "This repair changes chroma.sqlite3, which is never changed in place; give --to DIR."
            )
        top = draft.store / entry.path.split("/")[0]
        if entry.kind == "remove" or not top.is_dir():
            raise Refused(
                f"{entry.path} comes or goes as a whole, which is not done in place; give --to DIR."
            )
        slot = draft.folder / ENTRIES / entry.path
        files += (
            [f"{entry.path}/{name}" for name in sorted(os.listdir(slot))] if slot.is_dir() else [entry.path]
        )
        gone = (
            set(os.listdir(draft.store / entry.path)) - set(os.listdir(slot)) if slot.is_dir() else set[str]()
        )
        if gone:
            raise Refused(f"{entry.path}/{min(gone)} would go, which is not done in place; give --to DIR.")
    return sorted(files)


def change_in_place(
    draft: Draft, before: Manifest, undo_file: Path, look_again: Callable[[], object]
) -> Manifest:
    """The store is what the verified `draft`, which lies on another disk, says; returns its seal.

    `look_again` raises where the store changed or is used meanwhile; nothing has been written in it then. Where a write
    fails, what was written is taken back.
    """
    files = patches_of(draft)
    _require_growth(draft.store, files)
    write_undo_file(undo_file, draft.store, draft.case.id, files)
    closed = next(placing.candidates(draft.store, draft.case.id)) / CLOSED
    times = os.stat(draft.store).st_mtime_ns
    place = Place(draft.case, undo_file, draft.folder / ENTRIES, closed, "", times).now("recorded")
    try:
        look_again()
        _write(place, files)
    except BaseException as error:
        _turn_back(place, error)
        raise
    return seal(draft.store, reuse=before)


def _require_growth(store: Path, files: tuple[Patched, ...]) -> None:
    growth = sum(each.grown for each in files)
    if growth + SPARE > free_bytes(store):
        raise NoSpace(
            f"The files of the index grow by {growth:,} bytes, and {free_bytes(store):,} are free on the disk of the"
            " store; not even in place is there room. Nothing was written; give --to DIR."
        )


def _write(place: Place, files: tuple[Patched, ...]) -> None:
    """The new bytes are in the store, on the disk, read back and equal; the store is open again."""
    place.now("writing")
    close_store(place)
    with room("the store was changed in place"):
        for each in files:
            put_new(place.store / each.path, each, place.new / each.path)
    wrong = [each.path for each in files if _differs(place.store / each.path, place.new / each.path)]
    if wrong:
        raise CannotComplete(f"{wrong[0]} is not what was written to it.")
    open_store_again(place)
    place.now("repaired")


def _differs(one: Path, model: Path) -> bool:
    wanted, extents = digest(str(model))
    try:
        return digest(str(one), extents)[0] != wanted
    except ValueError:
        return True


def _turn_back(place: Place, error: BaseException) -> None:
    try:
        _restore(Place.of(place.case))
        place.undo_file.unlink()
    except (OSError, ForensicsError) as second:
        raise CannotComplete(
            f"The repair in place stopped ({error}) and could not be taken back ({second}). Nothing is lost: finish with"
            f" `forensics apply --case {place.case.folder} --resume`, or with undo."
        ) from error


def _restore(place: Place) -> None:
    """The old bytes are in the store again, and it is open."""
    files = check_undo_file(place.undo_file)
    if place.state != "recorded":
        place = place.now("restoring")
        close_store(place)
        with room("the old bytes were put back"):
            for each in files:
                put_old(place.store / each.path, each, place.undo_file)
        _settle_folders(place, files)
    open_store_again(place)
    place.now("original")


def _settle_folders(place: Place, files: tuple[Patched, ...]) -> None:
    """The directories of these files are on the disk, with the mtimes that they had."""
    before = stages.manifest_before(place.case).by_path
    for folder in {str(Path(each.path).parent) for each in files}:
        sync_directory(place.store / folder)
        placing.set_mtime(place.store / folder, before[folder].mtime_ns)


def resumed(case: Case, *, resume: bool, nobody_else: bool) -> bool:
    """True where an interrupted repair in place is now finished; False where nothing of it had begun and it is gone."""
    place = Place.of(case)
    if place.state == "repaired":
        raise Refused(
            f"The plan of the case {case.folder} has been applied in place; undo it, or make a new case."
        )
    if place.state == "original":
        return False
    if not resume:
        raise Refused(f"A repair in place of the case {case.folder} was interrupted: use --resume, or undo.")
    refuse_users(place.store, nobody_else=nobody_else)
    files = check_undo_file(place.undo_file)
    if not place.new.is_dir():
        raise CannotComplete(f"{place.new} with the new files is gone; only undo can finish.")
    _write(place, files)
    return True


def take_back(case: Case, *, nobody_else: bool = False) -> dict[str, Json]:
    """The store is what it was before, byte for byte. Raises Refused where it was written since."""
    place = Place.of(case)
    if place.state == "original":
        raise Refused(
            f"The repair in place of the case {case.folder} was taken back already; make a new case."
        )
    refuse_users(place.store, nobody_else=nobody_else)
    if place.state == "repaired":
        expected = stages.manifest_after(case)
        changes = [c for c in compare(expected, seal(place.store, reuse=expected)) if c.what != "mtime"]
        if changes:
            raise Refused(
                f"The store was written since: {describe(changes)}. A repair in place keeps old bytes alone, so those"
                " writes cannot be told from it; nothing was changed."
            )
    _restore(place)
    _forget_new(case)
    before = stages.manifest_before(case)
    differences = describe(compare(before, verified_copy(before, place.store)))
    place.undo_file.unlink()
    return answer_of(case, "original", differences)


def _forget_new(case: Case) -> None:
    """The new files on the other disk are gone."""
    if case.draft is not None and case.draft.is_dir():
        Draft.open(case).discard()


def answer_of(case: Case, state: str, differences: str) -> dict[str, Json]:
    """The JSON of `undo`."""
    return {
        "schema": 1,
        "undone": state == "original",
        "state": state,
        "as_before": not differences,
        "differences": differences,
        "case": str(case.folder),
    }


def complete_in_place(
    case: Case, plan: Plan, verdict: Mapping[str, Json], after: Manifest
) -> dict[str, Json]:
    """The seal of the repaired store and the result are in the case; the new files on the other disk are gone."""
    place = Place.of(case)
    case.write_json(stages.AFTER, after.to_json())
    answer = stages.result(case, plan, verdict, in_place=True, undo_file=str(place.undo_file))
    case.write_json(stages.RESULT, answer)
    case.log("applied", undo_file=str(place.undo_file))
    _forget_new(case)
    changes = compare(stages.manifest_before(case), after)
    return {**answer, "seal": write_proof(case, plan, sorted({change.path for change in changes}))}


def release_in_place(case: Case) -> dict[str, Json]:
    """The undo file is deleted; there is no undo any more."""
    place = Place.of(case)
    if place.state not in ("repaired", "original"):
        raise CannotComplete(
            f"A repair in place of the case {case.folder} was interrupted: use --resume or undo first."
        )
    freed = placing.allocated(place.undo_file) if place.undo_file.exists() else 0
    place.undo_file.unlink(missing_ok=True)
    case.log("released", state=place.state, freed=freed)
    return {"schema": 1, "released": True, "state": place.state, "freed": freed, "case": str(case.folder)}


def elsewhere(case: Case, undo_file: Path) -> Path:
    """Where the new files are made: beside the undo file."""
    return undo_file.with_name(f".{undo_file.name[:100]}.forensics-{case.id}")


def require_room_elsewhere(plan: Plan, store: Path, undo_file: Path) -> None:
    """Raises NoSpace where the new files and the undo file would not fit beside it."""
    require_room(undo_file.parent, 2 * predicted_bytes(plan, store), "The repair in place")
