"""Where a case stands: found, planned, repaired, copied or undone, and what the reader must do now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from forensics.report.casefiles import CaseFiles
from forensics.report.plain import counted, lowered, number, quoted, raised
from forensics.report.repair_summary import applied_sentence, plan_sentence
from forensics.report.summary import CLOSED, above_notes, safe_to_open, state, verdict_sentence

Json = Any
Tense = Literal["planned", "tried", "done"]
IN_PLACE = ("repaired", "copied")
"""Phases in which what the plan comes to stands somewhere."""
REFUSED = "not applied"
"""The event that says so in the action log, with `why`."""
_WORDS = {
    "closed": ("fatal", "Do not open"),
    "fatal": ("fatal", "Cannot be used"),
    "error": ("error", "Damaged"),
    "warning": ("warning", "Needs attention"),
    "unsure": ("warning", "Not wholly examined"),
    "healthy": ("ok", "No damage found"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One large number with what it counts; `link` leads to its evidence."""

    value: str
    label: str
    link: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The verdict of the report: `tone` is the class of its colour, `must` what the reader has to do."""

    phase: str
    tone: str
    word: str
    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...]
    must: tuple[str, ...]

    @property
    def carried_out(self) -> bool:
        """True where the actions of the plan were done: in the store, in a copy, or before an undo."""
        return self.phase in ("repaired", "copied", "undone")

    @property
    def tense(self) -> Tense:
        """How the report speaks of the plan: `planned`, `done`, or `tried` on a draft that was thrown away."""
        if self.phase in ("failed", "rolled-back"):
            return "tried"
        return "done" if self.carried_out else "planned"


_MOVED = (" begins", " done", " taken back", " left open")


def phase_of(files: CaseFiles) -> str:
    """empty, looked, planned, nothing-to-do, refused, failed, copied, repaired, interrupted, rolled-back or undone.

    `refused`: it was not begun, or broken off before the verification; `failed`: its draft did not pass that.
    """
    result = files.get("result")
    moves = [event for event in _events(files) if event.endswith(_MOVED)]
    if moves and moves[-1].endswith((" begins", " left open")):
        return "interrupted"
    if result is None:
        return "rolled-back" if moves and moves[-1] == "apply taken back" else _unfinished(files)
    if result.get("to"):
        return "copied"
    if result.get("nothing_to_do"):
        return "nothing-to-do"
    if not result.get("applied"):
        return "planned"
    undone = moves and moves[-1] in ("undo done", "redo taken back")
    return "undone" if undone else "repaired"


def _events(files: CaseFiles) -> list[str]:
    return [str(entry.get("event", "")) for entry in files.log]


def _unfinished(files: CaseFiles) -> str:
    verdict = files.get("verdict")
    if verdict is not None and not verdict["passed"]:
        return "failed"
    if files.get("plan"):
        return "refused" if refusal(files) else "planned"
    return "looked" if files.get("diagnosis") else "empty"


def refusal(files: CaseFiles) -> str:
    """Why the plan of the case was not carried out when that was asked for; empty where it was not, or was since."""
    last = next((e for e in reversed(files.log) if e.get("event") in ("planned", "applied", REFUSED)), {})
    return str(last.get("why", "")) if last.get("event") == REFUSED else ""


def standing(files: CaseFiles) -> Standing:
    """The verdict of the whole case."""
    phase = phase_of(files)
    tone, word = _tone(files, phase)
    return Standing(
        phase=phase,
        tone=tone,
        word=word,
        sentences=tuple(_sentences(files, phase)),
        tiles=tuple(_tiles(files, phase)),
        must=tuple(_must(files, phase)),
    )


def _tone(files: CaseFiles, phase: str) -> tuple[str, str]:
    result, diagnosis = files.get("result"), files.get("diagnosis")
    if phase == "interrupted":
        return "fatal", "A swap was interrupted"
    if phase == "repaired":
        left = [code for code in result.get("remaining", ()) if not _is_note(files, code)]
        if not result.get("verified"):
            return "error", "Repaired, not verified"
        return ("warning", "Repaired in part, verified") if left else ("ok", "Repaired and verified")
    if phase == "copied":
        return "ok", "A repaired copy was made"
    if phase in ("failed", "refused", "rolled-back"):
        tone, word = _WORDS[state(diagnosis)] if diagnosis else ("warning", "Nothing examined yet")
        return tone, f"{word}, not repaired"
    if diagnosis is None:
        return "warning", "Nothing examined yet"
    return _WORDS[state(diagnosis)]


def _is_note(files: CaseFiles, code: str) -> bool:
    known = [f for stage in ("after", "diagnosis") for f in (files.get(stage) or {}).get("findings", ())]
    return all(f["severity"] == "note" for f in known if f["code"] == code)


def _sentences(files: CaseFiles, phase: str) -> Iterator[str]:
    diagnosis, result, plan = files.get("diagnosis"), files.get("result"), files.get("plan")
    before = "" if diagnosis is None else raised(verdict_sentence(diagnosis).removeprefix("Damaged: "))
    if phase == "empty":
        yield "This case holds no diagnosis yet."
    elif phase == "repaired":
        yield applied_sentence(result)
        yield f"Before: {lowered(_inside(before))}"
    elif phase == "undone":
        yield "The repair was undone: the store is as it was before it."
        yield before
    elif phase == "copied":
        yield f"The store itself was not touched. The repaired copy stands at {result['to']}."
        yield before
    elif phase == "failed":
        yield "The repaired draft did not pass its verification and was thrown away; the store was left as it is."
        yield before
    elif phase == "refused":
        yield f"The repair was asked for and not made; the store was left as it is. Why: {refusal(files)}"
        yield before
    elif phase == "rolled-back":
        yield "The exchange of the repaired entries was begun and taken back: the store is the original."
        yield before
    elif phase == "interrupted":
        yield "The exchange of the repaired entries began and was not finished; no engine can open the store."
        yield before
    else:
        yield before
        if plan is not None:
            yield f"Planned: {lowered(plan_sentence(plan))}"


def _inside(sentence: str) -> str:
    return sentence.removeprefix(f"{CLOSED}: ")


def _tiles(files: CaseFiles, phase: str) -> Iterator[Tile]:
    diagnosis = files.get("diagnosis")
    if diagnosis is None:
        return
    yield Tile(value=_total(diagnosis["collections"], "records"), label="records in SQLite", link="impact")
    yield _reach(files, diagnosis, phase)
    yield from _repaired_tiles(files, phase)
    yield _findings_tile(diagnosis, files.get("after") if phase in IN_PLACE else None)


def _findings_tile(before: Mapping[str, Json], after: Mapping[str, Json] | None) -> Tile:
    counts = [len(above_notes(side)) for side in (before, after) if side is not None]
    value = " → ".join(number(count) for count in counts)
    return Tile(
        value=value, label="findings above a note", link="findings", tone="error" if counts[-1] else "ok"
    )


def _total(rows: Any, name: str) -> str:
    values = [row[name] for row in rows]
    return "unknown" if any(value is None for value in values) else number(sum(values))


def _reach(files: CaseFiles, diagnosis: Mapping[str, Json], phase: str) -> Tile:
    """What search finds: indexed and pending, and after a repair what it finds now."""
    rows = [
        {"reach": None if c["indexed"] is None else c["indexed"] + c["pending"]}
        for c in diagnosis["collections"]
    ]
    before = _total(rows, "reach")
    if phase in IN_PLACE and files.get("after") is not None:
        now = [
            {"reach": None if c["indexed"] is None else c["indexed"] + c["pending"]}
            for c in files.get("after")["collections"]
        ]
        return Tile(
            value=f"{before} → {_total(now, 'reach')}",
            label=f"records that search finds{' in the copy' if phase == 'copied' else ''}",
            link="verification",
            tone="ok",
        )
    return Tile(value=before, label="records that search finds", link="impact")


def _repaired_tiles(files: CaseFiles, phase: str) -> Iterator[Tile]:
    records = (files.get("result") or {}).get("records")
    if phase not in ("repaired", "copied") or records is None:
        return
    yield Tile(value=number(records["reattached"]), label="vectors re-attached", link="repair")
    yield Tile(value=number(records["reembedded"]), label="re-embedded", link="repair")
    yield Tile(
        value=number(records["lost"]),
        label="not brought back",
        link="limits",
        tone="error" if records["lost"] else "ok",
    )


def _must(files: CaseFiles, phase: str) -> Iterator[str]:
    diagnosis, case = files.get("diagnosis"), (files.get("case") or {})
    folder = str(files.folder)
    if phase == "interrupted":
        yield f"Finish it: `forensics apply --case {folder} --resume`"
        yield f"Or take it back: `forensics undo --case {folder}`"
        return
    if diagnosis is None:
        yield f"Diagnose the store: `forensics diagnose {case.get('store', 'STORE')} --case {folder}`"
        return
    if phase == "repaired":
        yield from _after_repair(files, folder)
    elif state(diagnosis) == "healthy":
        yield "Nothing. Keep a verified copy (`forensics copy STORE DEST`) and look again from time to time."
    else:
        yield from _before_repair(files, diagnosis, phase, folder)


def _after_repair(files: CaseFiles, folder: str) -> Iterator[str]:
    result = files.get("result")
    if not result.get("verified"):
        yield "Do not trust the store yet: see Verification for the tests that failed."
    yield "Start the application again, and look at what it finds."
    if "released" in _events(files):
        yield "The original was let go: there is no way back to it."
    else:
        yield f"The original is kept. To go back to it: `forensics undo --case {folder}`"
        yield f"To let it go: `forensics case release --case {folder}`"
    for effect in (files.get("verdict") or {}).get("effects", ()):
        if effect["lost"]:
            lost = counted(effect["lost"], "record")
            yield f"Ingest again what was not brought back in {quoted(effect['collection'])}: {lost}, listed under Limits."
    if any("no embedder was given" in loss["reason"] for loss in (files.get("plan") or {}).get("losses", ())):
        again = f"forensics repair {files.get('plan')['store']} --embedder MODULE:CALLABLE"
        first = "undo this repair, then " if any(e["set_aside"] for e in files.get("plan")["effects"]) else ""
        yield f"Or have their documents embedded again, by what embedded them before: {first}`{again}`"


def _before_repair(files: CaseFiles, diagnosis: Mapping[str, Json], phase: str, folder: str) -> Iterator[str]:
    if not safe_to_open(diagnosis):
        yield f"{CLOSED}: stop every process that uses it."
    elif phase != "copied":
        yield "Let nobody write to the store until it is repaired: every write blurs its evidence."
    if phase == "failed":
        yield "See Verification for the tests that failed. Plan again; if it fails again, report it with this case."
    elif phase in ("refused", "rolled-back"):
        yield f"When that is out of the way: `forensics apply --case {folder} --yes`"
    elif phase == "undone":
        yield f"To have the repair again: `forensics undo --case {folder}`"
    elif phase == "planned":
        yield f"Read the plan below. To carry it out: `forensics apply --case {folder} --yes`"
    elif phase == "looked":
        yield f"Plan the repair: `forensics plan {diagnosis['store']['path']}`"
    elif phase == "copied":
        yield f"Point the application at {files.get('result')['to']}; the damaged store stays as it is."
