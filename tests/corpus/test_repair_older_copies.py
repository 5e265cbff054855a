"""An index that is gone, with copies of different age beside it: what each may say, and what the user's own file adds."""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics.absent import Absent
from forensics.evidence import read_rows
from forensics.testing.builder import StoreBuilder
from forensics.testing.embedder import embed
from forensics.testing.texts import Record, records

ALL = records()[:200]
EMBEDDER = "forensics.testing.embedder:embed"
REWRITTEN = 10
"""So many of the first records got another vector after the set-aside copy was made."""


def moved(record: Record) -> Record:
    """The same record with another document, and so with a vector that no copy from before has."""
    return replace(record, document=f"{record.document} (second edition)")


def truth() -> dict[str, np.ndarray]:
    """id → the vector that its user gave last."""
    written = {record.id: record for record in [*ALL, *map(moved, ALL[:REWRITTEN])]}
    return dict(zip(written, embed([record.document for record in written.values()]), strict=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flushed at 80 (kept as set aside), rewritten and flushed at 150 (kept as an orphan); then the index is lost."""
    store = tmp_path_factory.mktemp("ages") / "store"
    kept = store.parent / "kept"
    with StoreBuilder(store) as builder:
        builder.create("docs", space="l2", sync_threshold=10)
        builder.add("docs", ALL[:80], step=10)
        segment = next(path.parent for path in store.glob("*/header.bin"))
        shutil.copytree(segment, kept / "old")
        builder.add("docs", [moved(record) for record in ALL[:REWRITTEN]], how="upsert")
        builder.add("docs", ALL[80:150], step=10)
        shutil.copytree(segment, kept / "mid")
        builder.add("docs", ALL[150:], step=10)
    shutil.rmtree(segment)
    shutil.move(kept / "old", store / f"{segment.name}.drift-20260101T000000")
    shutil.move(kept / "mid", store / str(uuid.UUID(int=7)))
    return store


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "store"))


def without_orphan(store: Path) -> None:
    shutil.rmtree(store / str(uuid.UUID(int=7)))


def own_file(folder: Path, change: Callable[[np.ndarray], np.ndarray] = lambda vectors: vectors) -> Path:
    known = truth()
    path = folder / "own.npz"
    np.savez(path, ids=np.array(list(known)), vectors=change(np.stack(list(known.values()))))
    return path


def stored(store: Path) -> dict[str, np.ndarray]:
    with fx.open_store(store) as opened:
        collection = opened.collection("docs")
        segment, records = collection.vector, collection.records
        assert not isinstance(segment, Absent)
        assert not isinstance(records, Absent)
        held = records.indexed
        vectors = segment.files.vectors(records.elements[held])
        return dict(zip(records.ids(held), vectors, strict=True))


def test_each_copy_gives_what_no_newer_one_has(store: Path, tmp_path: Path) -> None:
    answer = fx.reconcile(store, case=tmp_path / "case", engine="none", nobody_else=True)
    assert answer["verified"] == "checks"
    back, known = stored(store), truth()
    assert set(back) >= {record.id for record in ALL[:150]}
    assert all((back[name] == known[name]).all() for name in back)
    lines = {row[0]: row for row in read_rows(tmp_path / "case/evidence/provenance-docs-rebuild-segment.csv")}
    assert {lines[record.id][2] for record in ALL[:150]} == {"orphan"}


def test_what_was_written_again_since_is_counted_as_possibly_older(store: Path, tmp_path: Path) -> None:
    without_orphan(store)
    plan = fx.plan(store, case=tmp_path / "case")
    build = next(action for action in plan.approved if action.kind == "rebuild-segment")
    assert f"({REWRITTEN} of them possibly older than the record)" in build.title
    assert build.parameters["possibly_older"] == REWRITTEN
    fx.apply(tmp_path / "case", yes=True, engine="none", nobody_else=True)
    lines = {row[0]: row for row in read_rows(tmp_path / "case/evidence/provenance-docs-rebuild-segment.csv")}
    marked = {name for name, row in lines.items() if row[6] == "False"}
    assert marked == {record.id for record in ALL[:REWRITTEN]}


def test_the_own_file_is_held_against_what_is_surely_current(store: Path, tmp_path: Path) -> None:
    """The stale vectors of the set-aside copy do not speak against a file that is right."""
    without_orphan(store)
    answer = fx.reconcile(
        store, case=tmp_path / "case", source=[own_file(tmp_path)], engine="none", nobody_else=True
    )
    assert answer["verified"] == "checks"
    back, known = stored(store), truth()
    assert all((back[record.id] == known[record.id]).all() for record in ALL[REWRITTEN:] if record.id in back)
    assert len(back) >= 190


def test_a_file_with_the_vectors_of_others_is_refused_with_figures(store: Path, tmp_path: Path) -> None:
    without_orphan(store)
    plan = fx.plan(
        store, case=tmp_path / "case", source=[own_file(tmp_path, lambda vectors: vectors[::-1].copy())]
    )
    reasons = " ".join(str(loss["reason"]) for loss in plan.losses)
    assert "the source was refused" in reasons
    assert "lowest cosine" in reasons


@pytest.fixture(scope="module")
def unflushed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(store, an earlier copy of it whose queue alone holds the last records); the index of the store is lost."""
    store = tmp_path_factory.mktemp("queued") / "store"
    copy = store.parent / "copy"
    with StoreBuilder(store) as builder:
        builder.create("docs", space="cosine", sync_threshold=50)
        builder.add("docs", ALL[:50])
        builder.add("docs", ALL[50:80])
        builder.add("docs", [moved(record) for record in ALL[:REWRITTEN]], how="upsert")
        shutil.copytree(store, copy)
        builder.add("docs", ALL[80:])
    shutil.rmtree(next(store.glob("*/header.bin")).parent)
    return store, copy


def test_the_queue_of_another_copy_is_read_before_its_directories(
    unflushed: tuple[Path, Path], tmp_path: Path
) -> None:
    store, copy = shutil.copytree(unflushed[0], tmp_path / "store"), unflushed[1]
    answer = fx.reconcile(store, case=tmp_path / "case", also=[copy], engine="none", nobody_else=True)
    assert answer["verified"] == "checks"
    lines = {row[0]: row for row in read_rows(tmp_path / "case/evidence/provenance-docs-rebuild-segment.csv")}
    of_the_queue = {name for name, row in lines.items() if row[2] == "also-queue"}
    assert of_the_queue == {
        record.id for record in [*ALL[:REWRITTEN], *ALL[49:80]]
    }  # one row stays after a purge
    assert {lines[record.id][2] for record in ALL[REWRITTEN:49]} == {"also"}
    assert {row[6] for row in lines.values()} == {"True"}
    back, known = stored(store), truth()
    assert all(back[name] @ known[name] > (1 - 1e-5) * np.linalg.norm(known[name]) for name in lines)


def test_a_current_vector_is_taken_before_an_older_one(store: Path, tmp_path: Path) -> None:
    """The set-aside directory of the store is asked first, but of what was written since the other copy has more."""
    copy = Path(shutil.copytree(store / str(uuid.UUID(int=7)), tmp_path / "rescued"))
    without_orphan(store)
    plan = fx.plan(store, case=tmp_path / "case", also=[copy])
    build = next(action for action in plan.approved if action.kind == "rebuild-segment")
    assert build.parameters["possibly_older"] == 0
    assert build.parameters["from_also"] == 150 - 80 + REWRITTEN


def wordless(store: Path) -> None:
    """Every other document is gone from SQLite and from the full-text index, as after a clean-up that went too far."""
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as database, database:
        database.execute("DELETE FROM embedding_metadata WHERE key = 'chroma:document' AND id % 2")
        database.execute("DELETE FROM embedding_fulltext_search WHERE rowid % 2")


def own_documents(folder: Path, shift: int = 0) -> Path:
    path = folder / "own.jsonl"
    written = {record.id: record.document for record in [*ALL, *map(moved, ALL[:REWRITTEN])]}
    texts = [*written.values()]
    rows = zip(written, [*texts[shift:], *texts[:shift]], strict=True)
    path.write_text("".join(json.dumps({"id": name, "document": text}) + "\n" for name, text in rows))
    return path


def test_documents_of_the_own_file_are_embedded_once_they_reproduce_survivors(
    store: Path, tmp_path: Path
) -> None:
    without_orphan(store)
    wordless(store)
    choices = {"embedder": EMBEDDER, "source": [own_documents(tmp_path)], "engine": "none"}
    answer = fx.reconcile(store, case=tmp_path / "case", nobody_else=True, **choices)
    assert answer["verified"] == "checks"
    assert answer["records"]["lost"] == 0
    lines = {row[0]: row for row in read_rows(tmp_path / "case/evidence/provenance-docs-rebuild-segment.csv")}
    of_the_file = [name for name, row in lines.items() if "the document is that of" in row[7]]
    assert len(of_the_file) >= 50
    back, known = stored(store), truth()
    assert all(back[name] @ known[name] > 0.9999 * np.linalg.norm(known[name]) ** 2 for name in of_the_file)


def test_documents_of_other_records_are_refused_with_figures(store: Path, tmp_path: Path) -> None:
    without_orphan(store)
    wordless(store)
    plan = fx.plan(
        store, case=tmp_path / "case", embedder=EMBEDDER, source=[own_documents(tmp_path, shift=7)]
    )
    reasons = " ".join(str(loss["reason"]) for loss in plan.losses)
    assert "the documents of" in reasons
    assert "it does not reproduce what survives" in reasons


def test_an_embedder_tells_which_of_the_possibly_older_are_older(store: Path, tmp_path: Path) -> None:
    """What it makes of the document of today decides: a stale vector is not brought back, a current one is, bit for bit."""
    without_orphan(store)
    plan = fx.plan(store, case=tmp_path / "case", embedder=EMBEDDER)
    build = next(action for action in plan.approved if action.kind == "rebuild-segment")
    assert build.parameters["possibly_older"] == 0
    fx.apply(tmp_path / "case", yes=True, engine="none", nobody_else=True)
    lines = {row[0]: row for row in read_rows(tmp_path / "case/evidence/provenance-docs-rebuild-segment.csv")}
    assert {lines[record.id][2] for record in ALL[:REWRITTEN]} == {"embedded again"}
    assert {lines[record.id][2] for record in ALL[REWRITTEN:80]} == {"set-aside"}
    back, known = stored(store), truth()
    assert all((back[record.id] == known[record.id]).all() for record in ALL[REWRITTEN:80])
