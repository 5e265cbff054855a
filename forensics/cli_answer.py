"""What every answer of the command line is made of. Prints nothing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forensics.cli_arguments import NARROWING
from forensics.cli_text import Progress, progress
from forensics.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is the JSON object; `error` the sentence for stderr where the status has bit 8 or 16."""

    data: Json
    text: str
    status: int = 0
    error: str | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def watched(options: Namespace) -> Generator[Progress | None]:
    """A bar on stderr while the block works, but for JSON."""
    with progress(wanted=options.format == "text") as bar:
        yield bar


def pair(options: Namespace) -> dict[str, str | None]:
    """Which collection is meant."""
    return {"collection": options.collection, "segment": options.segment}


def labelled(label: str, path: object) -> str:
    """`case       /path`."""
    return f"{label:<10} {path}"


def would(what: str) -> Answer:
    """The answer to --dry-run where there is no plan to stop at."""
    return Answer({"schema": 1, "dry_run": True, "would": what}, f"{what} Nothing was done (--dry-run).")


def need_case(options: Namespace) -> str:
    """The case folder that was named. Raises UsageError where none was."""
    if not options.case:
        raise UsageError(f"`forensics {options.verb}` works on a case: say which with --case DIR.")
    return options.case


def refuse_less(options: Namespace) -> None:
    """Raises UsageError where less was asked for than the plan of the case is: it is carried out as it was shown."""
    named = [name for name in NARROWING if getattr(options, name)]
    if named:
        written = ["--except" if name == "skip" else f"--{name.replace('_', '-')}" for name in named]
        raise UsageError(
            f"`forensics {options.verb}` does what its case says, as a whole; narrow it with {' and '.join(written)}"
            " of `forensics plan STORE --case DIR`."
        )


def why_incomplete(found: Json) -> str | None:
    """One sentence about a diagnosis that has bit 8 (as JSON); None where it is complete and nobody may write."""
    store, reasons = found["store"], list[str]()
    if store.get("in_use"):
        reasons.append(f"the store is in use{_by(found)}")
    if not store.get("unchanged", True):
        reasons.append("the store was written while it was read, so that every finding is only possible")
    lacking = [check for check in found["checks"] if check["outcome"] in ("skipped", "partial", "crashed")]
    if lacking:
        shown = ", ".join(f"{check['code']} {check['outcome']}" for check in lacking[:3])
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        reasons.append(f"not everything could be checked ({shown}{more}: {lacking[0]['reason']})")
    return f"Not complete: {'; '.join(reasons)}." if reasons else None


def _by(found: Json) -> str:
    """` by process 17 (python serve.py)`, as CF005 has it."""
    users = [row["found"] for row in found["findings"] if row["code"] == "CF005"]
    handles = [handle for user in users for handle in user.get("handles", ())]
    names = dict.fromkeys(
        "this very process" if each["this_process"] else f"process {each['pid']} ({each['command']})"
        for each in handles
    )
    return f" by {', '.join(list(names)[:3])}" if names else ""
