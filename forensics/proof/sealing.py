"""proof.json: the hash of every stage and every file of evidence of a repair, sealed by one hash that is printed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from forensics.case import LOG_FILE, Case
from forensics.durable import write_whole
from forensics.model import Json, Plan
from forensics.proof.claims import CLAIMS, program
from forensics.proof.standalone import fingerprint
from forensics.repair import stages
from forensics.repair.comparison import tables_of
from forensics.repair.failures import as_it_went
from forensics.repair.placing import JOURNAL, SIDECARS
from forensics.repair.recovery.ground import KINDS as ANEW
from forensics.seal import DATABASE, hash_file

PROOF, PROGRAM, REPORT, REPORT_RING = "proof.json", "verify.py", "report.html", "report.json"
STAGES = (
    stages.BEFORE,
    stages.AFTER,
    stages.PLAN,
    stages.VERDICT,
    stages.RESULT,
    "diagnosis.json",
    "diagnosis-after.json",
    "history.json",
    PROGRAM,
)


def write_proof(case: Case, plan: Plan, changed: Iterable[str]) -> str:
    """The case holds `verify.py` and `proof.json`; returns the seal of it. `changed`: the paths that the repair changed."""
    write_whole(case.path(PROGRAM), program())
    names = [name for name in STAGES if case.has(name)]
    names += sorted(_relative(case, path) for path in case.path("evidence").rglob("*") if path.is_file())
    entries = set(changed)
    proof: dict[str, Json] = {
        "schema": 1,
        "case": case.id,
        "files": {name: hash_file(case.path(name))[0] for name in names},
        "logs": {name: _log(case.path(name)) for name in (LOG_FILE, JOURNAL) if case.has(name)},
        "changed": sorted(entries | (set(SIDECARS) if DATABASE in entries else set())),
        "may_change": sorted(tables_of(plan)),
        "anew": any(action.kind in ANEW for action in plan.approved),
        **_foretold(as_it_went(case, plan)),
        "collections": case.read_json(CLAIMS) if case.has(CLAIMS) else [],
    }
    seal = fingerprint(proof)
    case.write_json(PROOF, {**proof, "seal": seal})
    return seal


def _foretold(plan: Plan) -> dict[str, Json]:
    """The effects and losses of the plan as it went."""
    losses = [{"collection": loss["collection"], "count": loss["count"]} for loss in plan.losses]
    return {"effects": [effect.to_json() for effect in plan.effects], "losses": losses}


def _relative(case: Case, path: Path) -> str:
    return path.relative_to(case.folder).as_posix()


def _log(path: Path) -> list[Json]:
    raw = path.read_bytes()
    return [len(raw), hashlib.sha256(raw).hexdigest()]


def seal_in(case: Case) -> str | None:
    """The seal of the proof in the case; None where there is none."""
    return str(json.loads(case.path(PROOF).read_bytes())["seal"]) if case.has(PROOF) else None


def bind_report(case: Case, path: Path) -> None:
    """The case knows which report was written upon its proof; a report elsewhere is not the case's own."""
    seal = seal_in(case)
    if seal is not None and path == case.path(REPORT):
        case.write_json(REPORT_RING, {"seal": seal, "sha256": hash_file(path)[0]})
