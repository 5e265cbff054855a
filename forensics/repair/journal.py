"""The journal of a draft: what is about to be done, on the disk before it is done. One JSON object per
line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from forensics.durable import append_line, room
from forensics.model import Json
from forensics.repair.exchange import reserve

RESERVED = 256 << 10
Outcome = Literal["made", "unmade"]
State = Literal["original", "repaired"]
Step = tuple[str, str]
"""(path in the store, path in the draft): the two trade places. Its own inverse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A list of steps that leads from one state of the store to the other.

    `inodes`: what stood at each place before the first step ("store:…", "draft:…"; None: nothing). `times`:
    mtime_ns of the directories that the steps touch, as they were before and as they shall be after.
    `outcome` None: it was begun and neither made nor unmade to its end.
    """

    number: int
    name: str
    target: State
    steps: tuple[Step, ...]
    inodes: Mapping[str, int | None]
    times_before: Mapping[str, int]
    times_after: Mapping[str, int]
    outcome: Outcome | None = None
    acknowledged: bool = False

    def to_json(self) -> Json:
        return {
            name: getattr(self, name) for name in self.__slots__ if name not in ("outcome", "acknowledged")
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> Transition:
        names = ("number", "name", "target", "inodes", "times_before", "times_after")
        steps = tuple((store, draft) for store, draft in row["steps"])
        return cls(steps=steps, **{name: row[name] for name in names})


class Journal:
    """The journal at `path`. Its blocks are reserved when it is made, so that a full disk does not stop a
    swap.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """An empty journal is on the disk."""
        with room("the journal was made"):
            append_line(self.path, json.dumps({"event": "created"}).encode())
            descriptor = os.open(self.path, os.O_RDWR)
            try:
                reserve(descriptor, RESERVED)
            finally:
                os.close(descriptor)

    def append(self, event: str, **facts: Json) -> None:
        """One more line, on the disk."""
        with room("the journal was written"):
            append_line(self.path, json.dumps({"event": event, **facts}).encode())

    def records(self) -> list[dict[str, Json]]:
        """Every line, oldest first; one that a crash cut short is left out: what it says was not begun."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [record for line in lines if (record := _record(line)) is not None]

    def transitions(self) -> tuple[Transition, ...]:
        """All transitions with what became of them."""
        found: dict[int, Transition] = {}
        for record in self.records():
            if record["event"] == "begin":
                begun = Transition.from_json(record["transition"])
                found[begun.number] = begun
            elif record["event"] == "end":
                number = record["number"]
                found[number] = replace(found[number], outcome=record["outcome"])
            elif record["event"] == "acknowledged":
                number = record["number"]
                found[number] = replace(found[number], acknowledged=True)
        return tuple(found[number] for number in sorted(found))

    @property
    def last(self) -> Transition | None:
        """The newest transition."""
        return next(iter(reversed(self.transitions())), None)

    @property
    def state(self) -> State:
        """What the finished transitions have led to."""
        made = [transition for transition in self.transitions() if transition.outcome == "made"]
        return made[-1].target if made else "original"

    @property
    def promised(self) -> bool:
        """True where it was promised for `apply` that nobody uses the store where that cannot be seen."""
        return any(record["event"] == "promised" for record in self.records())

    @property
    def released(self) -> bool:
        """True where the kept original was given up."""
        return any(record["event"] == "released" for record in self.records())


def _record(line: bytes) -> dict[str, Json] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "event" in record else None
