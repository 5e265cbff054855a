"""An engine's answer beside what was foretold of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from forensics.foretell.foretold import Foretold

Word = Literal["as foretold", "not as foretold", "undefined"]
Step = Mapping[str, Any]
"""What one operation did: {"op", "ok", "error": {"type", "text"}, "died", "value", "ids"}."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One call: whether it did what was foretold, in what it did not, and the vectors that nobody warned of.

    `lost` counts all that the call cost its copy.
    """

    call: str
    word: Word
    detail: str
    missed: int
    lost: int = 0


def agreement(told: Foretold, processes: Sequence[Sequence[Step]], lost: int) -> Agreement:
    """`processes` are the steps of each process of the call, `lost` the vectors that it cost its copy."""
    missed = max(0, lost - told.destroys - told.may_destroy)
    if told.outcome == "undefined":
        return Agreement(told.call, "undefined", said(processes[0][0]), missed, lost)
    wrong = [_differs(told, processes[0][-1])] if not told.after else []
    if told.after:
        wrong = _of_both(told, processes)
    if lost != told.destroys:
        wrong.append(f"{told.destroys} vectors foretold to be lost, {lost} were")
    problems = [text for text in wrong if text]
    return Agreement(
        told.call, "not as foretold" if problems else "as foretold", "; ".join(problems), missed, lost
    )


def beside(told: Foretold, step: Step, asked: int | None = None) -> tuple[Word, str]:
    """One answer beside what was foretold of it, and in what it differs. `asked`: no more were asked for than that."""
    if told.outcome == "undefined":
        return "undefined", ""
    if asked is not None and told.reaches is not None and told.reaches > asked:
        told = replace(told, reaches=asked, ids=None)
    problem = _differs(told, step)
    return ("not as foretold", problem) if problem else ("as foretold", "")


def _of_both(told: Foretold, processes: Sequence[Sequence[Step]]) -> list[str]:
    """The write, then what the next process sees."""
    written = processes[0][0]
    wrong = [_outcome(told, written)]
    seen = processes[1] if len(processes) > 1 else []
    if len(seen) < len(told.after) and all(step["ok"] for step in seen):
        return [*wrong, "the second process was not asked everything"]
    return [*wrong, *(_differs(one, step) for one, step in zip(told.after, seen, strict=False))]


def _differs(told: Foretold, step: Step) -> str:
    """In what the step differs from what was foretold; empty where in nothing."""
    problem = _outcome(told, step)
    if problem or told.outcome == "raises" or told.reaches is None:
        return problem
    number = reached(step, told.call)
    if number is None or not told.reaches - told.fewer <= number <= told.reaches:
        return f"{told.call}: {told.reaches} foretold, {number} came"
    return "" if _same_ids(told, step) else f"{told.call}: {number} came, but not those"


def _outcome(told: Foretold, step: Step) -> str:
    if told.outcome == "returns":
        return "" if step["ok"] else f"{told.call}: foretold to return, it says {said(step)}"
    if step["ok"]:
        return f"{told.call}: foretold to raise {told.error!r}, it returned {said(step)}"
    if step.get("died"):
        return f"{told.call}: foretold to raise {told.error!r}, its process {step['died']}"
    return (
        ""
        if re.search(told.error, said(step))
        else f"{told.call}: {told.error!r} foretold, it says {said(step)}"
    )


def reached(step: Step, call: str) -> int | None:
    """How many records the answer has; of embeddings, how many of them."""
    value = step.get("value")
    if not isinstance(value, Mapping):
        return value
    if step["op"] == "query":
        return value["ids"][0]
    embeddings = value.get("embeddings")
    return value["ids"] if embeddings is None else embeddings


def _same_ids(told: Foretold, step: Step) -> bool:
    """Where the ids are known. Records that the call itself added have other names in the two."""
    found = step.get("ids")
    if told.ids is None or found is None or told.fewer:
        return True
    flat = found[0] if step["op"] == "query" else found
    wanted = {name for name in told.ids if not name.startswith("\0")}
    return wanted <= set(flat) and len(set(flat)) == len(told.ids)


def said(step: Step) -> str:
    """What the step did, in one line."""
    if step.get("died"):
        return f"died: {step['died']}"
    error = step.get("error")
    if error and not step["ok"]:
        return f"{error['type']}: {error['text']}"
    return str(step.get("value"))
