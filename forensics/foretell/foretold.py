"""What is said of one call before it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["returns", "raises", "undefined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """One call of one release, told from the files.

    returns: `reaches` is the number that `count` says, or how many ids (with embeddings: how many of those) come
    back, or up to `fewer` less, by the vector that is asked with; `ids`, where they are known. raises: `error` is a
    regular expression that type and text of the error match.
    undefined: the engine reads memory that nobody has written, so that anything may follow. `destroys` counts the
    vectors that are on the disk before and nowhere after; `may_destroy` those that undefined behaviour can cost.
    `also` are other changes of the disk, in words; `after` the calls of a process that comes after.
    """

    call: str
    outcome: Outcome
    reaches: int | None = None
    fewer: int = 0
    error: str = ""
    destroys: int = 0
    may_destroy: int = 0
    why: str = ""
    also: tuple[str, ...] = ()
    confidence: Literal["certain", "likely", "undefined behaviour"] = "certain"
    ids: frozenset[str] | None = field(default=None, repr=False)
    after: tuple[Foretold, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Without the ids."""
        names = (
            "call",
            "outcome",
            "reaches",
            "fewer",
            "error",
            "destroys",
            "may_destroy",
            "why",
            "confidence",
        )
        later = {"after": [call.to_json() for call in self.after]} if self.after else {}
        return {**{name: getattr(self, name) for name in names}, "also": list(self.also), **later}
