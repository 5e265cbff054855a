"""The checks of migrations and settings: silent before, then this code and what follows from it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics import samples
from forensics.absent import NotAvailable
from forensics.model import Diagnosis, Finding
from forensics.readers.database import Migration
from forensics.readers.migrations import RELEASED, SPANS, set_of, written_by
from forensics.testing.damage import damage_menu
from forensics.testing.damage_database import change
from forensics.testing.damage_folder import DATABASE, segment_of
from forensics.testing.showing import shown

Sample = Callable[[str], Path]
DAMAGES = damage_menu().of("CF8")


def found(diagnosis: Diagnosis, code: str) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.code == code)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_nothing_else(name: str, tmp_path: Path) -> None:
    shown(name, tmp_path)


def rows_of(keys: frozenset[tuple[str, int]]) -> tuple[Migration, ...]:
    return tuple(Migration(directory, version, "", "") for directory, version in sorted(keys))


@pytest.mark.parametrize(("first", "last"), SPANS)
def test_the_writer_is_told_by_its_migrations(first: str, last: str) -> None:
    expected = f"{first} or later" if not last else first if first == last else f"{first} – {last}"
    assert written_by(rows_of(set_of(first))) == expected


def test_the_writer_of_nothing_is_unknown() -> None:
    assert written_by(NotAvailable("no table")) == "unknown"
    assert written_by(()) == "unknown"


def test_the_writer_of_a_later_migration_is_later() -> None:
    later = (*rows_of(set_of("1.5.0")), Migration("sysdb", 11, "", ""))
    assert written_by(later) == "later than 1.5.9"


@pytest.mark.parametrize("name", [name for name in samples.names() if name.endswith("/healthy")])
def test_the_table_of_migrations_is_what_the_releases_write(name: str, sample: Sample) -> None:
    """Every migration that a real store records is in the table, with file name and hash."""
    database = sqlite3.connect(sample(name) / DATABASE)
    recorded = set(database.execute("SELECT dir, version, filename, hash FROM migrations").fetchall())
    database.close()
    known = {(row.dir, row.version, row.filename, row.hash) for row in RELEASED}
    assert recorded <= known
    if name.startswith("1.5"):
        assert recorded == known


def test_a_text_that_was_edited_with_its_hash_is_found(sample: Sample) -> None:
    """Whoever edits a migration and hashes it again is refused by Chroma all the same."""
    store = sample("1.5.9/healthy")
    import hashlib

    digest = hashlib.md5(b"-- mine", usedforsecurity=False).hexdigest()
    change(
        store, f"UPDATE migrations SET sql = '-- mine', hash = '{digest}' WHERE dir = 'sysdb' AND version = 8"
    )
    finding = found(fx.diagnose(store), "CF802")
    assert finding.expected == {"sysdb 8": "0a0e7e93111a01789addf64961c6127c"}
    assert finding.found == {"sysdb 8": {"hash": digest, "text": digest}}


def test_hashes_by_sha256_are_as_good(sample: Sample) -> None:
    import hashlib

    store = sample("1.5.9/healthy")
    database = sqlite3.connect(store / DATABASE)
    for rowid, text in database.execute("SELECT rowid, sql FROM migrations").fetchall():
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        database.execute("UPDATE migrations SET hash = ? WHERE rowid = ?", (digest, rowid))
    database.commit()
    database.close()
    assert "CF802" not in fx.diagnose(store).codes()


def test_a_last_migration_whose_effect_is_there_is_missed(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    change(store, "DELETE FROM migrations WHERE dir = 'sysdb' AND version = 10")
    assert found(fx.diagnose(store), "CF803").expected == {"migrations": ["sysdb 10"]}


def test_blobs_after_the_migration_are_decoded(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    segment = segment_of(store)
    damage_menu()["sequence-id-blob"](store)
    finding = found(fx.diagnose(store), "CF804")
    assert finding.expected == {segment: {"type": "integer", "value": 250}}
    assert finding.found == {segment: {"type": "blob", "value": 250}, "opening_destroys": 0}
    assert (finding.remedy.action, finding.remedy.safety) == ("convert-sequence-ids", "safe")


def test_integers_before_the_migration_are_a_danger(sample: Sample) -> None:
    """1.x would run its migration over them; one count with 1.5.9 then purges all that the queue holds."""
    store = sample("0.6.3/healthy")
    damage_menu()["sequence-id-converted-early"](store)
    diagnosis = fx.diagnose(store)
    finding = found(diagnosis, "CF804")
    assert {row["type"] for row in finding.expected.values()} == {"blob"}
    assert finding.found["opening_destroys"] == 21
    assert not diagnosis.store["safe_to_open"]


@pytest.mark.parametrize(
    ("key", "column", "value", "valid"),
    [
        ("hnsw:M", "int_value", 32, True),
        ("hnsw:M", "str_value", "'32'", False),
        ("hnsw:M", "float_value", 32.0, False),
        ("hnsw:resize_factor", "float_value", 1.5, True),
        ("hnsw:space", "str_value", "'cosine'", True),
        ("hnsw:space", "str_value", "'euclid'", False),
        ("hnsw:ef", "int_value", 10, False),
        ("description", "str_value", "'hnsw'", True),
    ],
)
def test_settings_that_chroma_refuses(
    key: str, column: str, value: object, valid: bool, sample: Sample
) -> None:
    store = sample("1.5.9/healthy")
    change(
        store,
        f"INSERT INTO collection_metadata(collection_id, key, {column})"
        f" SELECT id, '{key}', {value} FROM collections",
    )
    diagnosis = fx.diagnose(store)
    assert ("CF806" not in diagnosis.codes()) == valid
    if not valid:
        assert list(found(diagnosis, "CF806").found) == [f"collection_metadata.{key}"]


def test_a_contradicted_space_names_the_places(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["space-contradicted"](store)
    finding = found(fx.diagnose(store), "CF807")
    assert finding.found["places"] == {"schema_str": "cosine", "collection_metadata": "ip"}
    assert finding.found["in_force"] == "cosine"


def test_a_space_that_the_vectors_were_not_built_with(sample: Sample) -> None:
    """The stored vector is the queued one scaled to length 1, and the schema says l2."""
    store = sample("1.5.9/healthy")
    database = sqlite3.connect(store / DATABASE)
    (text,) = database.execute("SELECT schema_str FROM collections").fetchone()
    (blob,) = database.execute("SELECT vector FROM embeddings_queue WHERE seq_id = 250").fetchone()
    import numpy as np

    doubled = (np.frombuffer(blob, dtype="<f4") * 2).astype("<f4").tobytes()
    database.execute("UPDATE embeddings_queue SET vector = ? WHERE seq_id = 250", (doubled,))
    database.execute(
        "UPDATE collections SET schema_str = ?", (text.replace('"space":"cosine"', '"space":"l2"'),)
    )
    database.commit()
    database.close()
    finding = found(fx.diagnose(store), "CF807")
    assert finding.expected == {"space": "cosine"}
    assert finding.found["vectors_built_as"] == "cosine"
    assert finding.confidence == "certain"


def test_a_missing_dimension_is_that_of_the_header(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["dimension-removed"](store)
    finding = found(fx.diagnose(store), "CF808")
    assert finding.expected == {"dimension": 32}
    assert finding.found == {"dimension": None, "header.bin": 32, "queue": [32]}
    assert finding.remedy.safety == "safe"


def test_a_wrong_dimension_is_that_of_the_header(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["dimension-changed"](store)
    finding = found(fx.diagnose(store), "CF809")
    assert finding.expected == {"dimension": 32}
    assert (finding.found["collections"], finding.found["header.bin"]) == (33, 32)
    assert (finding.remedy.action, finding.remedy.safety) == ("set-dimension", "safe")


def test_a_queued_vector_of_another_dimension_is_named(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["queue-vector-too-short"](store)
    finding = found(fx.diagnose(store), "CF809")
    assert finding.found["queue"] == {"rows": 1, "dimensions": [31], "seq_ids": [300]}
    assert finding.remedy.action == "quarantine-queue-rows"
    assert (finding.remedy.safety, finding.remedy.loses) == ("lossy", 1)


def test_a_missing_tenant_is_named(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["tenant-deleted"](store)
    assert found(fx.diagnose(store), "CF813").expected == {"databases": [], "tenants": ["default_tenant"]}


def test_an_unreadable_schema_hides_what_depends_on_it(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["schema-cut"](store)
    finding = found(fx.diagnose(store), "CF811")
    assert finding.found["schema_str"].startswith("schema_str: ")
    assert finding.remedy.safety == "manual"  # 1.5.9 records the space nowhere else


def test_metadata_beside_a_schema_saves_the_space(sample: Sample) -> None:
    store = sample("1.5.9/healthy")
    damage_menu()["schema-cut"](store)
    change(
        store,
        "INSERT INTO collection_metadata(collection_id, key, str_value)"
        " SELECT id, 'hnsw:space', 'cosine' FROM collections",
    )
    assert found(fx.diagnose(store), "CF811").remedy.safety == "safe"


def test_a_configuration_without_type_is_normal_in_1(sample: Sample) -> None:
    store = sample("1.2.1/healthy")
    assert "CF805" not in fx.diagnose(store).codes()
    database = sqlite3.connect(store / DATABASE)
    (text,) = database.execute("SELECT config_json_str FROM collections").fetchone()
    database.close()
    assert "_type" not in json.loads(text)
