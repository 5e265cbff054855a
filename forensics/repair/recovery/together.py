"""Records whose row of `embeddings` is gone while everything else of them is there, put together again.

The id stands in the id map, metadata and document under a rowid, the vector in level 0. Which id had which rowid is shown
by the queue (the same metadata), or in 1.x by the order of insertion where nothing was ever deleted; else nothing is done.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.model import Json
from forensics.readers.database import Database
from forensics.readers.embeddings_queue import DELETE
from forensics.readers.full_text import DOCUMENT, UNDOCUMENTED
from forensics.readers.full_text import NAME as FULL_TEXT
from forensics.readers.id_map import IdMap
from forensics.repair.recovery.queued import metadata_by_id, newest_rows
from forensics.repair.replay import ghosts_of
from forensics.store import Collection, Store

ORPHANS = (
    "SELECT id, key, string_value, int_value, float_value, {flag} FROM embedding_metadata"
    " WHERE typeof(id) = 'integer' AND id NOT IN (SELECT id FROM embeddings) ORDER BY id"
)
QUEUE, ORDER = "the queue has the same metadata", "the order of insertion: nothing was ever deleted"


@dataclass(frozen=True, slots=True)
class Pair:
    """An id and the rowid that it had, with what shows it."""

    id: str
    rowid: int
    proof: str


def restore_records(store: Store, target: Path) -> tuple[dict[str, Json], tuple[dict[str, Json], ...]]:
    """`target` is the store's database with the records back that can be shown to be whole; the report, and a line for each
    of them and for each id that is refused. Raises Refused where none can be shown.
    """
    database = store.database
    orphans = {} if isinstance(database, Absent) else orphaned(database)
    found = [(each, shown(each, orphans)) for each in store.collections if orphans]
    if isinstance(database, Absent) or not any(pairs for _, pairs in found):
        raise Refused("No record can be shown to be whole but for its row of embeddings.")
    with closing(sqlite3.connect(target)) as fresh:
        database.connection.backup(fresh)
        for collection, pairs in found:
            _insert(fresh, store, collection, pairs)
        fresh.commit()
    lines = tuple(line for each, pairs in found for line in _lines(each, pairs))
    rows = [_told(each, pairs) for each, pairs in found]
    return {
        "restored": [row for row in rows if row["records"]],
        "refused": sum(row["refused"] for row in rows),
    }, lines


def _told(collection: Collection, pairs: list[Pair]) -> dict[str, Json]:
    proofs = dict(sorted(Counter(pair.proof for pair in pairs).items()))
    refused = len(_ghosts(collection)) - len(pairs)
    return {"collection": collection.name, "records": len(pairs), "proofs": proofs, "refused": refused}


def _lines(collection: Collection, pairs: list[Pair]) -> Iterator[dict[str, Json]]:
    known = {pair.id: pair for pair in pairs}
    for name in _ghosts(collection):
        pair = known.get(name)
        shown = (
            {"rowid": pair.rowid, "proof": pair.proof}
            if pair
            else {"refused": "nothing shows which rowid it had"}
        )
        yield {"collection": collection.name, "id": name, **shown}


def orphaned(database: Database) -> dict[int, dict[str, Json]]:
    """rowid → metadata, of records that have metadata and no row of `embeddings`."""
    flag = "bool_value" if "bool_value" in database.columns("embedding_metadata") else "NULL"
    found = database.rows(ORPHANS.format(flag=flag))
    out: dict[int, dict[str, Json]] = {}
    for rowid, key, text, whole, real, truth in [] if isinstance(found, Absent) else found:
        value = (
            bool(truth)
            if truth is not None
            else next((v for v in (text, whole, real) if v is not None), None)
        )
        out.setdefault(rowid, {})[str(key)] = value
    return out


def _ghosts(collection: Collection) -> list[str]:
    """Ids without a record that the index holds, or gets with the next flush."""
    records = collection.records
    return [] if isinstance(records, Absent) or not records.known else ghosts_of(collection, records)


def shown(collection: Collection, orphans: Mapping[int, Mapping[str, Json]]) -> list[Pair]:
    """The pairs that are proved; two proofs that contradict each other leave none by order."""
    ghosts = _ghosts(collection)
    queued = newest_rows(collection)
    ghosts = [name for name in ghosts if name not in queued or queued[name][1] != DELETE]
    by_queue = _by_queue(collection, ghosts, orphans)
    by_order = _by_order(collection, ghosts, orphans)
    if any(by_order.get(name, rowid) != rowid for name, rowid in by_queue.items()):
        by_order = {}
    taken = set(by_queue.values())
    rest = {name: at for name, at in by_order.items() if name not in by_queue and at not in taken}
    pairs = [Pair(name, at, QUEUE) for name, at in by_queue.items()]
    return sorted(
        [*pairs, *(Pair(name, at, ORDER) for name, at in rest.items())], key=lambda pair: pair.rowid
    )


def _by_queue(
    collection: Collection, ghosts: list[str], orphans: Mapping[int, Mapping[str, Json]]
) -> dict[str, int]:
    """id → rowid where both have the same metadata, and nobody else has."""
    values = metadata_by_id(collection)
    texts = {name: _canonical(values[name]) for name in ghosts if values.get(name)}
    rows = {rowid: _canonical(held) for rowid, held in orphans.items()}
    once, alone = Counter(texts.values()), Counter(rows.values())
    place = {text: rowid for rowid, text in rows.items() if alone[text] == 1}
    return {name: place[text] for name, text in texts.items() if once[text] == 1 and text in place}


def _canonical(held: Mapping[str, Json]) -> str:
    return json.dumps(held, sort_keys=True)


def _by_order(
    collection: Collection, ghosts: list[str], orphans: Mapping[int, Mapping[str, Json]]
) -> dict[str, int]:
    """id → rowid where between two records that are there as many ids as rowids lie; labels and rowids rise together."""
    rows, id_map, segment = collection.rows, collection.id_map, collection.vector
    alone = len(collection.store.collections) == 1 and collection.store.is_modern
    if not alone or isinstance(rows, Absent) or isinstance(segment, Absent) or not isinstance(id_map, IdMap):
        return {}
    summary = segment.files.summary
    if isinstance(summary, Absent) or bool(summary.deleted.any()):
        return {}
    pairs = zip(rows.rowids.tolist(), rows.ids, strict=True)
    anchors = [(at, id_map.id_to_label[name]) for at, name in pairs if name in id_map.id_to_label]
    if any(second[1] <= first[1] for first, second in pairwise(anchors)):
        return {}
    ends = [(-1, -1), *anchors, (1 << 62, 1 << 62)]
    mapped = (id_map.id_to_label[name] for name in ghosts if name in id_map.id_to_label)
    labels = np.array(sorted(mapped), dtype=np.int64)
    numbers = np.array(sorted(orphans), dtype=np.int64)
    names = {label: name for name, label in id_map.id_to_label.items()}
    out: dict[str, int] = {}
    for low, high in pairwise(ends):
        here = labels[(labels > low[1]) & (labels < high[1])].tolist()
        there = numbers[(numbers > low[0]) & (numbers < high[0])].tolist()
        if len(here) == len(there):
            out.update({names[label]: at for label, at in zip(here, there, strict=True)})
    return out


def _insert(fresh: sqlite3.Connection, store: Store, collection: Collection, pairs: list[Pair]) -> None:
    """Rows of `embeddings`; their number and time from the queue, else from the record before them. Texts that only one of
    metadata and full text has are in both.
    """
    queued = newest_rows(collection)
    for pair in pairs:
        near = fresh.execute(
            "SELECT seq_id, created_at FROM embeddings ORDER BY id > ?, abs(id - ?) LIMIT 1",
            (pair.rowid, pair.rowid),
        ).fetchone()
        seq, when = near or (collection.vector_watermark, "1970-01-01 00:00:00")
        seq = queued.get(pair.id, (seq, 0))[0]
        cell = seq if store.is_modern or isinstance(seq, bytes) else int(seq).to_bytes(8, "big")
        fresh.execute(
            "INSERT INTO embeddings (id, segment_id, embedding_id, seq_id, created_at) VALUES (?, ?, ?, ?, ?)",
            (pair.rowid, collection.metadata_segment_id, pair.id, cell, when),
        )
    if pairs and FULL_TEXT in {row[0] for row in fresh.execute("SELECT name FROM sqlite_master")}:
        _complete_texts(fresh, [pair.rowid for pair in pairs])


def _complete_texts(fresh: sqlite3.Connection, rowids: list[int]) -> None:
    for rowid in rowids:
        fresh.execute(
            "INSERT INTO embedding_metadata (id, key, string_value)"
            f" SELECT c.id, '{DOCUMENT}', c.c0 FROM {UNDOCUMENTED} AND c.id = ? AND typeof(c.c0) = 'text'",
            (rowid,),
        )
        fresh.execute(
            f"INSERT INTO {FULL_TEXT} (rowid, string_value) SELECT id, string_value FROM embedding_metadata"
            f" WHERE id = ? AND key = '{DOCUMENT}' AND id NOT IN (SELECT id FROM {FULL_TEXT}_content)",
            (rowid,),
        )
