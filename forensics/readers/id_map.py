"""index_metadata.pickle: which id has which label. Read without ever executing it; both shapes.

0.4–0.6 write an instance of `PersistentData` (protocol 5), 1.x a bare dict (protocol 3). A file that the scan does
not accept is a value of type `BadIdMap` that says what is wrong.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from operator import eq
from pathlib import Path
from typing import Any, Literal

import numpy as np

from forensics.absent import Absent
from forensics.readers.bulk import collector_paused
from forensics.readers.columns import Column, Cut, Pairs, column_of, cut
from forensics.readers.pickle_scan import scan
from forensics.readers.sectors import known_gaps

CLASS = ("chromadb.segment.impl.vector.local_persistent_hnsw", "PersistentData")
COLUMNS_FROM = 1 << 23
"""Bytes from which on an id map is read by columns, where it is shaped for that."""
BadKind = Literal["missing", "empty", "truncated", "hostile", "malformed", "unreadable"]


@dataclass(frozen=True, slots=True)
class BadIdMap(Absent):
    """There is no usable id map; `kind` says why in one word, `offset` where."""

    kind: BadKind = "missing"
    offset: int = 0


@dataclass(frozen=True, kw_only=True)
class IdMap:
    """The id map as stored. `form` is "class" (0.4–0.6) or "dict" (1.x). Unknown fields are None. `trailing` counts
    bytes of the file behind the pickle's end.
    """

    form: Literal["class", "dict"]
    dimensionality: int | None
    total_elements_added: int | None
    max_seq_id: int | None
    id_to_label: dict[str, int] = field(repr=False)
    label_to_id: dict[int, str] = field(repr=False)
    id_to_seq_id: dict[str, Any] = field(repr=False)
    has_max_seq_id: bool = True
    trailing: int = field(default=0, repr=False)

    def labels(self) -> np.ndarray:
        """(n,) int64 labels in the order of `id_to_label`; read-only."""
        return self._labels

    @cached_property
    def _labels(self) -> np.ndarray:
        return _frozen(np.fromiter(self.id_to_label.values(), dtype=np.int64, count=len(self.id_to_label)))

    @cached_property
    def back_labels(self) -> np.ndarray:
        """(m,) int64 labels in the order of `label_to_id`; read-only."""
        return _frozen(np.fromiter(self.label_to_id, dtype=np.int64, count=len(self.label_to_id)))

    @property
    def size(self) -> int:
        """How many ids `id_to_label` has."""
        return len(self.id_to_label)

    @property
    def highest_label(self) -> int:
        """The highest label that an id has; 0 in an empty map."""
        return int(self.labels().max(initial=0))

    @cached_property
    def is_mirrored(self) -> bool:
        """True where id_to_label and label_to_id are each other's inverse."""
        back = map(self.label_to_id.get, self.id_to_label.values())
        return len(self.label_to_id) == len(self.id_to_label) and all(map(eq, back, self.id_to_label))

    def labels_among(self, names: Iterable[str]) -> dict[str, int]:
        """id → label of those of `names`, no more than a few, that have one."""
        return {name: self.id_to_label[name] for name in names if name in self.id_to_label}


class ColumnMap(IdMap):
    """A big id map of 1.x by its columns. Its dicts are loaded from the file when somebody asks for them."""

    forward: Pairs
    backward: Pairs
    whole: Callable[[], IdMap | BadIdMap]

    def __new__(cls, **changed: Any) -> IdMap:  # pyright: ignore[reportInconsistentConstructor]
        """What `dataclasses.replace` makes of one is an IdMap like any other."""
        return IdMap(**changed)

    @classmethod
    def of(cls, found: Cut, rest: IdMap, whole: Callable[[], IdMap | BadIdMap]) -> ColumnMap:
        """`rest`: what the file says besides the pairs; `whole` reads it with them."""
        made = object.__new__(cls)
        known = {
            name: value for name, value in vars(rest).items() if not name.startswith(("id_to_l", "label"))
        }
        vars(made).update(known, forward=found.forward, backward=found.backward, whole=whole)
        return made

    @cached_property
    def _loaded(self) -> IdMap:
        found = self.whole()
        if isinstance(found, BadIdMap):
            raise OSError(f"the id map could be read once and not again: {found.reason}")
        return found

    @cached_property
    def _labels(self) -> np.ndarray:
        return _frozen(self.forward.labels)

    @cached_property
    def back_labels(self) -> np.ndarray:
        return _frozen(self.backward.labels)

    @property
    def size(self) -> int:
        return len(self.forward.ids)

    @cached_property
    def is_mirrored(self) -> bool:
        back = self.forward.place_of(self.backward.labels)
        same = self.size == len(back) and not bool((back < 0).any())
        return same and bool((self.forward.ids.hashes[back] == self.backward.ids.hashes).all())

    def labels_of(self, ids: Column) -> np.ndarray:
        """(k,) int64 label of each id, -1 where it has none."""
        there = self.forward.ids.places(ids)
        return np.where(there >= 0, self.forward.labels[there], -1) if self.size else there

    def labels_among(self, names: Iterable[str]) -> dict[str, int]:
        asked = list(dict.fromkeys(names))
        found = self.labels_of(column_of(asked)).tolist()
        return {name: label for name, label in zip(asked, found, strict=True) if label >= 0}

    @cached_property
    def id_to_label(self) -> dict[str, int]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._loaded.id_to_label

    @cached_property
    def label_to_id(self) -> dict[int, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._loaded.label_to_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and all(
            getattr(self, f.name) == getattr(other, f.name) for f in fields(self)
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType] - as any other that holds dicts


def _frozen(column: np.ndarray) -> np.ndarray:
    column.flags.writeable = False
    return column


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
    raw = map_bytes(path)
    if isinstance(raw, BadIdMap):
        return raw
    found = _by_columns(view := memoryview(raw), path)
    if found is not None and hasattr(mmap, "MADV_DONTNEED"):
        raw.madvise(mmap.MADV_DONTNEED)  # what was cut is not needed in memory any more
    return found or _whole(view, path)


def _by_columns(view: memoryview, path: Path) -> ColumnMap | None:
    found = cut(view) if len(view) >= COLUMNS_FROM else None
    rest = None if found is None else _whole(memoryview(found.rest), path)
    if found is None or not isinstance(rest, IdMap):
        return None
    return ColumnMap.of(found, rest, lambda: _whole(view, path))


def _whole(view: memoryview, path: Path) -> IdMap | BadIdMap:
    verdict = scan(view)
    if verdict.kind != "ok":
        return BadIdMap(f"{path.name}: {verdict.detail} (byte {verdict.end})", verdict.kind, verdict.end)  # pyright: ignore[reportArgumentType]
    with collector_paused():
        found = _load(view, path)
    return replace(found, trailing=len(view) - verdict.end) if isinstance(found, IdMap) else found


def map_bytes(path: Path) -> mmap.mmap | BadIdMap:
    """The file as a memory map, or why there is none."""
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
