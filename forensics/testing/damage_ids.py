"""Damages of the id map and of the sets of ids."""

from __future__ import annotations

import os

import numpy as np

from forensics.readers import layout
from forensics.testing.index import Index, index_damage


@index_damage("id-map-cut", "CF403")
def id_map_cut(index: Index, random: np.random.Generator) -> None:
    """index_metadata.pickle ends somewhere before its STOP opcode."""
    path = index.path(layout.ID_MAP_FILE)
    os.truncate(path, int(random.integers(10, path.stat().st_size - 10)))


@index_damage("id-map-hostile", "CF404")
def id_map_hostile(index: Index, random: np.random.Generator) -> None:
    """index_metadata.pickle calls a function when it is loaded as a pickle."""
    index.path(layout.ID_MAP_FILE).write_bytes(b"\x80\x03cbuiltins\nprint\nX\x05\x00\x00\x00hello\x85R.")


@index_damage("id-map-malformed", "CF405")
def id_map_malformed(index: Index, random: np.random.Generator) -> None:
    """index_metadata.pickle loads, and maps ids to texts."""
    with index.id_map() as state:
        state["id_to_label"] = {name: str(label) for name, label in state["id_to_label"].items()}


@index_damage("mirror-lost", "CF406")
def mirror_lost(index: Index, random: np.random.Generator) -> None:
    """Three entries of label_to_id are gone."""
    with index.id_map() as state:
        for label in sorted(state["label_to_id"])[:3]:
            del state["label_to_id"][label]


@index_damage("counter-lowered", "CF407")
def counter_lowered(index: Index, random: np.random.Generator) -> None:
    """total_elements_added is 100 too low."""
    with index.id_map() as state:
        state["total_elements_added"] -= 100


@index_damage("label-invented", "CF408", "CF503")
def label_invented(index: Index, random: np.random.Generator) -> None:
    """The id map has an id and a label that exist nowhere else."""
    with index.id_map() as state:
        state["total_elements_added"] += 1
        label = state["total_elements_added"]
        state["id_to_label"]["invented"], state["label_to_id"][label] = label, "invented"


@index_damage("ids-unmapped", "CF409", "CF501")
def ids_unmapped(index: Index, random: np.random.Generator) -> None:
    """Five ids are gone from both maps; their elements are as they were."""
    index.unmap(index.some_ids(random, 5))


@index_damage("label-doubled", "CF410", "CF408", "CF501")
def label_doubled(index: Index, random: np.random.Generator) -> None:
    """An element carries the label of another one instead of its own."""
    with index.level0() as level0:
        level0["label"][10] = level0["label"][20]


@index_damage("records-flagged", "CF411")
def records_flagged(index: Index, random: np.random.Generator) -> None:
    """Four elements that records need are flagged deleted."""
    with index.level0() as level0:
        level0["flags"][10:14] |= layout.DELETED_FLAG


@index_damage("labels-zeroed", "CF412", "CF408", "CF501")
def labels_zeroed(index: Index, random: np.random.Generator) -> None:
    """The last three elements have label 0."""
    with index.level0() as level0:
        level0["label"][-3:] = 0


@index_damage("level0-page-zeroed", "CF412", "CF408", "CF501", "CF609", "CF706")
def level0_page_zeroed(index: Index, random: np.random.Generator) -> None:
    """One page of 4096 bytes in the middle of data_level0.bin comes back from the disk as zeros."""
    with index.level0() as level0:
        raw = level0.view(np.uint8).reshape(-1)
        raw[4096 * (middle := len(raw) // 8192) : 4096 * (middle + 1)] = 0


@index_damage("oldest-lost", "CF501")
def oldest_lost(index: Index, random: np.random.Generator) -> None:
    """The oldest forty records are in SQLite and nowhere else."""
    _lose(index, 0, 40)


@index_damage("middle-lost", "CF501")
def middle_lost(index: Index, random: np.random.Generator) -> None:
    """Forty records from the middle of the sequence are in SQLite and nowhere else."""
    _lose(index, 100, 140)


def _lose(index: Index, first: int, last: int) -> None:
    with index.sql() as database:
        ids = [row[0] for row in database.execute("SELECT embedding_id FROM embeddings ORDER BY id")]
    index.flag(index.unmap(ids[first:last]))


@index_damage("rows-deleted", "CF503")
def rows_deleted(index: Index, random: np.random.Generator) -> None:
    """Five records are deleted from SQLite behind the engine's back."""
    index.forget(index.some_ids(random, 5))


@index_damage("vectors-exchanged", "CF505")
def vectors_exchanged(index: Index, random: np.random.Generator) -> None:
    """Of thirty records that are copies of others in text and vector, one has got a stranger's vector."""
    with index.sql() as database:
        sql = "SELECT e.embedding_id, m.string_value FROM embeddings e JOIN embedding_metadata m USING (id)"
        texts = dict(database.execute(f"{sql} WHERE m.key = 'chroma:document' ORDER BY e.id").fetchall())
        ids = sorted(index.some_ids(random, 60))
        for original, copy in zip(ids[:30], ids[30:], strict=True):
            (row,) = database.execute("SELECT id FROM embeddings WHERE embedding_id = ?", (copy,)).fetchone()
            database.execute(
                "UPDATE embedding_metadata SET string_value = ? WHERE id = ? AND key = 'chroma:document'",
                (texts[original], row),
            )
    places = [int(index.elements([name])[0]) for name in ids]
    with index.level0() as level0:
        level0["vector"][places[30:]] = level0["vector"][places[:30]]
        level0["vector"][places[30]] = level0["vector"][places[5]]
    norms = np.fromfile(index.path(layout.LENGTH_FILE), dtype="<f4")
    norms[places[30:]] = norms[places[:30]]
    norms[places[30]] = norms[places[5]]
    norms.tofile(index.path(layout.LENGTH_FILE))


@index_damage("vector-stale", "CF504")
def vector_stale(index: Index, random: np.random.Generator) -> None:
    """The element of the record at the watermark holds an older vector."""
    with index.sql() as database:
        sql = (
            "SELECT id FROM embeddings_queue WHERE seq_id = (SELECT seq_id FROM max_seq_id WHERE "
            "segment_id = ?)"
        )
        ((name,),) = database.execute(sql, (index.vector_segment,)).fetchall()
    element = index.elements([name])
    with index.level0() as level0:
        level0["vector"][element] = np.roll(level0["vector"][element], 1, axis=1)
