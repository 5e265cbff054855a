"""Naturally broken stores: one of each kind is built and judged, and the judgement can tell whole from broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from forensics.testing.natural import MISFORTUNES, Life
from forensics.testing.natural_corpus import NEWEST, RELEASES, Case, keep, lines, rejudge, run
from forensics.testing.natural_table import row, symptoms_of
from forensics.testing.nursery import preloaded
from forensics.testing.traces import left_no_trace

pytestmark = [pytest.mark.oldchroma, pytest.mark.timeout(600)]
SEED = RELEASES.index(NEWEST)
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


@pytest.mark.parametrize("kind", MISFORTUNES)
def test_one_of_each_kind_is_built_and_judged(kind: str, tmp_path: Path, release: Release) -> None:
    if kind == "hopped":
        _ = [release(version) for version in RELEASES]  # says which one is not there
    case = Case(kind, SEED, tmp_path)
    (line,) = run([case])
    assert line["story"]
    assert line["verdicts"]
    assert line["verdicts"][-1]["release"] in RELEASES
    assert lines(tmp_path) == [line]
    assert list(run([case])) == []
    assert (row(case, line).standing in ("silent", "false alarm")) == (not symptoms_of(line))


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
