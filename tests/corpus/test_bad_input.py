"""Bad input of every kind: one clear sentence, the right exit status, no traceback, and nothing is written anywhere."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import cli_supervising, samples
from forensics.cli import main
from forensics.seal import compare, seal
from forensics.testing.damage import damage_menu

Sample = Callable[[str], Path]
Say = Callable[..., Any]
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
NOBODY = 65534
EMBEDDERS = """
import numpy as np
from forensics.testing.embedder import embed

def raises(texts):
    raise OSError("no model")

def leaves(texts):
    raise SystemExit(3)

def flat(texts):
    return np.zeros(len(texts))

def few(texts):
    return embed(texts)[1:]

def narrow(texts):
    return embed(texts)[:, :7]

def nan(texts):
    return np.full((len(texts), 32), np.nan)

def words(texts):
    return [["a"] * 32] * len(texts)

number = 3
"""


@pytest.fixture
def evidence(sample: Sample) -> Iterator[Path]:
    """A healthy store that is not touched."""
    store = sample("1.5.9/healthy")
    before = seal(store)
    yield store
    assert compare(before, seal(store)) == ()


@pytest.fixture
def damaged(sample: Sample) -> Iterator[Path]:
    """A damaged store that is not touched."""
    store = sample("0.6.3/pickle-of-0.6")
    before = seal(store)
    yield store
    assert compare(before, seal(store)) == ()


# --- what is no store, no case, no code ---


def make_nothing(path: Path) -> None:
    """A path where there is nothing."""


def make_empty(path: Path) -> None:
    path.mkdir()


def make_other(path: Path) -> None:
    path.mkdir()
    (path / "letter.txt").write_text("dear reader")


def make_file(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


def make_dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("verb", ["diagnose", "plan", "repair", "probe", "copy", "lab"])
@pytest.mark.parametrize(
    "make",
    [make_nothing, make_empty, make_other, make_file, make_dangling, make_loop],
    ids=lambda make: make.__name__.removeprefix("make_"),
)
def test_what_is_no_store(make: Callable[[Path], None], verb: str, tmp_path: Path, say: Say) -> None:
    path = tmp_path / "given"
    make(path)
    before = sorted(tmp_path.rglob("*"))
    said = say(verb, path, *(["copy"] if verb == "copy" else []))
    assert (said.status, said.out) == (16, "")
    assert str(path) in said.sentence
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["diagnose", "STORE", "--only", "CF999"], "CF999"),
        (["diagnose", "STORE", "--except", "nonsense"], "NONSENSE"),
        (["plan", "STORE", "--accept-loss", "CF000"], "CF000"),
        (["plan", "STORE", "--also-fix", "CF501"], "no housekeeping"),
        (["repair", "STORE", "--also-fix", "CF999"], "CF999"),
        (["repair", "STORE", "--threads", "0"], "at least 1"),
        (["repair", "STORE", "--max-elements", "many"], "--max-elements"),
        (["repair", "STORE", "--ids", "burn"], "--ids"),
        (["diagnose", "STORE", "--format", "xml"], "--format"),
        (["diagnose", "STORE", "STORE"], "nrecognized"),
        (["diagnose", "STORE", "--dee"], "nrecognized"),
        (["heal", "STORE"], "heal"),
        (["diagnose", "STORE", "--also", "nowhere"], "nowhere"),
        (["diagnose", "STORE", "--source", "nowhere"], "nowhere"),
        (["plan", "STORE", "--also", "STORE/chroma.sqlite3"], "no folder"),
        (["plan", "STORE", "--source", "STORE"], "no file"),
        (["plan", "STORE", "--embedder", "nothing"], "module:callable"),
        (["plan", "STORE", "--embedder", "no_such_module:f"], "no_such_module"),
        (["diagnose", "STORE", "--embedder", "os:no_such_name"], "no_such_name"),
        (["repair", "STORE", "--embedder", "os:sep"], "not callable"),
        (["probe", "STORE", "--chromadb", "latest"], "latest"),
        (["copy", "STORE", "STORE/inside"], "lies in the store"),
        (["copy", "STORE", "there/deep"], "does not exist"),
        (["copy", "STORE", "STORE"], "lies in the store"),
        (["plan", "STORE", "--case", "STORE/case"], "lies in the store"),
        (["plan", "STORE", "--case", "STORE/chroma.sqlite3/case"], "case"),
        (["diagnose", "STORE", "--case", "/proc/forensics-case"], "cannot be made"),
        (["explain", "CF999"], "CF999"),
        (["explain", "nobody ever said this"], "nobody ever said this"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense(words: list[str], says: str, evidence: Path, say: Say) -> None:
    said = say(*[word.replace("STORE", str(evidence)) for word in words])
    assert (said.status, said.out) == (16, "")
    assert says in said.sentence
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    "verb",
    [["apply", "--yes"], ["verify"], ["undo"], ["report"], ["case", "release"], ["export", "--to", "npz"]],
)
def test_what_is_no_case(verb: list[str], evidence: Path, tmp_path: Path, say: Say) -> None:
    broken, foreign = tmp_path / "broken", tmp_path / "foreign"
    for folder, text in ((broken, "{"), (foreign, '{"id": 1}')):
        folder.mkdir()
        (folder / "case.json").write_text(text)
    before = sorted(tmp_path.rglob("*"))
    for folder in ("nowhere", str(evidence), str(broken), str(foreign), str(evidence / "chroma.sqlite3"), ""):
        said = say(*verb, "--case", folder)
        assert (said.status, said.out) == (16, ""), folder
        assert "case" in said.sentence
    assert say(*verb).status == 16
    assert sorted(tmp_path.rglob("*")) == before


def test_a_case_without_a_plan_or_without_its_store(sample: Sample, say: Say) -> None:
    store = sample("1.2.1/peek-failure")
    say("diagnose", store, "--case", "case")
    assert "plan.json" in say("apply", "--case", "case", "--yes").sentence
    assert say("verify", "--case", "case").status == 16
    assert say("undo", "--case", "case").status == 8
    say("plan", store, "--case", "case")
    store.rename(store.with_name("moved"))
    for words in (["apply", "--yes"], ["export", "--to", "jsonl"], ["verify"]):
        said = say(*words, "--case", "case")
        assert said.status in (8, 16)
        assert said.sentence
    assert not store.exists(), "no empty store in its place"


def test_a_damaged_plan_is_no_plan(evidence: Path, say: Say) -> None:
    say("plan", evidence, "--case", "case")
    for text in ("{", "[]", '{"actions": 3}'):
        Path("case/plan.json").write_text(text)
        for words in ([], ["--yes"]):
            said = say("apply", "--case", "case", *words)
            assert (said.status, said.out) == (16, ""), text


def test_what_is_there_is_not_overwritten(evidence: Path, say: Say) -> None:
    Path("taken").mkdir()
    Path("taken/letter.txt").write_text("mine")
    assert say("copy", evidence, "taken").status == 16
    assert say("plan", evidence, "--case", "taken").status == 16
    assert [path.name for path in Path("taken").iterdir()] == ["letter.txt"]
    say("plan", evidence, "--case", "case")
    said = say("export", "--case", "case", "--to", "jsonl", "-o", "taken/letter.txt")
    assert said.status == 8
    assert "never overwrites" in said.sentence
    assert Path("taken/letter.txt").read_text() == "mine"
    assert [path.name for path in Path("taken").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("words", [["report", "-o"], ["export", "--to", "jsonl", "-o"]])
def test_nothing_is_put_into_the_store(words: list[str], evidence: Path, say: Say) -> None:
    say("plan", evidence, "--case", "case")
    for target in (evidence / "out", evidence / "deep" / "out", evidence):
        said = say(*words, target, "--case", "case")
        assert (said.status, said.out) == (16, "")
    assert say(*words, "no/such/folder/out", "--case", "case").status == 16


# --- embedders ---


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("raises", 8, "raised OSError: no model"),
        ("leaves", 8, "raised SystemExit"),
        ("flat", 8, "an array of shape (64,)"),
        ("few", 8, "an array of shape (63, 32)"),
        ("nan", 8, "not finite"),
        ("words", 8, "gave no array of numbers"),
        ("narrow", 4, "an array of shape (64, 7)"),
        ("number", 16, "not callable"),
        ("absent", 16, "absent"),
    ],
)
def test_an_embedder_that_is_none(name: str, status: int, says: str, damaged: Path, say: Say) -> None:
    Path("bad_embedders.py").write_text(EMBEDDERS)
    for words in (["plan"], ["repair", "--yes"]) if status != 4 else (["plan"],):
        said = say(words[0], damaged, *words[1:], "--embedder", f"bad_embedders:{name}")
        assert said.status == status
        assert says in said.sentence
        made = [path for path in Path.cwd().iterdir() if "case" in path.name]
        assert len(made) == (status == 4)


def test_an_embedder_whose_module_is_broken(damaged: Path, say: Say) -> None:
    Path("broken_embedder.py").write_text("def embed(:\n")
    Path("dying_embedder.py").write_text("raise RuntimeError('no licence')\n")
    for name, says in (("broken_embedder", "SyntaxError"), ("dying_embedder", "no licence")):
        said = say("plan", damaged, "--embedder", f"{name}:embed")
        assert said.status == 16
        assert says in said.sentence


# --- strange databases ---


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_zero(path: Path) -> None:
    path.touch()


def make_directory(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    path.symlink_to("/nonexistent/chroma.sqlite3")


def make_noise(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def make_other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE songs (title TEXT)")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (make_fifo, "CF001"),
        (make_zero, "CF003"),
        (make_directory, "CF001"),
        (make_link, "CF001"),
        (make_noise, "CF101"),
        (make_other_database, "CF003"),
    ],
    ids=lambda value: value.__name__.removeprefix("make_") if callable(value) else value,
)
def test_a_database_that_is_none(make: Callable[[Path], None], code: str, tmp_path: Path, say: Say) -> None:
    store = tmp_path / "store"
    store.mkdir()
    make(store / "chroma.sqlite3")
    before = seal(store)
    said = say("diagnose", store, "--format", "json")
    assert said.status & 4
    assert code in {row["code"] for row in said.data["findings"]}
    assert say("repair", store, "--yes").status & 4
    assert compare(before, seal(store)) == ()


# --- who may read and write ---


@contextmanager
def readable_by_all(store: Path) -> Iterator[Path]:
    """A copy of the store that belongs to nobody, in a folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="open-", dir="/var/tmp"))
    folder.chmod(0o777)
    try:
        shutil.copytree(store, folder / "store")
        for path in (folder / "store", *(folder / "store").rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        yield folder
    finally:
        shutil.rmtree(folder)


def as_nobody(folder: Path, *words: str) -> tuple[int, str, str]:
    """(status, stdout, stderr) of the command line, run by an unprivileged user in a fork of this process.

    All that it may need was loaded before: that user need not be able to read this Python.
    """
    out, err = folder / "out", folder / "err"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside idle threads of numpy
        child = os.fork()
    if child == 0:
        status = 99
        try:
            for number, path in ((1, out), (2, err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), number)
            sys.stdout, sys.stderr = io.TextIOWrapper(io.FileIO(1, "w")), io.TextIOWrapper(io.FileIO(2, "w"))
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.chdir(folder)
            tempfile.tempdir = str(folder)
            status = main(words)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
    _, code = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(code), out.read_text(), err.read_text()


@pytest.mark.skipif(not ROOT, reason="only root can become another user")
@pytest.mark.parametrize(
    ("path", "mode", "status", "says"),
    [
        (".", 0o000, 16, "Permission denied"),
        (".", 0o444, 16, ""),
        ("..", 0o000, 16, "Permission denied"),
        ("chroma.sqlite3", 0o000, 12, "Not complete"),
        ("SEGMENT", 0o000, 12, "Not complete"),
        ("SEGMENT/index_metadata.pickle", 0o000, 12, "Not complete"),
        ("SEGMENT/data_level0.bin", 0o000, 12, "Not complete"),
    ],
)
def test_what_may_not_be_read(path: str, mode: int, status: int, says: str, evidence: Path) -> None:
    fx.diagnose(evidence)
    main(["diagnose", str(evidence)])
    with readable_by_all(evidence) as folder:
        store = folder / ("inner" if path == ".." else ".") / "store"
        if path == "..":
            store.parent.mkdir()
            (folder / "store").rename(store)
        (segment,) = [entry.name for entry in store.iterdir() if entry.is_dir()]
        closed = store / path.replace("SEGMENT", segment)
        before = seal(store)
        was = stat.S_IMODE(closed.stat().st_mode)
        closed.chmod(mode)
        given, _, err = as_nobody(folder, "diagnose", str(store))
        closed.chmod(was)
        assert given == status, err
        assert err.count("\n") == 1
        assert says in err
        assert {entry.name for entry in folder.iterdir()} <= {"store", "inner", "out", "err"}
        assert compare(before, seal(store)) == ()


@pytest.mark.skipif(not ROOT, reason="only root can become another user")
def test_a_case_that_may_not_be_written(evidence: Path, tmp_path: Path) -> None:
    main(["plan", str(evidence), "--case", str(tmp_path / "loaded")])
    with readable_by_all(evidence) as folder:
        (folder / "closed").mkdir(mode=0o755)
        for case in ("closed/case", "closed"):
            status, out, err = as_nobody(folder, "plan", str(folder / "store"), "--case", str(folder / case))
            assert (status & 24, out) in ((16, ""), (8, "")), err
            assert err.count("\n") == 1
        assert list((folder / "closed").iterdir()) == []


def test_a_store_that_may_not_be_written_is_read(sample: Sample, say: Say) -> None:
    store = sample("1.2.1/peek-failure")
    for path in (*store.rglob("*"), store):
        path.chmod(path.stat().st_mode & ~0o222)
    before = seal(store)
    try:
        assert say("diagnose", store).status == 4
        assert say("plan", store).status == 4
        assert compare(before, seal(store)) == ()
    finally:
        for path in (store, *store.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)


# --- no room ---


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 kB."""
    if not ROOT or not sys.platform.startswith("linux"):
        pytest.skip("only root can mount a small disk")
    point = tmp_path / "disk"
    point.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(point)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")
    yield point
    subprocess.run(["umount", str(point)], check=True)


@pytest.mark.parametrize("words", [["diagnose"], ["plan"], ["repair", "--yes"]], ids=lambda words: words[0])
def test_a_full_disk_for_the_case(words: list[str], sample: Sample, tiny_disk: Path, say: Say) -> None:
    store = sample("1.2.1/peek-failure")
    before = seal(store)
    said = say(words[0], store, *words[1:], "--case", tiny_disk / "case")
    assert (said.status, said.out) == (8, "")
    assert "full" in said.sentence
    assert list(tiny_disk.iterdir()) == []
    assert compare(before, seal(store)) == ()


def test_a_full_disk_for_an_export(sample: Sample, tiny_disk: Path, say: Say) -> None:
    say("plan", sample("1.5.9/healthy"), "--case", "case")
    for form in ("jsonl", "npz"):
        said = say("export", "--case", "case", "--to", form, "-o", tiny_disk / "out")
        assert (said.status, said.out) == (8, "")
        assert "full" in said.sentence
        assert list(tiny_disk.iterdir()) == []


# --- in use, and changed while it is read ---

HOLD = """
import sys
import chromadb
client = chromadb.PersistentClient(sys.argv[1])
print(sum(client.get_collection(one.name).count() for one in client.list_collections()), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store that a client in another process holds open."""
    pytest.importorskip("chromadb", reason="the client that holds the store is Chroma's")
    store = samples.restore("1.5.9/set-aside", tmp_path_factory.mktemp("used") / "store")
    words = [sys.executable, "-P", "-c", HOLD, str(store)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "300"
        before = seal(store)
        yield store
        assert compare(before, seal(store)) == ()
        child.communicate("")


def test_a_store_that_another_process_uses(used: Path, say: Say) -> None:
    found = say("diagnose", used, "--format", "json")
    assert found.status == 12
    assert {"CF005", "CF501"} <= {row["code"] for row in found.data["findings"]}
    assert found.data["store"]["in_use"] is True
    assert "in use by process" in found.data["error"]
    refused = say("repair", used, "--yes", "--format", "json")
    assert refused.status == 8
    assert "in use by process" in refused.data["error"]
    assert list(Path.cwd().iterdir()) == []
    assert say("plan", used, "--case", "case").status == 12
    refused = say("apply", "--case", "case", "--yes", "--format", "json")
    assert refused.status == 8
    assert (refused.data["applied"], refused.data["verified"]) == (False, None)
    assert "in use by process" in refused.sentence


LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_database_that_is_locked_is_not_called_damaged(
    evidence: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **more: real(*words, **{**more, "timeout": 0.2}))
    monkeypatch.setenv("FORENSICS_SUPERVISED", "1")  # else a child reads it, with all its patience
    words = [sys.executable, "-P", "-c", LOCK, str(evidence / "chroma.sqlite3")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        said = say("diagnose", evidence, "--format", "json")
        child.communicate("")
    assert said.status == 12
    assert {row["code"] for row in said.data["findings"]} == {"CF005", "CF902"}
    assert "is locked" in said.data["error"]


READ = "import sys; file = open(sys.argv[1], 'rb'); print('open', flush=True); sys.stdin.read()"


def test_an_unfinished_transaction_that_somebody_merely_reads(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["journal-left"](store)
    before = seal(store)
    words = [sys.executable, "-c", READ, str(store / "chroma.sqlite3")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        found = fx.diagnose(store)
        child.communicate("")
    assert (found.store["opened_as"], found.collections[0].records) == ("copy", 300)
    assert compare(before, seal(store)) == ()


def test_a_file_cut_short_under_the_reader_ends_in_a_sentence(
    used: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGBUS)"
    monkeypatch.setattr(cli_supervising, "program", lambda: [sys.executable, "-c", code])
    said = say("diagnose", used, "--format", "json")
    assert said.status == 8
    assert "died of SIGBUS" in said.data["error"]


TOUCH = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("CREATE TABLE later (x)")
"""


@pytest.mark.parametrize("what", ["database", "file"])
def test_a_store_that_changes_while_it_is_read(what: str, sample: Sample) -> None:
    store = sample("1.2.1/peek-failure")
    seen: list[str] = []

    def meddle(text: str, share: float) -> None:
        if not seen and share > 0.5:
            seen.append(text)
            if what == "database":
                subprocess.run([sys.executable, "-c", TOUCH, str(store / "chroma.sqlite3")], check=True)
            else:
                level0 = next(store.glob("*/data_level0.bin"))
                level0.write_bytes(level0.read_bytes())

    found = fx.diagnose(store, progress=meddle)
    assert seen
    assert found.exit_status == 12
    assert "CF005" in found.codes()
    assert {each.confidence for each in found.findings} == {"possible"}
    assert found.store["unchanged"] is False


# --- a live client in this very process ---

FREE = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    database.execute("BEGIN IMMEDIATE")
    print("free")
except sqlite3.OperationalError as error:
    print(error)
"""


def lock_of(database: Path) -> str:
    """What another process finds."""
    words = [sys.executable, "-c", FREE, str(database)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("deep", [False, True])
def test_the_locks_of_a_client_in_this_process_are_kept(deep: bool, evidence: Path, tmp_path: Path) -> None:
    path = evidence / "chroma.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as client:
        client.execute("BEGIN IMMEDIATE")
        assert lock_of(path) == "database is locked"
        found = fx.diagnose(evidence, deep=deep, case=tmp_path / "case")
        assert lock_of(path) == "database is locked"
        client.execute("ROLLBACK")
        assert lock_of(path) == "free"
    assert found.codes(notes=False) == ("CF005",)
    assert found.store["opened_as"] == "copy"
    assert found.collections[0].records == 300


def test_what_the_client_writes_is_seen_once_it_is_committed(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / "chroma.sqlite3", isolation_level=None)) as client:
        client.execute("BEGIN IMMEDIATE")
        client.execute("DELETE FROM embeddings_queue")
        during = fx.diagnose(store).collections[0]
        client.execute("COMMIT")
        after = fx.diagnose(store).collections[0]
    assert (during.pending, during.missing) == (50, 0)
    assert (after.pending, after.missing) == (0, 50)


def test_a_store_that_was_open_before_the_client_keeps_its_locks_too(evidence: Path) -> None:
    path = evidence / "chroma.sqlite3"
    store = fx.open_store(evidence)
    assert store.collections
    with closing(sqlite3.connect(path, isolation_level=None)) as client:
        client.execute("BEGIN IMMEDIATE")
        store.close()
        assert lock_of(path) == "database is locked"


def test_a_live_chroma_in_this_kernel_is_left_in_peace(sample: Sample) -> None:
    """In a process of its own: chromadb writes on open, and its threads would outlive the test."""
    pytest.importorskip("chromadb", reason="the client in the same process is Chroma's")
    store = sample("1.5.9/healthy")
    code = (
        "import chromadb, json, sys\nimport forensics as fx\n"
        "client = chromadb.PersistentClient(sys.argv[1])\none = client.get_collection('terms')\none.count()\n"
        "found = fx.diagnose(sys.argv[1])\n"
        "one.add(ids=['later'], embeddings=[[0.5] * 32], documents=['later'])\n"
        "print(json.dumps([found.codes(notes=False), found.store['opened_as'], one.count()]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(store)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["CF005"], "copy", 301]


def test_every_sample_is_as_it_was_after_bad_input(evidence: Path) -> None:
    assert samples.differences("1.5.9/healthy", evidence) == []
