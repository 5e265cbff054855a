"""Why `peek()` fails and how it came to that: every hypothesis confirmed, refuted or not decidable. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from forensics.report.plain import counted, joined, number, quoted, raised
from forensics.report.views import anchor

Json = Any
Ruling = Literal["confirmed", "refuted", "not decidable"]
MAP_LOST = ("CF401", "CF402", "CF403", "CF404", "CF405")
OUT_OF_STEP = ("CF301", "CF501", "CF503", "CF204", "CF212")
FAILED = ("error", "dies", "wrong")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A possible cause, how it was ruled on, and the evidence; `codes` are the findings that it rests on."""

    name: str
    claim: str
    ruling: Ruling
    evidence: tuple[str, ...]
    codes: tuple[tuple[str, str | None], ...] = ()

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """(code, anchor of its card) for every finding that it rests on."""
        return tuple((code, anchor(code, collection)) for code, collection in self.codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one call did when it was tried on a copy; `first`: which record makes it fail, and why."""

    collection: str
    name: str
    code: str
    verdict: str
    says: str
    first: tuple[str, str] | None = None

    @property
    def failed(self) -> bool:
        return self.verdict in FAILED


def hypotheses(diagnosis: Mapping[str, Json], probe: Mapping[str, Json] | None) -> tuple[Hypothesis, ...]:
    """The three explanations that people have for a failing `peek()`, in the order they come up."""
    return (
        _id_maps_not_rebuilt(diagnosis),
        _another_code_path(calls(probe)),
        _segments_out_of_step(diagnosis),
    )


def found(diagnosis: Mapping[str, Json], *codes: str) -> list[Json]:
    """The findings with these codes."""
    return [finding for finding in diagnosis["findings"] if finding["code"] in codes]


def _outcome(diagnosis: Mapping[str, Json], code: str) -> tuple[str, str]:
    """(outcome, reason) of a check; what is not listed was not asked."""
    hit = (check for check in diagnosis["checks"] if check["code"] == code)
    check = next(hit, {"outcome": "not-asked", "reason": ""})
    return check["outcome"], check["reason"]


def _cited(findings: Sequence[Json]) -> tuple[tuple[str, str | None], ...]:
    return tuple((finding["code"], finding["collection"]) for finding in findings)


def _amounts(findings: Sequence[Json]) -> tuple[str, ...]:
    return tuple(
        f"{finding['code']} {finding['name']}: {counted(finding['count'], finding['unit'])}"
        f"{_in(finding['collection'])} ({finding['confidence']})."
        for finding in findings
    )


def _in(collection: str | None) -> str:
    return "" if collection is None else f" in {quoted(collection)}"


def _id_maps_not_rebuilt(diagnosis: Mapping[str, Json]) -> Hypothesis:
    """The vectors are in level 0 and only index_metadata.pickle does not name them."""
    name = "The id maps were not rebuilt"
    claim = "The vectors are in the index, and only index_metadata.pickle does not name them."
    lost = found(diagnosis, *MAP_LOST)
    stray = found(diagnosis, "CF409")
    gone = found(diagnosis, "CF301")
    outcome, reason = _outcome(diagnosis, "CF409")
    if lost or stray:
        ruling, evidence = "confirmed", _amounts([*lost, *stray])
    elif gone:
        ruling, evidence = "refuted", (*_amounts(gone), "There is no index whose map could be rebuilt.")
    elif outcome == "clean":
        ruling, evidence = "refuted", tuple(_nothing_to_name(diagnosis))
    else:
        ruling, evidence = "not decidable", (_undecided("CF409", outcome, reason),)
    return Hypothesis(
        name=name, claim=claim, ruling=ruling, evidence=evidence, codes=_cited([*lost, *stray, *gone])
    )


def _nothing_to_name(diagnosis: Mapping[str, Json]) -> Iterator[str]:
    yield "Every live vector of level 0 has its id (CF409 is clean): a map made anew would name no more."
    for finding in found(diagnosis, "CF501"):
        missing = counted(finding["count"], "missing record")
        yield f"The index holds no vector at all for the {missing}{_in(finding['collection'])}."


def _undecided(code: str, outcome: str, reason: str) -> str:
    return f"{code} would tell; it was {outcome.replace('-', ' ')}{f': {reason}' if reason else ''}."


def _another_code_path(tried: Sequence[Call]) -> Hypothesis:
    """`peek` fails where `get` with embeddings of the same records answers."""
    name = "peek() uses another code path"
    claim = "peek() reads something that get() with embeddings does not read."
    collections = dict.fromkeys(call.collection for call in tried)
    rulings = [_compared(collection, tried) for collection in collections]
    known = [(ruling, text) for ruling, text in rulings if ruling != "not decidable"]
    if not tried:
        text = "What the calls do was not tried: `forensics probe` does, in a child on a throw-away copy."
        return Hypothesis(name=name, claim=claim, ruling="not decidable", evidence=(text,))
    texts = tuple(text for _, text in (known or rulings))
    worst: Ruling = "not decidable"
    if known:
        worst = "confirmed" if any(ruling == "confirmed" for ruling, _ in known) else "refuted"
    return Hypothesis(name=name, claim=claim, ruling=worst, evidence=texts)


def _compared(collection: str, tried: Sequence[Call]) -> tuple[Ruling, str]:
    mine = {call.name: call for call in tried if call.collection == collection}
    peek = mine.get("peek")
    get = mine.get("get with embeddings")
    if peek is None or get is None:
        return "not decidable", f"peek and get with embeddings were not both tried{_in(collection)}."
    if peek.failed and get.failed:
        same = "with the same words" if peek.says == get.says else f"({get.says})"
        text = f"peek fails{_in(collection)} ({peek.says}), and get with embeddings fails too, {same}."
        alike = peek.first is not None and peek.first == get.first
        return "refuted", f"{text} Both stop at the same record." if alike else text
    if peek.failed:
        return "confirmed", f"peek fails{_in(collection)} ({peek.says}); get with embeddings answers."
    if get.failed:
        text = "it asks only for the first records, and they have their vectors"
        return "refuted", f"get with embeddings fails{_in(collection)} ({get.says}); peek answers: {text}."
    return "refuted", f"peek and get with embeddings both answer{_in(collection)}."


def calls(probe: Mapping[str, Json] | None) -> tuple[Call, ...]:
    """Every call that was tried, in order; none without a probe."""
    return tuple(_calls(probe or {}))


def _calls(probe: Mapping[str, Json]) -> Iterator[Call]:
    for collection in probe.get("collections", ()):
        for call in collection["calls"]:
            yield Call(
                collection=collection["name"],
                name=call["call"],
                code=call["code"],
                verdict=call["verdict"],
                says=call["detail"],
                first=_first(call["because"]),
            )


def _first(because: Sequence[Mapping[str, Json]]) -> tuple[str, str] | None:
    """(id, where it stands and why it has no vector) of the first record that lacks one."""
    if not because:
        return None
    first = because[0]
    return str(first["id"]), f"at position {number(first['position'])}: {first['why']}"


def _segments_out_of_step(diagnosis: Mapping[str, Json]) -> Hypothesis:
    """The METADATA and the VECTOR segment hold different records, beyond what the queue will bring."""
    hits = found(diagnosis, *OUT_OF_STEP)
    outcomes = {code: _outcome(diagnosis, code) for code in ("CF501", "CF503")}
    open_ones = [code for code, (outcome, _) in outcomes.items() if outcome != "clean"]
    if hits:
        ruling, evidence = "confirmed", _amounts(hits)
    elif not open_ones:
        ruling, evidence = "refuted", ("Both segments hold the same ids, or the queue will bring them.",)
    else:
        evidence = tuple(_undecided(code, *outcomes[code]) for code in open_ones)
        ruling = "not decidable"
    return Hypothesis(
        name="The segments are out of step",
        claim="The METADATA segment holds records that the VECTOR segment lacks, or the reverse.",
        ruling=ruling,
        evidence=evidence,
        codes=_cited(hits),
    )


def ranked_causes(diagnosis: Mapping[str, Json]) -> tuple[Hypothesis, ...]:
    """What the findings themselves hold for their cause: certain is confirmed, what is less stays open."""
    return tuple(_ranked(diagnosis))


def _ranked(diagnosis: Mapping[str, Json]) -> Iterator[Hypothesis]:
    for finding in diagnosis["findings"]:
        for cause in finding["causes"]:
            certain = cause["confidence"] == "certain"
            yield Hypothesis(
                name=raised(cause["name"].replace("-", " ")),
                claim=f"How {finding['code']}{_in(finding['collection'])} came about.",
                ruling="confirmed" if certain else "not decidable",
                evidence=(
                    f"{raised(cause['evidence'])}.",
                    *(() if certain else (_HELD[cause["confidence"]],)),
                ),
                codes=_cited([finding]),
            )


_HELD = {"likely": "Held likely; only a log of the application could prove it.", "possible": "Held possible."}
_LEAVES = {
    "index-removed-after-purge": ("oldest", "all"),
    "older-index-flushed-over": ("newest",),
    "two-writers": ("middle", "newest"),
}
"""Where the missing records lie after each course of events."""


def rejected_causes(diagnosis: Mapping[str, Json]) -> tuple[Hypothesis, ...]:
    """The known courses of events that the place of the missing records speaks against."""
    return tuple(_rejected(diagnosis))


def _rejected(diagnosis: Mapping[str, Json]) -> Iterator[Hypothesis]:
    for finding in found(diagnosis, "CF501"):
        at = finding["found"].get("sequence") or {}
        named = {cause["name"] for cause in finding["causes"]}
        for name, leaves in _LEAVES.items():
            if at and name not in named and at["name"] not in leaves:
                yield Hypothesis(
                    name=raised(name.replace("-", " ")),
                    claim=f"How {finding['code']}{_in(finding['collection'])} came about.",
                    ruling="refuted",
                    evidence=(_misplaced(leaves, at["name"]),),
                    codes=_cited([finding]),
                )


_PLACES = {
    "all": "every record",
    "oldest": "the oldest",
    "newest": "the newest",
    "middle": "a gap in the middle",
    "scattered": "records all over the sequence",
}


def _misplaced(leaves: Sequence[str], place: str) -> str:
    expected = joined([_PLACES[name] for name in leaves], "or")
    return f"What it leaves missing is {expected}; what is missing here is {_PLACES.get(place, place)}."


def summary(diagnosis: Mapping[str, Json], ruled: Sequence[Hypothesis]) -> str:
    """What the section comes to, in one sentence."""
    confirmed = [hypothesis.name for hypothesis in ruled if hypothesis.ruling == "confirmed"]
    if confirmed:
        return f"Confirmed: {joined([_lower(name) for name in confirmed])}."
    if any(hypothesis.ruling == "not decidable" for hypothesis in ruled):
        return "The files decide for none of the explanations alone."
    return f"None of the {number(len(ruled))} explanations holds: there is nothing to explain."


def _lower(name: str) -> str:
    return name if name.startswith("peek") else name[:1].lower() + name[1:]
