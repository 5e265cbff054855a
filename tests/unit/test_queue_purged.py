"""Rows that left the queue before the index had them, on stores that the engine wrote here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import forensics as fx
from forensics.model import Diagnosis, Finding
from forensics.testing.builder import StoreBuilder
from forensics.testing.damage_database import change
from forensics.testing.texts import records

TEXTS = records()
ABOVE = (
    "DELETE FROM embeddings_queue WHERE seq_id > (SELECT m.seq_id FROM max_seq_id m"
    " JOIN segments s ON s.id = m.segment_id WHERE s.scope = 'VECTOR')"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 records flushed; then 5 get another document, 3 other metadata, and 6 are new: all only in the queue."""
    path = tmp_path_factory.mktemp("purged") / "store"
    with StoreBuilder(path) as store:
        store.create("terms", sync_threshold=20)
        store.add("terms", TEXTS[:40], step=10)
        store.add(
            "terms", [replace(one, document=f"{one.document} Revised.") for one in TEXTS[:5]], how="update"
        )
        store.update_metadata("terms", {one.id: {"seen": True} for one in TEXTS[10:13]})
        store.add("terms", TEXTS[40:46])
    return path


@pytest.fixture
def store(built: Path, tmp_path: Path) -> Path:
    fx.copy(built, tmp_path / "store")
    return tmp_path / "store"


def purged(diagnosis: Diagnosis) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.code == "CF212")


def test_what_is_still_queued_is_no_purge(store: Path) -> None:
    assert fx.diagnose(store).codes(notes=False) == ()


def test_records_without_a_vector_and_vectors_that_may_be_older(store: Path) -> None:
    change(store, ABOVE)
    finding = purged(fx.diagnose(store))
    assert (finding.count, finding.confidence, finding.remedy.action) == (6, "certain", "add-missing-vectors")
    assert list(finding.lists["ids"]) == [one.id for one in TEXTS[40:46]]
    assert set(finding.lists["older"]) == {one.id for one in (*TEXTS[:5], *TEXTS[10:13])}
    assert "8 more records changed after" in finding.means


def test_updates_alone_are_only_possible(store: Path) -> None:
    """The row is gone, and with it whether it had a vector."""
    ids = ",".join(f"'{one.id}'" for one in (*TEXTS[:5], *TEXTS[10:13]))
    change(store, f"{ABOVE} AND id IN ({ids})")
    diagnosis = fx.diagnose(store)
    assert diagnosis.codes(notes=False) == ("CF212",)
    finding = purged(diagnosis)
    assert (finding.count, finding.confidence, finding.remedy.safety) == (8, "possible", "manual")
    assert finding.found["without_vector"] == 0


def test_the_cause_is_one_that_the_releases_allow(store: Path) -> None:
    """Only 0.5.6 to 0.6 purge in Python, and they write the configuration of the queue with blanks."""
    change(store, ABOVE)
    names = [cause.name for cause in purged(fx.diagnose(store)).causes]
    assert names == ["rows of the queue were deleted by hand"]
    change(store, """UPDATE embeddings_queue_config SET config_json_str = '{"automatically_purge": true}'""")
    names = [cause.name for cause in purged(fx.diagnose(store)).causes]
    assert "the purge of 0.5.7 to 0.5.12 with several collections" in names


def test_a_queue_row_under_another_id_was_not_purged(store: Path) -> None:
    change(store, "UPDATE embeddings SET embedding_id = 'corp/' || embedding_id")
    assert "CF212" not in fx.diagnose(store).codes()


def test_flush_lag_is_silent_in_every_form_of_watermark(
    release: Callable[[str], Path], tmp_path: Path
) -> None:
    """0.6 keeps it in the pickle, 1.x in SQLite; two collections share the numbers, and both purge."""
    path, both = tmp_path / "store", ("terms", "notes")
    with StoreBuilder(path, release("0.6.3")) as store:
        for name in both:
            store.create(name, sync_threshold=20, batch_size=10)
        for start, python in ((0, sys.executable), (30, None)):
            for name in both:
                store.add(name, TEXTS[start : start + 25], step=5)
                store.update_metadata(name, {one.id: {"seen": start} for one in TEXTS[start : start + 7]})
                store.add(name, TEXTS[start + 3 : start + 6], how="upsert")
            store.restart(python)
            assert fx.diagnose(path).codes(notes=False) == ()
        assert fx.diagnose(path).store["chroma"] != "0.5.6 – 0.6.3"
