"""JSON lines that a repair moved into its case, to be put back: which of them the store as it is now has room for."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from forensics.absent import Absent
from forensics.checks.queue_rows import _problem as queue_row_problem
from forensics.errors import Refused, UsageError
from forensics.readers.database import Database
from forensics.readers.embeddings_queue import ADD, DELETE, UPSERT, topic_of
from forensics.readers.full_text import NAME as FULL_TEXT
from forensics.repair.site import Site
from forensics.store import Store

RESTORE = "restore-quarantined"
FLOOR_ID = "chroma-forensics-queue-floor"
Row = dict[str, Any]
NEVER = {
    "older vector, as stored": "its element carries the newer vector that the queue or its length gave;"
    " `forensics undo` brings the older one back",
    "not finite": "a vector with components that are no numbers can be searched by nobody",
}
"""Kinds of lines that are kept as evidence and never put back, with the reason."""
KINDS = ("record", "ghost", "element without an id", "vector of another record", *NEVER)


@dataclass(frozen=True, slots=True)
class Fits:
    """What is put back. maps: (id, label, element) for the id map; flags: elements that live again; rows: (table, row);
    texts: (rowid, text); refused: (line number, reason).
    """

    records: list[Row] = field(default_factory=list)
    maps: list[tuple[str, int, int]] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    rows: list[tuple[str, Row]] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        only_mapped = {name for name, _, _ in self.maps} - {line["id"] for line in self.records}
        nameless = len(set(self.flags) - {element for _, _, element in self.maps})
        return len(self.records) + len(only_mapped) + nameless + len(self.rows) + len(self.texts)


def read_lines(path: Path) -> list[Row]:
    """The lines of such a file, bytes as bytes. Raises UsageError for a file that no repair wrote."""
    try:
        text = path.read_text(encoding="utf-8")
        lines = [json.loads(line, object_hook=_bytes) for line in text.splitlines() if line.strip()]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} holds no JSON lines: {error}.") from error
    if not lines or not all(isinstance(line, dict) and _known(line) for line in lines):
        raise UsageError(f"{path} is no list of what a repair put aside.")
    return lines


def _bytes(value: Row) -> Any:
    return b64decode(value["base64"]) if value.keys() == {"base64"} else value


def _known(line: Row) -> bool:
    return line.get("kind") in KINDS or {"table", "row"} <= line.keys() or line.keys() == {"rowid", "text"}


def collection_in(store: Store, lines: Iterable[Row]) -> str | None:
    """The name of the one collection that the lines are of; None where they belong to none.

    Raises Refused where it is gone, UsageError where there are several.
    """
    topics = {topic_of(each.id): each.name for each in store.collections}
    named = {str(line["collection"]) for line in lines if "collection" in line}
    queued = {str(line["row"]["topic"]) for line in lines if line.get("table") == "embeddings_queue"}
    gone = sorted({*(named - {each.name for each in store.collections}), *(queued - topics.keys())})
    if gone:
        raise Refused(
            f"The collection {gone[0]!r}, of which these lines are, is gone; nothing can be put back."
        )
    found = sorted({*named, *(topics[topic] for topic in queued)})
    if len(found) > 1:
        raise UsageError(f"These lines are of several collections: {', '.join(found)}; split the file.")
    return found[0] if found else None


def fitting(store: Store, site: Site | None, lines: Iterable[Row]) -> Fits:
    """Each line is put back or refused with its reason."""
    fits = Fits()
    if isinstance(store.database, Absent):
        raise Refused(store.database.reason)
    for number, line in enumerate(lines, 1):
        reason = _sorted(store.database, site, line, fits)
        if reason:
            fits.refused.append((number, reason))
    return fits


def _sorted(database: Database, site: Site | None, line: Row, fits: Fits) -> str:
    """Why the line does not fit; "" where it does and is in `fits`."""
    kind = line.get("kind")
    if kind in NEVER:
        return NEVER[str(kind)]
    if "table" in line:
        return _row(database, site, line["table"], line["row"], fits)
    if kind is None:
        return _text(database, line, fits)
    if site is None or isinstance(site.collection.rows, Absent):
        return "the records of its collection cannot be read"
    if kind == "record":
        return _record(site, line, fits)
    return _element(
        site, line, fits, flagged=kind != "vector of another record", named=kind != "element without an id"
    )


def _record(site: Site, line: Row, fits: Fits) -> str:
    if line["id"] in site.collection.row_of:
        return f"the id {line['id']!r} has been given to another record since"
    fits.records.append(line)
    if line.get("element", -1) >= 0:
        _element(
            site, line, fits, flagged=True, named=True
        )  # without its element it comes back without a vector
    return ""


def _element(site: Site, line: Row, fits: Fits, *, flagged: bool, named: bool) -> str:
    """The element still stands in level 0 and carries that vector; its id has none meanwhile."""
    element, summary = int(line["element"]), site.summary
    if named and line["id"] in site.mapping:
        return f"the id {line['id']!r} has another vector since"
    if summary is None or not 0 <= element < len(summary.labels) or bool(summary.deleted[element]) != flagged:
        return f"element {element} is not in the index any more; `--source` can bring vectors of records back"
    if site.raw_vectors(np.array([element]))[0].tolist() != line["vector"]:
        return f"element {element} carries another vector since; `--source` can bring vectors of records back"
    if flagged:
        fits.flags.append(element)
    if named:
        fits.maps.append((line["id"], int(summary.labels[element]), element))
    return ""


def _text(database: Database, line: Row, fits: Fits) -> str:
    sql = "SELECT 1 FROM embeddings WHERE id = ? AND NOT EXISTS (SELECT 1 FROM embedding_metadata m WHERE m.id = ?"
    found = database.rows(f"{sql} AND m.key = 'chroma:document')", (line["rowid"], line["rowid"]))
    if isinstance(found, Absent) or not found:
        return f"no record without a document has row {line['rowid']}"
    fits.texts.append((line["rowid"], line["text"]))
    return ""


def _row(database: Database, site: Site | None, table: str, row: Row, fits: Fits) -> str:
    """A row of the queue, or one that belonged to no segment."""
    if table == "embeddings_queue":
        return _queue_row(database, site, row, fits)
    if table not in ("embeddings", "embedding_metadata", "embedding_metadata_array", "max_seq_id", FULL_TEXT):
        return f"a row of {table} is not one that a repair puts aside"
    if table not in database.tables:
        return f"the store has no table {table}"
    found = database.rows(f"SELECT 1 FROM {table} WHERE rowid = ?", (row["rowid_"],))
    if isinstance(found, Absent) or found:
        return f"row {row['rowid_']} of {table} has been given to another record since"
    fits.rows.append((table, row))
    return ""


def _queue_row(database: Database, site: Site | None, row: Row, fits: Fits) -> str:
    problem = unfit(site, row)
    if problem:
        return f"queue row {row['seq_id']} would block all writes behind it again: {problem}"
    found = database.rows("SELECT id, operation FROM embeddings_queue WHERE seq_id = ?", (row["seq_id"],))
    if isinstance(found, Absent):
        return found.reason
    if found and not (str(found[0][0]).startswith(FLOOR_ID) and found[0][1] == DELETE):
        return f"the number {row['seq_id']} has been given to another queue row since"
    fits.rows.append(("embeddings_queue", row))
    return ""


def unfit(site: Site | None, row: Row) -> str:
    """Why no release could apply that queue row; "" where one can."""
    vector, modern = row["vector"], site is not None and site.collection.store.is_modern
    kind = "null" if vector is None else "blob" if isinstance(vector, bytes) else "text"
    size = len(vector) if isinstance(vector, bytes) else None
    id_type = "text" if isinstance(row["id"], str) else "no text"
    facts = (
        row["seq_id"],
        row["id"],
        row["operation"],
        kind,
        size,
        row["encoding"],
        row["metadata"],
        id_type,
    )
    if row["operation"] in (ADD, UPSERT) and vector is None:
        return "it adds a record without a vector"
    dim = None if site is None else site.dim
    if size is not None and dim is not None and size != 4 * dim:
        return f"its vector has {size} bytes, the index {4 * dim}"
    decodable = row["metadata"] is None or _is_object(row["metadata"])
    return "" if decodable and not _of_row(facts) else queue_row_problem(facts, modern)


def _of_row(facts: tuple[Any, ...]) -> bool:
    _, _, operation, kind, size, encoding, _, id_type = facts
    known = isinstance(operation, int) and ADD <= operation <= DELETE and id_type == "text" and kind != "text"
    return not known or (kind == "blob" and (encoding != "FLOAT32" or bool(size % 4)))


def _is_object(text: object) -> bool:
    try:
        return isinstance(json.loads(str(text)), dict)
    except ValueError:
        return False
