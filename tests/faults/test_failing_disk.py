"""A disk with sectors that cannot be read: a loop device whose backing file was cut short under a mounted file system."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forensics.readers.sectors import look, look_at_all

MEGABYTE = 1 << 20
Sample = Callable[[str], Path]
Breaking = Callable[[Path, str], Path]


def run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[Breaking]:
    """`failing_disk(store, pattern)` copies the store to a disk on which the one file of that pattern cannot be read."""
    image, point = tmp_path / "disk.img", tmp_path / "disk"
    point.mkdir()
    lacking = [tool for tool in ("mkfs.ext4", "losetup", "filefrag") if shutil.which(tool) is None]
    if os.geteuid() != 0 or lacking:
        pytest.skip(f"needs root and {', '.join(lacking) or 'nothing else'}")
    image.write_bytes(bytes(48 * MEGABYTE))
    run("mkfs.ext4", "-q", "-b", 4096, "-O", "^has_journal", image)

    def make(store: Path, pattern: str) -> Path:
        mounted = subprocess.run(
            ["mount", "-o", "loop", image, point], capture_output=True, text=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"a loop device cannot be mounted here: {mounted.stderr.strip()}")
        (wanted,) = store.glob(pattern)
        copy = point / "store"
        shutil.copytree(store, copy, ignore=shutil.ignore_patterns(wanted.name))
        (point / "filler").write_bytes(b"x" * 8 * MEGABYTE)
        target = copy / wanted.relative_to(store)
        shutil.copy2(wanted, target)
        run("sync")
        first = re.search(r"^\s*0:\s+0\.\.\s+\d+:\s+(\d+)\.\.", run("filefrag", "-v", target), re.MULTILINE)
        assert first
        run("umount", point)
        cut_at = int(first[1]) * 4096
        run("mount", "-o", "loop", image, point)
        for path in [copy, *sorted(copy.rglob("*"))]:
            path.stat()
        os.truncate(image, cut_at)
        return copy

    yield make
    os.truncate(image, 48 * MEGABYTE)
    subprocess.run(["umount", point], check=False)


def diagnose(store: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "forensics", "diagnose", str(store), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=store.parents[1])


@pytest.mark.parametrize("pattern", ["*/data_level0.bin", "*/index_metadata.pickle", "chroma.sqlite3"])
def test_what_cannot_be_read_is_named_and_the_rest_examined(
    failing_disk: Breaking, sample: Sample, pattern: str
) -> None:
    store = failing_disk(sample("1.5.9/healthy"), pattern)
    (file,) = store.glob(pattern)
    gap = look(file)
    assert gap is not None
    assert (gap.first, gap.present) == (0, file.stat().st_size)
    assert str(file) in [each.path for each in look_at_all(store)]  # others may lie behind it on the disk

    done = diagnose(store, "--format", "json")

    assert done.returncode & 8, done.stderr
    assert "Traceback" not in done.stderr
    found = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
    files = found["CF903"]["found"]["files"]
    assert files[str(file.relative_to(store))] == {
        "present": gap.present,
        "read": gap.read,
        "first_unread": 0,
    }


def test_a_sound_disk_has_no_gaps(sample: Sample) -> None:
    store = sample("1.5.9/healthy")

    assert look_at_all(store) == []
    assert "CF903" not in diagnose(store).stdout
