"""FTS5's verdict by every SQLite at hand: the same on sound and on damaged indexes, and nothing is written for it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics.readers import full_text
from forensics.readers.database import Database
from forensics.readers.full_text import FullTextVerdict, Judge, judges
from forensics.testing.damage import damage_menu

Sample = Callable[[str], Path]


def judged(store: Path, tmp_path: Path, judge: str) -> FullTextVerdict:
    """The verdict of one judge: `here`, `apsw` or `copy`; skipped with its reason where there is none."""
    with fx.open_store(store) as opened:
        assert isinstance(opened.database, Database)
        if judge == "copy":
            found = full_text._by_copy(opened.database, tmp_path / "scratch")
            assert isinstance(found, FullTextVerdict)
            return found
        said = the(judge)(full_text._address(opened.database))
    assert said is not None
    return FullTextVerdict(None if said == "ok" else said, judge, copied=False)


def the(judge: str) -> Judge:
    if judge == "apsw":
        pytest.importorskip("apsw", reason="the extra `sqlite` is not installed")
        return full_text._asked_of_apsw
    if sqlite3.sqlite_version_info < full_text.READS_ONLY:
        pytest.skip(f"SQLite {sqlite3.sqlite_version} of this Python does not ask FTS5 by integrity_check")
    return full_text._asked_here


@pytest.mark.parametrize("judge", ["here", "apsw", "copy"])
def test_each_is_content_with_health_and_sees_an_index_that_was_emptied(
    judge: str, sample: Sample, tmp_path: Path
) -> None:
    for name in ("0.4.24/healthy", "1.5.9/healthy", "1.5.9/healthy-churned"):
        assert judged(sample(name), tmp_path, judge).says is None
    store = sample("1.5.9/healthy")
    damage_menu()["full-text-index-emptied"](store)
    before = (store / "chroma.sqlite3").read_bytes()

    assert judged(store, tmp_path, judge).says
    assert (store / "chroma.sqlite3").read_bytes() == before
    assert {path.name for path in store.iterdir() if path.is_file()} == {"chroma.sqlite3"}


def test_no_copy_is_made_where_somebody_judges_in_place(sample: Sample, tmp_path: Path) -> None:
    if not judges():
        pytest.skip(
            f"SQLite {sqlite3.sqlite_version} judges on a copy, and the extra `sqlite` is not installed"
        )
    with fx.open_store(sample("1.5.9/healthy")) as opened:
        assert isinstance(opened.database, Database)
        found = full_text.verdict(opened.database, tmp_path / "scratch")

    assert isinstance(found, FullTextVerdict)
    assert (found.says, found.copied) == (None, False)
    assert found.library == judges()[0][0]
    assert not (tmp_path / "scratch").exists()


WITHOUT_FTS5 = """
import ctypes, sys, _sqlite3, sqlite3
library = ctypes.CDLL(_sqlite3.__file__)
opened = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
    lambda database, *_: library.sqlite3_drop_modules(ctypes.c_void_p(database), None)
)
library.sqlite3_auto_extension(opened)
try:
    sqlite3.connect(":memory:").execute("CREATE VIRTUAL TABLE t USING fts5(x)")
except sqlite3.OperationalError as error:
    assert "no such module: fts5" in str(error)
else:
    sys.exit("this SQLite kept its modules")
sys.modules["apsw"] = None
from forensics.cli import main
sys.exit(main(["diagnose", sys.argv[1], "--deep", "--format", "json"]))
"""
"""Every connection of this process is one of an SQLite without FTS5: SQLite itself takes its modules away."""


def test_an_sqlite_without_fts5_skips_the_check_and_says_why(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    done = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_FTS5, str(store)], capture_output=True, text=True, check=False
    )
    if "undefined symbol" in done.stderr or "kept its modules" in done.stderr:
        pytest.skip(f"modules cannot be taken from SQLite {sqlite3.sqlite_version}: {done.stderr.strip()}")

    assert done.returncode == 8, done.stderr
    said = {row["code"]: row for row in json.loads(done.stdout)["checks"]}
    assert said["CF105"]["outcome"] == "skipped"
    assert said["CF105"]["reason"].endswith("cannot judge this full-text index: no such module: fts5")
    assert {code for code, row in said.items() if row["outcome"] in ("skipped", "partial", "crashed")} == {
        "CF105"
    }
