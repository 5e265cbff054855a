"""Damage to migrations, settings, dimensions, segment types, tenants and databases."""

from __future__ import annotations

from pathlib import Path

from forensics.testing.damage import damage
from forensics.testing.damage_database import change, one
from forensics.testing.damage_queue import METADATA, VECTOR


@damage("migration-of-the-future", "CF801")
def future_migration(store: Path, seed: int = 0) -> None:
    """Records a migration that no known release has."""
    change(
        store,
        "INSERT INTO migrations(dir, version, filename, sql, hash)"
        " VALUES ('sysdb', 11, '00011-later.sqlite.sql', '-- later', 'd41d8cd98f00b204e9800998ecf8427e')",
    )


@damage("migration-hash-edited", "CF802")
def edit_hash(store: Path, seed: int = 0) -> None:
    """Changes the hash of one migration."""
    change(store, "UPDATE migrations SET hash = replace(hash, '8', '9') WHERE dir = 'metadb' AND version = 4")


@damage("migration-row-deleted", "CF803")
def delete_migration(store: Path, seed: int = 0) -> None:
    """Deletes the row of a migration in the middle."""
    change(store, "DELETE FROM migrations WHERE dir = 'sysdb' AND version = 8")


@damage("sequence-id-blob", "CF804")
def blob_sequence_id(store: Path, seed: int = 0) -> None:
    """Stores the vector watermark as 8 big-endian bytes, as releases before 1.0 do."""
    change(store, f"UPDATE max_seq_id SET seq_id = x'00000000000000FA' WHERE segment_id = {VECTOR}")


@damage("sequence-id-converted-early", "CF804", sample="0.6.3/healthy")
def early_integers(store: Path, seed: int = 0) -> None:
    """Converts max_seq_id to integers in a store that 1.x has not migrated yet."""
    for segment in (METADATA, VECTOR):
        blob = one(store, f"SELECT seq_id FROM max_seq_id WHERE segment_id = {segment}")
        assert isinstance(blob, bytes)
        value = int.from_bytes(blob, "big")
        change(store, f"UPDATE max_seq_id SET seq_id = {value} WHERE segment_id = {segment}")


@damage("config-type-removed", "CF805", sample="0.6.3/healthy")
def remove_type(store: Path, seed: int = 0) -> None:
    """Removes _type from the configuration of a store of 0.6."""
    change(store, "UPDATE collections SET config_json_str = json_remove(config_json_str, '$._type')")


@damage("parameter-unknown", "CF806")
def unknown_parameter(store: Path, seed: int = 0) -> None:
    """Records a setting hnsw:ef, and M as a text."""
    change(
        store,
        "INSERT INTO collection_metadata(collection_id, key, str_value)"
        " SELECT id, 'hnsw:M', '16' FROM collections",
        "INSERT INTO collection_metadata(collection_id, key, int_value)"
        " SELECT id, 'hnsw:ef', 100 FROM collections",
    )


@damage("space-contradicted", "CF807")
def contradict_space(store: Path, seed: int = 0) -> None:
    """Records another space in the metadata of the collection."""
    change(
        store,
        "INSERT INTO collection_metadata(collection_id, key, str_value)"
        " SELECT id, 'hnsw:space', 'ip' FROM collections",
    )


@damage("dimension-removed", "CF808")
def remove_dimension(store: Path, seed: int = 0) -> None:
    """Sets collections.dimension to NULL."""
    change(store, "UPDATE collections SET dimension = NULL")


@damage("dimension-changed", "CF809")
def change_dimension(store: Path, seed: int = 0) -> None:
    """Adds one to collections.dimension."""
    change(store, "UPDATE collections SET dimension = dimension + 1")


@damage("queue-vector-too-short", "CF809")
def shorten_vector(store: Path, seed: int = 0) -> None:
    """Takes one component from the vector of the newest queue row."""
    change(
        store,
        "UPDATE embeddings_queue SET vector = substr(vector, 5)"
        " WHERE seq_id = (SELECT max(seq_id) FROM embeddings_queue)",
    )


@damage("schema-cut", "CF811")
def cut_schema(store: Path, seed: int = 0) -> None:
    """Cuts schema_str after 100 characters."""
    change(store, "UPDATE collections SET schema_str = substr(schema_str, 1, 100)")


@damage("queue-config-cut", "CF811")
def cut_queue_config(store: Path, seed: int = 0) -> None:
    """Cuts the configuration of the queue after 10 characters."""
    change(store, "UPDATE embeddings_queue_config SET config_json_str = substr(config_json_str, 1, 10)")


@damage("segment-type-changed", "CF812")
def change_segment_type(store: Path, seed: int = 0) -> None:
    """Gives the vector segment a type of the distributed Chroma."""
    change(
        store,
        "UPDATE segments SET type = 'urn:chroma:segment/vector/hnsw-distributed' WHERE scope = 'VECTOR'",
    )


@damage("tenant-deleted", "CF813")
def delete_tenant(store: Path, seed: int = 0) -> None:
    """Deletes all tenants."""
    change(store, "DELETE FROM tenants")


@damage("database-row-deleted", "CF813")
def delete_database_row(store: Path, seed: int = 0) -> None:
    """Deletes all databases."""
    change(store, "DELETE FROM databases")
