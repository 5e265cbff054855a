"""A catalogue made of segment directories: the database is gone, empty, or names none of them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from forensics.absent import Absent
from forensics.checks.lost_catalogue import full_directories
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.database import Database
from forensics.readers.full_text import DOCUMENT
from forensics.readers.full_text import NAME as FULL_TEXT
from forensics.readers.id_map import IdMap
from forensics.readers.layout import ID_MAP_FILE
from forensics.readers.migrations import BY_KEY, set_of
from forensics.repair.recovery.donors import Donor, donor_of
from forensics.repair.recovery.settings import Judged, judge
from forensics.repair.released import MIGRATIONS, released_texts, schema_of
from forensics.store import METADATA_TYPE, VECTOR_TYPE, Store, VectorSegment

Report = dict[str, Json]
NAMES = UUID("6d1f0c6e-6f6e-5b2b-9f3c-1d2f6a9b7c55")
"""Under this name space the ids are made that nothing on disk tells: the same store always gets the same."""
NOBODY, DEFAULT_TENANT, DEFAULT_DATABASE = str(UUID(int=0)), "default_tenant", "default_database"
TOPIC = "persistent://default/default/"


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory as the collection that it will be: its ids in the order of their labels, and the number of each."""

    segment: VectorSegment
    ids: tuple[str, ...]
    seqs: tuple[int, ...]
    judged: Judged
    time: str
    donor: Donor | None

    @property
    def watermark(self) -> int:
        return max(self.seqs, default=1)

    def named(self, what: str) -> str:
        """An id that follows from the directory's name."""
        return str(uuid5(NAMES, f"{self.segment.relative}/{what}"))


def folders(store: Store, also: Iterable[Path]) -> list[Folder]:
    """Every directory whose id map can be read, by name."""
    listed = list(also)
    return [_folder(store, one, listed) for one in full_directories(store) if isinstance(one.id_map, IdMap)]


def _folder(store: Store, segment: VectorSegment, also: list[Path]) -> Folder:
    id_map = segment.id_map
    assert isinstance(id_map, IdMap)
    pairs = sorted(id_map.id_to_label.items(), key=lambda pair: pair[1])
    seqs = tuple(_seq(id_map.id_to_seq_id.get(name), label) for name, label in pairs)
    changed = segment.path(ID_MAP_FILE).stat().st_mtime
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(changed))
    return Folder(
        segment, tuple(n for n, _ in pairs), seqs, judge(segment), when, donor_of(segment.relative, also)
    )


def _seq(stored: object, label: int) -> int:
    return stored if isinstance(stored, int) and 0 < stored < 1 << 62 else max(label, 1)


def rebuild_catalogue(store: Store, target: Path, dialect: str, also: Iterable[Path]) -> Report:
    """`target` is the store's database, or a new one where there is none, with a collection for every full directory.

    The same store gives the same rows. Raises Refused where no directory has an id map that can be read.
    """
    found = folders(store, also)
    if not found:
        raise Refused("no segment directory has an id map that can be read.")
    _start(store, target, dialect)
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            rows = [Catalogued(connection, folder).write() for folder in found]
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise Refused(f"SQLite refused the rows of the catalogue: {error}.") from error
    return {"collections": rows, "dialect": dialect if isinstance(store.database, Absent) else None}


def _start(store: Store, target: Path, dialect: str) -> None:
    """A copy of the database that is there, or the tables of a release."""
    database = store.database
    if isinstance(database, Database) and "collections" in database.tables:
        with closing(sqlite3.connect(target)) as fresh:
            database.connection.backup(fresh)
        return
    keys = set_of(dialect)
    with closing(sqlite3.connect(target)) as fresh:
        fresh.execute(MIGRATIONS)
        for _, name, _, sql in schema_of(keys):
            if name != "migrations":
                fresh.execute(sql)
        texts = released_texts()
        rows = [(*key, BY_KEY[key].filename, texts[key], BY_KEY[key].hash) for key in sorted(keys)]
        fresh.executemany(
            "INSERT INTO migrations (dir, version, filename, sql, hash) VALUES (?, ?, ?, ?, ?)", rows
        )
        fresh.commit()


class Catalogued:
    """One directory on its way into the catalogue."""

    def __init__(self, connection: sqlite3.Connection, folder: Folder) -> None:
        self.connection, self.folder = connection, folder
        self.modern = bool(self.all("SELECT 1 FROM migrations WHERE dir = 'metadb' AND version >= 5"))

    def all(self, sql: str, *parameters: object) -> list[tuple[object, ...]]:
        return self.connection.execute(sql, parameters).fetchall()

    def insert(self, table: str, row: Mapping[str, object]) -> None:
        """The row, without the columns that this table does not have; not where its key is taken."""
        there = {column[1] for column in self.all(f"PRAGMA table_info({table})")}
        kept = {name: value for name, value in row.items() if name in there}
        names, marks = ", ".join(kept), ", ".join("?" * len(kept))
        if kept:
            self.connection.execute(
                f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", list(kept.values())
            )

    def write(self) -> Report:
        """The collection, its segments, its records and its watermarks are there; what is known of it is returned."""
        folder, donor = self.folder, self.folder.donor
        collection = donor.collection if donor else self._collection()
        metadata = donor.metadata_segment if donor else self._metadata_segment()
        held = len(self.all("SELECT 1 FROM embeddings WHERE segment_id = ?", metadata))
        self._place(donor)
        self._collection_row(collection, donor)
        for segment, kind, scope in (
            (folder.segment.relative, VECTOR_TYPE, "VECTOR"),
            (metadata, METADATA_TYPE, "METADATA"),
        ):
            topic = f"{TOPIC}{collection}"
            row = {"id": segment, "type": kind, "scope": scope, "topic": topic, "collection": collection}
            self.insert("segments", row)
        if not held:
            self._records(metadata, donor)
        self._watermarks(metadata)
        return self._told(collection, metadata, held)

    def _collection(self) -> str:
        """The id that queue rows of these ids name, else one that follows from the directory."""
        wanted = set(self.folder.ids)
        rows = self.all("SELECT DISTINCT topic, id FROM embeddings_queue")
        topics = [str(topic) for topic, name in rows if name in wanted and str(topic).startswith(TOPIC)]
        known = {str(row[0]) for row in self.all("SELECT id FROM collections")}
        free = [topic.removeprefix(TOPIC) for topic in topics if topic.removeprefix(TOPIC) not in known]
        return max(
            set(free), key=lambda each: (free.count(each), each), default=self.folder.named("collection")
        )

    def _metadata_segment(self) -> str:
        """The segment of records that no row of `segments` names and that shares ids with the directory, else a new one."""
        wanted = set(self.folder.ids)
        sql = "SELECT segment_id, embedding_id FROM embeddings WHERE segment_id NOT IN (SELECT id FROM segments)"
        shared = [str(segment) for segment, name in self.all(sql) if name in wanted]
        return max(
            set(shared), key=lambda each: (shared.count(each), each), default=self.folder.named("metadata")
        )

    def _place(self, donor: Donor | None) -> None:
        """Tenant and database of the collection."""
        tenant, database = (donor.tenant, donor.database) if donor else (DEFAULT_TENANT, DEFAULT_DATABASE)
        self.insert("tenants", {"id": tenant})
        self.insert(
            "databases", {"id": donor.database_id if donor else NOBODY, "name": database, "tenant_id": tenant}
        )

    def _collection_row(self, collection: str, donor: Donor | None) -> None:
        judged = self.folder.judged
        row: dict[str, object] = {
            "id": collection,
            "name": f"recovered-{self.folder.segment.relative}",
            "topic": f"{TOPIC}{collection}",
            "dimension": judged.dim,
            "database_id": NOBODY,
            "config_json_str": judged.config if self.modern else None,
        }
        self.insert("collections", row if donor is None else {**row, **donor.row})
        if donor is not None:
            for table, lines in donor.settings.items():
                for line in lines:
                    self.insert(table, line)
        elif not self.modern:
            self._legacy("collection", collection)
            self._legacy("segment", self.folder.segment.relative)

    def _legacy(self, kind: str, owner: str) -> None:
        """The hnsw: keys, from which releases before 1.0 take the settings."""
        for key, value in self.folder.judged.legacy.items():
            column = "str_value" if isinstance(value, str) else "int_value"
            self.insert(f"{kind}_metadata", {f"{kind}_id": owner, "key": key, column: value})

    def _records(self, segment: str, donor: Donor | None) -> None:
        """A row for each id, in the order of the labels, with the metadata that another copy of the store has."""
        first = int(str(self.all("SELECT ifnull(max(id), 0) FROM embeddings")[0][0])) + 1
        numbered = list(enumerate(zip(self.folder.ids, self.folder.seqs, strict=True), start=first))
        rows = ((at, segment, name, self._cell(seq), self.folder.time) for at, (name, seq) in numbered)
        sql = (
            "INSERT INTO embeddings (id, segment_id, embedding_id, seq_id, created_at) VALUES (?, ?, ?, ?, ?)"
        )
        self.connection.executemany(sql, rows)
        if donor is None:
            return
        for table, lines in donor.metadata({name: at for at, (name, _) in numbered}):
            for line in lines:
                self.insert(table, line)
        self.connection.execute(
            f"INSERT INTO {FULL_TEXT} (rowid, string_value) SELECT id, string_value FROM embedding_metadata"
            " WHERE key = ? AND id >= ? AND string_value IS NOT NULL",
            (DOCUMENT, first),
        )

    def _cell(self, seq: int) -> object:
        return seq if self.modern else seq.to_bytes(8, "big")

    def _watermarks(self, metadata: str) -> None:
        """Both at the highest number of a record: the index holds all of them."""
        for segment in (self.folder.segment.relative, metadata):
            self.insert("max_seq_id", {"segment_id": segment, "seq_id": self._cell(self.folder.watermark)})

    def _told(self, collection: str, metadata: str, held: int) -> Report:
        name = self.all("SELECT name FROM collections WHERE id = ?", collection)[0][0]
        records = len(self.all("SELECT 1 FROM embeddings WHERE segment_id = ?", metadata))
        sql = (
            "SELECT count(*) FROM embedding_metadata m JOIN embeddings e ON e.id = m.id"
            " WHERE m.key = ? AND e.segment_id = ?"
        )
        documents = int(str(self.all(sql, DOCUMENT, metadata)[0][0]))
        judged = self.folder.judged
        return {
            "directory": self.folder.segment.relative,
            "name": name,
            "id": collection,
            "records": records,
            "documents": documents,
            "already_there": held,
            "from_copy": self.folder.donor is not None,
            "space": judged.space,
            "why_that_space": judged.why,
        }


def lacking(report: Mapping[str, Json]) -> Iterator[tuple[str, int]]:
    """(collection, records without a document)."""
    for row in report["collections"]:
        if row["records"] > row["documents"]:
            yield row["name"], row["records"] - row["documents"]
