"""What is kept of a file holds as long as the file is the very same, and no longer than its block."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.readers.shelf import SETTLED_NS, once, once_of, shelf
from forensics.writers.draft_maps import file_for_writing

OLD = 1_700_000_000


@pytest.fixture
def settled(tmp_path: Path) -> Path:
    """A file whose last change is long enough ago."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
    time.sleep(2 * SETTLED_NS / 1e9)
    return path


def reader(path: Path) -> tuple[Callable[[], bytes], list[int]]:
    asked: list[int] = []

    def read() -> bytes:
        asked.append(1)
        return path.read_bytes()

    return read, asked


def test_a_file_is_read_once_inside_and_each_time_outside(settled: Path) -> None:
    read, asked = reader(settled)
    with shelf():
        assert [once("x", settled, read) for _ in range(3)] == [b"one"] * 3
        assert len(asked) == 1
        with shelf():
            once("x", settled, read)
        assert len(asked) == 1
        once("y", settled, read)
    assert len(asked) == 2
    once("x", settled, read)
    with shelf():
        once("x", settled, read)
    assert len(asked) == 4


def rewritten(path: Path) -> None:
    path.write_bytes(b"two")
    os.utime(path, (OLD, OLD))


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    os.replace(other, path)


def mapped(path: Path) -> None:
    with file_for_writing(path) as raw:
        raw[:] = list(b"two")


@pytest.mark.parametrize("change", [rewritten, replaced, mapped])
def test_a_changed_file_is_read_again(settled: Path, change: Callable[[Path], None]) -> None:
    read, _ = reader(settled)
    with shelf():
        assert once("x", settled, read) == b"one"
        change(settled)
        assert once("x", settled, read) == b"two"


def test_a_file_that_was_changed_just_now_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    read, asked = reader(path)
    path.write_bytes(b"one")
    with shelf():
        once("x", path, read)
        once("x", path, read)
    assert len(asked) == 2


def test_a_journal_that_comes_counts(settled: Path) -> None:
    read, asked = reader(settled)
    journal = settled.with_name("file-wal")
    with shelf():
        once("x", settled, read, journal)
        once("x", settled, read, journal)
        assert len(asked) == 1
        journal.write_bytes(b"rows")
        once("x", settled, read, journal)
    assert len(asked) == 2


def test_what_is_made_of_objects_is_made_of_these_very_objects() -> None:
    one, other = [1], [1]
    with shelf():
        first = once_of("sum", (one,), lambda: [sum(one)])
        assert once_of("sum", (one,), lambda: [0]) is first
        assert once_of("sum", (other,), lambda: [2]) == [2]
    assert once_of("sum", (one,), lambda: [3]) == [3]
