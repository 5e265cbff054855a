"""The checks of the folder: each silent before its damage, then this code and what follows from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import forensics as fx
from forensics import samples
from forensics.model import Diagnosis, Finding
from forensics.testing.damage import damage_menu
from forensics.testing.damage_folder import orphan_name, segment_of
from forensics.testing.showing import shown

Sample = Callable[[str], Path]
DAMAGES = damage_menu().of("CF0")


def found(diagnosis: Diagnosis, code: str) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.code == code)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_nothing_else(name: str, tmp_path: Path) -> None:
    shown(name, tmp_path)


def test_remains_say_what_they_hold(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    (store / "chroma.sqlite3").unlink()
    finding = found(fx.diagnose(store), "CF001")
    assert finding.expected == {"chroma.sqlite3": "a regular file"}
    assert finding.found["chroma.sqlite3"] == "nothing"
    assert finding.found["ids"] == 250
    assert (finding.remedy.safety, finding.remedy.loses) == ("lossy", 250)


def test_an_interrupted_repair_is_named(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["database-is-directory"](store)
    assert found(fx.diagnose(store), "CF001").causes[0].name == "a repair was interrupted"


def test_a_journal_of_zeros_is_only_a_note(sample: Sample) -> None:
    """SQLite leaves such a file with journal_mode=persist; it takes no notice of it."""
    store = sample("1.5.9/healthy")
    (store / "chroma.sqlite3-journal").write_bytes(bytes(4096))
    diagnosis = fx.diagnose(store)
    assert found(diagnosis, "CF004").severity == "note"
    assert diagnosis.exit_status == 0


@pytest.mark.parametrize(
    ("id_map", "header", "severity"), [(1, 3, "warning"), (1, 1, "note"), (3, 3, "note")]
)
def test_an_index_written_within_a_lost_transaction_is_a_warning(
    sample: Sample, id_map: int, header: int, severity: str
) -> None:
    """The journal of a transaction that never ended is of second 2; the real thing is in tests/corpus/test_natural.py."""
    store = sample("1.5.9/healthy")
    journal = store / "chroma.sqlite3-journal"
    journal.write_bytes(bytes(12) + bytes.fromhex("f6e136a1 00000049 00000200 00001000") + bytes(4096))
    os.utime(journal, (2, 2))
    (segment,) = (path.parent for path in store.glob("*/header.bin"))
    os.utime(segment / "index_metadata.pickle", (id_map, id_map))
    os.utime(segment / "header.bin", (header, header))
    finding = found(fx.diagnose(store), "CF004")
    assert finding.severity == severity
    assert finding.found["journals"][0]["ended"] is False
    assert finding.found.get("written within", []) == ([segment.name] if severity == "warning" else [])


def test_the_journal_is_neither_used_nor_removed(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["journal-left"](store)
    before = {path.name: path.read_bytes() for path in store.iterdir() if path.is_file()}
    diagnosis = fx.diagnose(store)
    assert diagnosis.collections[0].records == 300
    assert {path.name: path.read_bytes() for path in store.iterdir() if path.is_file()} == before


@pytest.fixture
def holder(sample: Sample) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A process that has a segment file of the store open for writing."""
    store = sample("1.5.9/healthy")
    program = "import sys; f = open(sys.argv[1], 'r+b'); print('open', flush=True); sys.stdin.read()"
    path = store / segment_of(store) / "data_level0.bin"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "open\n"
    yield store, process
    process.stdin.close()
    process.wait(timeout=30)
    process.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="who has a file open is seen in /proc only")
def test_another_process_is_named(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    store, process = holder
    finding = found(fx.diagnose(store), "CF005")
    handle = finding.found["handles"][0]
    assert (handle["pid"], handle["writes"], handle["this_process"]) == (process.pid, True, False)
    assert handle["file"] == f"{segment_of(store)}/data_level0.bin"


@pytest.mark.skipif(sys.platform != "linux", reason="deleted files are seen in /proc only")
def test_deleted_files_that_live_on_are_named(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    store, process = holder
    shutil.rmtree(store / segment_of(store))
    diagnosis = fx.diagnose(store)
    finding = found(diagnosis, "CF012")
    assert finding.count == 1
    assert finding.found["handles"][0]["pid"] == process.pid
    assert finding.remedy.safety == "safe"
    assert "CF005" not in diagnosis.codes()


def test_a_copy_of_a_living_directory_holds_nothing_new(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["directory-orphaned"](store)
    finding = found(fx.diagnose(store), "CF006")
    assert finding.found["directories"][0]["directory"] == orphan_name(0)
    assert finding.found["directories"][0]["ids"] == 250
    assert finding.found["only_here"] == {}
    assert finding.remedy.action == "remove-directories"


def test_vectors_that_only_a_set_aside_directory_has_are_counted(sample: Sample) -> None:
    store = sample("set-aside")
    diagnosis = fx.diagnose(store)
    missing = found(diagnosis, "CF501")
    finding = found(diagnosis, "CF007")
    assert finding.found["only_here"] == {missing.collection: missing.count}
    assert set(finding.lists["ids"]) == set(missing.lists["ids"])
    assert finding.remedy.action == "add-missing-vectors"


def test_a_deleted_collection_is_no_lost_catalogue(sample: Sample) -> None:
    """delete_collection of 1.x leaves the directory and gives the pages back to the free list."""
    from forensics.testing.builder import StoreBuilder

    store = sample("1.5.9/healthy")
    with StoreBuilder(store) as builder:
        builder.engine.call("delete_collection", collection="terms")
    diagnosis = fx.diagnose(store)
    assert set(diagnosis.codes(notes=False)) == {"CF006"}
    remedy = found(diagnosis, "CF006").remedy
    assert (remedy.action, remedy.safety, remedy.loses) == ("remove-directories", "lossy", 250)


def test_a_collection_made_anew_is_no_lost_catalogue(sample: Sample) -> None:
    """The pages of the deleted one are free or taken again; the file is large enough to have held it."""
    from forensics.testing.builder import StoreBuilder
    from forensics.testing.texts import records

    store = sample("1.5.9/healthy")
    with StoreBuilder(store) as builder:
        builder.engine.call("delete_collection", collection="terms")
        builder.create("terms")
        builder.add("terms", records()[:20])
    diagnosis = fx.diagnose(store)
    assert set(diagnosis.codes(notes=False)) == {"CF006"}
    assert found(diagnosis, "CF006").remedy.loses == 230


def test_a_new_database_beside_full_directories(sample: Sample, tmp_path: Path) -> None:
    from forensics.testing.builder import StoreBuilder

    store = sample("1.5.9/healthy")
    (store / "chroma.sqlite3").unlink()
    with StoreBuilder(store) as builder:
        builder.engine.call("open")
    finding = found(fx.diagnose(store), "CF008")
    assert finding.found["ids"] == 250
    assert finding.causes[0].name == "the database was replaced by a new one"


def test_a_new_database_that_was_written_to_since(sample: Sample) -> None:
    """The application went on with the empty database: its few records do not account for the directories."""
    from forensics.testing.builder import StoreBuilder
    from forensics.testing.texts import records

    store = sample("1.5.9/healthy")
    (store / "chroma.sqlite3").unlink()
    with StoreBuilder(store) as builder:
        builder.create("notes")
        builder.add("notes", records()[:10])
    diagnosis = fx.diagnose(store)
    assert set(diagnosis.codes(notes=False)) == {"CF008"}
    finding = found(diagnosis, "CF008")
    assert (finding.found["collections"], finding.found["ids"], finding.remedy.safety) == (1, 250, "lossy")
    assert "1 collection with 10 records" in finding.means


def test_rights_of_a_store_kept_read_only_are_no_defect(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    for path in store.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    assert "CF010" not in fx.diagnose(store).codes()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_of_another_user_is_named(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    level0 = store / segment_of(store) / "data_level0.bin"
    for path in (store, *store.rglob("*")):
        os.chown(path, 65534, 65534)
    os.chown(level0, 0, 0)
    finding = found(fx.diagnose(store), "CF010")
    assert finding.confidence == "certain"
    assert finding.found["owner"] == 65534
    assert [problem["file"] for problem in finding.found["files"]] == [level0.relative_to(store).as_posix()]


def test_what_a_link_leads_to_is_not_read(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["link-inside"](store)
    finding = found(fx.diagnose(store), "CF011")
    assert finding.found["entries"] == [
        {"file": "chroma.sqlite3.latest", "kind": "link", "target": str(store / "chroma.sqlite3")}
    ]


@pytest.mark.parametrize("name", [name for name in samples.names() if "/healthy" in name])
def test_healthy_samples_are_silent(name: str, sample: Sample) -> None:
    diagnosis = fx.diagnose(sample(name), deep=True)
    assert diagnosis.codes(notes=False) == ()
    assert diagnosis.exit_status == 0
