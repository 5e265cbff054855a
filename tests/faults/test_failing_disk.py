"""A disk with sectors that cannot be read: a loop device whose backing file was cut short under a mounted file system."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.readers.sectors import look, look_at_all
from forensics.testing.failing_disk import failing_disk, lacking

Sample = Callable[[str], Path]


def diagnose(store: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "forensics", "diagnose", str(store), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=store.parents[1])


@pytest.mark.parametrize("pattern", ["*/data_level0.bin", "*/index_metadata.pickle", "chroma.sqlite3"])
def test_what_cannot_be_read_is_named_and_the_rest_examined(
    sample: Sample, tmp_path: Path, pattern: str
) -> None:
    if why := lacking():
        pytest.skip(f"needs {why}")
    with failing_disk(sample("1.5.9/healthy"), pattern, tmp_path) as store:
        look_and_compare(store, pattern)


def look_and_compare(store: Path, pattern: str) -> None:
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
