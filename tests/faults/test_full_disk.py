"""A disk that becomes full at the worst moments: before, while drafting, and in the middle of the swap."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import ModuleType

import pytest

from forensics import copying
from forensics.case import Case
from forensics.errors import NoSpace
from forensics.model import Action, Verdict
from forensics.repair import apply, swap
from forensics.repair.apply import apply_plan
from forensics.repair.draft import Draft, DraftContext
from forensics.repair.journal import Transition
from forensics.repair.undo import undo
from forensics.seal import compare, seal

Sample = Callable[[str], Path]
Disk = Callable[[str], Path]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs tmpfs mounts")


def fill(disk: Path) -> None:
    """Not one more block."""
    with open(disk / "filler", "wb", buffering=0) as handle:
        for size in (1 << 20, 4096, 1):
            while fits(handle, size):
                pass


def fits(handle: FileIO, size: int) -> bool:
    try:
        return handle.write(bytes(size)) == size
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False


def put(sample: Path, disk: Path) -> Path:
    copying.copy_store(sample, disk / "store")
    return disk / "store"


@pytest.fixture
def small(sample: Sample, small_disk: Disk) -> Path:
    """A store on a disk of 40 MiB."""
    return put(sample("1.5.9/sql-only-orphans"), small_disk("40m"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_will_not_fit_is_not_begun(small: Path, worker: ModuleType, tmp_path: Path) -> None:
    fill(small.parent)
    before, beside = seal(small), names(small.parent)
    case = worker.planned(small, tmp_path / "case", worker.MIXED)
    with pytest.raises(NoSpace, match="nothing was written"):
        worker.do("apply", case)
    assert compare(before, seal(small)) == ()
    assert names(small.parent) == beside


def test_full_while_the_draft_is_made(small: Path, worker: ModuleType, tmp_path: Path) -> None:
    case, before = worker.planned(small, tmp_path / "case", worker.MIXED), seal(small)

    def greedy(action: Action, context: DraftContext) -> None:
        worker.run(action, context)
        context.draft.scratch.joinpath("index").write_bytes(bytes(60 << 20))

    with pytest.raises(NoSpace, match="make room"):
        apply_plan(case, nobody_else=True, run=greedy, verify=worker.verify)
    assert compare(before, seal(small)) == ()
    assert names(small.parent) == ["store"]
    assert worker.do("apply", case)["applied"] is True


def test_full_before_the_swap(small: Path, worker: ModuleType, tmp_path: Path) -> None:
    """Nothing fits any more once the draft is verified."""
    case, before = worker.planned(small, tmp_path / "case", worker.MIXED), seal(small)

    def verified_and_full(*arguments: object, **options: object) -> Verdict:
        fill(small.parent)
        return worker.verify(*arguments, **options)

    try:
        apply_plan(case, nobody_else=True, run=worker.run, verify=verified_and_full)
        after = True
    except NoSpace:
        after = False
    (small.parent / "filler").unlink()
    if after:
        assert undo(case, nobody_else=True)["as_before"] is True
    assert compare(before, seal(small)) == ()


def test_full_in_the_middle_of_the_swap(
    small: Path, worker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal has its blocks already: a swap that has begun comes to its end."""
    case, before = worker.planned(small, tmp_path / "case", worker.MIXED), seal(small)
    genuine = swap.carry_out

    def full(draft: Draft, transition: Transition) -> None:
        fill(small.parent)
        genuine(draft, transition)

    monkeypatch.setattr(apply.swap, "carry_out", full)
    assert worker.do("apply", case)["applied"] is True
    (small.parent / "filler").unlink()
    monkeypatch.undo()
    assert undo(case, nobody_else=True)["as_before"] is True
    assert compare(before, seal(small)) == ()


def test_full_in_the_middle_of_an_undo(
    small: Path, worker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, before = worker.planned(small, tmp_path / "case", worker.MIXED), seal(small)
    worker.do("apply", case)
    fill(small.parent)
    assert undo(case, nobody_else=True)["as_before"] is True
    assert compare(before, seal(small)) == ()


def test_a_full_disk_under_the_case(
    sample: Sample, small_disk: Disk, worker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swap is made; what the case lacks is written by a rerun once there is room."""
    store, disk = sample("1.5.9/sql-only-orphans"), small_disk("4m")
    case = worker.planned(store, disk / "case", worker.MIXED)
    before = seal(store)
    genuine = swap.carry_out

    def full(draft: Draft, transition: Transition) -> None:
        fill(disk)
        genuine(draft, transition)

    monkeypatch.setattr(apply.swap, "carry_out", full)
    with pytest.raises(NoSpace):
        worker.do("apply", case)
    assert not case.has("result.json")
    assert worker.state_of(store, before, before) == "mixture"  # neither the old one nor closed: the new one
    (disk / "filler").unlink()
    again = Case.open(case.folder)
    assert worker.do("resume", again)["applied"] is True
    assert again.has("result.json")
    assert undo(again, nobody_else=True)["as_before"] is True
    assert compare(before, seal(store)) == ()


def test_a_copy_that_runs_out_of_room_is_not_there(
    small: Path, small_disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = small_disk("400k")
    monkeypatch.setattr(copying, "free_bytes", lambda folder: 1 << 40)
    with pytest.raises(NoSpace, match="make room"):
        copying.copy_store(small, target / "copy")
    assert names(target) == []
    assert os.statvfs(target).f_bfree == os.statvfs(target).f_blocks
