"""Which chromadb releases have touched a store, told from the forms in which each of them writes.

A form is there or not; who wrote it is inferred. One release can follow another without leaving anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from forensics.absent import Absent
from forensics.readers.database import Database
from forensics.readers.id_map import IdMap
from forensics.readers.migrations import UNKNOWN, written_by
from forensics.store import Collection, Store

BEFORE_1, SINCE_1 = "0.4.0 – 0.6.3", "1.0.0 or later"


@dataclass(frozen=True, slots=True)
class Touch:
    """Some release of `releases` has written; `why`: what it left, in one sentence."""

    releases: str
    why: str

    def to_json(self) -> dict[str, Any]:
        return {"releases": self.releases, "why": self.why, "kind": "inferred"}


def touched(store: Store) -> tuple[Touch, ...]:
    """What each form in the store says of its writers, the newest release that had it open first."""
    if not isinstance(store.database, Database):
        return ()
    found = [*_of_migrations(store.database), *_of_log(store.database), *_of_rows(store.database)]
    for collection in store.collections:
        found += [*_of_settings(collection), *_of_index(collection)]
    return tuple(dict.fromkeys(found))


def _of_migrations(database: Database) -> Iterator[Touch]:
    newest = written_by(database.migrations)
    if newest != UNKNOWN:
        yield Touch(
            newest, "The newest migration that was made is theirs: no newer release has had the store open."
        )


def _of_log(database: Database) -> Iterator[Touch]:
    rows = (
        database.rows("SELECT 1 FROM maintenance_log LIMIT 1") if "maintenance_log" in database.tables else []
    )
    if not isinstance(rows, Absent) and rows:
        yield Touch("0.5.6 or later", "maintenance_log has entries: `chroma vacuum` was run.")


def _of_rows(database: Database) -> Iterator[Touch]:
    """The oldest and the newest row of `embeddings`: a seq_id is a BLOB where 0.x wrote it, and stays one."""
    for which, direction in (("oldest", "ASC"), ("newest", "DESC")):
        found = database.rows(f"SELECT typeof(seq_id) FROM embeddings ORDER BY id {direction} LIMIT 1")
        stored = None if isinstance(found, Absent) or not found else found[0][0]
        if stored in ("blob", "integer"):
            releases, form = (BEFORE_1, "a BLOB") if stored == "blob" else (SINCE_1, "an integer")
            yield Touch(releases, f"The seq_id of the {which} row of embeddings is {form}.")


def _of_settings(collection: Collection) -> Iterator[Touch]:
    settings, schema = collection.row.config_json_str, collection.row.schema_str
    if isinstance(settings, str) and '"_type"' in settings:
        yield Touch("0.5.4 – 0.6.3", f"The settings of {collection.name!r} name Python classes (`_type`).")
    if isinstance(schema, str) and schema:
        yield Touch("1.3.0 or later", f"{collection.name!r} has a schema (schema_str).")


def _of_index(collection: Collection) -> Iterator[Touch]:
    if isinstance(collection.id_map, IdMap):
        is_class = collection.id_map.form == "class"
        form = "an object of a Python class" if is_class else "a plain dict"
        yield Touch(BEFORE_1 if is_class else SINCE_1, f"The id map of {collection.name!r} is {form}.")
