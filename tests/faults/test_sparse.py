"""A link_lists.bin of 20 GiB apparent size: repaired whole, copied and undone; its holes stay holes all the way. Where
files can share blocks, a draft takes none.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import forensics as fx
from forensics import samples
from forensics.case import Case
from forensics.copying import can_clone, copy_file
from forensics.extents import data_extents
from forensics.repair.placing import allocated
from forensics.seal import compare, describe, seal

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs SEEK_HOLE and mounts")
APPARENT = 20 << 30
FEW = 4 << 20
"""Bytes that copies of a small store may differ by on the disk."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A small real store whose link_lists.bin was blown up behind its lists, with a bogus page near its end."""
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    links = next(store.glob("*/link_lists.bin"))
    with open(links, "r+b") as handle:
        handle.truncate(APPARENT)
        handle.seek(APPARENT - (1 << 20))
        handle.write(b"\x5a" * 4096)
    return store


def data_of(path: Path) -> int:
    """Bytes of the file that do not lie in holes."""
    with open(path, "rb") as handle:
        return sum(length for _, length in data_extents(handle.fileno(), path.stat().st_size))


@pytest.mark.slow
def test_repaired_copied_and_undone_without_filling_a_hole(store: Path, tmp_path: Path) -> None:
    before, folder = seal(store), tmp_path / "case"
    links = next(store.glob("*/link_lists.bin"))
    held = data_of(links)
    assert held < FEW
    fx.copy(store, tmp_path / "copy")
    assert data_of(tmp_path / "copy" / links.relative_to(store)) == held
    fx.plan(store, case=folder)
    case = Case.open(folder)
    assert case.read_json("plan.json")["room"]["needs"]["disk"] < 64 << 20
    answer = fx.apply(case, yes=True, nobody_else=True, engine="none")
    assert (answer["applied"], answer["verified"], answer["remaining"]) == (True, "checks", [])
    assert links.stat().st_size < FEW
    assert case.draft is not None
    assert allocated(case.draft) < before.allocated + FEW
    fx.apply(_another(store, tmp_path), yes=True, to=tmp_path / "repaired", nobody_else=True, engine="none")
    back = fx.undo(case, nobody_else=True)
    assert (back["undone"], back["as_before"]) == (True, True)
    assert describe(compare(before, seal(store))) == ""
    assert (links.stat().st_size, data_of(links)) == (APPARENT, held)


def _another(store: Path, tmp_path: Path) -> Case:
    """A case of a broken copy, to be written elsewhere."""
    fx.plan(tmp_path / "copy", case=tmp_path / "case-of-copy")
    assert store.exists()
    return Case.open(tmp_path / "case-of-copy")


# --- shared blocks ------------------------------------------------------------------------------------------


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own whose file system shares blocks."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    image, point = tmp_path / "image", tmp_path / "disk"
    image.touch()
    os.truncate(image, 160 << 20)
    point.mkdir()
    for command in (["mkfs.btrfs", "-q", str(image)], ["mount", "-o", "loop", str(image), str(point)]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip(f"{command[0]} is not installed")
        if done.returncode:
            pytest.skip(f"{command[0]} is not permitted here: {done.stderr.strip()}")
    yield point
    gc.collect()
    subprocess.run(["umount", str(point)], check=True)


def test_where_blocks_are_shared_a_copy_takes_none(sharing: Path) -> None:
    assert can_clone(sharing)
    source = sharing / "source"
    source.write_bytes(os.urandom(40 << 20))
    subprocess.run(["sync", "-f", str(sharing)], check=True)
    before = os.statvfs(sharing).f_bavail
    for number in range(4):  # 160 MiB, as large as the whole disk
        copy_file(source, sharing / f"copy-{number}")
    subprocess.run(["sync", "-f", str(sharing)], check=True)
    after = os.statvfs(sharing)
    assert (before - after.f_bavail) * after.f_frsize < 8 << 20
    assert (sharing / "copy-3").read_bytes() == source.read_bytes()


def test_a_repair_on_shared_blocks_comes_and_goes(sharing: Path, tmp_path: Path) -> None:
    from forensics.testing.damage import damage_menu

    store = samples.restore("1.5.9/healthy", sharing / "store")
    damage_menu()["neighbour-out-of-range"](store)
    before = seal(store)
    fx.plan(store, case=tmp_path / "case")
    answer = fx.apply(tmp_path / "case", yes=True, nobody_else=True, engine="none")
    assert answer["verified"] == "checks"
    assert fx.undo(tmp_path / "case", nobody_else=True)["as_before"] is True
    assert describe(compare(before, seal(store))) == ""
