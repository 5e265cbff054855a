"""A case as the templates print it: everything is computed here, nothing there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import PurePath
from typing import Any

import forensics
from forensics.history import Event
from forensics.report import advice, causes, figures
from forensics.report.advice import Advice, Lessons
from forensics.report.alternatives import ChoiceView, choice_views
from forensics.report.casefiles import CaseFiles, EvidenceFile
from forensics.report.causes import Hypothesis
from forensics.report.chronicle import opening_rows, touched_rows
from forensics.report.custody import Custody, custody, without_seconds
from forensics.report.data import Reveal, redacted, show
from forensics.report.figures import Strip
from forensics.report.impact import impact
from forensics.report.method import CheckRow, check_rows, codes_of, limit_lines, loss_lines, masked_rows
from forensics.report.plain import counted, number, quoted, short
from forensics.report.repair_summary import plan_sentence, verified_sentence
from forensics.report.standing import Standing, standing
from forensics.report.summary import coverage_sentence, last_line
from forensics.report.timeline import timeline
from forensics.report.views import (
    ICONS,
    ActionView,
    CollectionView,
    Fact,
    FindingView,
    ProofView,
    action_view,
    collection_view,
    effect_views,
    finding_view,
    proof_view,
)

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The context of the report; every field is there, empty where the case has not come so far."""

    title: str
    icons: Mapping[str, str]
    standing: Standing
    facts: tuple[Fact, ...]
    collections: tuple[CollectionView, ...]
    impact: tuple[tuple[str, tuple[str, ...]], ...]
    layers: tuple[Strip, ...]
    custody: Custody
    coverage: str
    checks: tuple[CheckRow, ...]
    clean: str
    masked: tuple[tuple[str, str], ...]
    not_looked_for: str
    findings: tuple[FindingView, ...]
    summary: str
    missing: tuple[Strip, ...]
    timeline: tuple[Event, ...]
    untold: str
    touched: tuple[tuple[str, str], ...]
    openings: tuple[tuple[str, str, str, str], ...]
    cause: str
    hypotheses: tuple[Hypothesis, ...]
    ranked: tuple[Hypothesis, ...]
    probed: str
    calls: tuple[causes.Call, ...]
    plan: str
    actions: tuple[ActionView, ...]
    choices: tuple[ChoiceView, ...]
    effects: tuple[Fact, ...]
    done: tuple[Fact, ...]
    verdict: str
    about: str
    tests: tuple[ProofView, ...]
    remaining: tuple[str, ...]
    comparison: tuple[tuple[str, str, str], ...]
    before_after: tuple[Strip, ...]
    lessons: Lessons
    advice: tuple[Advice, ...]
    losses: tuple[str, ...]
    limits: tuple[str, ...]
    files: tuple[Fact, ...]
    rerun: tuple[str, ...]

    def to_context(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def build(files: CaseFiles, *, written: str, reveal: Reveal, linked: bool) -> Report:
    """The whole context. `written`: when it is made, UTC. `linked`: it will lie in the case folder."""
    diagnosis = files.get("diagnosis") or _no_diagnosis()
    plan, verdict = files.get("plan"), files.get("verdict")
    stand = standing(files)
    effects = ((verdict if stand.carried_out else None) or plan or {}).get("effects", ())
    ruled = causes.hypotheses(diagnosis, files.get("probe")) if files.get("diagnosis") else ()
    return Report(
        title=_title(files),
        icons=ICONS,
        standing=stand,
        facts=tuple(_facts(files, diagnosis, written)),
        collections=tuple(collection_view(row) for row in diagnosis["collections"]),
        impact=impact(files),
        layers=figures.layers(diagnosis["collections"]),
        custody=custody(files, reveal),
        coverage=coverage_sentence(diagnosis),
        checks=check_rows(diagnosis),
        clean=codes_of(diagnosis, "clean"),
        masked=masked_rows(diagnosis),
        not_looked_for=codes_of(diagnosis, "not-asked"),
        findings=tuple(_findings(files, diagnosis, reveal, linked)),
        summary=last_line(diagnosis),
        missing=tuple(_missing(files, diagnosis)),
        timeline=timeline(files),
        untold=(files.get("history") or {}).get("problem", ""),
        touched=touched_rows(files.get("history")),
        openings=opening_rows(files.get("history")),
        cause=causes.summary(diagnosis, ruled) if ruled else "",
        hypotheses=ruled,
        ranked=(*causes.ranked_causes(diagnosis), *causes.rejected_causes(diagnosis)),
        probed=(files.get("probe") or {}).get("advice", ""),
        calls=tuple(_calls(files, reveal)),
        plan="" if plan is None else plan_sentence(plan, tense=stand.tense),
        actions=tuple(action_view(action, tense=stand.tense) for action in (plan or {}).get("actions", ())),
        choices=choice_views(plan or {}),
        effects=effect_views(effects, tense=stand.tense),
        done=tuple(_done(files, reveal)),
        verdict="" if verdict is None else verified_sentence(verdict),
        about=_ABOUT.get(stand.phase, ""),
        tests=() if verdict is None else tuple(proof_view(test, reveal) for test in verdict["tests"]),
        remaining=tuple((verdict or plan or {}).get("remaining", ())),
        comparison=_comparison(files),
        before_after=figures.before_after(effects, _records(diagnosis), done=stand.carried_out),
        lessons=advice.lessons(files),
        advice=advice.actions(finding["code"] for finding in diagnosis["findings"]),
        losses=tuple(loss_lines(plan, reveal)),
        limits=tuple(limit_lines(files, reveal)),
        files=tuple(_file_facts(files, linked)),
        rerun=_rerun(files, diagnosis),
    )


_ABOUT = {
    "failed": "These tests were made on the draft, which was thrown away; the store is as it was.",
    "rolled-back": "These tests were made on the draft; its exchange with the store was taken back.",
    "interrupted": "These tests were made on the draft; its exchange with the store is not finished.",
    "copied": "These tests were made on what the copy was made of; the store is as it was.",
    "undone": "These tests were made on the repaired store; it was undone since.",
}


def _title(files: CaseFiles) -> str:
    case = files.get("case") or {}
    return f"{PurePath(str(case.get('store', 'store'))).name} · case {case.get('id', files.folder.name)}"


def _no_diagnosis() -> Mapping[str, Json]:
    return {"tool": {}, "store": {}, "collections": (), "findings": (), "checks": ()}


def _facts(files: CaseFiles, diagnosis: Mapping[str, Json], written: str) -> Iterator[Fact]:
    case, store = files.get("case") or {}, diagnosis["store"]
    yield Fact(label="Case", value=str(case.get("id", "unknown")), code=True)
    yield Fact(label="Store", value=str(case.get("store") or store.get("path", "unknown")), code=True)
    names = ", ".join(row["name"] for row in diagnosis["collections"])
    yield Fact(label="Collections", value=names or "none known")
    chroma = f"{store.get('chroma', 'unknown')} (by the migrations that chroma.sqlite3 records)"
    yield Fact(label="Written by Chroma", value=chroma)
    yield Fact(label="Opened, UTC", value=_moment(case.get("created", "unknown")))
    ended = [str(entry.get("time", "")) for entry in files.log if entry.get("event") != "reported"]
    yield Fact(label="Last action, UTC", value=_moment(ended[-1]) if ended else "none")
    yield Fact(label="Report written, UTC", value=_moment(written))
    tool = dict(diagnosis["tool"])
    name = f"{tool.pop('name', 'forensics')} {tool.pop('version', forensics.__version__)}"
    yield Fact(label="Tool", value=", ".join([name, *(f"{key} {value}" for key, value in tool.items())]))
    if files.get("probe") is not None:
        yield Fact(
            label="Engine asked", value=f"chromadb {files.get('probe')['chromadb']}, on throw-away copies"
        )
    yield Fact(label="Host", value="")
    yield Fact(label="Examiner", value="")
    yield Fact(label="Incident", value="")


def _moment(text: str) -> str:
    return text[:19].replace("T", " ")


def _findings(
    files: CaseFiles, diagnosis: Mapping[str, Json], reveal: Reveal, linked: bool
) -> Iterator[FindingView]:
    paths = [file.path for file in files.files if file.path.startswith("evidence/")]
    for finding in diagnosis["findings"]:
        yield finding_view(finding, reveal=reveal, files=paths, linked=linked)


def _missing(files: CaseFiles, diagnosis: Mapping[str, Json]) -> Iterator[Strip]:
    """Where the missing rowids lie, for each CF501 whose list of rowids is in the evidence."""
    views = {(view.code, view.anchor): view for view in _findings(files, diagnosis, Reveal(), linked=False)}
    last = {row["name"]: row["records"] for row in diagnosis["collections"]}
    for finding, view in zip(diagnosis["findings"], views.values(), strict=True):
        lists = [fact.value for fact in view.files if fact.value.endswith("-rowids.csv")]
        if finding["code"] != "CF501" or not lists:
            continue
        rowids = figures.read_numbers(files.folder / lists[0])
        if rowids.size:
            end = max(int(rowids.max()), last.get(finding["collection"]) or 0)
            yield figures.missing_strip(finding["collection"], rowids, 1, end, "rowid")


def _calls(files: CaseFiles, reveal: Reveal) -> Iterator[causes.Call]:
    """What each call did; the id that made it fail is shortened unless ids are revealed."""
    for call in causes.calls(files.get("probe")):
        if call.first is not None and not reveal.ids:
            yield replace(call, first=(short(call.first[0]), call.first[1]))
        else:
            yield call


def _done(files: CaseFiles, reveal: Reveal) -> Iterator[Fact]:
    """What the action log says of each action that was carried out."""
    for entry in files.log:
        if entry.get("event") == "action":
            place = f" in {quoted(entry['collection'])}" if entry.get("collection") else ""
            yield Fact(
                label=f"{entry.get('kind')}{place}",
                value=show(redacted(without_seconds(entry.get("effect")) or "done", reveal)),
            )


def _comparison(files: CaseFiles) -> tuple[tuple[str, str, str], ...]:
    """(code, before, after) for every code that was found on either side of the repair."""
    before, after = files.get("diagnosis"), files.get("after")
    if before is None or after is None:
        return ()
    was, now = _amounts(before["findings"]), _amounts(after["findings"])
    return tuple((code, was.get(code, "–"), now.get(code, "–")) for code in sorted({*was, *now}))


def _amounts(findings: Iterable[Mapping[str, Json]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(finding["code"], []).append(counted(finding["count"], finding["unit"]))
    return {code: ", ".join(parts) for code, parts in found.items()}


def _records(diagnosis: Mapping[str, Json]) -> dict[str, int]:
    return {row["name"]: row["records"] or 0 for row in diagnosis["collections"]}


def _file_facts(files: CaseFiles, linked: bool) -> Iterator[Fact]:
    for file in files.files:
        yield Fact(label=file.path, value=_size(file), link=file.path if linked else "", code=True)


def _size(file: EvidenceFile) -> str:
    """Its size; not that of the action log, which grows with every report."""
    return "" if file.path == "log.jsonl" else f"{number(file.size)} bytes"


def _rerun(files: CaseFiles, diagnosis: Mapping[str, Json]) -> tuple[str, ...]:
    store = str(diagnosis["store"].get("path", "STORE"))
    return (
        f"forensics diagnose {store}",
        f"forensics verify --case {files.folder}",
        f"forensics report --case {files.folder}",
    )
