"""What the checks say of naturally broken stores, against what the oracle said: found, wrongly named, missed, alarmed.

The oracle knows symptoms, the checks name damage. EXPLAINS says which codes may be behind a symptom: codes whose damage,
by its own explain page, lets that happen. A symptom of a collection is *named* where a finding above a note, of that
collection or of the whole store, has one of its codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import forensics as fx
from forensics.model import Diagnosis
from forensics.testing.natural_corpus import Case
from forensics.testing.traces import Trace, left_no_trace

EMBEDDER = "forensics.testing.embedder:embed"
CATALOGUE = {"CF003", "CF004", "CF008", "CF010", "CF101", "CF102", "CF103", "CF104", "CF106", "CF110"}
SETTINGS = {"CF802", "CF803", "CF804", "CF806", "CF807", "CF808", "CF809", "CF811", "CF812", "CF813"}
QUEUE = {"CF202", "CF203", "CF204", "CF205", "CF206", "CF207", "CF208", "CF209", "CF212", "CF214"}
INDEX = {f"CF{n}" for n in (301, 302, 303, 304, 305, 306, 307, 308, 312, 401, 402, 403, 404, 405)}
LABELS = {"CF406", "CF407", "CF408", "CF409", "CF410", "CF411", "CF412"}
IDS, GRAPH = (
    {"CF501", "CF503"},
    {"CF601", "CF602", "CF603", "CF604", "CF605", "CF606", "CF607", "CF608", "CF609"},
)
OF_ANOTHER = {"CF504", "CF505", "CF810"}
FAILS = CATALOGUE | SETTINGS | QUEUE | INDEX | LABELS | IDS | GRAPH

EXPLAINS: dict[str, frozenset[str]] = {
    "raises": frozenset(FAILS),
    "dies": frozenset(FAILS),
    "hangs": frozenset(FAILS),
    "lost": frozenset(CATALOGUE | QUEUE | {"CF301", "CF503", "CF108", "CF409"}),
    "risen": frozenset(CATALOGUE | QUEUE | IDS | {"CF301", "CF108"}),
    "text-stale": frozenset(CATALOGUE | QUEUE | OF_ANOTHER | {"CF107", "CF503"}),
    "vector-absent": frozenset(INDEX | LABELS | IDS | QUEUE),
    "vector-wrong": frozenset(
        INDEX | LABELS | QUEUE | OF_ANOTHER | IDS | {"CF004", "CF704", "CF705", "CF706", "CF807"}
    ),
    "not-found": frozenset(
        (INDEX - {"CF305"})
        | LABELS
        | IDS
        | GRAPH
        | QUEUE
        | OF_ANOTHER
        | {"CF004", "CF704", "CF705", "CF706", "CF808"}
    ),
    "later-writes-lost": frozenset(QUEUE | SETTINGS | INDEX | {"CF407", "CF412", "CF010", "CF110"}),
    "swells": frozenset({"CF303", "CF306", "CF307"}),
}
Standing = Literal[
    "found", "in part", "wrongly named", "missed", "no trace", "silent", "false alarm", "not built"
]
BROKEN: tuple[Standing, ...] = ("found", "in part", "wrongly named", "missed", "no trace")


@dataclass(frozen=True, slots=True)
class Row:
    """One store: the standing of the default diagnosis, and of the one with the embedder."""

    line: dict[str, Any]
    standing: Standing
    embedder: Standing
    codes: tuple[str, ...]
    more: tuple[str, ...]
    unnamed: tuple[str, ...]
    trace: Trace | None = None

    @property
    def broken(self) -> bool:
        return self.standing in BROKEN


def symptoms_of(line: dict[str, Any]) -> set[tuple[str, str]]:
    """(collection, symptom) of every verdict."""
    return {
        (name, symptom)
        for verdict in line.get("verdicts", ())
        for name, count in verdict["symptoms"].items()
        for symptom in count
    }


def alarms_of(found: Diagnosis) -> set[tuple[str | None, str]]:
    """(collection, code) of each finding above a note; what may hide behind one does not count."""
    return {(f.collection, f.code) for f in found.findings if f.severity != "note"}


def unnamed(symptoms: set[tuple[str, str]], alarms: set[tuple[str | None, str]]) -> tuple[str, ...]:
    """The symptoms that no alarm explains."""

    def named(collection: str, symptom: str) -> bool:
        return any(code in EXPLAINS[symptom] for where, code in alarms if where in (None, collection))

    return tuple(sorted(f"{name}: {symptom}" for name, symptom in symptoms if not named(name, symptom)))


def standing_of(symptoms: set[tuple[str, str]], alarms: set[tuple[str | None, str]]) -> Standing:
    """Without the question whether what was missed left a trace."""
    if not symptoms:
        return "false alarm" if alarms else "silent"
    if not alarms:
        return "missed"
    left = len(unnamed(symptoms, alarms))
    return "found" if not left else "in part" if left < len(symptoms) else "wrongly named"


def excused(standing: Standing) -> Standing:
    """For a store that has no trace of what it lost."""
    return "no trace" if standing == "missed" else standing


def row(case: Case, line: dict[str, Any]) -> Row:
    """The store diagnosed twice; its standing by both."""
    if "not_built" in line:
        return Row(line, "not built", "not built", (), (), ())
    symptoms = symptoms_of(line)
    plain, more = (alarms_of(fx.diagnose(case.store, embedder=by)) for by in (None, EMBEDDER))
    standing, embedder = standing_of(symptoms, plain), standing_of(symptoms, more)
    trace = left_no_trace(case, symptoms) if "missed" in (standing, embedder) else None
    if trace is not None and not trace.left:
        standing, embedder = excused(standing), excused(embedder)
    codes, others = ({code for _, code in each} for each in (plain, more))
    return Row(
        line,
        standing,
        embedder,
        tuple(sorted(codes)),
        tuple(sorted(others - codes)),
        unnamed(symptoms, plain),
        trace,
    )


def counted(rows: Sequence[Row], *, embedder: bool = False) -> Counter[Standing]:
    """How many stores have which standing."""
    return Counter(row.embedder if embedder else row.standing for row in rows)
