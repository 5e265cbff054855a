"""What to do about the database, the configuration and the folder of a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forensics.absent import Absent
from forensics.model import Finding
from forensics.readers.database import has_journal
from forensics.repair.options import RepairOptions
from forensics.repair.proposals import Proposal, propose
from forensics.repair.watermarks import applied_by_both
from forensics.store import Store
from forensics.words import counted

SIMPLE: Mapping[str, tuple[str, str]] = {
    "CF103": ("rebuild-indexes", "Build the damaged indexes of the database again from its rows"),
    "CF105": ("rebuild-full-text", "Build the full-text index again from the documents"),
    "CF106": ("rebuild-full-text", "Build the full-text index again from the documents"),
    "CF107": ("rebuild-full-text", "Build the full-text index again from the documents"),
    "CF214": ("rebuild-full-text", "Build the full-text index again, so that pending writes can be applied"),
    "CF707": ("restore-documents", "Give records the document back that the full-text index still has"),
    "CF108": ("quarantine-orphan-rows", "Move rows that belong to no segment into the case"),
    "CF109": ("quarantine-orphan-rows", "Move rows that belong to no segment into the case"),
    "CF110": ("mend-segment-rows", "Insert the missing row of segments"),
    "CF812": ("mend-segment-rows", "Set type and scope of the segment to what its directory or rows show"),
    "CF804": ("convert-sequence-ids", "Store max_seq_id as integers, as the migrations say"),
    "CF802": ("restore-migrations", "Write the released hashes and texts of the migrations"),
    "CF803": ("restore-migrations", "Insert the missing rows of migrations"),
    "CF808": ("set-dimension", "Set collections.dimension to that of the index"),
    "CF809": ("set-dimension", "Set collections.dimension to that of the index"),
    "CF811": (
        "mend-configuration",
        "Write the unreadable configuration anew from the settings that are known",
    ),
    "CF805": ("mend-configuration", "Give the configuration the _type that clients before 1.0 look for"),
    "CF806": ("mend-configuration", "Remove the hnsw: settings that Chroma does not know"),
    "CF813": ("restore-tenants", "Insert the missing rows of tenants and databases"),
}
"""Findings that one action on the database heals, without a choice to be made."""


WHOLE = frozenset({"rebuild-indexes", "rebuild-full-text", "quarantine-orphan-rows", "restore-migrations"})
"""Kinds that concern the whole database, whatever collection the finding names."""


def store_proposals(
    store: Store, findings: Mapping[str, list[Finding]], options: RepairOptions
) -> Iterator[Proposal]:
    """The proposals for everything that is not an index, an id or a watermark."""
    for code, (kind, title) in SIMPLE.items():
        for found in findings.get(code, ()):
            if found.remedy.safety != "manual" and not (code == "CF809" and not _dimension_differs(found)):
                collection = None if kind in WHOLE else found.collection
                yield propose(kind, collection, {code}, title, options, why=_proof_of_segments(found))
    if "CF004" in findings and has_journal(store.tree.resolve("chroma.sqlite3")):
        title = "Roll the unfinished transaction back, as SQLite does on the next write"
        yield propose(
            "settle-journal", None, {"CF004"}, title, options, why="the journal is kept with the original"
        )
    if "CF202" in findings:
        yield _floor(options)
    if options.purge_queue:
        yield from _purging(store, options)
    yield from _housekeeping(findings, options)


def _proof_of_segments(found: Finding) -> str:
    """By what it is proved which segment a row was of; empty for anything else."""
    values = found.found if found.code == "CF110" and isinstance(found.found, dict) else {}
    proved = [row for row in values.get("candidates", {}).values() if row]
    return "; ".join(
        f"{row['shared']} of the {row['of']} ids of the index are records of it" for row in proved
    )


def _dimension_differs(found: Finding) -> bool:
    """True where it is the number in SQLite that is wrong, not only queued vectors."""
    values = found.found if isinstance(found.found, dict) else {}
    return values.get("header.bin") not in (None, values.get("collections"))


def _floor(options: RepairOptions) -> Proposal:
    return propose(
        "put-queue-floor",
        None,
        {"CF202"},
        "Put one delete of an unused id at the highest watermark, so that new writes get numbers above it",
        options,
        why="the queue was emptied by hand; writes since then got numbers that are taken for applied",
    )


def _at_the_cost(found: Finding) -> str:
    lost = found.remedy.loses if found.remedy.action == "remove-directories" else 0
    return f", at the cost of {counted(lost, 'vectors')} that stand in no index" if lost else ""


def _of_the_dead(found: Finding) -> Iterator[tuple[str, str]]:
    """(kind, title) of what removes the remains of deleted records: from queue, index, and free pages."""
    remains = found.found if isinstance(found.found, dict) else {}
    if remains.get("queue_rows"):
        yield "purge-queue", "Delete queue rows that both segments have applied"
    if remains.get("elements"):
        yield "compact-segment", "Build the index again without its deleted elements"
    yield "vacuum", "Overwrite text of deleted records that is still in the file"


def _purging(store: Store, options: RepairOptions) -> Iterator[Proposal]:
    """As asked for: the queue of each collection that has rows which both segments have applied."""
    for collection in store.collections:
        extent, low = collection.queue.extent(), applied_by_both(collection)
        if isinstance(extent, Absent) or extent.lowest is None or extent.lowest >= low:
            continue
        yield propose(
            "purge-queue",
            collection.name,
            {"CF201"},
            "Delete queue rows that both segments hold; a row whose vector the repaired index has not stays",
            options,
            heals=(),
            safety="lossy",
            approval="choice",
            chosen=True,
            why=f"you asked for it; the {counted(extent.rows, 'row')} are a second copy of these vectors",
        )


def _housekeeping(findings: Mapping[str, list[Finding]], options: RepairOptions) -> Iterator[Proposal]:
    """Only with --also-fix: nothing of this heals anything."""
    tidy = {
        "CF006": ("remove-directories", "Remove segment directories that no row names"),
        "CF007": ("remove-directories", "Remove directories that were set aside"),
        "CF112": ("vacuum", "Compact the database file"),
        "CF201": ("purge-queue", "Delete queue rows that both segments have applied"),
        "CF607": ("compact-segment", "Build the index again without its deleted elements"),
    }
    chosen = [(code, found, *tidy[code]) for code in tidy for found in findings.get(code, ())]
    chosen += [("CF213", found, *way) for found in findings.get("CF213", ()) for way in _of_the_dead(found)]
    for code, found, kind, title in chosen:
        why = f"housekeeping{_at_the_cost(found)}; the original is kept until it is released"
        yield propose(
            kind, found.collection, {code}, title, options, safety="lossy", approval="also-fix", why=why
        )
