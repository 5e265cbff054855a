"""The checks of the database: each silent before its damage, then this code and what follows from it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics.model import Diagnosis, Finding
from forensics.readers.full_text import judges
from forensics.readers.integrity import damaged_tables
from forensics.store import open_store
from forensics.testing.damage import damage_menu
from forensics.testing.damage_database import change, first_leaf, one
from forensics.testing.damage_folder import DATABASE, segment_of
from forensics.testing.showing import shown

Sample = Callable[[str], Path]
DAMAGES = damage_menu().of("CF1")


def found(diagnosis: Diagnosis, code: str) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.code == code)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_nothing_else(name: str, tmp_path: Path) -> None:
    shown(name, tmp_path)


@pytest.mark.parametrize("name", DAMAGES)
def test_looking_leaves_the_database_alone(name: str, sample: Sample) -> None:
    damage = DAMAGES[name]
    store = sample(damage.sample)
    damage(store)
    before = hashlib.sha256((store / DATABASE).read_bytes()).hexdigest(), sorted(store.iterdir())
    fx.diagnose(store, deep=True)
    assert (hashlib.sha256((store / DATABASE).read_bytes()).hexdigest(), sorted(store.iterdir())) == before


def test_a_torn_header_says_what_is_wrong_with_it(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["header-torn"](store)
    finding = found(fx.diagnose(store), "CF101")
    assert finding.found["problems"][0] == "it does not begin with 'SQLite format 3'"
    assert finding.found["first_bytes"].startswith("53 51 4c 69 74 65 20 66")
    assert finding.remedy.action == "recover-database"


def test_a_cut_database_says_how_much_is_gone(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    pages = one(store, "PRAGMA page_count")
    damage_menu()["database-cut"](store)
    finding = found(fx.diagnose(store), "CF104")
    assert finding.expected["pages"] == pages
    assert finding.found["bytes"] == (store / DATABASE).stat().st_size
    assert finding.count == pages - finding.found["bytes"] // 4096
    assert "CF102" in finding.follows


def test_the_damaged_table_is_named(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["table-page-zeroed"](store)
    finding = found(fx.diagnose(store), "CF102")
    assert finding.found == {"tables": {"embeddings": "database disk image is malformed"}}


def test_the_quick_walk_sees_every_table(sample: Sample) -> None:
    """Zeroing the root of any table of Chroma's is found without integrity_check."""
    for name in (
        "collections",
        "segments",
        "embedding_metadata",
        "embeddings_queue",
        "max_seq_id",
        "migrations",
    ):
        store = sample("1.5.9/healthy")
        root = one(store, "SELECT rootpage FROM sqlite_master WHERE name = ?", (name,))
        assert isinstance(root, int)
        with (store / DATABASE).open("r+b") as file:
            file.seek((root - 1) * 4096)
            file.write(bytes(4096))
        with open_store(store) as opened:
            assert not isinstance(opened.database, str)
            assert name in damaged_tables(opened.database)  # pyright: ignore[reportArgumentType]


def test_integrity_check_finds_what_the_quick_walk_does_not(sample: Sample) -> None:
    """Two rows of one table in the wrong order are a damaged table, although every page can be read."""
    store = sample("1.5.9/healthy")
    assert fx.diagnose(store, deep=True).codes(notes=False) == ()
    leaf = first_leaf(store, "embedding_metadata")
    with (store / DATABASE).open("r+b") as file:
        file.seek((leaf - 1) * 4096 + 8)
        first = file.read(4)
        file.seek((leaf - 1) * 4096 + 8)
        file.write(first[2:] + first[:2])
    assert "CF102" not in fx.diagnose(store).codes()
    assert "CF102" in fx.diagnose(store, deep=True).codes()


def test_full_text_verdicts_name_the_library(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["full-text-index-emptied"](store)
    finding = found(fx.diagnose(store, deep=True), "CF105")
    assert finding.found["sqlite"] in {
        sqlite3.sqlite_version,
        *(name.removeprefix("SQLite ") for name, _ in judges()),
    }
    assert finding.remedy.action == "rebuild-full-text"


def test_full_text_rows_are_compared_one_by_one(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["full-text-other-text"](store)
    change(store, "DELETE FROM embedding_fulltext_search WHERE rowid = 9")
    finding = found(fx.diagnose(store, deep=True), "CF107")
    assert (finding.found["absent"], finding.found["other"], finding.found["extra"]) == (1, 3, 0)
    assert finding.lists["rowids"] == [9, 3, 4, 5]


def test_text_of_deleted_records_in_the_index_is_a_note(sample: Sample) -> None:
    """Releases before 0.5 leave it there at every delete."""
    store = sample("1.5.9/healthy")
    change(store, "INSERT INTO embedding_fulltext_search(rowid, string_value) VALUES (70001, 'long gone')")
    finding = found(fx.diagnose(store, deep=True), "CF107")
    assert finding.severity == "note"
    assert finding.found["of_deleted_records"] == 1


def test_orphan_rows_are_counted_by_table(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["rows-orphaned"](store)
    finding = found(fx.diagnose(store), "CF108")
    assert finding.found["embeddings"] == 1
    assert finding.found["embedding_metadata"] == 1
    assert finding.found["segments"] == ["gone"]
    assert finding.lists["rowids"] == [90002]


def test_numbers_of_deleted_collections_are_a_note(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    change(store, "INSERT INTO max_seq_id(segment_id, seq_id) VALUES ('gone', 12345)")
    diagnosis = fx.diagnose(store)
    assert found(diagnosis, "CF108").severity == "note"
    assert diagnosis.codes(notes=False) == ()


def test_the_directory_of_a_lost_segment_row_is_proposed(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    segment = segment_of(store)
    damage_menu()["vector-segment-row-deleted"](store)
    finding = found(fx.diagnose(store), "CF110")
    assert finding.expected == {"METADATA": 1, "VECTOR": 1}
    assert finding.found["VECTOR"] == 0
    assert finding.found["candidates"]["VECTOR"] == {"id": segment, "ids": 250, "shared": 250, "of": 250}
    assert (finding.remedy.action, finding.remedy.safety) == ("mend-segment-rows", "safe")


def test_the_records_of_a_lost_segment_row_are_proposed(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    segment = segment_of(store, "METADATA")
    damage_menu()["metadata-segment-row-deleted"](store)
    finding = found(fx.diagnose(store), "CF110")
    assert finding.found["candidates"]["METADATA"] == {"id": segment, "ids": 300, "shared": 250, "of": 250}
    assert finding.remedy.safety == "safe"


def test_without_the_directory_the_remedy_says_what_is_lost(sample: Sample) -> None:
    import shutil

    store = sample("1.0.20/healthy")
    shutil.rmtree(store / segment_of(store))
    change(store, "DELETE FROM segments WHERE scope = 'VECTOR'")
    finding = found(fx.diagnose(store), "CF110")
    assert finding.found["candidates"] == {"VECTOR": None}
    assert finding.remedy.safety == "lossy"
    assert finding.remedy.loses == 299  # the queue still has one


def test_free_pages_are_measured(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["pages-freed"](store)
    finding = found(fx.diagnose(store), "CF112")
    assert finding.count == one(store, "PRAGMA freelist_count")
    assert finding.found["bytes"] == finding.count * 4096
