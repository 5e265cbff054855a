"""Damage to the folder of a store: files and directories that are gone, moved, copied, linked or shut."""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from pathlib import Path

from forensics.testing.damage import damage

DATABASE = "chroma.sqlite3"


def segment_of(store: Path, scope: str = "VECTOR") -> str:
    """The id of the first segment of that scope, one with a directory where there is any."""
    with sqlite3.connect(store / DATABASE) as database:
        rows = database.execute("SELECT id FROM segments WHERE scope = ? ORDER BY rowid", (scope,)).fetchall()
    database.close()
    return next((row[0] for row in rows if (store / row[0]).is_dir()), rows[0][0])


def orphan_name(seed: int) -> str:
    """A directory name that Chroma could have given."""
    return str(uuid.UUID(int=(seed + 1) * 0x1234567890ABCDEF1234567890ABCDEF % 2**128, version=4))


@damage("database-is-directory", "CF001")
def database_is_directory(store: Path, seed: int = 0) -> None:
    """Puts a directory in the place of chroma.sqlite3, as an interrupted repair does."""
    (store / DATABASE).unlink()
    (store / DATABASE).mkdir()
    (store / DATABASE / "REPAIR-IN-PROGRESS.txt").write_text("forensics apply --resume\n", encoding="utf-8")


@damage("legacy-layout", "CF002")
def legacy_layout(store: Path, seed: int = 0) -> None:
    """Leaves what a release of before 0.4 would: parquet files and pickled indexes."""
    segment = segment_of(store)
    shutil.rmtree(store / segment)
    (store / DATABASE).unlink()
    (store / "chroma-embeddings.parquet").write_bytes(b"PAR1")
    (store / "index").mkdir()
    (store / "index" / f"id_to_uuid_{segment}.pkl").write_bytes(b"\x80\x04}.")


@damage("database-of-another-program", "CF003")
def other_database(store: Path, seed: int = 0) -> None:
    """Replaces chroma.sqlite3 by a database with another program's tables."""
    (store / DATABASE).unlink()
    database = sqlite3.connect(store / DATABASE)
    database.execute("CREATE TABLE notes(text)")
    database.close()


@damage("journal-left", "CF004")
def leave_journal(store: Path, seed: int = 0) -> None:
    """Leaves database and journal as a process does that dies in the middle of a transaction."""
    there, here = store / DATABASE, store.parent / f"{store.name}-writer"
    here.mkdir()
    shutil.copy(there, here)
    database = sqlite3.connect(here / DATABASE, isolation_level=None)
    database.execute("PRAGMA cache_size = 1")  # so that changed pages reach the file before the commit
    database.execute("BEGIN IMMEDIATE")
    database.execute("UPDATE embedding_metadata SET string_value = 'x' || string_value")
    for name in (DATABASE, f"{DATABASE}-journal"):
        shutil.copy(here / name, store / name)
    database.execute("ROLLBACK")
    database.close()
    shutil.rmtree(here)


@damage("directory-orphaned", "CF006")
def orphan_directory(store: Path, seed: int = 0) -> None:
    """Copies a segment directory under a name that no row of segments has."""
    shutil.copytree(store / segment_of(store), store / orphan_name(seed))


@damage("directory-set-aside", "CF007")
def set_aside(store: Path, seed: int = 0) -> None:
    """Copies a segment directory under a name as repair tools give."""
    segment = segment_of(store)
    shutil.copytree(store / segment, store / f"{segment}.drift-20260301-{seed:06d}")


@damage("catalogue-rows-deleted", "CF008")
def delete_catalogue(store: Path, seed: int = 0) -> None:
    """Deletes all rows of collections and segments."""
    database = sqlite3.connect(store / DATABASE)
    for table in ("collections", "segments", "collection_metadata", "segment_metadata"):
        database.execute(f"DELETE FROM {table}")
    database.commit()
    database.close()


@damage("file-not-writable", "CF010")
def forbid_writing(store: Path, seed: int = 0) -> None:
    """Takes the right to write data_level0.bin from its owner."""
    (store / segment_of(store) / "data_level0.bin").chmod(0o444)


@damage("link-inside", "CF011")
def link_inside(store: Path, seed: int = 0) -> None:
    """Puts a symbolic link beside the database."""
    (store / "chroma.sqlite3.latest").symlink_to(store / DATABASE)


@damage("pipe-in-segment", "CF011")
def pipe_in_segment(store: Path, seed: int = 0) -> None:
    """Puts a named pipe into a segment directory."""
    os.mkfifo(store / segment_of(store) / "pipe")
