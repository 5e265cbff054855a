"""What is gone is told with its proof: deletes by a real engine, rows removed by hand, and nothing on healthy stores."""

from __future__ import annotations

import csv
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import samples
from forensics.account import Past
from forensics.readers.freed import FreedSpace, freed_rows
from forensics.remains import Trace

Sample = Callable[[str], Path]
DATABASE = "chroma.sqlite3"
DELETE = """
import sys, chromadb
from chromadb.config import Settings
client = chromadb.PersistentClient(sys.argv[1], settings=Settings(anonymized_telemetry=False))
collection = client.list_collections()[0]
collection = client.get_collection(collection.name, embedding_function=None)
ids = sorted(collection.get(include=[])["ids"])[: int(sys.argv[2])]
collection.delete(ids=ids)
print(*ids, sep="\\n")
"""


def change(store: Path, *statements: str) -> None:
    """As a program would that writes over what it frees, or (here) does not."""
    with closing(sqlite3.connect(store / DATABASE)) as database, database:
        database.execute("PRAGMA secure_delete = OFF")
        for statement in statements:
            database.execute(statement)


def rows(store: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(store / DATABASE)) as database:
        return database.execute(query).fetchall()


def deleted_by_chroma(store: Path, count: int) -> set[str]:
    command = [sys.executable, "-P", "-c", DELETE, str(store), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def the(found: Past, kind: str) -> Trace:
    traces = [trace for trace in found.traces if trace.kind == kind]
    assert len(traces) == 1, (kind, found.traces)
    return traces[0]


HEALTHY = [
    "0.4.24/healthy",
    "0.6.3/healthy",
    "1.5.9/healthy",
    "1.5.9/healthy-three-collections",
    "1.5.9/healthy-upgraded",
    "1.5.9/healthy-churned",
]


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_called_lost_on_a_healthy_store(sample: Sample, name: str) -> None:
    store = sample(name)
    found = fx.past(store)
    records = {row[0] for row in rows(store, "SELECT embedding_id FROM embeddings")}

    assert found.counts()["lost"] == 0
    assert not found.not_examined
    if "three" not in name:
        assert not {name for _, name in found.ids} & records
    if "churned" not in name and "upgraded" not in name:
        assert not found.ids


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A store of which the engine deleted seven records, and their ids."""
    store = samples.restore("1.5.9/healthy", tmp_path_factory.mktemp("emptied") / "store")
    return store, deleted_by_chroma(store, 7)


def test_deletes_by_the_engine_are_deleted_while_the_queue_has_them(emptied: tuple[Path, set[str]]) -> None:
    store, gone = emptied

    found = fx.past(store)

    assert {name for _, name in found.ids} == gone
    assert found.counts() == {"deleted": 7, "lost": 0, "deleted or lost": 0}
    assert set(the(found, "queue-deletes").ids) == gone
    assert the(found, "sequence-gaps").at_most >= 7


def test_rows_in_used_pages_are_found_after_the_engine_deleted_them(
    emptied: tuple[Path, set[str]], tmp_path: Path
) -> None:
    """The engine leaves the rows of a few deletes in pages that go on to be used."""
    source, gone = emptied
    store = Path(shutil.copytree(source, tmp_path / "store"))
    change(store, "DELETE FROM embeddings_queue WHERE operation = 3")  # so that nothing says what they were

    found = fx.past(store)
    freed = the(found, "freed-pages")

    assert set(freed.ids) <= gone
    assert len(freed.ids) >= 5, "SQLite writes over some of them"
    assert found.counts()["deleted"] == 0
    assert found.counts()["deleted or lost"] >= 5
    assert "cannot be told" in freed.means


def test_rows_in_pages_of_the_freelist_are_found(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    names = {row[0] for row in rows(store, "SELECT embedding_id FROM embeddings")}
    change(store, "DELETE FROM embeddings")
    (pages,) = rows(store, "PRAGMA freelist_count")

    freed = the(fx.past(store), "freed-pages")

    assert pages[0] > 0
    assert freed.found["free_pages"] == pages[0]
    assert set(freed.ids) <= names
    assert len(freed.ids) >= 0.9 * len(names)
    assert {row[3][:4] for row in freed.rows} <= {str(year) for year in range(2023, 2040)}


def test_nothing_is_found_where_the_space_was_written_over(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    with closing(sqlite3.connect(store / DATABASE)) as database, database:
        database.execute("PRAGMA secure_delete = ON")
        database.execute("DELETE FROM embeddings WHERE id <= 40")
    change(store, "DELETE FROM embeddings_queue")
    with closing(sqlite3.connect(store / DATABASE)) as database:
        database.execute("VACUUM")

    kinds = {trace.kind for trace in fx.past(store).traces}

    assert "freed-pages" not in kinds
    assert {"sequence-gaps", "metadata-remains", "id-map-remains"} <= kinds


def test_a_record_that_the_queue_added_and_nobody_deleted_is_lost(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    (name,) = rows(store, "SELECT id FROM embeddings_queue ORDER BY seq_id DESC LIMIT 1")
    change(store, f"DELETE FROM embeddings WHERE embedding_id = '{name[0]}'")

    found = fx.past(store)

    assert the(found, "queue-remains").ids == name
    assert found.ids["terms", str(name[0])][0] == "lost"
    assert found.counts()["lost"] == 1


def test_what_waits_above_the_metadata_watermark_is_not_gone(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    change(
        store,
        "UPDATE max_seq_id SET seq_id = 290 WHERE segment_id = (SELECT id FROM segments WHERE scope = 'METADATA')",
        "DELETE FROM embeddings WHERE seq_id > 290",
    )

    assert fx.past(store).counts()["lost"] == 0


def test_metadata_and_texts_without_a_record_are_told(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    gone = {row[0] for row in rows(store, "SELECT embedding_id FROM embeddings WHERE id <= 9")}
    change(store, "DELETE FROM embeddings WHERE id <= 9")

    found = fx.past(store)

    assert the(found, "metadata-remains").count == 9
    assert the(found, "metadata-remains").found["with_document"] == 9
    assert len(the(found, "metadata-remains").rows) == 9
    assert set(the(found, "id-map-remains").ids) == gone
    assert (the(found, "sequence-gaps").count, the(found, "sequence-gaps").at_least) == (9, 0)
    change(store, "DELETE FROM embedding_metadata WHERE id <= 9")
    texts = the(fx.past(store), "full-text-remains")
    assert texts.count == len(texts.rows) == 9
    assert all(isinstance(text, str) and text for _, text in texts.rows)


def test_labels_that_were_given_and_are_in_no_map_are_counted(sample: Sample) -> None:
    trace = the(fx.past(sample("1.5.9/healthy-churned")), "label-gaps")

    assert (trace.count, trace.unit, trace.at_least, trace.at_most) == (25, "labels", 0, 25)
    assert trace.found == {"flagged_deleted": 25, "not_flagged": 0, "by_the_counter_alone": 0}


def test_a_directory_set_aside_names_ids_that_are_records_no_more(sample: Sample) -> None:
    store = sample("set-aside")
    assert not [trace for trace in fx.past(store).traces if trace.kind == "other-directories"]
    names = [
        str(row[0]) for row in rows(store, "SELECT embedding_id FROM embeddings WHERE id <= 12 ORDER BY id")
    ]
    change(store, "DELETE FROM embeddings WHERE id <= 12")

    trace = the(fx.past(store), "other-directories")

    assert set(trace.ids) <= set(names)
    assert trace.ids
    assert trace.collection is not None


def test_rows_of_a_collection_that_is_gone_are_told(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    queued = {row[0] for row in rows(store, "SELECT id FROM embeddings_queue")}
    everything = {row[0] for row in rows(store, "SELECT embedding_id FROM embeddings")}
    change(store, "DELETE FROM segments", "DELETE FROM collections")

    found = fx.past(store)

    assert set(the(found, "rows-of-no-segment").ids) == everything
    assert set(the(found, "queue-of-no-collection").ids) == queued
    assert found.counts()["lost"] == 0


def test_no_size_in_the_file_is_believed(sample: Sample, tmp_path: Path) -> None:
    """A freelist that turns in a circle, names pages that are not there, or claims a million leaves."""
    store = sample("1.5.9/healthy")
    change(store, "DELETE FROM embeddings")
    clean = (store / DATABASE).read_bytes()
    first = struct.unpack_from(">I", clean, 32)[0]
    size = struct.unpack_from(">H", clean, 16)[0]
    for following, count in ((first, 2), (0xFFFFFFFF, 0xFFFFFFFF), (2, 1_000_000)):
        raw = bytearray(clean)
        struct.pack_into(">II", raw, (first - 1) * size, following, count)
        path = tmp_path / "odd.sqlite3"
        path.write_bytes(raw)
        found = freed_rows(path)
        assert isinstance(found, FreedSpace)
        assert found.complete
        assert found.free_pages <= len(raw) // size
    cut = tmp_path / "cut.sqlite3"
    cut.write_bytes(clean[: len(clean) // 2 + 77])
    assert isinstance(freed_rows(cut), FreedSpace)
    cut.write_bytes(b"no database")
    assert not freed_rows(cut)


def test_a_search_that_was_bounded_says_so(sample: Sample) -> None:
    store = sample("1.5.9/healthy")

    bounded = freed_rows(store / DATABASE, most_bytes=1)
    timed = freed_rows(store / DATABASE, most_seconds=0)

    assert isinstance(bounded, FreedSpace)
    assert isinstance(timed, FreedSpace)
    assert bounded.complete, "a chunk is read whole"
    assert not timed.complete


def test_the_store_is_not_written_and_the_account_is_the_same_again(sample: Sample) -> None:
    store = sample("1.5.9/healthy-churned")
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in store.rglob("*") if path.is_file()
    }

    assert fx.past(store).to_json() == fx.past(store).to_json()
    assert before == {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in store.rglob("*") if path.is_file()
    }


def test_the_command_line_says_it_in_both_forms(sample: Sample, say: Callable[..., object]) -> None:
    store = sample("1.5.9/healthy")
    change(store, "DELETE FROM embeddings WHERE id <= 9")

    told = say("past", store, "--format", "json", "--case", "kept")
    shown = say("past", store)

    assert told.status == shown.status == 0  # pyright: ignore[reportAttributeAccessIssue]
    data = told.data  # pyright: ignore[reportAttributeAccessIssue]
    assert data["ids"] == {"named": 9, "deleted": 0, "lost": 0, "deleted or lost": 9}
    assert {trace["kind"] for trace in data["traces"]} >= {"freed-pages", "id-map-remains", "sequence-gaps"}
    lists = sorted(Path("kept/evidence").glob("past-*id-map-remains*.csv"))
    assert len(list(csv.reader(lists[0].read_text(encoding="utf-8").splitlines()))) == 10
    assert Path("kept/past.json").is_file()
    text = shown.out  # pyright: ignore[reportAttributeAccessIssue]
    assert "deleted or lost" in text
    assert "cannot be told" in text


def test_a_store_without_a_database_says_what_was_not_examined(
    sample: Sample, say: Callable[..., object]
) -> None:
    store = sample("1.5.9/healthy")
    (store / DATABASE).unlink()

    told = say("past", store, "--format", "json")

    assert told.status == 8  # pyright: ignore[reportAttributeAccessIssue]
    assert told.data["not_examined"][0]["place"] == "chroma.sqlite3"  # pyright: ignore[reportAttributeAccessIssue]


def test_one_collection_alone(sample: Sample) -> None:
    store = sample("1.5.9/healthy-three-collections")
    names = [str(row[0]) for row in rows(store, "SELECT name FROM collections ORDER BY name")]
    change(store, "DELETE FROM embeddings WHERE id % 5 = 0")

    told = {name: {trace.collection for trace in fx.past(store, collection=name).traces} for name in names}

    assert all(collections <= {name} for name, collections in told.items())
    assert any(told.values())
