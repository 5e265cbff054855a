"""Every choice that a person makes about a repair, as one frozen record that travels as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from os import PathLike, fspath
from typing import Any, Literal, get_args

from forensics.codes import lookup
from forensics.errors import UsageError
from forensics.repair.conflicts import refuse_what_cannot_be
from forensics.repair.embedder_file import CONFIGURED, EmbedderFile, split_name
from forensics.repair.embedder_pace import BATCH, Pace

Ids = Literal["trim", "delete", "keep"]
Add = Literal["native", "mapped"]
HOUSEKEEPING = frozenset({"CF006", "CF007", "CF112", "CF201", "CF213", "CF607"})
"""Codes whose remedy tidies up rather than heals: only with `also_fix`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairOptions:
    """The choices; the defaults keep every byte and invent nothing.

    embedder: "module:callable" or "path/to/file.py:callable" over documents, or "configured": what each collection's
    own configuration names; embedder_file and embedder_sha256:
    where a plan found its module. unverified_embedder: use it even where no vector survives that it could
    reproduce. batch_size, requests_per_minute: texts in one call, calls in a minute. price_per_million_tokens: what the
    plan reckons with. stop_at_failed_record: nothing is changed where one document cannot be embedded; else the
    others are repaired. also: other copies of the store to take vectors from. source: the user's own files.
    accept_loss, also_fix: codes; only (empty: all) and decline: codes to repair and to leave. ids: what becomes of
    malformed ids. set_aside_unsearchable: records without a vector go to the case. rebuild: collections ("*": all) whose
    index is built again whatever was found, with M and ef_construction if given. max_elements: the capacity of a
    touched index (never below its records). purge_queue: rows that the repaired index holds leave the queue.
    threads: 1 gives the same files every time; None: one to add, all cores for a new index. add: how missing vectors
    are added (native: by hnswlib, which loads the index whole; mapped: on its memory-mapped files; None: as memory
    allows). engine: the release that verifies.
    """

    embedder: str | None = None
    embedder_file: str | None = None
    embedder_sha256: str | None = None
    unverified_embedder: bool = False
    batch_size: int | None = None
    requests_per_minute: float | None = None
    price_per_million_tokens: float | None = None
    stop_at_failed_record: bool = False
    also: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    accept_loss: tuple[str, ...] = ()
    also_fix: tuple[str, ...] = ()
    decline: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ids: Ids = "trim"
    set_aside_unsearchable: bool = False
    rebuild: tuple[str, ...] = ()
    M: int | None = None
    ef_construction: int | None = None
    max_elements: int | None = None
    purge_queue: bool = False
    threads: int | None = None
    add: Add | None = None
    search_every_vector: bool = False
    engine: str | None = None
    target_chromadb: str | None = None

    def __post_init__(self) -> None:
        """Codes and paths become tuples of strings. Raises UsageError for a choice that does not exist."""
        for name in ("also", "source"):
            self._set(name, tuple(_paths(getattr(self, name))))
        self._set("rebuild", tuple([self.rebuild] if isinstance(self.rebuild, str) else self.rebuild))
        for name in ("accept_loss", "also_fix", "decline", "only"):
            self._set(name, tuple(sorted(_codes(getattr(self, name)))))
        stray = set(self.also_fix) - HOUSEKEEPING
        if stray:
            raise UsageError(
                f"{', '.join(sorted(stray))} is no housekeeping; only {_listed(HOUSEKEEPING)} are."
            )
        if self.ids not in get_args(Ids):
            raise UsageError(f"ids can be {_listed(get_args(Ids))}, not {self.ids!r}.")
        if self.add is not None and self.add not in get_args(Add):
            raise UsageError(f"add can be {_listed(get_args(Add))}, not {self.add!r}.")
        refuse_what_cannot_be(self)
        self._check_pace()
        if self.embedder not in (None, CONFIGURED):
            split_name(self.embedder)

    def _check_pace(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError("batch_size must be at least 1.")
        if self.requests_per_minute is not None and not 0 < self.requests_per_minute < inf:
            raise UsageError("requests_per_minute must be above 0.")
        if self.price_per_million_tokens is not None and not 0 <= self.price_per_million_tokens < inf:
            raise UsageError("price_per_million_tokens must be 0 or more.")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def pace(self) -> Pace:
        """How fast the embedder is asked."""
        return Pace(batch=self.batch_size or BATCH, per_minute=self.requests_per_minute)

    def of_the_embedder(self) -> dict[str, Any]:
        """What a diagnosis is told of it."""
        names = ("embedder", "batch_size", "requests_per_minute")
        return {name: getattr(self, name) for name in names}

    @property
    def embedder_found(self) -> EmbedderFile | None:
        """Where a plan found the module of its embedder; None where none is written down."""
        if self.embedder_file is None or self.embedder_sha256 is None:
            return None
        return EmbedderFile(self.embedder_file, self.embedder_sha256)

    @property
    def parameters(self) -> dict[str, int]:
        """M and ef_construction where they are chosen; hnswlib never takes less than M for the latter."""
        given = {"M": self.M, "ef_construction": self.ef_construction}
        chosen = {name: value for name, value in given.items() if value is not None}
        if "ef_construction" in chosen:
            chosen["ef_construction"] = max(chosen["ef_construction"], chosen.get("M", 1))
        return chosen

    def threads_for(self, *, new_index: bool) -> int:
        """As chosen; else all cores for a new index, and one where an index is added to."""
        return self.threads or ((os.cpu_count() or 1) if new_index else 1)

    def having_found(self, file: EmbedderFile | None) -> RepairOptions:
        """The same choices, with the file of the embedder written down."""
        if file is None:
            return replace(self, embedder_file=None, embedder_sha256=None)
        return replace(self, embedder_file=file.path, embedder_sha256=file.sha256)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` gives the same record back."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> RepairOptions:
        """The record; unknown keys of later versions raise UsageError."""
        known = {field.name for field in fields(cls)}
        unknown = set(plain) - known
        if unknown:
            raise UsageError(f"Unknown repair options: {_listed(unknown)}.")
        return cls(**plain)


def _paths(given: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[str]:
    return [fspath(given)] if isinstance(given, (str, PathLike)) else [fspath(path) for path in given]


def _codes(given: str | Iterable[str]) -> set[str]:
    items = given.split(",") if isinstance(given, str) else given
    return {lookup(code.strip()).code for code in items if code.strip()}


def _listed(items: Iterable[object]) -> str:
    return ", ".join(sorted(str(item) for item in items))
