"""apply --in-place on a disk with no room for a draft: done, killed at any moment, full, undone byte for byte."""

from __future__ import annotations

import gc
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.case import Case
from forensics.copying import copy_store
from forensics.errors import CannotComplete, NoSpace, Refused
from forensics.repair import undo_file
from forensics.repair.in_place_state import Place
from forensics.seal import Manifest, compare, describe, seal
from forensics.testing.damage import damage_menu

Disk = Callable[[str], Path]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs tmpfs mounts")
SEED = 20_261_120
KILLS = 40 if os.environ.get("FORENSICS_NIGHTLY") else 2


def broken(folder: Path, *names: str) -> Path:
    store = samples.restore("1.5.9/healthy", folder / "broken")
    for name in names or ("neighbour-out-of-range",):
        damage_menu()[name](store)
    return store


@pytest.fixture
def disk(small_disk: Disk) -> Iterator[Disk]:
    """`small_disk`; what maps its files is let go before it is taken away."""
    yield small_disk
    gc.collect()


@pytest.fixture
def store(tmp_path: Path, disk: Disk) -> Path:
    return crowded(disk, broken(tmp_path))


def crowded(disk: Disk, store: Path) -> Path:
    """A copy of the store on a disk that has a megabyte or two more than it needs."""
    point = disk(f"{seal(store).allocated // 1024 + 34_000}k")
    copy_store(store, point / "store")
    (point / "filler").write_bytes(bytes(32 << 20))
    return point / "store"


def planned(store: Path, folder: Path) -> Case:
    fx.plan(store, case=folder)
    return Case.open(folder)


def repaired(case: Case, undo: Path, **options: Any) -> dict[str, Any]:
    return fx.apply(case, yes=True, in_place=undo, nobody_else=True, engine="none", **options)


def test_there_and_back_without_room_for_a_draft(store: Path, tmp_path: Path) -> None:
    before, case = seal(store), planned(store, tmp_path / "case")
    with pytest.raises(NoSpace):
        fx.apply(case, yes=True, nobody_else=True, engine="none")
    answer = repaired(case, tmp_path / "undo")
    assert (answer["applied"], answer["verified"], answer["in_place"]) == (True, "checks", True)
    assert (answer["undo_file"], answer["remaining"]) == (str(tmp_path / "undo"), [])
    assert fx.diagnose(store).codes(notes=False) == ()
    assert sorted(path.name for path in store.parent.iterdir()) == ["filler", "store"]
    inodes = {entry.path: entry.inode for entry in seal(store).entries}
    assert inodes == {entry.path: entry.inode for entry in before.entries}
    assert (tmp_path / "undo").stat().st_size < before.allocated
    back = fx.undo(case, nobody_else=True)
    assert (back["undone"], back["as_before"]) == (True, True)
    assert describe(compare(before, seal(store))) == ""


def test_it_is_refused_where_it_is_not_needed_or_not_safe(store: Path, tmp_path: Path) -> None:
    case = planned(store, tmp_path / "case")
    before = seal(store)
    with pytest.raises(Refused, match="another disk"):
        repaired(case, store.parent / "undo")
    (tmp_path / "there").touch()
    with pytest.raises(Refused, match="must be a new file"):
        repaired(case, tmp_path / "there")
    (store.parent / "filler").unlink()
    with pytest.raises(Refused, match="only for where it does not"):
        repaired(case, tmp_path / "undo")
    assert compare(before, seal(store)) == ()


def test_the_database_is_never_changed_in_place(tmp_path: Path, disk: Disk) -> None:
    store = crowded(disk, broken(tmp_path, "watermark-edited"))
    before, case = seal(store), planned(store, tmp_path / "case")
    with pytest.raises(Refused, match=r"chroma\.sqlite3, which is never changed in place"):
        repaired(case, tmp_path / "undo")
    assert compare(before, seal(store)) == ()
    assert sorted(path.name for path in tmp_path.iterdir() if "undo" in path.name) == []


def test_a_write_that_fails_is_taken_back(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, case = seal(store), planned(store, tmp_path / "case")
    genuine, written = os.pwrite, []

    def full(descriptor: int, raw: bytes, offset: int) -> int:
        written.append(offset)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return genuine(descriptor, raw, offset)

    monkeypatch.setattr(undo_file.os, "pwrite", full)
    with pytest.raises(NoSpace):
        repaired(case, tmp_path / "undo")
    assert len(written) > 2
    assert describe(compare(before, seal(store))) == ""


def test_later_writes_are_not_overwritten(store: Path, tmp_path: Path) -> None:
    case = planned(store, tmp_path / "case")
    repaired(case, tmp_path / "undo")
    length = next(store.glob("*/length.bin"))
    length.write_bytes(length.read_bytes()[:-1] + b"x")
    with pytest.raises(Refused, match="written since"):
        fx.undo(case, nobody_else=True)


def test_a_damaged_undo_file_is_told_before_it_is_used(store: Path, tmp_path: Path) -> None:
    case = planned(store, tmp_path / "case")
    repaired(case, tmp_path / "undo")
    after = seal(store)
    raw = bytearray((tmp_path / "undo").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "undo").write_bytes(raw)
    with pytest.raises(CannotComplete, match="damaged"):
        fx.undo(case, nobody_else=True)
    assert compare(after, seal(store)) == ()


# --- killed -------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
import forensics as fx
from forensics.case import Case
fatal, verb, folder, undo = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
count = 0
def watched(home, name):
    genuine = getattr(home, name)
    def call(*arguments, **options):
        global count
        count += 1
        if count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        result = genuine(*arguments, **options)
        count += 1
        if count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(home, name, call)
case = Case.open(folder)
if fatal >= 0:
    from forensics.repair import exchange, in_place
    began = in_place.write_undo_file if verb == "apply" else in_place.check_undo_file
    def from_here(*arguments):
        for name in ("pwrite", "ftruncate", "fsync", "replace", "rename", "mkdir", "unlink", "utime", "rmdir"):
            watched(os, name)
        watched(exchange, "_call")
        return began(*arguments)
    setattr(in_place, began.__name__, from_here)
if verb == "apply":
    fx.apply(case, yes=True, in_place=undo, nobody_else=True, engine="none")
else:
    fx.undo(case, nobody_else=True)
print(count)
"""


def run(fatal: int, verb: str, case: Case, undo: Path) -> tuple[int, int]:
    """(status, moments) of a child that dies at moment `fatal` (0: lives and counts)."""
    gc.collect()  # what this process had open of the store
    words = [sys.executable, "-P", "-c", KILLED, str(fatal), verb, str(case.folder), str(undo)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode in (0, -9), done.stderr[-2000:]
    return done.returncode, int(done.stdout) if done.returncode == 0 else -1


def clear(case: Case, store: Path) -> None:
    for path in store.parent.iterdir():
        assert path.name in ("store", "filler"), path.name
    shutil.rmtree(case.folder)


def sealed_otherwise(before: Manifest, store: Path) -> str:
    return describe(compare(before, seal(store)))


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["apply", "undo"])
def test_killed_at_any_moment_it_is_finished_or_taken_back(store: Path, tmp_path: Path, verb: str) -> None:
    """The store is the old one, the new one or closed; both ways out lead to a whole store."""
    before = seal(store)
    undo, case = tmp_path / "undo", planned(store, tmp_path / "case")
    if verb == "undo":
        repaired(case, undo)
    status, moments = run(0, verb, case, undo)
    assert (status, moments > 20) == (0, True)
    if verb == "apply":
        fx.undo(case, nobody_else=True)
    clear(case, store)
    rng = random.Random(SEED)
    for fatal in sorted(rng.sample(range(1, moments + 1), KILLS)):
        case = planned(store, tmp_path / "case")
        if verb == "undo":
            repaired(case, undo)
        assert run(fatal, verb, case, undo)[0] == -9
        case = Case.open(case.folder)
        state = Place.of(case).state if case.has("in-place.json") else ""
        if state in ("writing", "restoring") and not (store / "chroma.sqlite3").is_dir():
            assert seal(store).by_path.keys() == before.by_path.keys()
        if rng.random() < 0.5 and state not in ("repaired", "restoring", "original"):
            fx.apply(
                case,
                yes=True,
                in_place=None if state else undo,
                resume=bool(state),
                nobody_else=True,
                engine="none",
            )
            assert fx.diagnose(store).codes(notes=False) == ()
        with suppress(Refused):  # nothing had begun, or all of it was taken back
            fx.undo(Case.open(case.folder), nobody_else=True)
        assert (fatal, sealed_otherwise(before, store)) == (fatal, "")
        undo.unlink(missing_ok=True)
        for left in tmp_path.glob(".undo*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        clear(case, store)
