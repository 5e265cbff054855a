"""Damage to chroma.sqlite3: pages, tables, the full-text index, rows that belong to nothing."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from forensics.testing.damage import damage
from forensics.testing.damage_folder import DATABASE

FULL_TEXT = "embedding_fulltext_search"


def change(store: Path, *statements: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> None:
    """Executes statements in one transaction; `parameters` go to each of them."""
    database = sqlite3.connect(store / DATABASE)
    for statement in statements:
        database.execute(statement, parameters)
    database.commit()
    database.close()


def one(store: Path, query: str, parameters: Sequence[object] = ()) -> object:
    """The first cell of the first row."""
    database = sqlite3.connect(store / DATABASE)
    found = database.execute(query, parameters).fetchone()
    database.close()
    return found[0]


def zero_page(store: Path, name: str) -> None:
    """Overwrites the root page of a table or index with zeros."""
    root = one(store, "SELECT rootpage FROM sqlite_master WHERE name = ?", (name,))
    size = one(store, "PRAGMA page_size")
    assert isinstance(root, int)
    assert isinstance(size, int)
    with (store / DATABASE).open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(bytes(size))


def first_leaf(store: Path, table: str) -> int:
    """The number of the first leaf page of a table: down the leftmost children from its root."""
    page = one(store, "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
    raw = (store / DATABASE).read_bytes()
    assert isinstance(page, int)
    while raw[(page - 1) * 4096] == 5:  # an interior page of a table
        cell = int.from_bytes(raw[(page - 1) * 4096 + 12 :][:2], "big")
        page = int.from_bytes(raw[(page - 1) * 4096 + cell :][:4], "big")
    assert raw[(page - 1) * 4096] == 13
    return page


@damage("header-torn", "CF101")
def tear_header(store: Path, seed: int = 0) -> None:
    """Overwrites bytes 8 to 100 of the database, as a torn write of its first page does."""
    with (store / DATABASE).open("r+b") as file:
        file.seek(8)
        file.write(random.Random(seed).randbytes(92))


@damage("table-page-zeroed", "CF102")
def zero_table_page(store: Path, seed: int = 0) -> None:
    """Zeroes the root page of table embeddings."""
    zero_page(store, "embeddings")


@damage("table-dropped", "CF102")
def drop_table(store: Path, seed: int = 0) -> None:
    """Drops table embeddings."""
    change(store, "DROP TABLE embeddings")


@damage("index-page-zeroed", "CF103", deep=True)
def zero_index_page(store: Path, seed: int = 0) -> None:
    """Zeroes the root page of an index on metadata."""
    zero_page(store, "embedding_metadata_string_value")


@damage("database-cut", "CF104")
def cut_database(store: Path, seed: int = 0) -> None:
    """Takes the last fifth of the database away."""
    size = (store / DATABASE).stat().st_size
    os.truncate(store / DATABASE, size * 4 // 5)


@damage("full-text-index-emptied", "CF105", deep=True)
def empty_full_text_index(store: Path, seed: int = 0) -> None:
    """Deletes the inverted index and keeps its content table."""
    change(store, f"DELETE FROM {FULL_TEXT}_data WHERE id > 10")


@damage("full-text-dropped", "CF106")
def drop_full_text(store: Path, seed: int = 0) -> None:
    """Drops the full-text table with its shadow tables."""
    change(store, f"DROP TABLE {FULL_TEXT}")


@damage("full-text-other-text", "CF107", deep=True)
def replace_full_text(store: Path, seed: int = 0) -> None:
    """Gives three rows of the full-text table another text; index and content agree."""
    change(store, f"UPDATE {FULL_TEXT} SET string_value = 'another text' WHERE rowid IN (3, 4, 5)")


@damage("document-rows-removed", "CF707")
def remove_document_rows(store: Path, seed: int = 0) -> None:
    """Deletes all metadata of three records by hand; the full-text index still has their documents."""
    change(store, "DELETE FROM embedding_metadata WHERE id IN (6, 7, 8)")


@damage("rows-orphaned", "CF108")
def orphan_rows(store: Path, seed: int = 0) -> None:
    """Inserts a record of a segment that does not exist, and metadata of a record that does not."""
    change(
        store,
        "INSERT INTO embeddings(id, segment_id, embedding_id, seq_id) VALUES (90001, 'gone', 'ghost', 1)",
        "INSERT INTO embedding_metadata(id, key, int_value) VALUES (90001, 'year', 1999), (90002, 'year', 1)",
    )


@damage("list-metadata-orphaned", "CF109")
def orphan_list_metadata(store: Path, seed: int = 0) -> None:
    """Inserts list metadata under the number that the next record will get."""
    change(
        store,
        "INSERT INTO embedding_metadata_array(id, key, string_value)"
        " SELECT max(id) + 1, 'tags', 'inherited' FROM embeddings",
    )


@damage("vector-segment-row-deleted", "CF110")
def delete_vector_segment(store: Path, seed: int = 0) -> None:
    """Deletes the VECTOR row of segments; the directory stays."""
    change(store, "DELETE FROM segments WHERE scope = 'VECTOR'")


@damage("metadata-segment-row-deleted", "CF110")
def delete_metadata_segment(store: Path, seed: int = 0) -> None:
    """Deletes the METADATA row of segments; the records stay."""
    change(store, "DELETE FROM segments WHERE scope = 'METADATA'")


@damage("collection-doubled", "CF111")
def double_collection(store: Path, seed: int = 0) -> None:
    """Gives the same name to a second collection, in a table that lost its UNIQUE."""
    new = "00000000-0000-4000-8000-00000000000a"
    change(
        store,
        "CREATE TABLE doubled AS SELECT * FROM collections",
        "DROP TABLE collections",
        "ALTER TABLE doubled RENAME TO collections",
        f"INSERT INTO collections(id, name, dimension, database_id, config_json_str)"
        f" SELECT '{new}', name, NULL, database_id, '{{}}' FROM collections LIMIT 1",
        "INSERT INTO segments(id, type, scope, collection) SELECT replace(id, substr(id, 1, 8), 'ffffffff'),"
        f" type, scope, '{new}' FROM segments",
    )


@damage("pages-freed", "CF112")
def free_pages(store: Path, seed: int = 0) -> None:
    """Fills a table with a megabyte and drops it."""
    change(store, "CREATE TABLE filler(bytes)")
    change(store, "INSERT INTO filler VALUES (zeroblob(1048576))")
    change(store, "DROP TABLE filler")
