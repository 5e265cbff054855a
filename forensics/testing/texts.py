"""The 300 English texts of the sample stores as records: id, document, metadata."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

from forensics import samples

Scalar = str | int | float | bool

_IRI = {
    "rel": "http://example.org/rel/{}",
    "geo": "https://places.example.org/id/{}",
    "ticket": "https://help.example.org/t/{}",
    "reply": "https://help.example.org/r/{}",
    "article": "https://help.example.org/kb/{}",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One record as its user knows it. The vector is the embedding of the document."""

    id: str
    document: str
    metadata: dict[str, Scalar]


@cache
def records() -> tuple[Record, ...]:
    """All 300 records in a fixed order in which terms and notes alternate; ids and documents are distinct.

    Raises samples.UnknownSample where there are no samples (no checkout, no FORENSICS_SAMPLES)."""
    terms = [_term(*row) for row in _rows("terms.tsv")]
    notes = [_note(*row) for row in _rows("notes.tsv")]
    return tuple(sorted(terms + notes, key=lambda record: zlib.crc32(record.id.encode())))


def fresh(count: int, start: int = 0) -> tuple[Record, ...]:
    """`count` further records, with ids and documents that no sample has; for writes after a repair."""
    known = records()
    return tuple(_fresh(known, number) for number in range(start, start + count))


def _fresh(known: tuple[Record, ...], number: int) -> Record:
    first, second = known[number % len(known)], known[(number * 7 + 1 + number // len(known)) % len(known)]
    subject = f"Question {number + 1} about {first.metadata['label']}"
    text = f"{subject}. Is there a page that compares it with {second.metadata['label']}?"
    return _record("hd", "ticket", f"https://help.example.org/t/{50001 + number}", subject, text)


def _rows(name: str) -> list[list[str]]:
    text = (samples.root() / "texts" / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def _term(ontology: str, kind: str, accession: str, label: str, definition: str) -> Record:
    local = f"{ontology.upper()}_{accession}"
    iri = _IRI[ontology].format(accession) if ontology in _IRI else f"http://purl.example.org/obo/{local}"
    return _record(ontology, kind, iri, label, f"{label}: {definition}")


def _note(kind: str, number: str, subject: str, text: str) -> Record:
    ontology = "kb" if kind == "article" else "hd"
    return _record(ontology, kind, _IRI[kind].format(number), subject, f"{subject}. {text}")


def _record(ontology: str, kind: str, iri: str, label: str, document: str) -> Record:
    chance = zlib.crc32(iri.encode())
    metadata: dict[str, Scalar] = {
        "ontology": ontology,
        "entity_type": kind,
        "label": label,
        "year": 2015 + chance % 11,
        "confidence": round(0.5 + (chance >> 8) % 500 / 1000, 3),
        "obsolete": chance % 17 == 0,
    }
    return Record(f"{ontology}:{kind}:{iri}", document, metadata)
