"""Tables for the notebooks: views of what the core measured. What is not there gives an empty table that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.absent import Absent
from forensics.breakdown import Breakdown, by_metadata, by_prefix
from forensics.lab.sheet import Cell, Table
from forensics.report.casefiles import STAGES

if TYPE_CHECKING:
    from forensics.case import Case
    from forensics.lab.session import Session
    from forensics.model import Diagnosis
    from forensics.readers.hnsw import FileFacts
    from forensics.readers.id_map import IdMap
    from forensics.records import Records
    from forensics.store import Collection, Store, VectorSegment

NO_COLLECTION = "The database names no collection that could be looked at."
NO_SEGMENT = "There is no segment directory."
OUTCOMES = ("found", "clean", "masked", "partial", "skipped", "crashed", "not-asked")


def checks(diagnosis: Diagnosis) -> Table:
    """How many checks came to which outcome, and which they were."""
    rows: list[tuple[Cell, ...]] = []
    for outcome in OUTCOMES:
        codes = [one.code for one in diagnosis.checks if one.outcome == outcome]
        if codes:
            rows.append((outcome, len(codes), " ".join(codes)))
    return Table(("outcome", "checks", "codes"), tuple(rows), "No check ran.")


def calls(probe: Mapping[str, Any], *names: str) -> Table:
    """One row per API call (or only of those named): what it did, how far it reached, whether it can be used."""
    rows = [
        (
            one["name"],
            call["code"],
            call["verdict"],
            "" if call["reaches"] is None else f"{call['reaches']:,} of {call['of']:,}",
            "yes" if call["safe_to_use"] else "no",
            _brief(str(call["detail"])),
        )
        for one in probe["collections"]
        for call in one["calls"]
        if not names or call["call"] in names
    ]
    columns = ("collection", "call", "verdict", "reaches", "safe to use", "detail")
    return Table(columns, tuple(rows), "No call could be tried.")


def _brief(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def culprits(collection: Collection | None, limit: int = 10) -> Table:
    """The first records that `peek` would take and that have no vector, and why."""
    from forensics.probing import trace

    found = trace(collection, limit) if collection is not None else []
    rows = tuple((item["position"], item["id"], item["why"]) for item in found)
    return Table(("position", "id", "why"), rows, "No record without a vector stands in the way of peek.")


def segments(store: Store) -> Table:
    """Every directory that holds files of a segment: its state, its elements, who refers to it."""
    known = {one.relative for one in store.unreferenced}
    rows = tuple(
        (
            one.relative,
            one.state,
            one.files.elements,
            "no collection" if one.relative in known else _owner(store, one.id),
        )
        for one in store.segment_directories
    )
    return Table(("directory", "state", "elements", "used by"), rows, NO_SEGMENT)


def _owner(store: Store, segment: str) -> str:
    return next(
        (one.name for one in store.collections if one.vector_segment_id == segment), "a row of segments"
    )


def files(segment: VectorSegment | None) -> Table:
    """The files of a segment and their bytes; of one with holes, what it really takes on the disk."""
    facts = segment.facts if segment is not None else {}
    rows = tuple(
        (name, None, one.reason) if isinstance(one, Absent) else (name, one.size, _holes(one))
        for name, one in facts.items()
    )
    return Table(("file", "bytes", ""), rows, NO_SEGMENT)


def _holes(facts: FileFacts) -> str:
    return f"mostly holes: {facts.allocated:,} allocated" if facts.allocated < facts.size // 2 else ""


def header_fields(segment: VectorSegment | None) -> Table:
    """header.bin field by field, and what contradicts itself; or why it cannot be read."""
    if segment is None:
        return Table((), (), NO_SEGMENT)
    header = segment.files.header
    if isinstance(header, Absent):
        return Table((), (), f"The header cannot be read: {header.reason}.")
    rows = [(name, f"{getattr(header, name):,}") for name in header.__slots__]
    rows.append(("contradictions", "; ".join(header.problems()) or "none"))
    return Table(("field", "value"), tuple(rows))


def layers(collection: Collection | None) -> Table:
    """How many ids each layer holds."""
    if collection is None:
        return Table((), (), NO_COLLECTION)
    rows = [
        ("SQLite", "rows of embeddings", _count(collection.records)),
        ("id map", "ids with a label", _count(_mapped(collection.id_map))),
        ("level 0", "elements", _elements(collection)),
        ("level 0", "of these flagged deleted", _deleted(collection.records)),
        ("queue", "rows kept", _kept(collection)),
        ("queue", "rows above the vector watermark", _count(collection.pending_rows)),
    ]
    return Table(("layer", "what", "ids"), tuple(rows))


def _count(rows: Any) -> str:
    return rows.reason if isinstance(rows, Absent) else f"{len(rows):,}"


def _mapped(id_map: IdMap | Absent) -> Any:
    return id_map if isinstance(id_map, Absent) else id_map.id_to_label


def _elements(collection: Collection) -> str:
    vector = collection.vector
    return vector.reason if isinstance(vector, Absent) else f"{vector.files.elements:,}"


def _deleted(records: Records | Absent) -> str:
    if isinstance(records, Absent):
        return records.reason
    return "unknown" if records.deleted is None else f"{records.deleted:,}"


def _kept(collection: Collection) -> str:
    extent = collection.queue.extent()
    return extent.reason if isinstance(extent, Absent) else f"{extent.rows:,}"


def queue_cover(store: Store) -> Table:
    """Per collection: its records, and of how many the queue still holds a vector."""
    rows = tuple((one.name, _count(one.rows), _queued(one)) for one in store.collections)
    return Table(("collection", "records", "with a vector in the queue"), rows, NO_COLLECTION)


def _queued(collection: Collection) -> str:
    rows, queue = collection.rows, collection.queue.rows()
    if isinstance(rows, Absent) or isinstance(queue, Absent):
        return "unknown"
    held = {row.id for row in queue if row.vector_bytes}
    return f"{len(held.intersection(rows.ids)):,}"


def id_diff(store: Store) -> Table:
    """Per collection: ids that SQLite and the id map both hold, and those that only one of them holds."""
    import forensics as fx

    rows = tuple(
        (name, one.common, len(one.only_left), len(one.only_right), _first(one.only_left))
        for name, one in fx.diff_ids(store).items()
    )
    columns = ("collection", "in both", "only in SQLite", "only in the id map", "first only in SQLite")
    return Table(columns, rows, NO_COLLECTION)


def _first(ids: tuple[str, ...]) -> str:
    return ids[0] if ids else ""


def causes(diagnosis: Diagnosis) -> Table:
    """What each finding most likely comes from, and why."""
    rows = tuple(
        (finding.code, cause.name, cause.confidence, cause.evidence)
        for finding in diagnosis.findings
        for cause in finding.causes
    )
    return Table(("finding", "cause", "confidence", "evidence"), rows, "No finding names a cause.")


def missing_by_prefix(collection: Collection | None) -> Table:
    """The missing ids by the prefix that their separator marks off."""
    records = _known(collection)
    if isinstance(records, str):
        return Table((), (), records)
    return _groups({"prefix": by_prefix(records.ids(records.missing), records.rows.ids)})


def missing_by_metadata(collection: Collection | None) -> Table:
    """The missing ids by each metadata key."""
    records = _known(collection)
    if isinstance(records, str) or collection is None:
        return Table((), (), str(records))
    return _groups(by_metadata(collection.database, records.rows.rowids[records.missing].tolist()))


def _known(collection: Collection | None) -> Records | str:
    """The records, or why it cannot be said which of them are missing."""
    if collection is None:
        return NO_COLLECTION
    records = collection.records
    if isinstance(records, Absent):
        return f"The records cannot be read: {records.reason}."
    return records if records.known else f"Which records are missing is not known: {records.unknown_reason}."


def _groups(found: Mapping[str, Breakdown]) -> Table:
    rows = tuple(
        (key, group.name, group.count, "" if group.of is None else f"of {group.of:,}")
        for key, breakdown in found.items()
        for group in breakdown.top
    )
    return Table(("by", "value", "missing", ""), rows, "No record is missing.")


SOURCES = {
    "queue": "in the queue",
    "stray": "in the index itself, where no id points",
    "set-aside": "in a directory that was set aside",
    "other-collection": "in the directory of another collection",
    "orphan": "in a directory that no collection uses",
    "also": "in the other copy",
    "also-queue": "in the queue of the other copy",
    "none": "nowhere on disk",
}


def sources(collection: Collection | None, also: Iterable[Path] = ()) -> Table:
    """Where the vectors of the missing records still exist, and how many of these have a document."""
    from forensics.sources import find_sources

    records = _known(collection)
    if isinstance(records, str) or collection is None:
        return Table((), (), str(records))
    found = find_sources(collection, records.ids(records.missing), also=list(also))
    rows = tuple(
        (SOURCES.get(kind, kind), count, int(found.has_document[found.kind == kind].sum()))
        for kind, count in found.counts().items()
    )
    return Table(("their vector is", "records", "with a document"), rows, "No record is missing.")


def directions(collection: Collection | None) -> Table:
    """Whether the two directions of the id map are each other's inverse."""
    if collection is None:
        return Table((), (), NO_COLLECTION)
    id_map = collection.id_map
    if isinstance(id_map, Absent):
        return Table((), (), f"The id map cannot be read: {id_map.reason}.")
    back = id_map.label_to_id
    agree = sum(back.get(label) == name for name, label in id_map.id_to_label.items())
    row = (len(id_map.id_to_label), len(back), agree)
    return Table(("id → label", "label → id", "agree in both"), (row,))


def evidence(case: Case) -> Table:
    """The full lists that the case holds, one file per finding and list."""
    rows = tuple((path.name, _lines(path)) for path in sorted((case.folder / "evidence").glob("*.csv")))
    return Table(("file in evidence/", "entries"), rows, "The case holds no list.")


def _lines(path: Path) -> int:
    with path.open("rb") as handle:
        return max(0, sum(1 for _ in handle) - 1)


def stages(case: Case) -> Table:
    """How far the case has come."""
    said = {
        "manifest": "the seal of the store: path, size, time and SHA-256 of every file",
        "diagnosis": "what was found",
        "history": "what happened to the store, and which releases can open it",
        "probe": "what each API call did",
        "plan": "what was to be done, and what it would lose",
        "verdict": "whether the repair did what the plan said",
        "manifest_after": "the seal of the repaired store",
        "result": "what was done",
    }
    rows = tuple((STAGES[name], text) for name, text in said.items() if case.has(STAGES[name]))
    return Table(("file", "what it holds"), rows, "The case is empty.")


def side_by_side(*sessions: Session) -> Table:
    """The first collection of each: its numbers, its findings, and where the missing vectors are."""
    rows: list[tuple[Cell, ...]] = []
    for one in sessions:
        collection = one.collection
        for item in one.diagnosis.collections:
            if collection is not None and item.id == collection.id:
                where = "; ".join(f"{row[1]} {row[0]}" for row in sources(collection).rows)
                codes = " ".join(one.diagnosis.codes(notes=False))
                rows.append((one.name, item.records, item.indexed, item.pending, item.missing, codes, where))
    columns = ("store", "records", "indexed", "pending", "missing", "findings", "the missing vectors are")
    return Table(columns, tuple(rows), NO_COLLECTION)
