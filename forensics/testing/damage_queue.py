"""Damage to embeddings_queue and to the watermarks in max_seq_id."""

from __future__ import annotations

import shutil
from pathlib import Path

from forensics.readers.id_map import IdMap, read_id_map
from forensics.readers.layout import Header
from forensics.testing.damage import damage
from forensics.testing.damage_database import change, drop_full_text, one
from forensics.testing.damage_folder import segment_of
from forensics.testing.index import Index

VECTOR = "(SELECT id FROM segments WHERE scope = 'VECTOR')"
METADATA = "(SELECT id FROM segments WHERE scope = 'METADATA')"
SEGMENT = {"VECTOR": VECTOR, "METADATA": METADATA}


def poisoned(watermark: int) -> int:
    """What metadb migration 5 makes of a watermark that is an integer already."""
    return int.from_bytes(str(watermark)[-8:].encode("ascii").rjust(8, b"\x11"), "big")


def poison(store: Path, scope: str) -> None:
    """Poisons the watermark of every segment of that scope."""
    segment = segment_of(store, scope)
    before = one(store, "SELECT seq_id FROM max_seq_id WHERE segment_id = ?", (segment,))
    assert isinstance(before, int)
    change(store, f"UPDATE max_seq_id SET seq_id = {poisoned(before)} WHERE segment_id = '{segment}'")


def mark_of(store: Path, scope: str) -> int:
    """The watermark of the segment of that scope, in either dialect: an integer, or 8 big-endian bytes before 1.0."""
    held = one(store, f"SELECT seq_id FROM max_seq_id WHERE segment_id = {SEGMENT[scope]}")
    return int.from_bytes(held, "big") if isinstance(held, bytes) else int(str(held))


def set_mark(store: Path, scope: str, mark: int) -> None:
    """Sets that watermark, in the dialect in which it stands there."""
    where = f"WHERE segment_id = {SEGMENT[scope]}"
    sql = f"UPDATE max_seq_id SET seq_id = iif(typeof(seq_id) = 'blob', :blob, :mark) {where}"
    change(store, sql, parameters={"blob": mark.to_bytes(8, "big"), "mark": mark})


def queue_end(store: Path) -> int:
    """The highest seq_id in the queue."""
    return int(str(one(store, "SELECT max(seq_id) FROM embeddings_queue")))


@damage("queue-kept", "CF201")
def keep_queue(store: Path, seed: int = 0) -> None:
    """Switches purging off and puts ten applied rows back."""
    change(
        store,
        "UPDATE embeddings_queue_config"
        " SET config_json_str = json_set(config_json_str, '$.automatically_purge', json('false'))",
        "INSERT INTO embeddings_queue(seq_id, operation, topic, id, vector, encoding, metadata)"
        " WITH RECURSIVE ten(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ten WHERE n < 10)"
        " SELECT seq_id - n, 2, topic, id, vector, encoding, metadata"
        " FROM ten, (SELECT * FROM embeddings_queue ORDER BY seq_id LIMIT 1)",
    )


@damage("queue-emptied", "CF202", sample="1.0.20/healthy")
def empty_queue(store: Path, seed: int = 0) -> None:
    """Deletes all rows of the queue, as advice against a large database says."""
    change(store, "DELETE FROM embeddings_queue")


@damage("metadata-watermark-poisoned", "CF203")
def poison_metadata(store: Path, seed: int = 0) -> None:
    """Poisons the watermark of the METADATA segment."""
    poison(store, "METADATA")


@damage("vector-watermark-poisoned", "CF203", "CF501")
def poison_vector(store: Path, seed: int = 0) -> None:
    """Poisons the watermark of the VECTOR segment."""
    poison(store, "VECTOR")


@damage("watermark-edited", "CF203")
def edit_watermark(store: Path, seed: int = 0) -> None:
    """Sets the watermark of the METADATA segment far beyond the queue."""
    set_mark(store, "METADATA", 987654)


@damage("watermark-ahead", "CF204", "CF501")
def vector_ahead(store: Path, seed: int = 0) -> None:
    """Sets the vector watermark to the end of the queue; 50 rows of it were never applied."""
    set_mark(store, "VECTOR", queue_end(store))


@damage("metadata-watermark-ahead", "CF204")
def metadata_ahead(store: Path, seed: int = 0) -> None:
    """Queues five new records and moves the metadata watermark past them."""
    change(
        store,
        "INSERT INTO embeddings_queue(seq_id, operation, topic, id, vector, encoding, metadata)"
        " SELECT seq_id + 5, 0, topic, 'new-' || id, vector, encoding, metadata FROM embeddings_queue"
        " ORDER BY seq_id DESC LIMIT 5",
    )
    set_mark(store, "METADATA", queue_end(store))


@damage("index-removed-watermark-kept", "CF205", "CF301", "CF501")
def stale_watermark(store: Path, seed: int = 0) -> None:
    """Removes the index directory; its watermark says that all of the queue was persisted."""
    shutil.rmtree(store / segment_of(store))
    vector_ahead(store, seed)


@damage("watermark-in-map-only", "CF206")
def legacy_watermark(store: Path, seed: int = 0) -> None:
    """Moves the vector watermark from max_seq_id into the id map, where 0.4 kept it."""
    segment = segment_of(store)
    mark = one(store, "SELECT seq_id FROM max_seq_id WHERE segment_id = ?", (segment,))
    change(store, f"DELETE FROM max_seq_id WHERE segment_id = '{segment}'")
    with Index(store).id_map() as id_map:
        id_map["max_seq_id"] = mark


def flag_first_element(directory: Path) -> str:
    """Flags internal id 0 deleted and returns the id whose label it has."""
    header = Header.from_bytes((directory / "header.bin").read_bytes())
    with (directory / "data_level0.bin").open("r+b") as file:
        file.seek(2)
        file.write(b"\x01")
        file.seek(header.label_offset)
        label = int.from_bytes(file.read(8), "little")
    id_map = read_id_map(directory / "index_metadata.pickle")
    assert isinstance(id_map, IdMap)
    return id_map.label_to_id[label]


@damage("replay-wedged", "CF207", "CF411")
def wedge_replay(store: Path, seed: int = 0) -> None:
    """Flags the first element deleted and queues an update of metadata for its record."""
    name = flag_first_element(store / segment_of(store))
    change(
        store,
        "INSERT INTO embeddings_queue(seq_id, operation, topic, id, vector, encoding, metadata)"
        " SELECT max(seq_id) + 1, 1, topic, ?, NULL, NULL, '{\"year\": 2026}' FROM embeddings_queue",
        parameters=(name,),
    )
    set_mark(store, "METADATA", queue_end(store))


@damage("operation-unknown", "CF208", "CF501")
def unknown_operation(store: Path, seed: int = 0) -> None:
    """Gives the newest queue row operation 9."""
    change(
        store,
        "UPDATE embeddings_queue SET operation = 9 WHERE seq_id = (SELECT max(seq_id) FROM embeddings_queue)",
    )


@damage("queue-metadata-cut", "CF208")
def cut_metadata(store: Path, seed: int = 0) -> None:
    """Cuts the JSON of the newest queue row in half."""
    change(
        store,
        "UPDATE embeddings_queue SET metadata = substr(metadata, 1, length(metadata) / 2)"
        " WHERE seq_id = (SELECT max(seq_id) FROM embeddings_queue)",
    )


@damage("queue-vector-missing", "CF209", "CF501")
def remove_vector(store: Path, seed: int = 0) -> None:
    """Takes the vector from the newest queue row."""
    change(
        store,
        "UPDATE embeddings_queue SET vector = NULL, encoding = NULL"
        " WHERE seq_id = (SELECT max(seq_id) FROM embeddings_queue)",
    )


@damage("replay-noise", "CF211")
def repeat_row(store: Path, seed: int = 0) -> None:
    """Queues an add of a record that the index has."""
    change(
        store,
        "INSERT INTO embeddings_queue(seq_id, operation, topic, id, vector, encoding, metadata)"
        " SELECT (SELECT max(seq_id) + 1 FROM embeddings_queue), 0, topic, id, vector, encoding, metadata"
        " FROM embeddings_queue ORDER BY seq_id LIMIT 1",
    )
    set_mark(store, "METADATA", queue_end(store))


@damage("queue-purged-too-far", "CF212", "CF501")
def purge_too_far(store: Path, seed: int = 0) -> None:
    """Deletes 30 pending rows from the queue."""
    change(store, "DELETE FROM embeddings_queue WHERE seq_id BETWEEN 260 AND 289")


@damage("deleted-record-in-queue", "CF213", deep=True)
def keep_deleted_text(store: Path, seed: int = 0) -> None:
    """Puts a row of a record that was deleted back below both watermarks."""
    change(
        store,
        "INSERT INTO embeddings_queue(seq_id, operation, topic, id, vector, encoding, metadata)"
        " SELECT 10, 0, topic, 'deleted long ago', vector, encoding, metadata FROM embeddings_queue LIMIT 1",
    )


@damage("metadata-replay-wedged", "CF214", "CF106")
def wedge_metadata(store: Path, seed: int = 0) -> None:
    """Drops the full-text table and sets the metadata watermark back by ten."""
    drop_full_text(store, seed)
    set_mark(store, "METADATA", mark_of(store, "METADATA") - 10)
