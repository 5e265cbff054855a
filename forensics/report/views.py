"""What the templates print: each field a finished text or link. Made from JSON, shared by all views."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from forensics.evidence import safe_name
from forensics.report.data import EVERYTHING, Reveal, lines, redacted, without_content
from forensics.report.plain import number, quoted, raised, short
from forensics.report.repair_summary import (
    approval_sentence,
    effect_sentence,
    foreseen_sentence,
    loss_sentence,
    outcome_of,
)
from forensics.report.summary import code_ranges, headline, remedy_sentence
from forensics.report.text import brief_path

Json = Any
ICONS = {"fatal": "✖", "error": "■", "warning": "▲", "note": "○", "ok": "✔"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A label with its value; `link` leads to the evidence, `code` asks for a fixed-width face."""

    label: str
    value: str
    link: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """A finding as a card."""

    code: str
    name: str
    severity: str
    icon: str
    confidence: str
    anchor: str
    place: str
    headline: str
    where: tuple[str, ...]
    expected: tuple[Fact, ...]
    found: tuple[Fact, ...]
    means: str
    causes: tuple[tuple[str, str, str], ...]
    follows: str
    remedy: str
    safety: str
    files: tuple[Fact, ...]


def anchor(code: str, collection: str | None) -> str:
    """`CF501-notes`: what other sections link to. A name with other letters gets the start of its hash."""
    if collection is None:
        return code
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", collection)[:40]
    return f"{code}-{plain}" if plain == collection else f"{code}-{plain}-{short(collection)[-6:]}"


def finding_view(
    data: Mapping[str, Json], *, reveal: Reveal = EVERYTHING, files: Iterable[str] = (), linked: bool = False
) -> FindingView:
    """The card of a finding's JSON. `files` are the paths of evidence in the case, links where `linked`."""
    mine = [path for path in files if _belongs(path, data)]
    return FindingView(
        code=data["code"],
        name=data["name"],
        severity=data["severity"],
        icon=ICONS[data["severity"]],
        confidence=data["confidence"],
        anchor=anchor(data["code"], data["collection"]),
        place=place_name(data["collection"]),
        headline=headline(data),
        where=tuple(where_text(place) for place in data["where"]),
        expected=facts(redacted(data["expected"], reveal)),
        found=facts(redacted(data["found"], reveal)),
        means=data["means"],
        causes=tuple((cause["name"], cause["confidence"], cause["evidence"]) for cause in data["causes"]),
        follows=code_ranges(data["follows"]),
        remedy=remedy_sentence(data["remedy"]),
        safety=data["remedy"]["safety"],
        files=tuple(Fact(label="", value=path, link=path if linked else "", code=True) for path in mine),
    )


def _belongs(path: str, data: Mapping[str, Json]) -> bool:
    """True for evidence/<code>-<collection>-….csv; the collection's name is written there in tame letters."""
    parts = [data["code"], data["collection"]]
    label = "-".join(part for part in parts if part)
    return PurePosixPath(path).name.startswith(f"{safe_name(label)}-")


def place_name(collection: str | None) -> str:
    return "the store" if collection is None else f"collection {quoted(collection)}"


def where_text(place: Mapping[str, Json]) -> str:
    """A place in one line, UUIDs cut."""
    at = "" if place["offset"] is None else f" at byte {number(place['offset'])}"
    return f"{brief_path(place['file'])}{at}{': ' + place['rows'] if place['rows'] else ''}"


def facts(value: Json) -> tuple[Fact, ...]:
    """Data of a finding as labelled lines."""
    return tuple(Fact(label=label, value=text) for label, text in lines(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionView:
    """The numbers of a collection as text; `?` where one is not known."""

    name: str
    space: str
    numbers: tuple[tuple[str, str], ...]


def collection_view(data: Mapping[str, Json]) -> CollectionView:
    """A row of the table of collections."""
    names = ("records", "indexed", "pending", "missing", "ghosts", "deleted")
    dimension = "unknown" if data["dimension"] is None else number(data["dimension"])
    return CollectionView(
        name=data["name"],
        space=f"{data['space'] or 'unknown space'}, dimension {dimension}",
        numbers=tuple((name, "?" if data[name] is None else number(data[name])) for name in names),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionView:
    """An action of a plan."""

    title: str
    kind: str
    codes: tuple[tuple[str, str], ...]
    place: str
    approved: bool
    approval: str
    loses: str
    why: str
    foreseen: str


def action_view(data: Mapping[str, Json], *, tense: str = "planned") -> ActionView:
    """An action's JSON as text; each code comes with the anchor of its finding."""
    return ActionView(
        title=data["title"],
        kind=data["kind"],
        codes=tuple((code, anchor(code, data["collection"])) for code in data["codes"]),
        place=place_name(data["collection"]),
        approved=bool(data["approved"]),
        approval=approval_sentence(data, tense=tense),
        loses=loss_sentence(data),
        why=data["why"],
        foreseen=foreseen_sentence(data),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofView:
    """One line of a verification; `tone` and `word` say passed, failed or skipped."""

    name: str
    tone: str
    word: str
    detail: str
    count: str


def proof_view(data: Mapping[str, Json], reveal: Reveal = EVERYTHING) -> ProofView:
    """A test of the verdict as text."""
    count = "" if data["count"] is None else number(data["count"])
    tone, word = outcome_of(data)
    detail = without_content(data["detail"], reveal)
    return ProofView(name=data["name"], tone=tone, word=word, detail=detail, count=count)


def effect_views(effects: Sequence[Mapping[str, Json]], *, tense: str = "done") -> tuple[Fact, ...]:
    """What becomes, became or would have become of each collection's records, in a sentence."""
    return tuple(
        Fact(label=effect["collection"], value=f"{raised(effect_sentence(effect, tense=tense))}.")
        for effect in effects
    )
