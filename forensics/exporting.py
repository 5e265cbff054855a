"""Every record that can be recovered, streamed to a file: id, document, metadata, vector and where the vector comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forensics.absent import Absent
from forensics.errors import Refused
from forensics.sources import dimension_of, fetch, find_sources

if TYPE_CHECKING:
    from forensics.records import Records
    from forensics.store import Collection, Store

BATCH = 5_000


def records_of(collection: Collection, also: Sequence[Path] = ()) -> Iterator[dict[str, Any]]:
    """One dict per record in rowid order; `vector` (dim,) float32 as the user gave it or None; `source`: its origin."""
    records = collection.records
    if isinstance(records, Absent):
        return
    for start in range(0, len(records), BATCH):
        rows = np.arange(start, min(start + BATCH, len(records)))
        vectors, origins = _vectors(collection, records, rows, also)
        contents = _contents(collection, records.rows.rowids[rows])
        for offset, row in enumerate(rows.tolist()):
            document, metadata = contents.get(int(records.rows.rowids[row]), (None, {}))
            yield {
                "collection": collection.name,
                "id": records.rows.ids[row],
                "document": document,
                "metadata": metadata,
                "vector": vectors[offset] if origins[offset] else None,
                "source": origins[offset] or None,
            }


def _vectors(
    collection: Collection, records: Records, rows: np.ndarray, also: Sequence[Path]
) -> tuple[np.ndarray, list[str]]:
    """(k, dim) float32 and the origin of each, "" where it exists nowhere."""
    dim = dimension_of(collection) or 0
    vectors, origins = np.full((len(rows), dim), np.nan, np.float32), [""] * len(rows)
    indexed = records.indexed[rows]
    if indexed.any():
        vectors[indexed] = _indexed(collection, records.elements[rows[indexed]])
    for offset in np.flatnonzero(indexed).tolist():
        origins[offset] = "index"
    rest = np.flatnonzero(~indexed)
    sources = find_sources(collection, [records.rows.ids[row] for row in rows[rest].tolist()], also=also)
    found = np.flatnonzero(sources.found)
    if len(found) and dim:
        vectors[rest[found]] = fetch(collection, sources, found).raw
        for position in found.tolist():
            kind, origin = str(sources.kind[position]), str(sources.origin[position])
            origins[int(rest[position])] = f"{kind}: {origin}" if origin else kind
    return vectors, origins


def _indexed(collection: Collection, elements: np.ndarray) -> np.ndarray:
    segment = collection.vector
    assert not isinstance(segment, Absent)
    stored = segment.files.vectors(elements)
    lengths = segment.files.lengths
    if collection.settings.space == "cosine" and not isinstance(lengths, Absent):
        return stored * np.asarray(lengths)[elements][:, None]
    return stored


def _contents(collection: Collection, rowids: np.ndarray) -> dict[int, tuple[Any, dict[str, Any]]]:
    """rowid → document and metadata."""
    out: dict[int, tuple[Any, dict[str, Any]]] = {}
    sql = "SELECT id, key, string_value, int_value, float_value, bool_value FROM embedding_metadata WHERE id BETWEEN ? AND ?"
    if "bool_value" not in collection.database.columns("embedding_metadata"):
        sql = sql.replace("bool_value", "NULL")
    wanted = set(rowids.tolist())
    found = collection.database.rows(sql, (int(rowids.min()), int(rowids.max())))
    for rowid, key, text, integer, real, truth in [] if isinstance(found, Absent) else found:
        if rowid in wanted:
            document, metadata = out.get(rowid, (None, {}))
            value = (
                bool(truth)
                if truth is not None
                else next((v for v in (text, integer, real) if v is not None), None)
            )
            out[rowid] = (
                (value, metadata) if key == "chroma:document" else (document, {**metadata, key: value})
            )
    return out


def export(store: Store, form: str, target: Path, *, also: Sequence[Path] = ()) -> dict[str, Any]:
    """Writes all recoverable records of `store` to `target` (jsonl, npz or parquet), which must not exist yet."""
    if target.exists():
        raise Refused(f"{target} exists already; an export never overwrites.")
    items = (item for collection in store.collections for item in records_of(collection, also))
    counts = {"jsonl": _jsonl, "npz": _npz, "parquet": _parquet}[form](items, target)
    return {"schema": 1, "file": str(target), "records": counts[0], "without_vector": counts[1]}


def _listed(item: dict[str, Any]) -> dict[str, Any]:
    vector = item["vector"]
    return {**item, "vector": None if vector is None else [float(value) for value in vector]}


def _jsonl(items: Iterator[dict[str, Any]], target: Path) -> tuple[int, int]:
    count = without = 0
    with open(target, "x", encoding="utf-8") as handle:
        for item in items:
            count, without = count + 1, without + (item["vector"] is None)
            handle.write(json.dumps(_listed(item), ensure_ascii=True) + "\n")
    return count, without


def _npz(items: Iterator[dict[str, Any]], target: Path) -> tuple[int, int]:
    """Columns: collection, id, document, metadata (JSON), source; vectors (n, dim), rows of NaN where there is none."""
    listed = list(items)
    width = max((len(item["vector"]) for item in listed if item["vector"] is not None), default=0)
    vectors = np.full((len(listed), width), np.nan, np.float32)
    for row, item in enumerate(listed):
        if item["vector"] is not None:
            vectors[row, : len(item["vector"])] = item["vector"]
    texts = {
        name: np.array([str(item[name] or "") for item in listed])
        for name in ("collection", "id", "document", "source")
    }
    metadata = np.array([json.dumps(item["metadata"]) for item in listed])
    with open(target, "xb") as handle:
        np.savez_compressed(handle, vectors=vectors, metadata=metadata, **texts)
    return len(listed), sum(item["vector"] is None for item in listed)


def _parquet(items: Iterator[dict[str, Any]], target: Path) -> tuple[int, int]:
    """One row per record; metadata as JSON. Needs pyarrow."""
    import pandas as pd

    from forensics.verbs import needs

    needs("pyarrow", "an export to Parquet")
    frame = pd.DataFrame([{**_listed(item), "metadata": json.dumps(item["metadata"])} for item in items])
    frame.to_parquet(target, index=False)
    return len(frame), sum(item is None for item in frame["vector"]) if len(frame) else 0
