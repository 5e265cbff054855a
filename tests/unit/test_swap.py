"""apply, swap, undo, redo, release: what they do when nothing goes wrong, and what they refuse."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forensics.case import Case
from forensics.errors import CannotComplete, NoSpace, Refused, StoreChanged, StoreInUse, UsageError
from forensics.model import Action, Effect, Plan, Test, Verdict
from forensics.repair import bystanders, exchange, foresight, keeping, swap
from forensics.repair.apply import apply_plan
from forensics.repair.bystanders import exclusive_lock, hidden_by_place
from forensics.repair.draft import Draft, DraftContext
from forensics.repair.stages import plan_from_json
from forensics.repair.undo import release, undo
from forensics.seal import Manifest, compare, describe, seal
from forensics.store import Store

Sample = Callable[[str], Path]
Run = Callable[[Action, DraftContext], None]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="apply exchanges names on Linux only")
pytestmark = linux
HOT_JOURNAL = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("DELETE FROM embedding_metadata")
connection.execute("DELETE FROM embeddings")
os._exit(9)
"""


def segment_of(store: Path) -> str:
    return next(path.name for path in sorted(store.iterdir()) if (path / "header.bin").exists())


def change_database(context: DraftContext) -> None:
    connection = sqlite3.connect(context.draft.copy_in("chroma.sqlite3"))
    connection.execute("CREATE TABLE repaired (x)")
    connection.close()


def change_file(context: DraftContext) -> None:
    context.draft.copy_in(f"{segment_of(context.store)}/length.bin").write_bytes(b"repaired")


def change_directory(context: DraftContext) -> None:
    (context.draft.copy_in(segment_of(context.store)) / "header.bin").write_bytes(b"repaired")


def create(context: DraftContext) -> None:
    context.draft.new("99999999-9999-9999-9999-999999999999/header.bin").write_bytes(b"new")


def remove(context: DraftContext) -> None:
    context.draft.remove(f"{segment_of(context.store)}/link_lists.bin")


ACTIONS = {
    each.__name__.replace("_", "-"): each
    for each in (change_database, change_file, change_directory, create, remove)
}
MIXES = [
    ("change-file",),
    ("change-directory",),
    ("create",),
    ("remove",),
    ("change-database",),
    ("change-file", "create"),
    ("change-database", "change-file", "create", "remove"),
    ("change-database", "change-directory"),
]


def run(action: Action, context: DraftContext) -> None:
    ACTIONS[action.kind](context)


def passing(case: Case, plan: Plan, draft: Draft, **options: object) -> Verdict:
    test = Test(name="tree", passed=bool(draft.tree().names()), detail="names")
    return Verdict(verified="checks", tests=(test,), effects=plan.effects, remaining=("CF006",))


def planned(store: Path, folder: Path, *kinds: str) -> Case:
    """A case with a seal and a plan of these actions, all approved."""
    case = Case.create(folder, store)
    effect = Effect(collection="terms", before=10, after=12, reattached=2)
    actions = tuple(
        Action(
            kind=kind,
            collection=None,
            codes=("CF501",),
            title=kind,
            safety="safe",
            approval="yes",
            approved=True,
        )
        for kind in kinds
    )
    plan = Plan(
        store=str(store),
        findings=("CF501",),
        actions=actions,
        effects=(effect,),
        promised=("CF501",),
        remaining=(),
    )
    assert plan_from_json(json.loads(json.dumps(plan.to_json()))) == plan
    case.write_json("manifest.json", seal(store).to_json())
    case.write_json("plan.json", plan.to_json())
    return case


def applied(case: Case, **options: object) -> dict[str, object]:
    return apply_plan(case, run=run, verify=passing, **options)  # type: ignore[arg-type]


@pytest.fixture
def store(sample: Sample) -> Path:
    return sample("1.5.9/sql-only-orphans")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "case"


@pytest.fixture
def beside(store: Path) -> Callable[[], list[str]]:
    return lambda: sorted(path.name for path in store.parent.iterdir())


# --- apply --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", MIXES, ids=",".join)
def test_apply_undo_and_undo_of_undo(store: Path, folder: Path, kinds: tuple[str, ...]) -> None:
    before = seal(store)
    case = planned(store, folder, *kinds)
    answer = applied(case)
    after = seal(store)
    assert answer["applied"] is True
    assert answer["verified"] == "checks"
    assert answer["records"] == {"before": 10, "after": 12, "reattached": 2, "reembedded": 0, "lost": 0}
    assert answer["remaining"] == ["CF006"]
    kept = case.read_json("result.json")  # the seal is over the case, result.json in it
    assert kept == {name: value for name, value in answer.items() if name != "seal"}
    assert compare(Manifest.from_json(case.read_json("manifest-after.json")), after) == ()
    changed = {c.path.split("/")[0] for c in compare(before, after) if c.path != "."}
    top = {"change-database": "chroma.sqlite3", "create": "99999999-9999-9999-9999-999999999999"}
    assert changed == {top.get(kind, segment_of(store)) for kind in kinds}
    first = undo(case)
    assert (first["undone"], first["as_before"], first["differences"]) == (True, True, "")
    assert compare(before, seal(store)) == ()
    second = undo(Case.open(folder))
    assert (second["state"], second["as_before"]) == ("repaired", True)
    assert compare(after, seal(store)) == ()
    undo(case)
    assert compare(before, seal(store)) == ()


def test_one_entry_is_one_exchange(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-directory")
    applied(case)
    assert len(Draft.open(case).journal.transitions()[0].steps) == 1


def test_the_store_is_closed_while_more_than_one_entry_changes(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first and the last step a directory stands at the database, which SQLite cannot open."""
    seen: list[bool] = []
    genuine = swap.trade

    def watched(one: Path, other: Path) -> None:
        genuine(one, other)
        seen.append((store / "chroma.sqlite3").is_dir())
        if seen[-1]:
            text = (store / "chroma.sqlite3" / "REPAIR-IN-PROGRESS.txt").read_text()
            assert f"--case {folder} --resume" in text
            with pytest.raises(sqlite3.OperationalError, match="unable to open"):
                sqlite3.connect(store / "chroma.sqlite3").execute("SELECT 1 FROM sqlite_master")

    monkeypatch.setattr(swap, "trade", watched)
    case = planned(store, folder, "change-file", "create", "remove")
    applied(case)
    assert seen == [True, True, True, True, False]


def test_a_hot_journal_stays_with_its_database(store: Path, folder: Path) -> None:
    database = store / "chroma.sqlite3"
    subprocess.run([sys.executable, "-P", "-c", HOT_JOURNAL, str(database)], check=False)
    before = seal(store)
    assert before.by_path["chroma.sqlite3-journal"].size > 0
    case = planned(store, folder, "change-database", "change-file")
    applied(case)
    assert not (store / "chroma.sqlite3-journal").exists()
    with Store(store) as opened:
        assert opened.database
        assert "repaired" in opened.database.tables
        assert len(opened.collections[0].rows) > 100
    undo(case)
    assert compare(before, seal(store)) == ()


def test_a_hot_journal_is_left_alone_where_the_database_does_not_change(store: Path, folder: Path) -> None:
    subprocess.run([sys.executable, "-P", "-c", HOT_JOURNAL, str(store / "chroma.sqlite3")], check=False)
    before = seal(store)
    case = planned(store, folder, "change-file", "create")
    applied(case)
    found = compare(before, seal(store))
    assert not [change for change in found if "sqlite3" in change.path]
    undo(case)
    assert compare(before, seal(store)) == ()


def test_nothing_to_do(store: Path, folder: Path, beside: Callable[[], list[str]]) -> None:
    case, names = planned(store, folder), beside()
    before = seal(store)
    answer = applied(case)
    assert (answer["applied"], answer["verified"], answer["nothing_to_do"]) == (False, None, True)
    assert compare(before, seal(store)) == ()
    assert beside() == names


def test_a_draft_that_fails_its_verification_is_not_swapped_in(
    store: Path, folder: Path, beside: Callable[[], list[str]]
) -> None:
    case, names = planned(store, folder, "change-database", "change-file"), beside()
    before = seal(store)

    def failing(case: Case, plan: Plan, draft: Draft, **options: object) -> Verdict:
        return Verdict(
            verified=None,
            tests=(Test(name="ids", passed=False, detail="3 missing"),),
            effects=(),
            remaining=(),
        )

    with pytest.raises(Refused, match="ids: 3 missing"):
        apply_plan(case, run=run, verify=failing)
    assert compare(before, seal(store)) == ()
    assert beside() == names
    assert case.read_json("verdict.json")["passed"] is False
    applied(case)  # and it may be tried again


def test_an_action_that_raises_leaves_nothing(
    store: Path, folder: Path, beside: Callable[[], list[str]]
) -> None:
    case, names = planned(store, folder, "change-file"), beside()
    before = seal(store)

    def raising(action: Action, context: DraftContext) -> None:
        run(action, context)
        raise RuntimeError("the embedder died")

    with pytest.raises(RuntimeError, match="embedder"):
        apply_plan(case, run=raising, verify=passing)
    assert compare(before, seal(store)) == ()
    assert (beside(), case.draft) == (names, None)


def test_a_full_disk_in_an_action_is_said_so(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-file")

    def full(action: Action, context: DraftContext) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NoSpace):
        apply_plan(case, run=full, verify=passing)
    assert case.draft is None


def test_actions_that_change_nothing_are_noticed(store: Path, folder: Path) -> None:
    with pytest.raises(Refused, match="changed nothing"):
        apply_plan(planned(store, folder, "create"), run=lambda action, context: None, verify=passing)


def test_a_store_that_changed_since_the_plan_is_refused(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-file")
    connection = sqlite3.connect(store / "chroma.sqlite3")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StoreChanged, match=r"chroma\.sqlite3 \(content"):
        applied(case)


def test_a_store_that_changes_during_the_repair_is_refused(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-file")

    def meddling(action: Action, context: DraftContext) -> None:
        run(action, context)
        (store / segment_of(store) / "header.bin").write_bytes(b"meddled")

    with pytest.raises(StoreChanged, match=r"header\.bin"):
        apply_plan(case, run=meddling, verify=passing)
    assert (store / segment_of(store) / "header.bin").read_bytes() == b"meddled"
    assert case.draft is None


def test_twice_is_refused(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-file")
    applied(case)
    after = seal(store)
    with pytest.raises(Refused, match="has been applied"):
        applied(case)
    assert compare(after, seal(store)) == ()
    assert applied(case, resume=True)["applied"] is True
    assert compare(after, seal(store)) == ()
    undo(case)
    with pytest.raises(Refused, match="was undone"):
        applied(case)
    assert applied(case, resume=True)["applied"] is True
    assert compare(after, seal(store)) == ()


def test_no_plan_no_repair(store: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"no plan\.json"):
        applied(Case.create(folder, store))
    case = planned(store, folder.with_name("other"), "create")
    case.write_json("plan.json", {"actions": 3})
    with pytest.raises(UsageError, match="is not a plan"):
        applied(case)


# --- others -------------------------------------------------------------------------------------------------


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program that says "ready" and then waits."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *words: object) -> subprocess.Popen[str]:
        begun = subprocess.Popen(
            [sys.executable, "-P", "-c", program, *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(begun)
        assert begun.stdout is not None
        assert begun.stdout.readline() == "ready\n"
        return begun

    yield start
    for each in started:
        each.communicate()


CLIENT = """
import sys, chromadb
from chromadb.config import Settings
client = chromadb.PersistentClient(sys.argv[1], settings=Settings(anonymized_telemetry=False))
names = [client.get_collection(c.name).count() for c in client.list_collections()]
print("ready", flush=True)
sys.stdin.read()
"""
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM embeddings").fetchone()
print("ready", flush=True)
sys.stdin.read()
"""
VISITOR = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("SELECT count(*) FROM embeddings").fetchone()
    print("read")
except sqlite3.OperationalError as error:
    print(error)
"""


def test_a_live_client_stops_apply_and_undo(
    store: Path, folder: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    """An idle client of Chroma holds no lock, only descriptors."""
    live = child(CLIENT, store)
    case = planned(store, folder, "change-file")
    before = seal(store)
    with pytest.raises(StoreInUse, match=f"process {live.pid}"):
        applied(case)
    live.communicate()
    assert compare(before, seal(store)) == ()
    applied(case)
    live = child(CLIENT, store)
    with pytest.raises(StoreInUse, match=f"process {live.pid}"):
        undo(case)


def test_a_client_in_this_process_stops_apply(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-file")
    connection = sqlite3.connect(store / "chroma.sqlite3")
    connection.execute("SELECT count(*) FROM embeddings").fetchone()
    with pytest.raises(StoreInUse, match="this very process"):
        applied(case)
    connection.close()


def test_reading_views_of_this_process_do_not_stop_it(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-file")
    with Store(store) as opened:
        assert len(opened.collections[0].records) > 100
        assert applied(case)["applied"] is True


def test_the_lock_is_sqlites_own(store: Path, child: Callable[..., subprocess.Popen[str]]) -> None:
    database, before = store / "chroma.sqlite3", seal(store)

    def visit() -> str:
        command = [sys.executable, "-P", "-c", VISITOR, str(database)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with exclusive_lock(database):
        assert visit() == "database is locked"
        seal(store)  # opens and closes the database in this process
        assert visit() == "database is locked"
    assert visit() == "read"
    child(READER, database)
    with pytest.raises(StoreInUse, match="holds a lock"), exclusive_lock(database):
        pass
    assert compare(before, seal(store)) == ()


def test_the_lock_rolls_no_journal_back(store: Path) -> None:
    database = store / "chroma.sqlite3"
    subprocess.run([sys.executable, "-P", "-c", HOT_JOURNAL, str(database)], check=False)
    before = seal(store)
    with exclusive_lock(database):
        pass
    assert compare(before, seal(store)) == ()


def test_there_may_be_nothing_to_lock(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "absent"), exclusive_lock(tmp_path):
        pass


def test_a_database_that_cannot_be_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"")
    monkeypatch.setattr(bystanders, "HOLDER", "forensics.no_such_module")
    with pytest.raises(Refused, match="cannot be locked"), exclusive_lock(tmp_path / "chroma.sqlite3"):
        pass


def test_two_repairs_at_once(store: Path, folder: Path) -> None:
    first, second = planned(store, folder, "change-file"), planned(store, folder.with_name("two"), "create")
    met: list[str] = []

    def meanwhile(action: Action, context: DraftContext) -> None:
        run(action, context)
        program = (
            "import sys\nfrom pathlib import Path\nfrom forensics.case import Case\n"
            "from forensics.repair.apply import apply_plan\nfrom forensics.errors import ForensicsError\n"
            "try:\n    apply_plan(Case.open(Path(sys.argv[1])))\nexcept ForensicsError as error:\n"
            "    print(type(error).__name__, error.exit_status)\n"
        )
        for case in (first, second):
            command = [sys.executable, "-P", "-c", program, str(case.folder)]
            met.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())

    apply_plan(first, run=meanwhile, verify=passing)
    assert met[0] == "CannotComplete 8"  # the case is locked
    # the child's ancestors include the process that holds the lock, so it is the lock itself that stops it
    assert met[1] == "StoreInUse 8"


def test_somebody_who_comes_in_at_the_last_moment_stops_the_swap(
    store: Path, folder: Path, child: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    case, before = planned(store, folder, "change-database", "change-file"), seal(store)
    program = "import sys\nhandle = open(sys.argv[1], 'r+b')\nprint('ready', flush=True)\nsys.stdin.read()\n"
    genuine = swap.begin

    def late(*arguments: object, **options: object) -> object:
        begun = genuine(*arguments, **options)  # type: ignore[arg-type]
        child(program, store / "chroma.sqlite3")
        return begun

    monkeypatch.setattr(swap, "begin", late)
    with pytest.raises(StoreInUse, match="during the swap"):
        applied(case)
    assert compare(before, seal(store)) == ()
    assert case.draft is None


@pytest.mark.parametrize(
    ("row", "path", "words"),
    [
        ("36 35 0:40 / /mnt/share rw - nfs4 server:/x rw", "/mnt/share/store", "other machines"),
        ("36 35 0:40 / /mnt/share rw - fuse.sshfs x rw", "/mnt/share/store", "other machines"),
        (r"36 35 0:40 / /mnt/my\040share rw - cifs x rw", "/mnt/my share/store", "other machines"),
        ("36 35 8:1 / /data rw - ext4 /dev/sda1 rw", "/data/store", "other containers"),
        ("36 35 0:41 / /data rw - tmpfs tmpfs rw", "/data/store", ""),
        ("36 35 8:1 / /elsewhere rw - ext4 /dev/sda1 rw", "/data/store", ""),
        ("36 35 8:1 / /elsewhere rw - ext4 /dev/sda1 rw", "/home/x/Dropbox/store", "kept in step"),
    ],
)
def test_places_where_others_cannot_be_seen(
    monkeypatch: pytest.MonkeyPatch, row: str, path: str, words: str
) -> None:
    rows = "25 1 0:30 / / rw - overlay overlay rw\n" + row + "\n"
    monkeypatch.setattr(Path, "read_text", lambda self, *a: rows)
    monkeypatch.setattr(bystanders, "_in_container", lambda: True)
    found = " ".join(hidden_by_place(Path(path)))
    assert words in found
    assert bool(words) == bool(found)


def test_the_promise_that_nobody_else_uses_it(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bystanders, "hidden_by_place", lambda store: iter(["nfs may be used by others"]))
    case = planned(store, folder, "change-file")
    with pytest.raises(Refused, match="--nobody-else-uses-it"):
        applied(case)
    answer = applied(case, nobody_else=True)
    assert answer["hidden"] == ["nfs may be used by others"]
    assert undo(case)["as_before"] is True  # the promise counts for the whole repair


# --- where names cannot be exchanged ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL])
def test_without_exchange_a_copy_is_offered(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before, case = seal(store), planned(store, folder, "change-file", "change-database")

    def unsupported(source: bytes, target: bytes, flags: int) -> int:
        exchange.ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(exchange, "_call", unsupported)
    with pytest.raises(Refused, match="--to DIR"):
        applied(case)
    assert compare(before, seal(store)) == ()
    answer = applied(case, to=folder.with_name("copy"))
    assert answer["to"] == str(folder.with_name("copy"))
    assert compare(before, seal(store)) == ()


def test_a_step_that_fails_takes_the_others_back(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = exchange._call
    for failing in range(2, 7):
        case = planned(
            store, folder.with_name(f"case-{failing}"), "change-database", "change-file", "create", "remove"
        )
        before, calls = seal(store), iter(range(1000))

        def flaky(
            source: bytes, target: bytes, flags: int, calls: Iterator[int] = calls, at: int = failing
        ) -> int:
            if b"exchange-" not in source and next(calls) == at - 2:
                exchange.ctypes.set_errno(errno.EPERM)
                return -1
            return genuine(source, target, flags)

        with monkeypatch.context() as patch:
            patch.setattr(exchange, "_call", flaky)
            with pytest.raises(Refused, match="was not changed"):
                applied(case)
        assert compare(before, seal(store)) == ()
        assert case.draft is None


def test_a_swap_that_can_go_neither_way_says_how_to_finish(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, calls = exchange._call, iter(range(1000))

    def broken(source: bytes, target: bytes, flags: int) -> int:
        if b"exchange-" not in source and next(calls) > 0:
            exchange.ctypes.set_errno(errno.EIO)
            return -1
        return genuine(source, target, flags)

    before, case = seal(store), planned(store, folder, "change-database", "change-file")
    with monkeypatch.context() as patch:
        patch.setattr(exchange, "_call", broken)
        with pytest.raises(CannotComplete, match="--resume"):
            applied(case)
    assert (store / "chroma.sqlite3").is_dir()
    with pytest.raises(Refused, match="was interrupted"):
        applied(case)
    assert undo(case)["as_before"] is True
    assert compare(before, seal(store)) == ()


def test_files_that_somebody_moved_meanwhile_are_not_touched(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, calls = exchange._call, iter(range(1000))

    def broken(source: bytes, target: bytes, flags: int) -> int:
        if b"exchange-" not in source and next(calls) > 0:
            exchange.ctypes.set_errno(errno.EIO)
            return -1
        return genuine(source, target, flags)

    case = planned(store, folder, "change-database", "change-file")
    with monkeypatch.context() as patch:
        patch.setattr(exchange, "_call", broken)
        with pytest.raises(CannotComplete):
            applied(case)
    (store / "chroma.sqlite3").rename(store / "mine")
    (store / "chroma.sqlite3").write_bytes(b"an empty one")
    before = seal(store)
    for verb in (lambda: undo(case), lambda: applied(case, resume=True)):
        with pytest.raises(Refused, match="moved by somebody else"):
            verb()
    assert compare(before, seal(store)) == ()
    (store / "chroma.sqlite3").unlink()
    (store / "mine").rename(store / "chroma.sqlite3")
    assert applied(case, resume=True)["applied"] is True


def test_a_copy_elsewhere(store: Path, folder: Path, tmp_path: Path) -> None:
    case, before = (
        planned(store, folder, "change-database", "change-directory", "create", "remove"),
        seal(store),
    )
    target = tmp_path / "repaired"
    answer = applied(case, to=target)
    assert answer["applied"] is True
    assert compare(before, seal(store)) == ()
    assert case.draft is None
    copy = seal(target)
    assert not (target / segment_of(store) / "link_lists.bin").exists()
    assert (target / segment_of(store) / "header.bin").read_bytes() == b"repaired"
    assert copy.by_path["99999999-9999-9999-9999-999999999999/header.bin"].sha256
    assert sorted(path.name for path in tmp_path.iterdir() if "repaired" in path.name) == ["repaired"]
    with pytest.raises(UsageError, match="not empty"):
        applied(case, to=target)


# --- room ---------------------------------------------------------------------------------------------------


def test_what_will_not_fit_is_not_begun(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, beside: Callable[[], list[str]]
) -> None:
    case, names = planned(store, folder, "change-file"), beside()
    monkeypatch.setattr("forensics.copying.free_bytes", lambda folder: 1000)
    with pytest.raises(NoSpace, match="nothing was written"):
        applied(case)
    assert beside() == names
    assert case.draft is None


def test_the_prediction_covers_the_draft(store: Path, folder: Path) -> None:
    with Store(store) as opened:
        name = opened.collections[0].name
    case = planned(store, folder, "change-database", "change-directory")
    plan = plan_from_json(case.read_json("plan.json"))
    actions = tuple(
        Action(kind=a.kind, collection=name, codes=(), title="", safety="safe", approval="yes", approved=True)
        for a in plan.actions
    )
    plan = Plan(
        store=plan.store, findings=(), actions=actions, effects=plan.effects, promised=(), remaining=()
    )
    predicted = foresight.predicted_bytes(plan, store)
    draft = Draft.create(store, case)
    for action in actions:
        ACTIONS[action.kind](DraftContext(store=store, case=case, draft=draft, plan=plan))
    from forensics.repair.placing import allocated

    assert allocated(draft.folder / "entries") <= predicted + (64 << 10)
    assert predicted < 3 * seal(store).allocated
    assert foresight.predicted_bytes(plan, store, copies=False) < predicted


# --- undo ---------------------------------------------------------------------------------------------------


def write_later(store: Path) -> None:
    """What an application does afterwards: rows, a flush in place, a new collection's directory."""
    connection = sqlite3.connect(store / "chroma.sqlite3")
    connection.execute("CREATE TABLE later (x)")
    connection.close()
    (store / segment_of(store) / "header.bin").write_bytes(b"flushed later")
    (store / "77777777-7777-7777-7777-777777777777").mkdir()
    (store / "77777777-7777-7777-7777-777777777777" / "header.bin").write_bytes(b"later")


@pytest.mark.parametrize("kinds", MIXES, ids=",".join)
def test_later_writes_are_not_discarded_unasked_and_never_lost(
    store: Path, folder: Path, kinds: tuple[str, ...]
) -> None:
    before = seal(store)
    case = planned(store, folder, *kinds)
    answer = applied(case)
    assert answer["undo_may_discard"] is True
    write_later(store)
    newer = seal(store)
    with pytest.raises(Refused, match="--discard-later-writes") as caught:
        undo(case)
    assert caught.value.exit_status == 8
    assert "chroma.sqlite3 (content" in str(caught.value)
    assert compare(newer, seal(store)) == ()
    assert undo(case, discard_later_writes=True)["differences"] == ""
    assert compare(before, seal(store)) == ()
    assert undo(case)["state"] == "repaired"
    assert compare(newer, seal(store)) == ()
    undo(case)
    assert compare(before, seal(store)) == ()


def test_a_directory_that_was_deleted_later_comes_back(store: Path, folder: Path) -> None:
    (store / "set-aside").mkdir()
    (store / "set-aside" / "inner").mkdir()
    (store / "set-aside" / "inner" / "x").write_bytes(b"x")
    (store / "empty").mkdir(mode=0o711)
    before = seal(store)
    case = planned(store, folder, "change-file")
    applied(case)
    for path in ("set-aside/inner/x", "set-aside/inner", "set-aside", "empty"):
        (store / path).rmdir() if (store / path).is_dir() else (store / path).unlink()
    os.chmod(store / "chroma.sqlite3", 0o600)
    undo(case, discard_later_writes=True)
    assert compare(before, seal(store)) == ()


def test_a_mode_that_was_changed_on_a_directory_moves_nothing(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-database")
    before = seal(store)
    applied(case)
    os.chmod(store / segment_of(store), 0o700)
    with pytest.raises(Refused, match="mode"):
        undo(case)
    answer = undo(case, discard_later_writes=True)
    assert answer["differences"] == f"{segment_of(store)} (mode)"
    assert describe(compare(before, seal(store))) == f"{segment_of(store)} (mode)"


def test_what_was_too_large_to_keep_cannot_be_discarded(
    store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "CHEAP", 0)
    monkeypatch.setattr(keeping, "can_clone", lambda folder: False)
    monkeypatch.setattr(keeping, "allocated", lambda folder: 1000)
    case = planned(store, folder, "change-file")
    assert applied(case)["undo_may_discard"] is False
    after = seal(store)
    write_later(store)
    newer = seal(store)
    with pytest.raises(Refused, match="too large"):
        undo(case, discard_later_writes=True)
    assert compare(newer, seal(store)) == ()
    assert compare(after, newer) != ()


def test_names_that_came_and_went_are_no_later_write(store: Path, folder: Path) -> None:
    case, before = planned(store, folder, "change-file"), seal(store)
    applied(case)
    (store / "lock").write_bytes(b"")
    (store / "lock").unlink()
    assert undo(case)["as_before"] is True
    assert compare(before, seal(store)) == ()


def test_undo_without_apply(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-file")
    with pytest.raises(Refused, match="not applied yet"):
        undo(case)
    with pytest.raises(Refused, match="not applied yet"):
        release(case)


def test_release(store: Path, folder: Path, beside: Callable[[], list[str]]) -> None:
    names = sorted({*beside(), folder.name})
    case = planned(store, folder, "change-database", "change-file")
    applied(case)
    after = seal(store)
    answer = release(case)
    assert (answer["released"], answer["state"]) == (True, "repaired")
    assert answer["freed"] > 100_000
    assert compare(after, seal(store)) == ()
    assert beside() == names
    with pytest.raises(Refused, match="released"):
        undo(case)
    with pytest.raises(StoreChanged):
        applied(case)


def test_release_after_undo_gives_the_repair_up(store: Path, folder: Path) -> None:
    case, before = planned(store, folder, "change-database"), seal(store)
    applied(case)
    undo(case)
    assert release(case)["state"] == "original"
    assert compare(before, seal(store)) == ()
    assert applied(case)["applied"] is True  # the plan still holds


def test_the_case_has_the_journal(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-database", "change-file")
    applied(case)
    Draft.open(case).journal.path.unlink()
    assert undo(case)["as_before"] is True


def test_a_release_that_was_killed_can_be_finished_and_not_undone(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-database", "change-file")
    applied(case)
    draft, after = Draft.open(case), seal(store)
    draft.journal.append("released", state="repaired")
    (draft.folder / "database" / "chroma.sqlite3").unlink()
    with pytest.raises(Refused, match="was released"):
        undo(case)
    with pytest.raises(Refused, match="was released"):
        applied(case, resume=True)
    assert release(case)["released"] is True
    assert compare(after, seal(store)) == ()


def test_an_original_that_somebody_deleted_is_missed_before_anything_moves(store: Path, folder: Path) -> None:
    case = planned(store, folder, "change-database", "change-file")
    applied(case)
    after = seal(store)
    (Draft.open(case).folder / "entries" / segment_of(store) / "length.bin").unlink()
    with pytest.raises(Refused, match=r"not complete: .*length\.bin"):
        undo(case)
    assert compare(after, seal(store)) == ()
