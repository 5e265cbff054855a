"""The case folder: made once, locked, written whole."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from forensics.case import Case
from forensics.durable import append_line, write_whole
from forensics.errors import CannotComplete, UsageError
from forensics.evidence import read_rows, safe_name, write_rows

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TAKE = """
import sys
from pathlib import Path
from forensics.case import Case
from forensics.errors import CannotComplete
case = Case.open(Path(sys.argv[1]))
try:
    with case.lock():
        print("taken", flush=True)
        sys.stdin.read()
except CannotComplete as error:
    print(error.exit_status, error)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "my störe"
    folder.mkdir()
    return folder


@pytest.fixture
def case(tmp_path: Path, store: Path) -> Case:
    return Case.create(tmp_path / "case", store, clock=lambda: NOW, case_id="abc123")


def test_a_case_is_found_again(case: Case, store: Path) -> None:
    again = Case.open(case.folder)
    assert (again.id, again.store, again.draft) == ("abc123", store, None)
    assert again.created == "2026-03-04T05:06:07.000+00:00"
    assert stat.S_IMODE(os.stat(case.folder).st_mode) == 0o700


def test_the_default_folder_names_store_and_time(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = Case.create(None, store, clock=lambda: NOW)
    second = Case.create(None, store, clock=lambda: NOW)
    assert first.folder == tmp_path / "forensics-case-my störe-20260304T050607Z"
    assert second.folder.name == "forensics-case-my störe-20260304T050607Z-2"
    assert first.id != second.id


def test_a_link_to_a_store_is_resolved_once(store: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store)
    assert Case.create(tmp_path / "case", tmp_path / "link").store == store
    with pytest.raises(UsageError, match="lies in the store"):
        Case.create(tmp_path / "link" / "case", store)
    assert list(store.iterdir()) == []


def test_a_case_does_not_overwrite_anything(case: Case, store: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already"):
        Case.create(case.folder, store)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="neither a case nor an empty"):
        Case.create(tmp_path / "full", store)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="neither a case nor an empty"):
        Case.create(tmp_path / "file", store)
    with pytest.raises(UsageError, match="cannot be made"):
        Case.create(tmp_path / "file" / "case", store)


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"id": "x"}', b"\xff\xfe"])
def test_what_is_not_a_case_is_said_so(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "case.json").write_bytes(content)
    with pytest.raises(UsageError, match="is not a case folder"):
        Case.open(tmp_path)


@pytest.mark.parametrize("identity", ["", "../x", "a/b", ".x", "x" * 65])
def test_an_id_that_is_no_name_is_refused(store: Path, tmp_path: Path, identity: str) -> None:
    if not identity:
        assert Case.create(tmp_path / "case", store, case_id=identity).id
        return
    with pytest.raises(UsageError, match="no case id"):
        Case.create(tmp_path / "case", store, case_id=identity)
    assert not (tmp_path / "case").exists()


def test_json_is_strict_and_whole(case: Case) -> None:
    case.write_json("plan.json", {"count": np.int64(3), "where": Path("x"), "text": "ü\ud800"})
    assert case.read_json("plan.json") == {"count": 3, "where": "x", "text": "ü\ud800"}
    with pytest.raises(ValueError, match="float"):
        case.write_json("plan.json", {"count": float("nan")})
    with pytest.raises(TypeError):
        case.write_json("plan.json", {"count": object()})
    assert case.read_json("plan.json")["count"] == 3
    assert not [path for path in case.folder.iterdir() if path.name.endswith(".new")]


def test_a_stage_that_was_not_done_is_said_so(case: Case) -> None:
    with pytest.raises(UsageError, match=r"no plan\.json yet"):
        case.read_json("plan.json")
    assert not case.has("plan.json")
    (case.folder / "plan.json").write_text("{")
    with pytest.raises(UsageError, match="not JSON any more"):
        case.read_json("plan.json")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "", "a/../../x"])
def test_names_do_not_lead_out_of_the_case(case: Case, name: str) -> None:
    with pytest.raises(ValueError, match="no name in a case"):
        case.write_json(name, {})


def test_evidence_lies_in_its_folder(case: Case) -> None:
    path = case.evidence("CF501-missing.csv")
    assert path == case.folder / "evidence" / "CF501-missing.csv"
    assert path.parent.is_dir()


def test_the_log_is_appended_to_and_survives_a_cut(case: Case) -> None:
    case.log("one", count=1)
    with open(case.folder / "log.jsonl", "ab") as handle:
        handle.write(b'{"time": "2026')
    case.log("two")
    assert [event["event"] for event in case.events()] == ["created", "one", "two"]
    assert case.events()[1] == {"time": "2026-03-04T05:06:07.000+00:00", "event": "one", "count": 1}


def test_one_at_a_time(case: Case) -> None:
    command = [sys.executable, "-P", "-c", TAKE, str(case.folder)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "taken\n"
    with pytest.raises(CannotComplete, match=f"process {holder.pid}") as caught, case.lock():
        pass
    assert caught.value.exit_status == 8
    holder.kill()
    holder.communicate()
    with case.lock(), case.lock():  # free again, and open to its owner
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
        assert done.stdout.startswith("8 Somebody else is working on the case")
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    assert done.stdout == "taken\n"


def test_the_draft_is_remembered(case: Case, tmp_path: Path) -> None:
    case.set_draft(tmp_path / "draft", store_mtime_ns=5)
    again = Case.open(case.folder)
    assert (again.draft, again.store_mtime_ns) == (tmp_path / "draft", 5)
    again.set_draft(None)
    assert Case.open(case.folder).draft is None


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(5, "Input/output error"))
    )
    with pytest.raises(OSError, match="Input/output"):
        write_whole(path, b"new")
    with pytest.raises(OSError, match="Input/output"):
        append_line(path, b"more")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_lines_are_json_each(case: Case) -> None:
    case.log("odd", text="line\nbreak \udcff", path=Path("x"))
    lines = (case.folder / "log.jsonl").read_text("utf-8").splitlines()
    assert all(json.loads(line) for line in lines)


def test_a_list_of_evidence_comes_back_letter_for_letter(tmp_path: Path) -> None:
    strange = ["a,b", 'say "x"', "line\nbreak", " blank ", "語\udcff", ""]
    path = write_rows(tmp_path / f"{safe_name('語/../' * 90)}.csv", ["id"], ([each] for each in strange))
    assert [row[0] if row else "" for row in read_rows(path)] == strange
    assert path.parent == tmp_path
    assert read_rows(tmp_path / "none.csv") == []
