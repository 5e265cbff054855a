"""The records themselves: their ids, their vectors, their documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from forensics.absent import Absent
from forensics.checks import records_content as records_content
from forensics.checks import records_vectors as records_vectors
from forensics.checks.id_text import LIKENESS, alike, all_folded, all_plain, malformed, trimmed
from forensics.checks.places import examples, in_table, needed
from forensics.checks.registry import check, finding
from forensics.model import Finding, Remedy
from forensics.readers.columns import are_distinct
from forensics.readers.record_rows import MetadataRows
from forensics.store import Collection
from forensics.words import counted


@check("CF701", needs=("rows",))
def id_malformed(collection: Collection) -> Iterator[Finding]:
    """Ids with white space at an end, with control or zero-width characters, or empty."""
    rows = needed(collection.rows)
    faults = {} if all_plain(len(rows), rows.text) else malformed(rows.ids, rows.text)
    if not faults:
        return
    ids = rows.ids
    bad = [ids[row] for row in faults]
    collisions = _collisions(bad, ids)
    yield finding(
        "CF701",
        collection,
        count=len(bad),
        unit="ids",
        expected="ids without white space at the ends, and of printable characters",
        found={
            "kinds": dict(sorted(Counter(kind for kinds in faults.values() for kind in kinds).items())),
            "examples": [ascii(name) for name in examples(bad)],
            "collide_when_trimmed": [ascii(name) for name in examples(collisions)],
        },
        where=(in_table("embeddings", f"embedding_id of {counted(len(bad), 'rows')}"),),
        means="Such an id looks like another one: a get or delete by the id as it is read finds nothing, "
        "and an "
        "upsert makes a second record.",
        remedy=Remedy(action="trim-ids", safety="manual" if collisions else "safe"),
        lists={"ids": bad, "rowids": needed(collection.rows).rowids[list(faults)]},
    )


def _collisions(bad: list[str], ids: list[str]) -> list[str]:
    """Those whose trimmed form is empty, or is or becomes the id of another record."""
    taken = Counter(ids)
    taken.subtract(bad)
    wanted = Counter(map(trimmed, bad))
    pairs = [(name, trimmed(name)) for name in bad]
    return [name for name, short in pairs if not short or taken[short] > 0 or wanted[short] > 1]


@check("CF702", needs=("rows",))
def ids_alike(collection: Collection) -> Iterator[Finding]:
    """Groups of ids that differ only in white space, Unicode form or case. Case alone is only noted: it may
    be meant."""
    rows = needed(collection.rows)
    groups = [] if all_folded(len(rows), rows.text) else alike(rows.ids, rows.text)
    if not groups:
        return
    kinds = Counter(kind for kind, _ in groups)
    everyone = [name for _, names in groups for name in names]
    yield finding(
        "CF702",
        collection,
        count=len(groups),
        unit="groups",
        expected="ids that differ in more than white space, case or Unicode form",
        found={
            "differ_in": {kind: kinds[kind] for kind in LIKENESS if kinds[kind]},
            "examples": [[ascii(name) for name in names[:4]] for _, names in examples(groups)],
        },
        where=(in_table("embeddings", f"embedding_id of {counted(len(everyone), 'rows')}"),),
        means="What is meant to be one record may be several: an update of one leaves the others as "
        "they were.",
        remedy=Remedy(action="compare-the-records", safety="manual"),
        confidence="possible",
        severity="note" if set(kinds) == {"case"} else None,
        lists={"ids": everyone},
    )


@check("CF703", needs=("rows",))
def id_duplicated(collection: Collection) -> Iterator[Finding]:
    """One id on two rows of the METADATA segment, which the table's own constraint forbids."""
    rows = collection.rows
    if isinstance(rows, Absent) or _all_distinct(collection, rows):
        return
    doubled = {name: count for name, count in Counter(rows.ids).items() if count > 1}
    at = [row for row, name in enumerate(rows.ids) if name in doubled]
    yield finding(
        "CF703",
        collection,
        count=len(doubled),
        unit="ids",
        expected="one row per id",
        found={"ids": examples(sorted(doubled)), "rows": len(at)},
        where=(in_table("embeddings", f"rowids {examples(rows.rowids[at])}"),),
        means="count() is too high, and which of the rows a call answers with is left to chance.",
        remedy=Remedy(action="compare-the-records", safety="manual"),
        lists={"ids": sorted(doubled), "rowids": rows.rowids[at]},
    )


def _all_distinct(collection: Collection, rows: MetadataRows) -> bool:
    """True where no id stands on two rows. Ids with different labels are different: those need no look at their text."""
    records = collection.records
    if not isinstance(records, Absent):
        labels = records.labels[records.labels >= 0]
        rest = rows.ids if not are_distinct(labels) else records.ids(records.labels < 0)
        return len(set(rest)) == len(rest)
    return len(set(rows.ids)) == len(rows)
