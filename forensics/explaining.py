"""What a code means, or which codes an error message can come from: the packaged pages as text."""

from __future__ import annotations

import re
from importlib import resources

from forensics.codes import Code, catalogue
from forensics.errors import UsageError

HEADINGS = (
    "What it means for you",
    "How it happens",
    "How it is detected",
    "What looks like it and is not",
    "Remedy",
    "How to reproduce it",
)
"""The parts of every page, in their order."""
CODE = re.compile(r"\s*CF\d+\s*", re.IGNORECASE)

MESSAGES: tuple[tuple[str, str], ...] = (
    ("Error finding id", "CF501 CF301 CF408 CF401 CF406 CF212"),
    ("Error getting embedding", "CF408 CF411 CF304"),
    ("Nothing found on disk", "CF301 CF401"),
    ("Error deserializing pickle file", "CF402 CF403 CF404 CF405"),
    ("Ran out of input", "CF402"),
    ("pickle data was truncated", "CF403"),
    ("invalid load key", "CF403 CF404"),
    ("Error loading hnsw index", "CF302 CF303 CF304 CF306"),
    ("Cannot open header", "CF302"),
    ("Cannot open data_level0", "CF302"),
    ("Cannot open length", "CF302"),
    ("Cannot open link list", "CF302"),
    ("wrong persistence version", "CF303"),
    ("Index seems to be corrupted or unsupported", "CF303 CF304 CF306"),
    ("failed to allocate linklist", "CF306 CF307"),
    ("cand error", "CF603 CF306"),
    ("Label not found", "CF408 CF411 CF406"),
    ("contigious 2D", "CF411 CF606 CF607 CF609"),
    ("contiguous 2D", "CF411 CF606 CF607 CF609"),
    ("Failed to apply logs to the hnsw segment writer", "CF207 CF209 CF306 CF411 CF408 CF412 CF603"),
    ("Failed to apply logs to the metadata segment", "CF214 CF106 CF105 CF102"),
    ("Failed to pull logs from the log store", "CF208"),
    ("Failed to receive response", "CF208"),
    ("Error sending message to compactor", "CF208"),
    ("Missing vector segment", "CF110"),
    ("Missing metadata segment", "CF110"),
    ("Failed to get segments", "CF812"),
    ("Inconsistent hash", "CF802"),
    ("Inconsistent version", "CF803"),
    ("duplicate column name", "CF803"),
    ("range start index", "CF801"),
    ("no such column: collections.topic", "CF801"),
    ("mismatched types", "CF804"),
    ("_type", "CF805"),
    ("Unknown HNSW parameter", "CF806"),
    ("Invalid value for HNSW parameter", "CF806"),
    ("Could not deserialize", "CF811"),
    ("Failed to parse legacy config", "CF811"),
    ("Could not connect to tenant", "CF813 CF003"),
    ("no such table: embedding_fulltext", "CF106"),
    ("no such table", "CF003"),
    ("malformed inverted index", "CF105 CF107"),
    ("code: 779", "CF103"),
    ("database disk image is malformed", "CF102 CF103 CF104 CF004"),
    ("file is not a database", "CF101"),
    ("unable to open database file", "CF001 CF010"),
    ("code: 1032", "CF012 CF005"),
    ("attempt to write a readonly database", "CF010 CF004"),
    ("database is locked", "CF005"),
    ("database or disk is full", "CF009"),
    ("No space left on device", "CF009"),
    ("disk I/O error", "CF104 CF009"),
    ("expecting embedding with dimension", "CF809 CF808"),
    ("does not match collection dimensionality", "CF809"),
    ("does not match index dimensionality", "CF809"),
    ("list assignment index out of range", "CF212 CF501"),
    ("has no attribute 'max_seq_id'", "CF206"),
    ("existing embedding ID", "CF211"),
    ("nonexisting embedding ID", "CF211"),
    ("does not exist", "CF001 CF008 CF003"),
    ("please create an instance before querying", "CF002"),
    ("NoIndexException", "CF002"),
    ("Segmentation fault", "CF601 CF602 CF603 CF304 CF303 CF412"),
    ("SIGSEGV", "CF601 CF602 CF603 CF304 CF303 CF412"),
    ("exit code 139", "CF601 CF602 CF603 CF304 CF303 CF412"),
    ("KeyError: np.uint64", "CF501 CF406"),
)
"""The fixed part of a message and the codes it can come from, the likeliest first; the first that fits counts."""


def explain(text: str) -> str:
    """The page of a code or of a finding's name; for an error message the codes it can come from.

    Raises UsageError for a code or message that is not known.
    """
    if CODE.fullmatch(text):
        return page(text.strip())
    named = next((row for row in catalogue().values() if row.name == text.strip().lower()), None)
    return page(named.code) if named is not None else _of_message(text)


def page(code: str) -> str:
    """The page of a code, as Markdown; made from the catalogue where none is written yet."""
    row = catalogue().get(code.upper())
    if row is None:
        raise UsageError(f"There is no finding with the code {code.upper()}; the codes are CF001 to CF903.")
    source = resources.files("forensics").joinpath("explain", f"{row.code}.md")
    return source.read_text(encoding="utf-8") if source.is_file() else _short(row)


def _short(row: Code) -> str:
    return f"# {row.code} {row.name}\n\n{row.defect}.\n\nIt is seen by: {row.evidence}.\n"


def codes_of_message(text: str) -> tuple[str, ...]:
    """The codes that an error message can come from, the likeliest first; empty where none is known."""
    lowered = text.lower()
    hits = (codes for part, codes in MESSAGES if part.lower() in lowered)
    return tuple(next(hits, "").split())


def _of_message(text: str) -> str:
    codes = codes_of_message(text)
    if not codes:
        raise UsageError(
            f"No finding is known to say {text.strip()[:80]!r}; give a code (CF501), a name "
            "(ids-missing-from-index) or the text of an error message."
        )
    rows = [catalogue()[code] for code in codes]
    lines = [f"- {row.code} {row.name} ({row.severity}): {row.defect}" for row in rows]
    return (
        "This message can come from:\n\n"
        + "\n".join(lines)
        + "\n\nA message names the layer that noticed, not the one that broke: `forensics diagnose STORE` tells\n"
        + f"which of these it is, and `forensics explain {codes[0]}` shows one of these pages.\n"
    )
