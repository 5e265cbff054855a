"""The parent's side of a chromadb child: what each operation of a list did, also where the process died over
it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from forensics.engine.child import run_child, work_folder
from forensics.engine.releases import installed_beside, release_python
from forensics.errors import CannotComplete, ChildFailed, MissingPackage

SESSION = "forensics.engine.session"
ENDS = ("kill", "reopen")
"""Operations after which a new process goes on."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one operation did.

    `ok`: it returned. `error`: type and text of what it raised. `died`: how the process ended over it (signal
    or time-out). `ids` and `embeddings` (k, dim) float32 are what came back, where the operation returns
    such.
    """

    op: str
    ok: bool
    value: Any = None
    error: tuple[str, str] | None = None
    died: str | None = None
    seconds: float = 0.0
    ids: list[Any] | None = field(default=None, repr=False)
    embeddings: np.ndarray | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The error or the death in one line; empty where it returned."""
        if self.died is not None:
            return self.died
        return f"{self.error[0]}: {self.error[1]}" if self.error is not None else ""


def engine_python(version: str | None, *, create: bool = False) -> Path | None:
    """The interpreter of that release; None for the one installed beside us. Raises where there is none."""
    beside = installed_beside()
    if version in (None, beside):
        if beside is None:
            raise MissingPackage("chromadb", "asking the engine")
        return None
    try:
        python = release_python(str(version), create=create)
    except (ValueError, RuntimeError) as error:
        raise CannotComplete(f"chromadb {version} cannot be asked: {error}.") from error
    if python is None:
        raise CannotComplete(
            f"chromadb {version} is not at hand; FORENSICS_RELEASES may name a folder of releases."
        )
    return python


def engine_session(
    store_copy: Path,
    operations: Sequence[Mapping[str, Any]],
    *,
    version: str | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    timeout: float = 120.0,
    memory: int | None = None,
    file_size: int | None = None,
    isolate: bool = False,
    create: bool = False,
) -> list[Step]:
    """What chromadb `version` did on a throw-away copy, operation by operation; the copy is written to.

    An operation is {"op": open · count · get · peek · query · add · upsert · delete · list_collections ·
    reopen · kill, "collection": name, …}; `arrays` are the files that `vectors` names. After a death the rest
    goes on in a new process; with `isolate` each operation has its own. Where operations have a "group", the
    steps end with the first group in which one failed. `timeout` is for one process.
    """
    python = engine_python(version, create=create)
    request = {"store": str(store_copy)}
    with work_folder() as folder:
        for name, array in (arrays or {}).items():
            np.save(folder / name, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
        steps: list[Step] = []
        while len(steps) < len(operations):
            part = _together(operations[len(steps) :], isolate)
            limits = {"timeout": timeout, "memory": memory, "file_size": file_size}
            steps += _process(request, part, len(steps), folder, python, limits)
            done = zip(steps, operations, strict=False)
            if any(not step.ok and "group" in operation for step, operation in done):
                break
        return steps


def _together(operations: Sequence[Mapping[str, Any]], isolate: bool) -> Sequence[Mapping[str, Any]]:
    """The operations that one process does: up to the next end of a process, at least one."""
    if isolate:
        return operations[:1]
    ends = (number for number, operation in enumerate(operations, 1) if operation["op"] in ENDS)
    return operations[: next(ends, len(operations))]


def _process(
    request: Mapping[str, Any],
    operations: Sequence[Mapping[str, Any]],
    first: int,
    folder: Path,
    python: Path | None,
    limits: Mapping[str, Any],
) -> list[Step]:
    """The steps of one process: all of them, or those up to the one that it died over."""
    (folder / "steps.jsonl").unlink(missing_ok=True)
    asked = [dict(operation) for operation in operations if operation["op"] != "reopen"]
    died: str | None = None
    try:
        full = {**request, "operations": asked, "first": first}
        run_child(SESSION, full, python=python, folder=folder, **limits)
    except ChildFailed as failure:
        died = failure.message
    steps = [_step(folder, asked[line["end"] - first]["op"], line) for line in _ended(folder)]
    if died is not None and len(steps) < len(asked):
        steps.append(Step(asked[len(steps)]["op"], ok=False, died=died))
    elif len(steps) == len(asked) < len(operations):
        steps.append(Step("reopen", ok=True))
    return steps


def _ended(folder: Path) -> list[dict[str, Any]]:
    path = folder / "steps.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = (json.loads(line) for line in text.splitlines() if line.endswith("}"))
    return [line for line in lines if "end" in line]


def _step(folder: Path, op: str, line: Mapping[str, Any]) -> Step:
    error = (line["error"]["type"], line["error"]["text"]) if "error" in line else None
    ids, rows = folder / f"{line['end']}-ids.json", folder / f"{line['end']}-embeddings.npy"
    return Step(
        op=op,
        ok=line["ok"],
        value=line.get("value"),
        error=error,
        seconds=line["seconds"],
        ids=json.loads(ids.read_text(encoding="utf-8")) if ids.exists() else None,
        embeddings=np.load(rows) if rows.exists() else None,
    )
