"""The SQL of the migrations as Chroma released it, and the schema that a set of them makes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

from forensics.readers.full_text import NAME as FULL_TEXT
from forensics.readers.full_text import SHADOWS

MIGRATIONS = """CREATE TABLE migrations (
                dir TEXT NOT NULL,
                version INTEGER NOT NULL,
                filename TEXT NOT NULL,
                sql TEXT NOT NULL,
                hash TEXT NOT NULL,
                PRIMARY KEY (dir, version)
            )"""
"""Made by every release before its first migration."""


@cache
def released_texts() -> Mapping[tuple[str, int], str]:
    """(dir, version) → the SQL text of the migration as Chroma released it."""
    raw = resources.files("forensics.repair").joinpath("migrations.json").read_text(encoding="utf-8")
    return {(row["dir"], row["version"]): row["sql"] for row in json.loads(raw)}


def schema_of(keys: Iterable[tuple[str, int]]) -> list[tuple[str, str, str, str]]:
    """(type, name, table, sql) of everything that these migrations make, full-text shadow tables left out."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(MIGRATIONS)
        for key in sorted(set(keys) & released_texts().keys()):
            connection.executescript(released_texts()[key])
        sql = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        found = connection.execute(sql).fetchall()
    finally:
        connection.close()
    return [row for row in found if not is_shadow(row[1])]


def is_shadow(name: str) -> bool:
    """True of the tables that SQLite makes for a full-text table."""
    return name in SHADOWS or (name.startswith("embedding_fulltext_") and name != FULL_TEXT)
