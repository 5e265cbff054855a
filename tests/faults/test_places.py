"""Where store, case and draft lie: other file systems, odd names, parents of others, shared blocks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from forensics.case import Case
from forensics.copying import can_clone, copy_file, copy_store
from forensics.errors import Refused
from forensics.repair.draft import Draft
from forensics.repair.undo import undo
from forensics.seal import compare, describe, seal

Sample = Callable[[str], Path]
Disk = Callable[[str], Path]
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="apply exchanges names on Linux only"
)
ODD = [
    "with spaces",
    "übung-测试-🦜",
    "quo'te\"s",
    "$HOME",
    "-rf",
    "line\nbreak",
    "back\\slash",
    b"latin-\xe9",
]
NOBODY = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",  # may read this Python wherever it is
)  # fmt: skip
AS_NOBODY = """
import importlib.util, json, os, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("fault_worker", sys.argv[1])
worker = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = worker
spec.loader.exec_module(worker)
from forensics.repair.undo import undo
from forensics.seal import compare, describe, seal
assert os.geteuid() == 65534
store = Path(sys.argv[2])
case = worker.planned(store, Path(sys.argv[3]), worker.MIXED)
before = seal(store)
answer = worker.do("apply", case)
inside = (store / f".forensics-{case.id}").is_dir()
after = describe(compare(before, seal(store)))
back = undo(case, nobody_else=True)
print(json.dumps([inside, after, back["differences"]]))
"""


def round_trip(worker: ModuleType, store: Path, folder: Path) -> Case:
    """Applied and undone; the store is what it was, byte for byte."""
    before = seal(store)
    case = worker.planned(store, folder, worker.MIXED)
    assert worker.do("apply", case)["applied"] is True
    assert compare(before, seal(store)) != ()
    assert undo(case, nobody_else=True)["as_before"] is True
    assert describe(compare(before, seal(store))) == ""
    return case


def test_a_case_on_another_file_system(sample: Sample, small_disk: Disk, worker: ModuleType) -> None:
    store, disk = sample("1.5.9/sql-only-orphans"), small_disk("20m")
    case = round_trip(worker, store, disk / "case")
    assert os.stat(case.folder).st_dev != os.stat(store).st_dev
    assert case.draft is not None
    assert case.draft.parent == store.parent


def test_a_store_that_is_a_mount_of_its_own(sample: Sample, small_disk: Disk, worker: ModuleType) -> None:
    """A volume: its parent is another file system, so the draft lies inside."""
    disk = small_disk("60m")
    copy_store(sample("1.5.9/sql-only-orphans"), disk)
    case = round_trip(worker, disk, disk.with_name("case"))
    assert case.draft == disk / f".forensics-{case.id}"


def test_a_segment_that_is_a_mount_of_its_own(
    sample: Sample, small_disk: Disk, worker: ModuleType, tmp_path: Path
) -> None:
    store = sample("1.5.9/sql-only-orphans")
    disk = small_disk("20m")
    segment = store / worker.segment_of(store)
    shutil.copytree(segment, disk, dirs_exist_ok=True)
    if subprocess.run(["mount", "--bind", str(disk), str(segment)], check=False).returncode:
        pytest.skip("bind mounts are not permitted here")
    try:
        before = seal(store)
        for number, kinds in enumerate((worker.SINGLE, ("file",), worker.MIXED)):
            case = worker.planned(store, tmp_path / f"case-{number}", kinds)
            with pytest.raises(Refused, match="mount"):
                worker.do("apply", case)
            assert compare(before, seal(store)) == ()
            assert case.draft is None
    finally:
        subprocess.run(["umount", str(segment)], check=True)


@pytest.mark.parametrize("name", ODD, ids=repr)
def test_odd_names(sample: Sample, worker: ModuleType, tmp_path: Path, name: str | bytes) -> None:
    text = os.fsdecode(name)
    store = tmp_path / text / text
    store.parent.mkdir()
    shutil.move(sample("1.5.9/sql-only-orphans"), store)
    round_trip(worker, store, tmp_path / f"case {text}")


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv to be somebody else"
)
def test_a_parent_that_cannot_be_written(sample: Sample, worker: ModuleType) -> None:
    """The application's own user repairs its store below a directory of root."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        top.chmod(0o755)
        (top / "owned-by-root").mkdir(mode=0o755)
        (top / "mine").mkdir()
        store = top / "owned-by-root" / "store"
        shutil.copytree(sample("1.5.9/sql-only-orphans"), store)
        for path in (top / "mine", store, *store.rglob("*")):
            os.chown(path, 65534, 65534)
        words = [
            sys.executable,
            "-P",
            "-c",
            AS_NOBODY,
            worker.__file__,
            str(store),
            str(top / "mine" / "case"),
        ]
        done = subprocess.run([*NOBODY, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith('[true, "'), done.stdout
        assert done.stdout.strip().endswith('""]')


# --- shared blocks ------------------------------------------------------------------------------------------


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    """A small Btrfs in a file."""
    if os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None:
        pytest.skip("needs root and mkfs.btrfs")
    image, point = tmp_path / "image", tmp_path / "btrfs"
    with open(image, "wb") as handle:
        handle.truncate(256 << 20)
    subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True)
    point.mkdir()
    done = subprocess.run(["mount", "-o", "loop", str(image), str(point)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop mounts here: {done.stderr.decode().strip()}")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_copies_share_blocks_where_they_can(btrfs: Path, sample: Sample, worker: ModuleType) -> None:
    assert can_clone(btrfs)
    (btrfs / "large").write_bytes(os.urandom(100 << 20))
    subprocess.run(["sync", "-f", str(btrfs)], check=True)
    free = shutil.disk_usage(btrfs).free
    copy_file(btrfs / "large", btrfs / "copy")
    subprocess.run(["sync", "-f", str(btrfs)], check=True)
    assert free - shutil.disk_usage(btrfs).free < 20 << 20
    with open(btrfs / "copy", "r+b") as handle:
        handle.write(b"mine alone")
    assert (btrfs / "large").read_bytes()[:10] != b"mine alone"
    store = btrfs / "store"
    shutil.copytree(sample("1.5.9/sql-only-orphans"), store)
    os.rename(btrfs / "large", store / "large.bak")
    case = worker.planned(store, btrfs / "case", worker.MIXED)
    worker.do("apply", case)
    assert (Draft.open(case).folder / "kept" / "large.bak").exists()  # 100 MB kept at no cost
    assert undo(case, nobody_else=True)["as_before"] is True


def test_this_file_system_is_told_apart(tmp_path: Path, small_disk: Disk) -> None:
    assert can_clone(small_disk("1m")) is False
