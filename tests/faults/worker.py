"""Carries out one verb on a case with byte-level actions; may kill itself at a chosen moment.

`python -P worker.py apply|resume|undo CASE [MOMENT]`: a moment is just before or just after a call that
changes something on a disk. Without one it says at the end how many there were.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forensics import copying, durable
from forensics.case import Case
from forensics.model import Action, Effect, Plan, Test, Verdict
from forensics.repair import exchange
from forensics.repair.apply import apply_plan
from forensics.repair.draft import Draft, DraftContext
from forensics.repair.undo import undo
from forensics.seal import Manifest, seal

NEW = "99999999-9999-9999-9999-999999999999"
MIXED = ("database", "file", "create", "remove")
SINGLE = ("directory",)


def segment_of(store: Path) -> str:
    """The name of the first directory with a header, where the store is closed as well."""
    return next(path.name for path in sorted(store.iterdir()) if (path / "header.bin").exists())


def run(action: Action, context: DraftContext) -> None:
    """The same bytes at every run."""
    draft, segment = context.draft, segment_of(context.store)
    if action.kind == "database":
        connection = sqlite3.connect(draft.copy_in("chroma.sqlite3"))
        connection.execute("CREATE TABLE repaired (x)")
        connection.close()
    elif action.kind == "file":
        draft.copy_in(f"{segment}/length.bin").write_bytes(b"repaired")
    elif action.kind == "directory":
        (draft.copy_in(segment) / "length.bin").write_bytes(b"repaired")
    elif action.kind == "create":
        draft.new(f"{NEW}/header.bin").write_bytes(b"new")
    elif action.kind == "remove":
        draft.remove(f"{segment}/link_lists.bin")
    else:
        raise ValueError(action.kind)


def verify(case: Case, plan: Plan, draft: Draft, **options: object) -> Verdict:
    """Every path of the store as it will be can be resolved."""
    passed = all(os.path.lexists(draft.resolve(name)) for name in draft.names())
    test = Test(name="tree", passed=passed, detail="every name stands somewhere")
    return Verdict(verified="checks", tests=(test,), effects=plan.effects, remaining=())


def planned(store: Path, folder: Path, kinds: tuple[str, ...]) -> Case:
    """A case with a seal and a plan of these actions."""
    case = Case.create(folder, store)
    actions = tuple(
        Action(kind=k, collection=None, codes=(), title=k, safety="safe", approval="yes", approved=True)
        for k in kinds
    )
    effect = Effect(collection="terms", before=1, after=1)
    plan = Plan(store=str(store), findings=(), actions=actions, effects=(effect,), promised=(), remaining=())
    case.write_json("manifest.json", seal(store).to_json())
    case.write_json("plan.json", plan.to_json())
    return case


def do(verb: str, case: Case) -> dict[str, Any]:
    """The verb, in this process."""
    if verb == "undo":
        return undo(case, nobody_else=True)
    return apply_plan(case, resume=verb == "resume", nobody_else=True, run=run, verify=verify)


def content(manifest: Manifest) -> dict[str, object]:
    """path → what is there, without times and numbers."""
    return {
        entry.path: (entry.kind, entry.sha256, entry.mode, entry.uid, entry.gid) for entry in manifest.entries
    }


def state_of(store: Path, old: Manifest, new: Manifest) -> str:
    """old, new, closed, or what else it is."""
    if (store / "chroma.sqlite3").is_dir():
        return "closed" if (store / "chroma.sqlite3" / "REPAIR-IN-PROGRESS.txt").exists() else "lost"
    now = content(seal(store))
    return "old" if now == content(old) else "new" if now == content(new) else "mixture"


# --- moments ------------------------------------------------------------------------------------------------


class Moments:
    """Counts the moments and dies at the chosen one."""

    def __init__(self, fatal: int | None) -> None:
        self.fatal, self.count, self.seen = fatal, 0, []

    def pass_by(self, name: str) -> None:
        self.count += 1
        self.seen.append(name)
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, home: Any, name: str) -> None:
        """Every call of `home.name` is preceded and followed by a moment."""
        genuine: Callable[..., Any] = getattr(home, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            self.pass_by(f"before {name}")
            result = genuine(*arguments, **options)
            self.pass_by(f"after {name}")
            return result

        setattr(home, name, watched)


def main(words: list[str]) -> None:
    verb, folder, *rest = words
    moments = Moments(int(rest[0]) if rest else None)
    for name in (
        "mkdir",
        "rename",
        "replace",
        "unlink",
        "rmdir",
        "fsync",
        "ftruncate",
        "utime",
        "chmod",
        "write",
    ):
        moments.around(os, name)
    moments.around(exchange, "_call")
    moments.around(copying, "_clone")
    moments.around(durable, "_last_byte")
    answer = do(verb, Case.open(Path(folder)))
    sys.stdout.write(json.dumps({"moments": moments.count, "seen": moments.seen, "answer": answer}))


if __name__ == "__main__":
    main(sys.argv[1:])
