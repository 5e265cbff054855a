"""Diagnosis, plan and verdict in sentences. Pure: JSON in, words out; every view says the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from forensics.codes import catalogue
from forensics.report.plain import counted, joined, lowered, number, quoted, raised, visible

Json = Any
SEVERITIES = ("fatal", "error", "warning", "note")
CLOSED = "Do not open this store with Chroma before it is repaired"
OF_THE_MOMENT = ("CF005", "CF009")
PROVING = frozenset({"rebuild-id-map"})
_BY_PROOF = "nothing is dropped; the plan says which vectors can be proved to be whose"
"""Findings that say nothing of the store itself: it is in use, the disk is full."""
ANSWERED = ("clean", "found", "masked", "partial")
_UNSAFE = {
    "CF202": "the queue was emptied, so what Chroma writes next would vanish without an error",
    "CF205": "the next open would purge the only copy of its vectors",
    "CF301": "the next open may purge the vectors that only the queue still holds",
    "CF401": "its id map is gone, and the next read would overwrite the whole index",
    "CF402": "its id map is empty, and an attempt to mend it by deleting it would overwrite the whole index",
    "CF403": "its id map is cut, and an attempt to mend it by deleting it would overwrite the whole index",
    "CF412": "elements of the index belong to no id, and the next write can crash in the middle of it",
}


def as_json(record: Json) -> Json:
    """The JSON of a record of `forensics.model`; JSON as it is."""
    return record if isinstance(record, Mapping) else record.to_json()


def above_notes(diagnosis: Mapping[str, Json]) -> list[Json]:
    """The findings that are more than a note."""
    return [finding for finding in diagnosis["findings"] if finding["severity"] != "note"]


def damages(diagnosis: Mapping[str, Json]) -> list[Json]:
    """Those of them that are damage: not about this run, nor about what holds only at the moment."""
    return [
        f
        for f in above_notes(diagnosis)
        if f["code"] not in OF_THE_MOMENT and not f["code"].startswith("CF9")
    ]


def is_complete(diagnosis: Mapping[str, Json]) -> bool:
    """True where every check that was asked for ran on whole data of a store that stood still."""
    broken = any(check["outcome"] in ("skipped", "partial", "crashed") for check in diagnosis["checks"])
    undecided = diagnosis["store"].get("safe_to_open", True) is None
    return bool(diagnosis["store"].get("unchanged", True)) and not broken and not undecided


def safe_to_open(diagnosis: Mapping[str, Json]) -> bool:
    """False where opening is known to destroy something."""
    return diagnosis["store"].get("safe_to_open", True) is not False


def state(diagnosis: Mapping[str, Json]) -> str:
    """closed, fatal, error, warning, unsure or healthy: what the worst of it amounts to."""
    if not safe_to_open(diagnosis):
        return "closed"
    found = {finding["severity"] for finding in damages(diagnosis)}
    worst = next((name for name in SEVERITIES[:3] if name in found), None)
    return worst or ("healthy" if is_complete(diagnosis) and not above_notes(diagnosis) else "unsure")


def verdict_sentence(diagnosis: Mapping[str, Json]) -> str:
    """What is the matter, in one or two plain sentences for somebody who is worried."""
    match state(diagnosis):
        case "closed":
            return f"{CLOSED}: {_why_closed(diagnosis)}. {damage_sentence(diagnosis)}".rstrip()
        case "fatal" | "error":
            return damage_sentence(diagnosis)
        case "warning":
            return f"No record is known to be lost, but {_worst(diagnosis)}."
        case "unsure":
            rest = f"not everything could be{_hindered(diagnosis)}"
            return f"No damage was found in what could be examined, but {rest}."
        case _:
            ran, asked = coverage(diagnosis)
            return f"No damage found: {'all ' if ran == asked else ''}{counted(ran, 'check')} ran."


def _hindered(diagnosis: Mapping[str, Json]) -> str:
    if diagnosis["store"].get("safe_to_open", True) is None:
        return ": whether the store is safe to open is not known"
    return "".join(f": {lowered(defect(finding['code']))}" for finding in above_notes(diagnosis)[:1])


def _why_closed(diagnosis: Mapping[str, Json]) -> str:
    codes = diagnosis["store"].get("unsafe_because", ())
    reasons = {code: _reason(code, diagnosis) for code in codes}
    return (
        "; ".join(f"{why} ({code}{_of(diagnosis, code)})" for code, why in reasons.items())
        or "it would lose data"
    )


def _reason(code: str, diagnosis: Mapping[str, Json]) -> str:
    """Why opening destroys something; a check may have counted what."""
    data = [finding["found"] for finding in diagnosis["findings"] if finding["code"] == code]
    counts = [found.get("opening_destroys") or 0 for found in data if isinstance(found, Mapping)]
    if any(counts):
        return f"the next open would purge the only copy of {counted(sum(counts), 'vector')}"
    return _UNSAFE.get(code, "it would lose data")


def _of(diagnosis: Mapping[str, Json], code: str) -> str:
    names = [f["collection"] for f in diagnosis["findings"] if f["code"] == code]
    known = [quoted(name) for name in names if name is not None]
    return f" in {joined(known)}" if known else ""


def damage_sentence(diagnosis: Mapping[str, Json]) -> str:
    """The worst finding if it is fatal, and how many records search cannot find; else what the worst is."""
    parts = [part for c in diagnosis["collections"] if (part := collection_damage(c))]
    if not damages(diagnosis):
        return ""
    worst = damages(diagnosis)[0]
    told = worst["severity"] != "fatal" or worst["code"] in diagnosis["store"].get("unsafe_because", ())
    if parts and told:
        return f"Damaged: {_some(parts)}."
    return f"Damaged: {_worst(diagnosis)}.{f' {raised(_some(parts))}.' if parts else ''}"


def _some(parts: Sequence[str]) -> str:
    return f"{'; '.join(parts[:3])}{_and_more(len(parts) - 3, 'collection')}"


def _and_more(count: int, unit: str) -> str:
    return f"; and {counted(count, f'more {unit}')}" if count > 0 else ""


def collection_damage(summary: Mapping[str, Json]) -> str:
    """What search misses in one collection; empty where it misses nothing."""
    name, records, missing = quoted(summary["name"]), summary["records"], summary["missing"]
    if records is None:
        return f"the records of {name} cannot be counted"
    held = f"the {counted(records, 'record')} of {name}"
    if missing is None:
        return f"nothing says any more which vector belongs to which of {held}"
    return f"search cannot find {number(missing)} of {held}" if missing else ""


def _worst(diagnosis: Mapping[str, Json]) -> str:
    findings = damages(diagnosis)
    rest = f" (and {counted(len(findings) - 1, 'other finding')})" if len(findings) > 1 else ""
    first = findings[0]
    place = "" if first["collection"] is None else f"in {quoted(first['collection'])} "
    return f"{place}{lowered(defect(first['code']))}{rest}"


def defect(code: str) -> str:
    """The catalogue's sentence of a code; empty for a code of a newer catalogue."""
    row = catalogue().get(code)
    return "" if row is None else row.defect


def headline(finding: Mapping[str, Json]) -> str:
    """The sentence of a finding: how many, and of what."""
    sentence = lowered(defect(finding["code"]) or f"{finding['name']}")
    count = counted(finding["count"], finding["unit"])
    names_them = sentence.split(" ", 1)[0] == counted(2, finding["unit"]).split(" ", 1)[1]
    if finding["count"] == 1 and not names_them:
        return f"{raised(sentence)}."
    if names_them and finding["count"] > 1:
        return f"{number(finding['count'])} {sentence}."
    return f"{count} — {sentence}."


def coverage(diagnosis: Mapping[str, Json]) -> tuple[int, int]:
    """(how many checks ran, how many were asked for)."""
    outcomes = [check["outcome"] for check in diagnosis["checks"]]
    return sum(name in ANSWERED for name in outcomes), sum(name != "not-asked" for name in outcomes)


def severity_counts(diagnosis: Mapping[str, Json]) -> str:
    """`2 errors, 1 warning`, worst first; `no findings`."""
    found = Counter(finding["severity"] for finding in diagnosis["findings"])
    return ", ".join(_severity(found[name], name) for name in SEVERITIES if found[name]) or "no findings"


def _severity(count: int, name: str) -> str:
    return f"{number(count)} {name}" if name == "fatal" else counted(count, name)


def coverage_sentence(diagnosis: Mapping[str, Json]) -> str:
    """`31 of 33 checks ran (2 skipped: no id map; not asked for: CF103 CF105 with --deep)`."""
    ran, asked = coverage(diagnosis)
    parts = [part for name in ("skipped", "partial", "crashed") if (part := _short_of(diagnosis, name))]
    parts += _not_asked(diagnosis)
    inside = f" ({'; '.join(parts)})" if parts else ""
    return f"{number(ran)} of {counted(asked, 'check')} ran{inside}"


def _short_of(diagnosis: Mapping[str, Json], outcome: str) -> str:
    hit = [check for check in diagnosis["checks"] if check["outcome"] == outcome]
    reasons = list(dict.fromkeys(visible(check["reason"]) for check in hit if check["reason"]))
    more = f" and {counted(len(reasons) - 2, 'other reason')}" if len(reasons) > 2 else ""
    return f"{number(len(hit))} {outcome}: {'; '.join(reasons[:2])}{more}" if hit else ""


def _not_asked(diagnosis: Mapping[str, Json]) -> list[str]:
    hit = [check for check in diagnosis["checks"] if check["outcome"] == "not-asked"]
    switches = dict.fromkeys(check["reason"] for check in hit if check["reason"].startswith("runs with "))
    named = [f"only {reason.removeprefix('runs ')}: {_codes(hit, reason)}" for reason in switches]
    rest = sum(check["reason"] not in switches for check in hit)
    return [*named, f"{counted(rest, 'code')} of the catalogue not looked for"] if rest else named


def _codes(checks: Sequence[Json], reason: str) -> str:
    return code_ranges([check["code"] for check in checks if check["reason"] == reason])


def code_ranges(codes: Sequence[str]) -> str:
    """`CF402–CF405 CF501`: neighbours in the catalogue joined."""
    order = {code: rank for rank, code in enumerate(catalogue())}
    runs: list[list[str]] = []
    for code in sorted(set(codes), key=lambda code: (order.get(code, len(order)), code)):
        joins = bool(runs) and order.get(code, -1) == order.get(runs[-1][-1], -3) + 1
        runs[-1].append(code) if joins else runs.append([code])
    return " ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else " ".join(run) for run in runs)


def last_line(diagnosis: Mapping[str, Json]) -> str:
    """The summary that ends every diagnosis."""
    still = diagnosis["store"].get("unchanged", True)
    changed = "nothing was changed" if still else "the store changed while it was read"
    return f"{severity_counts(diagnosis)} · {coverage_sentence(diagnosis)} · {changed}"


def remedy_sentence(remedy: Mapping[str, Json]) -> str:
    """`clear-deleted-flags — safe: nothing is lost`; `none needed`."""
    action, loses = remedy["action"], remedy["loses"]
    if action == "none":
        return "none needed"
    if remedy["safety"] == "safe":
        return f"{action} — safe: {_BY_PROOF if action in PROVING else 'nothing is lost'}"
    if remedy["safety"] == "manual":
        return f"{action} — manual: explained, never done by the tool"
    if action == "quarantine-ghosts":
        whose = "its vector is" if loses == 1 else "their vectors are"
        return f"{action} — {counted(loses, 'id')} and {whose} kept in the case; no record comes back by it"
    if not loses:
        return f"{action} — lossy: no record is lost, but something is dropped or made anew"
    return f"{action} — lossy: {counted(loses, 'record')} cannot be had back from this store alone"
