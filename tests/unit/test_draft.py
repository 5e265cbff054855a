"""The draft: only copies, only what changes, dressed as what it replaces."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.case import Case
from forensics.errors import CannotComplete, NoSpace, Refused
from forensics.repair import draft as draft_module
from forensics.repair import placing
from forensics.repair.draft import Draft, DraftEntry
from forensics.seal import compare, describe, seal
from forensics.store import Store

Sample = Callable[[str], Path]
LEAVE_A_HOT_JOURNAL = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("DELETE FROM embedding_metadata")
connection.execute("DELETE FROM embeddings")
os._exit(9)
"""
COPY_AS_NOBODY = """
import os, sys
from pathlib import Path
from forensics.case import Case
from forensics.errors import Refused
from forensics.repair.draft import Draft
store = Path(sys.argv[1])
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
draft = Draft.create(store, Case.create(store.parent / "case", store))
try:
    draft.copy_in("chroma.sqlite3")
except Refused as error:
    print(error)
"""


@pytest.fixture
def store(sample: Sample) -> Path:
    return sample("1.5.9/sql-only-orphans")


@pytest.fixture
def case(store: Path, tmp_path: Path) -> Case:
    return Case.create(tmp_path / "case", store, case_id="test")


@pytest.fixture
def draft(store: Path, case: Case) -> Draft:
    return Draft.create(store, case)


def segment_of(store: Path) -> str:
    return next(path.name for path in sorted(store.iterdir()) if (path / "header.bin").exists())


def leave_a_hot_journal(database: Path) -> None:
    """A writer dies in the middle of a transaction that had spilled into the file."""
    done = subprocess.run([sys.executable, "-P", "-c", LEAVE_A_HOT_JOURNAL, str(database)], check=False)
    assert done.returncode == 9
    assert database.with_name(database.name + "-journal").stat().st_size > 0


def contents(folder: Path) -> dict[str, str | None]:
    return {entry.path: entry.sha256 for entry in seal(folder).entries}


# --- where it lies ------------------------------------------------------------------------------------------


def test_it_lies_beside_the_store_and_is_found_again(store: Path, case: Case, draft: Draft) -> None:
    assert draft.folder == store.parent / f".{store.name}.forensics-test"
    assert stat.S_IMODE(os.stat(draft.folder).st_mode) == 0o700
    assert Draft.open(Case.open(case.folder)).folder == draft.folder
    with pytest.raises(CannotComplete, match="exists already"):
        Draft.create(store, case)


def test_a_long_name_fits(tmp_path: Path) -> None:
    store = tmp_path / ("ü" * 125)
    store.mkdir()
    made = Draft.create(store, Case.create(tmp_path / "case", store))
    assert made.folder.parent == tmp_path


def test_it_lies_inside_where_the_parent_is_another_mount(
    store: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = placing.mount_of
    monkeypatch.setattr(placing, "mount_of", lambda path: (0, 0) if path == store.parent else genuine(path))
    before = seal(store)
    made = Draft.create(store, case)
    assert made.folder == store / ".forensics-test"
    assert compare(before, seal(store)) == ()
    made.discard()
    assert compare(before, seal(store)) == ()
    assert not made.folder.exists()


def test_a_half_made_draft_inside_is_thrown_away_with_its_trace(
    store: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = placing.mount_of
    monkeypatch.setattr(placing, "mount_of", lambda path: (0, 0) if path == store.parent else genuine(path))
    before = seal(store)

    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(placing, "set_mtime", die)
        with pytest.raises(KeyboardInterrupt):
            Draft.create(store, case)
    assert describe(compare(before, seal(store))) == ". (mtime)"
    Draft.open(Case.open(case.folder)).discard()
    assert compare(before, seal(store)) == ()


def test_no_draft_is_said_so(case: Case) -> None:
    with pytest.raises(Refused, match="has no draft"):
        Draft.open(case)


# --- what is to change --------------------------------------------------------------------------------------


def test_the_store_is_only_read(store: Path, draft: Draft) -> None:
    before, segment = seal(store), segment_of(store)
    draft.copy_in(f"{segment}/length.bin").write_bytes(b"other")
    draft.copy_in("chroma.sqlite3").write_bytes(b"other")
    draft.remove(f"{segment}/link_lists.bin")
    draft.new("fresh/file").write_bytes(b"new")
    draft.finish()
    assert compare(before, seal(store)) == ()
    assert {os.lstat(path).st_nlink for path in store.rglob("*") if path.is_file()} == {1}
    assert draft.entries() == (
        DraftEntry(f"{segment}/length.bin", "replace"),
        DraftEntry(f"{segment}/link_lists.bin", "remove"),
        DraftEntry("chroma.sqlite3", "replace"),
        DraftEntry("fresh", "create"),
    )
    assert Draft.open(draft.case).entries() == draft.entries()


def test_a_copy_is_made_once(store: Path, draft: Draft) -> None:
    path = draft.copy_in("chroma.sqlite3")
    path.write_bytes(b"changed")
    assert draft.copy_in("chroma.sqlite3") == path
    assert path.read_bytes() == b"changed"
    folder = draft.copy_in(segment_of(store))
    assert draft.copy_in(f"{segment_of(store)}/header.bin") == folder / "header.bin"
    assert len(draft.entries()) == 2


def test_files_that_changed_before_their_directory_was_copied_stay_changed(store: Path, draft: Draft) -> None:
    segment = segment_of(store)
    draft.copy_in(f"{segment}/length.bin").write_bytes(b"changed")
    draft.new(f"{segment}/more/new.bin").write_bytes(b"new")
    draft.remove(f"{segment}/link_lists.bin")
    folder = draft.copy_in(segment)
    names = {path.name for path in folder.iterdir()}
    assert (folder / "length.bin").read_bytes() == b"changed"
    assert (folder / "more" / "new.bin").read_bytes() == b"new"
    assert "link_lists.bin" not in names
    assert (folder / "header.bin").read_bytes() == (store / segment / "header.bin").read_bytes()
    assert draft.entries() == (DraftEntry(segment, "replace"),)


def test_what_is_new_or_removed_can_change_its_mind(store: Path, draft: Draft) -> None:
    segment = segment_of(store)
    draft.new("fresh").write_bytes(b"x")
    draft.remove("fresh")
    assert draft.entries() == ()
    draft.copy_in(segment)
    draft.remove(segment)
    assert draft.entries() == (DraftEntry(segment, "remove"),)
    with pytest.raises(Refused, match="taken out"):
        draft.copy_in(f"{segment}/header.bin")
    draft.new(f"{segment}/header.bin").write_bytes(b"x")
    assert draft.resolve(f"{segment}/header.bin").read_bytes() == b"x"


def test_a_directory_made_anew_forgets_the_changes_below(store: Path, draft: Draft) -> None:
    segment = segment_of(store)
    draft.copy_in(f"{segment}/length.bin").write_bytes(b"changed")
    draft.remove(f"{segment}/link_lists.bin")
    folder = draft.new(segment)
    assert not folder.exists()
    folder.mkdir()
    (folder / "header.bin").write_bytes(b"x")
    draft.finish()
    assert draft.entries() == (DraftEntry(segment, "replace"),)
    assert sorted(path.name for path in draft.resolve(segment).iterdir()) == ["header.bin"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", ".", "link/x", ".forensics-x/y"])
def test_paths_that_lead_elsewhere_are_refused(store: Path, draft: Draft, path: str) -> None:
    (store / "link").symlink_to("/tmp")
    for verb in (draft.copy_in, draft.new, draft.remove):
        with pytest.raises(Refused):
            verb(path)
    assert draft.entries() == ()


def test_links_devices_and_nothing_are_not_copied(store: Path, draft: Draft) -> None:
    segment = segment_of(store)
    (store / "link").symlink_to("chroma.sqlite3")
    os.mkfifo(store / segment / "fifo")
    for path in ("link", f"{segment}/fifo", segment, "absent"):
        with pytest.raises(Refused):
            draft.copy_in(path)
    with pytest.raises(Refused, match="no repair"):
        draft.remove("chroma.sqlite3")
    assert draft.entries() == ()


def test_what_does_not_fit_is_not_begun(store: Path, draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path, needed: int, what: str) -> None:
        raise NoSpace(what)

    monkeypatch.setattr(draft_module, "require_room", full)
    draft._clones = False
    with pytest.raises(NoSpace, match=r"chroma\.sqlite3"):
        draft.copy_in("chroma.sqlite3")
    assert not (draft.folder / "entries" / "chroma.sqlite3").exists()


def test_something_promised_and_not_made_is_refused(draft: Draft, store: Path) -> None:
    draft.new(f"{segment_of(store)}/header.bin")
    with pytest.raises(Refused, match="was to be made anew"):
        draft.finish()


def test_the_draft_of_a_database_settles_its_journal_and_the_original_stays(
    store: Path, draft: Draft
) -> None:
    database = store / "chroma.sqlite3"
    rows = _count(database)
    leave_a_hot_journal(database)
    before = seal(store)
    path = draft.copy_in("chroma.sqlite3")
    assert path.with_name("chroma.sqlite3-journal").exists()
    draft.finish()
    assert compare(before, seal(store)) == ()
    assert sorted(each.name for each in path.parent.iterdir()) == ["chroma.sqlite3"]
    assert _count(path) == rows


def _count(database: Path) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT count(*) FROM embeddings").fetchone()[0]
    finally:
        connection.close()


# --- owners, modes, attributes ------------------------------------------------------------------------------


def test_entries_look_like_what_they_replace(store: Path, draft: Draft) -> None:
    segment = segment_of(store)
    header = store / segment / "header.bin"
    os.chmod(header, 0o640)
    os.chmod(store / segment, 0o750)
    if hasattr(os, "setxattr"):
        os.setxattr(header, "user.label", b"x")
    if os.geteuid() == 0:
        for path in (header, store / segment):
            os.chown(path, 1234, 2345)
    draft.remove(f"{segment}/link_lists.bin")
    made = draft.new(f"{segment}/header.bin")
    made.write_bytes(b"anew")
    fresh = draft.new("11111111-1111-1111-1111-111111111111/header.bin")
    fresh.write_bytes(b"new")
    draft.finish()
    for path in (made, fresh):
        found, wanted = os.stat(path), os.stat(header)
        assert (found.st_mode, found.st_uid, found.st_gid) == (wanted.st_mode, wanted.st_uid, wanted.st_gid)
        if hasattr(os, "setxattr"):
            assert os.getxattr(path, "user.label") == b"x"
    assert stat.S_IMODE(os.stat(fresh.parent).st_mode) == 0o750


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a store of somebody else")
def test_an_owner_that_cannot_be_kept_is_refused(sample: Sample) -> None:
    """A root-owned file that the application's user replaces: the user may not give it away."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        shutil.copytree(sample("1.5.9/sql-only-orphans"), store)
        refuse_to_give_away(store)


def refuse_to_give_away(store: Path) -> None:
    for path in (store.parent, store, *store.rglob("*")):
        os.chown(path, 65534, 65534)
    os.chown(store / "chroma.sqlite3", 0, 0)
    os.chmod(store / "chroma.sqlite3", 0o644)
    done = subprocess.run(
        [sys.executable, "-P", "-c", COPY_AS_NOBODY, str(store)], capture_output=True, text=True, check=False
    )
    assert "cannot be given owner 0:0" in done.stdout, done.stderr


# --- the store as it will be --------------------------------------------------------------------------------


def test_the_view_is_the_store_as_it_will_be(store: Path, draft: Draft, tmp_path: Path) -> None:
    segment = segment_of(store)
    (store / "old-backup").mkdir()
    (store / "old-backup" / "x").write_bytes(b"x")
    draft.copy_in(f"{segment}/length.bin").write_bytes(b"changed")
    draft.remove(f"{segment}/link_lists.bin")
    draft.remove("old-backup")
    draft.new("fresh/x").write_bytes(b"new")
    database = draft.copy_in("chroma.sqlite3")
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE made_in_the_draft (x)")
    connection.close()
    draft.finish()
    tree = draft.tree()
    assert tree.names() == sorted({*os.listdir(store), "fresh"} - {"old-backup"})
    assert tree.resolve(f"{segment}/length.bin").read_bytes() == b"changed"
    assert tree.resolve(f"{segment}/header.bin") == store / segment / "header.bin"
    assert not tree.resolve(f"{segment}/link_lists.bin").exists()
    assert not tree.resolve("old-backup/x").exists()
    with Store(store, tree=tree) as opened:
        assert opened.database
        assert "made_in_the_draft" in opened.database.tables
    made = draft.materialise(tmp_path / "whole")
    expected = contents(store)
    expected = {path: sha for path, sha in expected.items() if not path.startswith("old-backup")}
    expected |= {
        "fresh": None,
        **{f"fresh/{p}": s for p, s in contents(draft.resolve("fresh")).items() if p != "."},
    }
    del expected[f"{segment}/link_lists.bin"]
    found = contents(made)
    assert found.keys() == expected.keys()
    changed = {path for path in found if found[path] != expected[path]}
    assert changed == {"chroma.sqlite3", f"{segment}/length.bin"}
    part = draft.materialise(tmp_path / "part", segment)
    assert contents(part) == {
        path.removeprefix(segment + "/") if path != segment else ".": sha
        for path, sha in found.items()
        if path.startswith(segment)
    }


def test_a_materialised_copy_shares_nothing(store: Path, draft: Draft, tmp_path: Path) -> None:
    before = seal(store)
    made = draft.materialise(tmp_path / "whole")
    for path in made.rglob("*"):
        if path.is_file():
            path.write_bytes(b"scribble")
    shutil.rmtree(made)
    assert compare(before, seal(store)) == ()


# --- thrown away --------------------------------------------------------------------------------------------


def test_discard(store: Path, draft: Draft) -> None:
    draft.copy_in(segment_of(store))
    draft.discard()
    assert not draft.folder.exists()
    assert draft.case.draft is None


def test_a_draft_that_may_hold_the_original_is_not_thrown_away(draft: Draft) -> None:
    begun = {
        "number": 1, "name": "apply", "target": "repaired", "steps": [], "inodes": {}, "times_before": {},
        "times_after": {},
    }  # fmt: skip
    draft.journal.append("begin", transition=begun)
    with pytest.raises(CannotComplete, match="may hold the original"):
        draft.discard()
    draft.journal.append("end", number=1, outcome="made")
    with pytest.raises(CannotComplete, match="may hold the original"):
        draft.discard()
    draft.journal.append("end", number=1, outcome="unmade")
    draft.discard()
    assert not draft.folder.exists()


def test_a_lost_journal_is_no_reason_to_delete(draft: Draft) -> None:
    draft.journal.path.unlink()
    with pytest.raises(CannotComplete, match="may hold the original"):
        draft.discard()
    again = Draft.open(draft.case)  # the case has it
    assert again.journal.path.exists()
    again.discard()
    assert not draft.folder.exists()
