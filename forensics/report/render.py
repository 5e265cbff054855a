"""HTML of findings, diagnosis, plan and verdict for notebooks, from the templates of the report."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from forensics.model import Diagnosis, Finding, Plan, Verdict
from forensics.report.alternatives import choice_views
from forensics.report.bytecode import BesideModules
from forensics.report.data import EVERYTHING, Reveal, redacted
from forensics.report.embedding import embedding_sentences
from forensics.report.plain import visible
from forensics.report.repair_summary import lost_sentence, plan_sentence, verified_sentence
from forensics.report.summary import as_json, last_line, state, verdict_sentence
from forensics.report.text import diagnosis_text, finding_text, plan_text, verdict_text
from forensics.report.timeline import place
from forensics.report.views import (
    ICONS,
    action_view,
    collection_view,
    effect_views,
    finding_view,
    proof_view,
)

Json = Any
TONES = {
    "closed": ("fatal", "do not open"),
    "fatal": ("fatal", "cannot be used"),
    "error": ("error", "damaged"),
    "warning": ("warning", "needs attention"),
    "unsure": ("warning", "not wholly examined"),
    "healthy": ("ok", "healthy"),
}
"""state of a diagnosis → (class of its colour and icon, word)."""


def neutral(value: Any) -> Any:
    """What a template prints: texts without hidden letters, our own markup as it is; escaping comes after."""
    return visible(value, keep="\n") if isinstance(value, str) and not hasattr(value, "__html__") else value


@cache
def environment() -> Environment:
    """Autoescape, an error for whatever is not defined, and no hidden letter in any text."""
    made = Environment(
        loader=PackageLoader("forensics.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=neutral,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        bytecode_cache=BesideModules(),
    )
    made.filters["place"] = place
    return made


@cache
def style() -> str:
    """The style sheet; it is ours and holds nothing from a store, so the templates print it as it is."""
    return resources.files("forensics.report").joinpath("templates/style.css").read_text("utf-8")


def _fragment(template: str, **context: Any) -> str:
    return environment().get_template(template).render(style=style(), **context)


def finding_card(finding: Finding | Mapping[str, Json], *, reveal: Reveal = EVERYTHING) -> str:
    """One finding as a card."""
    view = finding_view(as_json(finding), reveal=reveal)
    return _fragment("finding.html.j2", finding=view)


def findings_html(diagnosis: Diagnosis | Mapping[str, Json], *, reveal: Reveal = EVERYTHING) -> str:
    """The diagnosis: verdict, collections, a card per finding, what ran."""
    data = as_json(diagnosis)
    tone, word = TONES[state(data)]
    return _fragment(
        "diagnosis.html.j2",
        tone=tone,
        word=word,
        icon=ICONS[tone],
        verdict=verdict_sentence(data),
        collections=[collection_view(item) for item in data["collections"]],
        findings=[finding_view(item, reveal=reveal) for item in data["findings"]],
        summary=last_line(data),
    )


def plan_html(plan: Plan | Mapping[str, Json], *, reveal: Reveal = EVERYTHING) -> str:
    """The plan: what will be done, what waits for a decision, what it comes to and what is lost."""
    data = as_json(plan)
    return _fragment(
        "plan.html.j2",
        summary=plan_sentence(data),
        actions=[action_view(item) for item in data["actions"]],
        effects=effect_views(data["effects"], tense="planned"),
        embedding=" ".join(embedding_sentences(data)),
        losses=[lost_sentence(redacted(item, reveal)) for item in data["losses"]],
        choices=choice_views(data),
        promised=data["promised"],
        remaining=data["remaining"],
    )


def verdict_html(verdict: Verdict | Mapping[str, Json]) -> str:
    """The verdict: whether the repair did what the plan said, test by test."""
    data = as_json(verdict)
    good = bool(data["verified"] and data["passed"])
    return _fragment(
        "verdict.html.j2",
        summary=verified_sentence(data),
        tone="ok" if good else "error",
        word="verified" if good else "not verified",
        icon=ICONS["ok" if good else "error"],
        tests=[proof_view(item) for item in data["tests"]],
        effects=effect_views(data["effects"]),
        remaining=data["remaining"],
    )


def mimebundle(record: Finding | Diagnosis | Plan | Verdict) -> dict[str, str]:
    """`text/plain` and `text/html` of a record, both the same on every run."""
    match record:
        case Finding():
            return _bundle(finding_text(record), finding_card(record))
        case Diagnosis():
            return _bundle(diagnosis_text(record), findings_html(record))
        case Plan():
            return _bundle(plan_text(record, here=False), plan_html(record))
        case Verdict():
            return _bundle(verdict_text(record), verdict_html(record))


def _bundle(text: str, html: str) -> dict[str, str]:
    return {"text/plain": text, "text/html": html}
