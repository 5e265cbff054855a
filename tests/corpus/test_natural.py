"""Naturally broken stores: one of each kind, on five releases, is built, judged and diagnosed; the judgement can tell whole
from broken; and what was learned from one such store is shown on a real one."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import forensics as fx
from forensics.testing.builder import EngineDied, StoreBuilder
from forensics.testing.natural import MISFORTUNES, Life
from forensics.testing.natural_corpus import NEWEST, RELEASES, Case, keep, lines, rejudge, run
from forensics.testing.natural_page import told
from forensics.testing.natural_table import EMBEDDER, row, symptoms_of
from forensics.testing.nursery import preloaded
from forensics.testing.oracle import Told, Verdict, judge
from forensics.testing.outage import attach, inject
from forensics.testing.texts import records
from forensics.testing.traces import left_no_trace

pytestmark = [pytest.mark.oldchroma, pytest.mark.timeout(600)]
SEED = RELEASES.index(NEWEST)
SELECTION = (
    ("killed", 0),
    ("disk-full", 1),
    ("two-writers", 1),
    ("file-removed", 2),
    ("put-back", 3),
    ("hopped", 0),
    ("power-lost", 4),
)
Release = Callable[[str], Path]


@pytest.fixture(autouse=True, scope="module")
def engines() -> Generator[None]:
    with preloaded():
        yield


def lived(tmp_path: Path, release: Release) -> tuple[Case, Life]:
    """A store to which nothing has happened."""
    case = Case("killed", SEED, tmp_path)
    case.store.parent.mkdir()
    life = Life.begin(case.store, release(NEWEST), SEED)
    life.pause()
    return case, life


@pytest.mark.parametrize(("kind", "seed"), SELECTION)
def test_one_of_each_kind_is_built_judged_and_found(
    kind: str, seed: int, tmp_path: Path, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them are in docs/NATURAL.md."""
    case = Case(kind, seed, tmp_path)
    _ = [release(version) for version in (RELEASES if kind == "hopped" else (case.release, NEWEST))]
    (line,) = run([case])
    assert lines(tmp_path) == [line]
    assert list(run([case])) == []
    found = row(case, line)
    with capsys.disabled():
        sys.stdout.write(f" {told(found)}\n")
    assert found.standing not in ("missed", "wrongly named", "false alarm")
    assert found.broken == bool(symptoms_of(line))


def test_each_kind_and_each_release_is_in_the_selection() -> None:
    chosen = [Case(kind, seed) for kind, seed in SELECTION]
    assert {case.kind for case in chosen} == set(MISFORTUNES)
    assert {case.release for case in chosen} == set(RELEASES)


def test_what_nothing_happened_to_is_sound(tmp_path: Path, release: Release) -> None:
    case, life = lived(tmp_path, release)
    keep(case, life)
    line = case.heading | rejudge(case)
    assert symptoms_of(line) == set()
    assert row(case, line).standing == "silent"
    trace = left_no_trace(case, set())
    assert trace.shown == (f"all is as it was after call {len(life.past)} of {len(life.past)}",)


def test_a_whole_older_store_leaves_no_trace_of_what_came_after(tmp_path: Path, release: Release) -> None:
    case, life = lived(tmp_path, release)
    backup = tmp_path / "backup"
    shutil.copytree(case.store, backup)
    calls = len(life.past)
    life.store.restart()
    assert life.work(8)
    life.pause()
    shutil.rmtree(case.store)
    backup.rename(case.store)
    keep(case, life)
    line = case.heading | rejudge(case)
    assert {symptom for _, symptom in symptoms_of(line)} <= {"lost", "risen", "text-stale"}
    found = row(case, line)
    assert found.standing == "no trace"
    assert found.trace is not None
    (shown,) = found.trace.shown
    assert shown.startswith("all is as it was after call ")
    assert calls <= int(shown.split()[7]) < len(life.past)


def judged(store: StoreBuilder, python: Path, scratch: Path) -> Verdict:
    """By the release of that interpreter; the user knows the model of `store`."""
    known = {id: record.document for id, record in store.model.records["terms"].items()}
    return judge(store.store, {"terms": Told(known, frozenset(), "l2")}, "its own", python, scratch)


@pytest.mark.parametrize("version", ["1.2.1", "1.5.9"])
def test_a_flush_that_ended_before_its_id_map_is_sound_as_long_as_the_queue_has_its_rows(
    version: str, tmp_path: Path, release: Release
) -> None:
    """Killed when it opens the id map, to write it. Then the queue is emptied, and there is CF412."""
    python, log = release(version), tmp_path / "calls"
    with StoreBuilder(tmp_path / "store", python) as store:
        store.create("terms", space="l2", sync_threshold=20, batch_size=10)
        store.add("terms", records()[:30])
        (id_map,) = store.store.glob("*/index_metadata.pickle")
        killing = inject(id_map, "signal=SIGKILL", 1, log)
        with attach(store.engine.call("ready"), killing), pytest.raises(EngineDied, match="SIGKILL"):
            store.add("terms", records()[30:55])
    diagnosis = fx.diagnose(store.store)
    assert diagnosis.collections[0].pending == 25
    assert diagnosis.codes(notes=False) == ()
    store.model.write("terms", "add", records()[30:55])
    assert not judged(store, python, tmp_path).broken
    with closing(sqlite3.connect(store.store / "chroma.sqlite3")) as database, database:
        database.execute("DELETE FROM embeddings_queue")
    assert "CF412" in fx.diagnose(store.store).codes()


def test_an_index_ahead_of_a_lost_transaction_is_named(tmp_path: Path, release: Release) -> None:
    """0.6.3 writes the index within the transaction that adds to the queue."""
    python, log = release("0.6.3"), tmp_path / "calls"
    with StoreBuilder(tmp_path / "store", python) as store:
        store.create("terms", space="l2", sync_threshold=20, batch_size=10)
        store.add("terms", records()[:40])
        (id_map,) = store.store.glob("*/index_metadata.pickle")
        store.restart(watched=inject(id_map, "signal=SIGKILL", 2, log))
        with pytest.raises(EngineDied, match="SIGKILL"):
            store.add("terms", [replace(each, document="Anew.") for each in records()[:20]], how="upsert")
    (finding,) = [each for each in fx.diagnose(store.store).findings if each.severity != "note"]
    assert (finding.code, finding.severity) == ("CF004", "warning")
    assert finding.found["written within"] == [id_map.parent.name]
    assert judged(store, python, tmp_path).symptoms["terms"]["vector-wrong"] == 20
    assert "CF810" in fx.diagnose(store.store, embedder=EMBEDDER).codes()
