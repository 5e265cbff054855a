"""Frozen records that travel from checks to the report. They compute nothing but their own JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

Json = Any
Severity = Literal["fatal", "error", "warning", "note"]
Confidence = Literal["certain", "likely", "possible"]
Safety = Literal["safe", "lossy", "manual"]
OutcomeName = Literal["clean", "found", "skipped", "partial", "crashed", "not-asked", "masked"]
SEVERITIES: tuple[Severity, ...] = ("fatal", "error", "warning", "note")


class _Shown:
    """How a notebook shows a record: as text and as HTML, by the views, which are loaded only then."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return import_module("forensics.report.render").mimebundle(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to look: a file relative to the store, a byte offset or rows, in words."""

    file: str
    offset: int | None = None
    rows: str | None = None

    def to_json(self) -> Json:
        return {"file": self.file, "offset": self.offset, "rows": self.rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A hypothesis about how it came to this, with the evidence that ranks it."""

    name: str
    confidence: Confidence
    evidence: str

    def to_json(self) -> Json:
        return {"name": self.name, "confidence": self.confidence, "evidence": self.evidence}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What would heal it in this store. `loses` counts records whose data would be gone or invented."""

    action: str
    safety: Safety
    loses: int = 0

    def to_json(self) -> Json:
        return {"action": self.action, "safety": self.safety, "loses": self.loses}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(_Shown):
    """One defect of one collection (or of the store where `collection` is None).

    `lists` holds the full lists (ids, labels, rows) that go to files in the case; they are not in the JSON.
    """

    code: str
    name: str
    severity: Severity
    confidence: Confidence
    collection: str | None
    count: int
    unit: str
    expected: Json
    found: Json
    where: tuple[Place, ...]
    means: str
    remedy: Remedy
    follows: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    lists: Mapping[str, Sequence[Any]] = field(default_factory=dict, compare=False, repr=False)

    def to_json(self) -> Json:
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity,
            "confidence": self.confidence,
            "collection": self.collection,
            "count": self.count,
            "unit": self.unit,
            "expected": plain(self.expected),
            "found": plain(self.found),
            "where": [place.to_json() for place in self.where],
            "means": self.means,
            "follows": list(self.follows),
            "causes": [cause.to_json() for cause in self.causes],
            "remedy": self.remedy.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one check. `masked`: its answer follows from another finding, or cannot be
    seen beside it; `reason` names it."""

    code: str
    outcome: OutcomeName
    reason: str = ""

    def to_json(self) -> Json:
        return {"code": self.code, "outcome": self.outcome, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSummary:
    """The numbers of one collection; None = unknown. records = indexed + pending + missing."""

    name: str
    id: str
    dimension: int | None
    space: str | None
    records: int | None
    indexed: int | None
    pending: int | None
    missing: int | None
    ghosts: int | None
    deleted: int | None

    def to_json(self) -> Json:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis(_Shown):
    """The result of looking: what the store is, what was found, which checks ran.

    `sources`: each of the user's own sources against the store, as JSON; the key is there where one was given.
    """

    tool: Mapping[str, Json]
    store: Mapping[str, Json]
    collections: tuple[CollectionSummary, ...]
    findings: tuple[Finding, ...]
    checks: tuple[Outcome, ...]
    sources: tuple[Mapping[str, Json], ...] = ()

    @property
    def exit_status(self) -> int:
        """Bits 4 (something above a note) and 8 (a check was skipped, partial or crashed, or somebody may write)."""
        above = any(finding.severity != "note" for finding in self.findings)
        incomplete = any(check.outcome in ("skipped", "partial", "crashed") for check in self.checks)
        moving = not self.store.get("unchanged", True) or bool(self.store.get("in_use"))
        return (4 if above else 0) | (8 if incomplete or moving else 0)

    def codes(self, *, notes: bool = True) -> tuple[str, ...]:
        """The distinct codes found, sorted; without notes if asked."""
        return tuple(sorted({f.code for f in self.findings if notes or f.severity != "note"}))

    def to_json(self) -> Json:
        return {
            "schema": 1,
            "tool": dict(self.tool),
            "store": dict(self.store),
            "collections": [collection.to_json() for collection in self.collections],
            "findings": [finding.to_json() for finding in self.findings],
            "checks": [check.to_json() for check in self.checks],
            **({"sources": [dict(source) for source in self.sources]} if self.sources else {}),
        }


Approval = Literal["yes", "accept-loss", "also-fix", "choice", "manual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step of a plan.

    `kind` names the class in `repair.actions`; `parameters` are plain JSON and hold the choices, not the data.
    `approval`: yes = `--yes` suffices; accept-loss = only with `--accept-loss CODE`; also-fix = only with
    `--also-fix CODE`; choice = only when chosen by option; manual = explained, never done. `requires`: what has to
    hold right before it; `heals`: the codes that are gone after it.
    """

    kind: str
    collection: str | None
    codes: tuple[str, ...]
    title: str
    safety: Safety
    approval: Approval
    approved: bool
    loses: int = 0
    why: str = ""
    parameters: Mapping[str, Json] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    heals: tuple[str, ...] = ()

    def to_json(self) -> Json:
        return {name: plain(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What the approved actions will have done to the records of one collection (predicted or measured)."""

    collection: str
    before: int | None
    after: int | None
    reattached: int = 0
    reembedded: int = 0
    lost: int = 0
    set_aside: int = 0

    def to_json(self) -> Json:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(_Shown):
    """What would be done, in order, and what it would do; made without touching anything."""

    store: str
    findings: tuple[str, ...]
    actions: tuple[Action, ...]
    effects: tuple[Effect, ...]
    promised: tuple[str, ...]
    remaining: tuple[str, ...]
    losses: tuple[Mapping[str, Json], ...] = ()
    alternatives: tuple[Mapping[str, Json], ...] = ()
    embedding: Mapping[str, Json] | None = None
    room: Mapping[str, Json] = field(default_factory=dict)
    options: Mapping[str, Json] = field(default_factory=dict)

    @property
    def approved(self) -> tuple[Action, ...]:
        return tuple(action for action in self.actions if action.approved)

    def to_json(self) -> Json:
        records = {name: [each.to_json() for each in getattr(self, name)] for name in ("actions", "effects")}
        rest = {name: plain(getattr(self, name)) for name in self.__slots__ if name not in records}
        return {"schema": 1, **{name: {**rest, **records}[name] for name in self.__slots__}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One line of a verification: what was compared, over how many, and whether it held."""

    __test__ = False

    name: str
    passed: bool
    detail: str
    count: int | None = None

    def to_json(self) -> Json:
        return {name: getattr(self, name) for name in ("name", "passed", "detail", "count")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(_Shown):
    """Whether the repair did what the plan said. `verified` is "checks", "checks+engine" or None."""

    verified: str | None
    tests: tuple[Test, ...]
    effects: tuple[Effect, ...]
    remaining: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return all(test.passed for test in self.tests)

    def to_json(self) -> Json:
        return {
            "schema": 1,
            "verified": self.verified,
            "passed": self.passed,
            "tests": [test.to_json() for test in self.tests],
            "effects": [effect.to_json() for effect in self.effects],
            "remaining": list(self.remaining),
        }


def plain(value: Any) -> Json:
    """`value` as strict JSON can hold it: no numpy, no tuple; what is no finite number is its name ("nan")."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)
