"""What a case folder holds, as JSON: any stage may be absent; one that is damaged is said, not hidden."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forensics.absent import Absent, NotAvailable, Unparsable

Json = Any
STAGES = {
    "case": "case.json",
    "manifest": "manifest.json",
    "diagnosis": "diagnosis.json",
    "history": "history.json",
    "probe": "probe.json",
    "plan": "plan.json",
    "verdict": "verdict.json",
    "after": "diagnosis-after.json",
    "manifest_after": "manifest-after.json",
    "result": "result.json",
    "proof": "proof.json",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFile:
    """One file of the case: its path relative to the case folder and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFiles:
    """The stages of a case by name (those of STAGES that are there), its logs, and the files beside them."""

    folder: Path
    stages: Mapping[str, Json]
    log: tuple[Json, ...]
    journal: tuple[Json, ...]
    files: tuple[EvidenceFile, ...]
    damaged: tuple[str, ...]

    def get(self, stage: str) -> Json:
        """That stage, or None where the case has not come to it."""
        return self.stages.get(stage)


def read_case(folder: Path) -> CaseFiles:
    """Everything that the report is made of."""
    read = {stage: _stage(folder / name) for stage, name in STAGES.items()}
    logs = {name: _lines(folder / name) for name in ("log.jsonl", "journal.jsonl")}
    bad = [value.reason for value in read.values() if isinstance(value, Unparsable)]
    bad += [f"{name}: {count} lines are not JSON" for name, (_, count) in logs.items() if count]
    return CaseFiles(
        folder=folder,
        stages={stage: value for stage, value in read.items() if not isinstance(value, Absent)},
        log=logs["log.jsonl"][0],
        journal=logs["journal.jsonl"][0],
        files=_files(folder),
        damaged=tuple(bad),
    )


def _stage(path: Path) -> Json | Absent:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return NotAvailable(f"{path.name} is not there")
    except (OSError, ValueError) as error:
        return Unparsable(f"{path.name} cannot be read: {error}")
    return value if isinstance(value, Mapping) else Unparsable(f"{path.name} is not an object")


def _lines(path: Path) -> tuple[tuple[Json, ...], int]:
    """(the records of a file of JSON lines, how many lines are none)."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return (), 0
    records = [_record(line) for line in lines if line.strip()]
    good = tuple(record for record in records if record is not None)
    return good, len(records) - len(good)


def _record(line: bytes) -> Json | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, Mapping) else None


def _files(folder: Path) -> tuple[EvidenceFile, ...]:
    """The evidence and the stages, by path; the report itself and the lock are left out."""
    known = set(STAGES.values()) | {"log.jsonl", "journal.jsonl"}
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    named = sorted((path.relative_to(folder).as_posix(), path) for path in paths)
    kept = [(name, path) for name, path in named if name in known or name.startswith("evidence/")]
    return tuple(EvidenceFile(path=name, size=path.stat().st_size) for name, path in kept)
