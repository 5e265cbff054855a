"""Seals, handles and copies: what they see, and that they leave no trace in the store."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forensics import copying, extents
from forensics.copying import copy_file, copy_store
from forensics.errors import NoSpace, NotAStore, StoreChanged, UsageError
from forensics.extents import FED_AS_ZEROS, digest, gaps
from forensics.handles import Handles, is_open_here, open_handles
from forensics.seal import Manifest, compare, describe, fingerprint, seal

Sample = Callable[[str], Path]
HOLD = """
import sqlite3, sys
files = [open(path, mode) for path, mode in (pair.rsplit("=", 1) for pair in sys.argv[1:])]
print("ready", flush=True)
sys.stdin.read()
"""
TRY_TO_WRITE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0)
try:
    connection.execute("BEGIN IMMEDIATE")
    print("written")
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.fixture
def store(sample: Sample) -> Path:
    return sample("1.5.9/sql-only-orphans")


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """6 GiB apparent, three stretches of data."""
    path = tmp_path / "sparse"
    with open(path, "wb") as handle:
        for place in (0, 1 << 30, (6 << 30) - 8192):
            handle.seek(place)
            handle.write(os.urandom(8192))
    if os.stat(path).st_blocks * 512 > 1 << 20:
        pytest.skip("the file system under the tests keeps no holes")
    return path


@pytest.fixture
def holding() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that keeps files open: `holding((path, mode), …)`."""
    started: list[subprocess.Popen[str]] = []

    def hold(*pairs: tuple[Path, str]) -> subprocess.Popen[str]:
        words = [f"{path}={mode}" for path, mode in pairs]
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", HOLD, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield hold
    for child in started:
        child.communicate()


def in_another_process(database: Path) -> str:
    """What a writer in another process meets."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRY_TO_WRITE, str(database)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def segment_of(store: Path) -> Path:
    return next(path for path in sorted(store.iterdir()) if (path / "header.bin").exists())


# --- seal ---------------------------------------------------------------------------------------------------


def test_a_seal_is_what_sha256sum_says(store: Path) -> None:
    files = [entry for entry in seal(store).entries if entry.kind == "file"]
    assert len(files) > 5
    for entry in files:
        assert entry.sha256 == hashlib.sha256((store / entry.path).read_bytes()).hexdigest()


def test_a_seal_survives_json_and_leaves_no_trace(store: Path) -> None:
    before = {path: os.stat(path) for path in store.rglob("*")}
    first = seal(store)
    assert Manifest.from_json(json.loads(json.dumps(first.to_json()))) == first
    for path, old in before.items():
        new = os.stat(path)
        assert (old.st_mtime_ns, old.st_ctime_ns) == (new.st_mtime_ns, new.st_ctime_ns)
        if path.is_file():
            assert old.st_atime_ns == new.st_atime_ns
    assert compare(first, seal(store)) == ()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda s: (s / "new").write_bytes(b"x"), {("new", "added"), (".", "mtime")}),
        (lambda s: (s / "notes").unlink(), {("notes", "removed"), (".", "mtime")}),
        (lambda s: os.chmod(s / "notes", 0o400), {("notes", "mode")}),
        (lambda s: os.utime(s / "notes", ns=(1, 1)), {("notes", "mtime")}),
        (lambda s: (s / "notes").write_bytes(b"NOTES"), {("notes", "content"), ("notes", "mtime")}),
        (lambda s: (s / "notes").write_bytes(b"n"), {("notes", w) for w in ("content", "size", "mtime")}),
    ],
)
def test_every_change_is_named(tmp_path: Path, change: Callable[[Path], object], what: set[object]) -> None:
    (tmp_path / "notes").write_bytes(b"notes")
    before = seal(tmp_path)
    os.utime(tmp_path / "notes", ns=(5, 5))
    before = seal(tmp_path)
    change(tmp_path)
    found = {(c.path, c.what) for c in compare(before, seal(tmp_path))}
    assert found == what


def test_a_change_that_keeps_size_and_mtime_is_found(store: Path) -> None:
    database = store / "chroma.sqlite3"
    before, facts = seal(store), os.stat(database)
    with open(database, "r+b") as handle:
        handle.seek(5000)
        old = handle.read(1)
        handle.seek(5000)
        handle.write(bytes([old[0] ^ 1]))
    os.utime(database, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert [(c.path, c.what) for c in compare(before, seal(store))] == [("chroma.sqlite3", "content")]
    reused = compare(before, seal(store, reuse=before))
    assert [(c.path, c.what) for c in reused] == [("chroma.sqlite3", "content")]  # its ctime tells


def test_links_and_special_files_are_named_and_not_followed(store: Path) -> None:
    (store / "outside").symlink_to("/etc")
    (store / "loop").symlink_to(".")
    os.mkfifo(store / "fifo")
    found = {entry.path: entry for entry in seal(store).entries}
    assert (found["outside"].kind, found["outside"].target) == ("link", "/etc")
    assert found["loop"].kind == "link"
    assert found["fifo"].kind == "special"
    assert not [path for path in found if path.startswith(("outside/", "loop/"))]


def test_drafts_inside_are_left_out(store: Path) -> None:
    before = seal(store)
    mtime = os.stat(store).st_mtime_ns
    (store / ".forensics-abc").mkdir()
    (store / ".forensics-abc" / "x").write_bytes(b"x")
    os.utime(store, ns=(mtime, mtime))
    assert compare(before, seal(store)) == ()


def test_holes_are_not_read(sparse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    genuine = extents._read_at
    monkeypatch.setattr(
        extents,
        "_read_at",
        lambda fd, buffer, offset: read.append(len(buffer)) or genuine(fd, buffer, offset),
    )
    first, places = digest(str(sparse))
    assert len(places) == 3
    assert sum(read) < 1 << 20
    with open(sparse, "r+b") as handle:
        handle.seek(1 << 30)
        handle.write(b"changed")
    assert digest(str(sparse))[0] != first


def test_a_small_hole_does_not_change_the_hash(tmp_path: Path) -> None:
    path = tmp_path / "some"
    with open(path, "wb") as handle:
        handle.truncate(FED_AS_ZEROS // 16)
        handle.seek(1 << 20)
        handle.write(b"data")
    assert digest(str(path)) == (hashlib.sha256(path.read_bytes()).hexdigest(), ())


def test_data_where_a_hole_should_be_is_noticed(sparse: Path, tmp_path: Path) -> None:
    _, places = digest(str(sparse))
    copy_file(sparse, tmp_path / "copy")
    assert digest(str(tmp_path / "copy"), places) == digest(str(sparse))
    with open(tmp_path / "copy", "r+b") as handle:
        handle.seek(3 << 30)
        handle.write(b"stray")
    with pytest.raises(ValueError, match="hole"):
        digest(str(tmp_path / "copy"), places)


def test_gaps() -> None:
    assert list(gaps(((0, 10), (20, 10)), ((0, 10), (20, 10)))) == []
    assert list(gaps(((0, 30),), ((5, 5), (20, 20)))) == [(0, 5), (10, 10)]
    assert list(gaps(((0, 10),), ())) == [(0, 10)]


def test_the_fingerprint_sees_a_commit_that_keeps_size_and_mtime(store: Path) -> None:
    database = store / "chroma.sqlite3"
    before, facts = fingerprint(store), os.stat(database)
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    os.utime(database, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    after = fingerprint(store)
    assert before != after
    assert before.differences(after) == ("chroma.sqlite3",)


def test_describe_counts_what_it_leaves_out(tmp_path: Path) -> None:
    before = seal(tmp_path)
    for name in "abcdefgh":
        (tmp_path / name).write_bytes(b"")
    text = describe([c for c in compare(before, seal(tmp_path)) if c.path != "."], limit=2)
    assert text == "a (added), b (added) and 6 more"


# --- who has it open ----------------------------------------------------------------------------------------


def test_nobody(store: Path) -> None:
    found = open_handles(store)
    assert isinstance(found, Handles)
    assert found == ()


def test_others_are_seen_with_what_they_may_do(
    store: Path, holding: Callable[..., subprocess.Popen[str]]
) -> None:
    header = segment_of(store) / "header.bin"
    child = holding((store / "chroma.sqlite3", "r+b"), (header, "rb"))
    found = open_handles(store)
    assert isinstance(found, Handles)
    seen = {(handle.pid, handle.path, handle.writes, handle.own) for handle in found}
    relative = header.relative_to(store).as_posix()
    assert seen == {(child.pid, "chroma.sqlite3", True, False), (child.pid, relative, False, False)}
    assert found.others == found.writers == found
    assert "python" in found[0].command


def test_a_file_that_was_deleted_under_a_process_is_seen(
    store: Path, holding: Callable[..., subprocess.Popen[str]]
) -> None:
    header = segment_of(store) / "header.bin"
    child = holding((header, "r+b"))
    header.unlink()
    found = open_handles(store)
    assert isinstance(found, Handles)
    assert [(handle.pid, handle.deleted) for handle in found] == [(child.pid, True)]


def test_a_lock_is_seen(store: Path) -> None:
    connection = sqlite3.connect(store / "chroma.sqlite3", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    found = open_handles(store)
    assert isinstance(found, Handles)
    mine = next(handle for handle in found if handle.path == "chroma.sqlite3")
    assert mine.own
    assert mine.lock is not None
    assert mine.lock.startswith("POSIX")
    connection.close()


def test_reading_in_this_process_is_no_use_by_somebody(store: Path) -> None:
    with open(segment_of(store) / "header.bin", "rb"):
        found = open_handles(store)
        assert isinstance(found, Handles)
        assert len(found) == 1
        assert found.writers == ()


def test_is_open_here(store: Path) -> None:
    database = store / "chroma.sqlite3"
    assert not is_open_here(database)
    with open(database, "rb"):
        assert is_open_here(database)
    assert not is_open_here(store / "absent")


def test_looking_does_not_drop_the_locks_of_a_client_in_this_process(store: Path, tmp_path: Path) -> None:
    database = store / "chroma.sqlite3"
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    assert in_another_process(database) == "database is locked"
    seal(store)
    fingerprint(store)
    open_handles(store)
    copy_store(store, tmp_path / "copy")
    assert in_another_process(database) == "database is locked"
    connection.close()
    assert in_another_process(database) == "written"


def test_the_test_above_would_notice(store: Path) -> None:
    database = store / "chroma.sqlite3"
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    database.read_bytes()
    assert in_another_process(database) == "written"
    connection.close()


# --- copies -------------------------------------------------------------------------------------------------


def test_a_copy_is_the_store(store: Path, tmp_path: Path) -> None:
    (store / "link").symlink_to("/etc/hostname")
    os.mkfifo(store / "fifo")
    os.chmod(segment_of(store) / "header.bin", 0o640)
    before = seal(store)
    made = copy_store(store, tmp_path / "copy")
    changes = compare(before, seal(tmp_path / "copy"))
    assert [(c.path, c.what) for c in changes if c.path != "."] == [("fifo", "removed")]
    assert made.store == str(tmp_path / "copy")
    assert made.by_path["chroma.sqlite3"].sha256 == before.by_path["chroma.sqlite3"].sha256
    assert compare(before, seal(store)) == ()
    assert os.stat(store / "chroma.sqlite3").st_nlink == 1
    assert os.stat(tmp_path / "copy" / "chroma.sqlite3").st_ino != os.stat(store / "chroma.sqlite3").st_ino


def test_a_copy_keeps_holes_and_attributes(sparse: Path, tmp_path: Path) -> None:
    os.chmod(sparse, 0o604)
    os.utime(sparse, ns=(1_000, 123_456_789))
    keeps = hasattr(os, "setxattr")
    if keeps:
        os.setxattr(sparse, "user.note", b"kept")
    assert copy_file(sparse, tmp_path / "copy") == ()
    old, new = os.stat(sparse), os.stat(tmp_path / "copy")
    assert (new.st_size, new.st_mode, new.st_mtime_ns) == (old.st_size, old.st_mode, 123_456_789)
    assert new.st_blocks <= old.st_blocks + 64
    if keeps:
        assert os.getxattr(tmp_path / "copy", "user.note") == b"kept"


@pytest.mark.parametrize("where", [".", "inside", "chroma.sqlite3", "../full", "../absent/copy"])
def test_a_copy_is_refused_where_something_is_in_the_way(store: Path, where: str) -> None:
    (store.parent / "full").mkdir()
    (store.parent / "full" / "x").write_bytes(b"x")
    before, beside = seal(store), sorted(store.parent.iterdir())
    with pytest.raises(UsageError):
        copy_store(store, store / where)
    assert compare(before, seal(store)) == ()
    assert sorted(store.parent.iterdir()) == beside


def test_a_copy_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAStore):
        copy_store(tmp_path / "absent", tmp_path / "copy")


def test_an_empty_folder_may_take_a_copy(store: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    copy_store(store, tmp_path / "empty")
    assert [c for c in compare(seal(store), seal(tmp_path / "empty")) if c.what == "content"] == []


def test_a_copy_that_would_not_fit_is_not_begun(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "free_bytes", lambda folder: 1 << 20)
    with pytest.raises(NoSpace, match="nothing was written"):
        copy_store(store, tmp_path / "copy")
    assert not [path for path in tmp_path.iterdir() if "copy" in path.name]


def test_a_store_that_changes_under_a_copy_is_not_copied(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = copying.copy_tree

    def disturbed(*arguments: object) -> object:
        with open(store / "chroma.sqlite3", "ab") as handle:
            handle.write(b"x")
        return genuine(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(copying, "copy_tree", disturbed)
    with pytest.raises(StoreChanged, match=r"chroma\.sqlite3"):
        copy_store(store, tmp_path / "copy")
    assert not [path for path in tmp_path.iterdir() if "copy" in path.name]


def test_a_corrupted_copy_is_noticed(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = copying.copy_bytes

    def lossy(source: str, target: str) -> None:
        genuine(source, target)
        if source.endswith("header.bin"):
            os.truncate(target, 50)

    monkeypatch.setattr(copying, "copy_bytes", lossy)
    with pytest.raises(StoreChanged, match=r"header\.bin"):
        copy_store(store, tmp_path / "copy")
    assert not [path for path in tmp_path.iterdir() if "copy" in path.name]
