"""Another copy of a store, of which the database still names a directory: name, settings, documents and metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from forensics.absent import Absent
from forensics.errors import ForensicsError
from forensics.readers.database import Database
from forensics.store import Collection, Store, open_store

Row = dict[str, object]
TABLES = ("embedding_metadata", "embedding_metadata_array")


@dataclass(frozen=True, slots=True)
class Donor:
    """What a copy says of the collection of one directory; `rows`: table → lines by the id of the record."""

    collection: str
    metadata_segment: str
    tenant: str
    database: str
    database_id: str
    row: Row
    settings: Mapping[str, list[Row]]
    rows: Mapping[str, Mapping[str, list[Row]]]

    def metadata(self, numbers: Mapping[str, int]) -> Iterator[tuple[str, list[Row]]]:
        """(table, lines) of these records, under the rowids that they get."""
        for table, held in self.rows.items():
            yield table, [{**line, "id": at} for name, at in numbers.items() for line in held.get(name, ())]


def donor_of(directory: str, also: Iterable[Path]) -> Donor | None:
    """The first copy whose database names the directory; None where there is none."""
    for path in also:
        try:
            with open_store(path) as store:
                found = next((c for c in store.collections if c.vector_segment_id == directory), None)
                if found is not None and found.metadata_segment_id and isinstance(store.database, Database):
                    return _donor(store, store.database, found, directory)
        except ForensicsError:
            continue  # not a store, or one that cannot be opened: it gives nothing
    return None


def _donor(store: Store, database: Database, found: Collection, directory: str) -> Donor:
    (row,) = _lines(database, "SELECT * FROM collections WHERE id = ?", found.id)
    place = row.get("database_id")
    owner = next(_lines(database, "SELECT * FROM databases WHERE id = ?", place), {}) if place else {}
    settings = {
        "collection_metadata": list(
            _lines(database, "SELECT * FROM collection_metadata WHERE collection_id = ?", found.id)
        ),
        "segment_metadata": list(
            _lines(database, "SELECT * FROM segment_metadata WHERE segment_id = ?", directory)
        ),
    }
    return Donor(
        found.id,
        str(found.metadata_segment_id),
        str(owner.get("tenant_id") or "default_tenant"),
        str(owner.get("name") or "default_database"),
        str(place or "00000000-0000-0000-0000-000000000000"),
        row,
        settings,
        {
            table: _by_name(database, table, str(found.metadata_segment_id))
            for table in TABLES
            if table in database.tables
        },
    )


def _by_name(database: Database, table: str, segment: str) -> dict[str, list[Row]]:
    sql = (
        f"SELECT e.embedding_id AS name_of_record, m.* FROM {table} m JOIN embeddings e ON e.id = m.id"
        " WHERE e.segment_id = ? ORDER BY m.rowid"
    )
    out: dict[str, list[Row]] = {}
    for line in _lines(database, sql, segment):
        out.setdefault(str(line.pop("name_of_record")), []).append(line)
    return out


def _lines(database: Database, sql: str, *parameters: object) -> Iterator[Row]:
    """The rows by their columns; nothing where they cannot be read."""
    found = database.rows(sql, parameters)
    if isinstance(found, Absent) or not found:
        return
    names = [column[0] for column in database.connection.execute(f"{sql} LIMIT 0", parameters).description]
    for cells in found:
        yield dict(zip(names, cells, strict=True))
