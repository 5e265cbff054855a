"""index_metadata.pickle: which id has which label. Read without ever executing it; both shapes.

0.4–0.6 write an instance of `PersistentData` (protocol 5), 1.x a bare dict (protocol 3). A file that the scan does
not accept is a value of type `BadIdMap` that says what is wrong; `salvage` reads what its intact prefix still holds.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import pickletools
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from forensics.absent import Absent, NotApplicable
from forensics.readers.bulk import collector_paused
from forensics.readers.pickle_scan import Scan, scan
from forensics.readers.sectors import known_gaps

CLASS = ("chromadb.segment.impl.vector.local_persistent_hnsw", "PersistentData")
BadKind = Literal["missing", "empty", "truncated", "hostile", "malformed", "unreadable"]


@dataclass(frozen=True, slots=True)
class BadIdMap(Absent):
    """There is no usable id map; `kind` says why in one word, `offset` where."""

    kind: BadKind = "missing"
    offset: int = 0


@dataclass(frozen=True, kw_only=True)
class IdMap:
    """The id map as stored. `form` is "class" (0.4–0.6) or "dict" (1.x). Unknown fields are None."""

    form: Literal["class", "dict"]
    dimensionality: int | None
    total_elements_added: int | None
    max_seq_id: int | None
    id_to_label: dict[str, int] = field(repr=False)
    label_to_id: dict[int, str] = field(repr=False)
    id_to_seq_id: dict[str, Any] = field(repr=False)
    has_max_seq_id: bool = True

    def labels(self) -> np.ndarray:
        """(n,) int64 labels in the order of `id_to_label`; read-only."""
        return self._labels

    @cached_property
    def _labels(self) -> np.ndarray:
        found = np.fromiter(self.id_to_label.values(), dtype=np.int64, count=len(self.id_to_label))
        found.flags.writeable = False
        return found


class _Stub:
    """Stands in for PersistentData: an empty shell that BUILD fills."""


class _Loader(pickle.Unpickler):
    """Knows one class name and gives a shell for it; every other name is refused."""

    def find_class(self, module: str, name: str) -> type:
        if (module, name) == CLASS:
            return _Stub
        raise pickle.UnpicklingError(f"names {module}.{name}")


def read_id_map(path: Path) -> IdMap | BadIdMap:
    """The id map in `path`, or what is wrong with it. Never raises for bad content."""
    raw = _map(path)
    if isinstance(raw, BadIdMap):
        return raw
    view = memoryview(raw)
    verdict = scan(view)
    if verdict.kind != "ok":
        return BadIdMap(_reason(path, verdict), verdict.kind, verdict.end)  # pyright: ignore[reportArgumentType]
    with collector_paused():
        return _load(view, path)


def _map(path: Path) -> mmap.mmap | BadIdMap:
    if (gap := known_gaps().get(str(path))) is not None:
        return BadIdMap(gap.sentence, "unreadable")
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as handle:
            if os.fstat(handle.fileno()).st_size == 0:
                return BadIdMap(f"{path.name} has 0 bytes", "empty")
            return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return BadIdMap(f"{path.name} does not exist", "missing")
    except (OSError, ValueError) as error:
        return BadIdMap(f"{path.name}: {error}", "unreadable")


def _reason(path: Path, verdict: Scan) -> str:
    return f"{path.name}: {verdict.detail} (byte {verdict.end})"


def _load(view: memoryview, path: Path) -> IdMap | BadIdMap:
    try:
        loaded = _Loader(io.BufferedReader(_Reader(view), 1 << 20)).load()
    except pickle.UnpicklingError as error:
        return BadIdMap(
            f"{path.name}: {error}; it was not executed", "hostile" if "names" in str(error) else "malformed"
        )
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        EOFError,
        AttributeError,
        UnicodeDecodeError,
    ) as error:
        return BadIdMap(f"{path.name}: {type(error).__name__}: {error}", "malformed")
    form: Literal["class", "dict"] = "class" if isinstance(loaded, _Stub) else "dict"
    state = vars(loaded) if isinstance(loaded, _Stub) else loaded
    problem = _shape_problem(state)
    if problem is not None:
        return BadIdMap(f"{path.name}: {problem}", "malformed")
    return _from_state(state, form)


class _Reader(io.RawIOBase):
    """A raw file over a memoryview; buffered on top, the C unpickler can peek and so stays fast."""

    def __init__(self, view: memoryview) -> None:
        super().__init__()
        self.view, self.at = view, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self.view[self.at : self.at + len(buffer)]
        buffer[: len(part)] = part
        self.at += len(part)
        return len(part)


def _shape_problem(state: object) -> str | None:
    if not isinstance(state, dict):
        return f"it holds a {type(state).__name__}, not an id map"
    for name, key, value in (("id_to_label", str, int), ("label_to_id", int, str)):
        part = state.get(name)
        if not isinstance(part, dict):
            return f"{name} is {'absent' if part is None else 'a ' + type(part).__name__}"
        if set(map(type, part)) - {key} or set(map(type, part.values())) - {value}:
            return f"{name} does not map {key.__name__} to {value.__name__}"
    if not _in_range(state["label_to_id"]) or not _in_range(state["id_to_label"].values()):
        return "a label is negative or above 2^63"
    return None


def _in_range(labels: Collection[int]) -> bool:
    try:
        numbers = np.fromiter(labels, dtype=np.int64, count=len(labels))
    except OverflowError:
        return False
    return not numbers.size or int(numbers.min()) >= 0


def _from_state(state: dict[str, Any], form: Literal["class", "dict"]) -> IdMap:
    def number(name: str) -> int | None:
        value = state.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    sequence = state.get("id_to_seq_id")
    return IdMap(
        form=form,
        dimensionality=number("dimensionality"),
        total_elements_added=number("total_elements_added"),
        max_seq_id=number("max_seq_id"),
        has_max_seq_id="max_seq_id" in state,
        id_to_label=state["id_to_label"],
        label_to_id=state["label_to_id"],
        id_to_seq_id=sequence if isinstance(sequence, dict) else {},
    )


def salvage(path: Path) -> dict[str, int]:
    """id → label of every pair of `id_to_label` that stands whole before the first byte that is not acceptable.

    Walks opcodes and executes none; empty where the file cannot be read. Linear in the file, about 3 s per million.
    """
    raw = _map(path)
    if isinstance(raw, (BadIdMap, NotApplicable)):
        return {}
    prefix = bytes(memoryview(raw)[: scan(memoryview(raw)).end])
    return _pairs(prefix)


def _pairs(prefix: bytes) -> dict[str, int]:
    memo: dict[int, str] = {}
    found: dict[str, int] = {}
    last: str | None = None
    inside = False
    try:
        for opcode, argument, _ in pickletools.genops(prefix):
            if isinstance(argument, str):
                inside = (inside or last == "id_to_label") and argument != "label_to_id"
                last = argument
            elif opcode.name == "MEMOIZE":
                memo[len(memo)] = last or ""
            elif (
                inside
                and isinstance(argument, int)
                and last is not None
                and opcode.name in ("BININT", "BININT1", "BININT2", "LONG1")
            ):
                found.setdefault(last, argument)
    except (ValueError, EOFError):
        return found
    return found
