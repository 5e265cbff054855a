"""The case folder: one file per stage, written whole or not at all; an action log; a lock."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from forensics.durable import append_line, room, write_whole
from forensics.errors import CannotComplete, Refused, UsageError
from forensics.model import Json

CASE_FILE = "case.json"
LOG_FILE = "log.jsonl"
LOCK_FILE = "lock"
CASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Case:
    """A case of one store. `folder` and `store` are resolved; `draft`: where replacement or original lies."""

    def __init__(self, folder: Path, facts: dict[str, Json], clock: Clock = utc_now) -> None:
        self.folder, self.clock = folder, clock
        self._facts = facts
        self._depth = 0
        self._lock: int | None = None

    def __repr__(self) -> str:
        return f"Case({self.folder.name!r}, {self.store.name!r})"

    @classmethod
    def create(
        cls, folder: Path | None, store: Path, *, clock: Clock = utc_now, case_id: str | None = None
    ) -> Case:
        """A new case at `folder` (default `./forensics-case-<store>-<UTC>`), which must not exist or be
        empty.

        Raises UsageError where it lies in the store or holds something else (`open` opens a case).
        """
        resolved = Path(os.path.realpath(store))
        given = folder if folder is not None else _default_folder(resolved, clock())
        target = Path(os.path.realpath(given))
        if target == resolved or resolved in target.parents:
            raise UsageError(
                f"The case folder {given} lies in the store; give --case a folder outside of it."
            )
        identity = case_id or secrets.token_hex(4)
        if not CASE_ID.fullmatch(identity):
            raise UsageError(
                f"{identity!r} is no case id: letters, digits, dot, dash and underscore, at most 64."
            )
        _make(target, given)
        case = cls(target, {"schema": 1, "id": identity, "store": str(resolved), "draft": None}, clock)
        case._facts["created"] = case._now()
        case._save()
        case.log("created", store=str(resolved))
        return case

    @classmethod
    def open(cls, folder: Path, *, clock: Clock = utc_now) -> Case:
        """The case in `folder`. Raises UsageError where there is none."""
        target = Path(os.path.realpath(folder))
        try:
            facts = json.loads((target / CASE_FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(f"{folder} is not a case folder: it has no readable {CASE_FILE}.") from error
        if not isinstance(facts, dict) or not {"id", "store"} <= facts.keys():
            raise UsageError(f"{folder} is not a case folder: its {CASE_FILE} names no store.")
        return cls(target, facts, clock)

    @property
    def id(self) -> str:
        return self._facts["id"]

    @property
    def store(self) -> Path:
        return Path(self._facts["store"])

    @property
    def created(self) -> str:
        """When it was made, UTC, ISO 8601."""
        return self._facts["created"]

    @property
    def draft(self) -> Path | None:
        """Where the draft, or after a swap the original, lies; None where there is none."""
        value = self._facts.get("draft")
        return Path(value) if value else None

    @property
    def store_mtime_ns(self) -> int | None:
        """The mtime of the store's directory before a draft was made (one inside the store changes it)."""
        return self._facts.get("store_mtime_ns")

    def set_draft(self, folder: Path | None, store_mtime_ns: int | None = None) -> None:
        """Remembers where the draft lies, on the disk, before it is made."""
        self._facts["draft"] = None if folder is None else str(folder)
        self._facts["store_mtime_ns"] = store_mtime_ns
        self._save()

    def _save(self) -> None:
        self.write_json(CASE_FILE, self._facts)

    def path(self, name: str) -> Path:
        """The path of a file of this case. Raises ValueError for a name that leads out of it."""
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"{name!r} is no name in a case folder")
        return self.folder / name

    def write_json(self, name: str, value: Json) -> Path:
        """`name` holds `value` as strict JSON, whole or as it was before."""
        path = self.path(name)
        text = json.dumps(value, indent=1, allow_nan=False, default=_as_json)
        with room(f"{name} of the case was written"):
            write_whole(path, text.encode() + b"\n")
        return path

    def read_json(self, name: str) -> Json:
        """What `write_json` wrote. Raises UsageError where the stage has not been done, or was damaged."""
        path = self.path(name)
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise UsageError(f"The case {self.folder} has no {name} yet.") from error
        except ValueError as error:
            raise UsageError(f"{path} is not JSON any more: {error}.") from error

    def has(self, name: str) -> bool:
        """True where that stage has left its file."""
        return self.path(name).exists()

    def evidence(self, name: str) -> Path:
        """The path for a file of evidence; the folder exists."""
        path = self.path(f"evidence/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, event: str, **facts: Json) -> None:
        """One more line in the action log: the UTC time, the event and its facts."""
        line = json.dumps({"time": self._now(), "event": event, **facts}, default=_as_json)
        with room("the action log was written"):
            append_line(self.folder / LOG_FILE, line.encode())

    def events(self) -> tuple[dict[str, Json], ...]:
        """The action log, oldest first; a line that a crash cut short is left out."""
        try:
            lines = (self.folder / LOG_FILE).read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        return tuple(record for line in lines if (record := _record(line)) is not None)

    def _now(self) -> str:
        return self.clock().astimezone(UTC).isoformat(timespec="milliseconds")

    @contextmanager
    def lock(self) -> Generator[None]:
        """This process alone works on this case inside the block; it may be taken again inside it.

        Raises CannotComplete (exit 8) where somebody else works on it. It is free again when a process dies.
        """
        if self._depth == 0:
            self._lock = _take(self.folder)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0 and self._lock is not None:
                os.close(self._lock)
                self._lock = None


def _default_folder(store: Path, now: datetime) -> Path:
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = f"forensics-case-{store.name or 'store'}-{stamp}"
    return next(
        path for n in range(1, 1000) if not (path := Path(name if n == 1 else f"{name}-{n}")).exists()
    )


def _make(target: Path, given: Path) -> None:
    """`target` is an empty folder of mode 0700."""
    try:
        if (target / CASE_FILE).exists():
            raise UsageError(f"{given} is a case already; give another folder, or go on with that case.")
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{given} is neither a case nor an empty folder.")
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.chmod(0o700)
    except OSError as error:
        raise UsageError(f"The case folder {given} cannot be made: {error.strerror}.") from error


def _take(folder: Path) -> int:
    """A descriptor that holds the lock of the case."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Refused(f"The case {folder} cannot be written: {error.strerror}.") from error
    try:
        _lock(descriptor)
    except OSError as error:
        holder = (
            os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
        )
        os.close(descriptor)
        who = f" (process {holder})" if holder else ""
        raise CannotComplete(
            f"Somebody else is working on the case {folder}{who}; wait until it is done."
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def _lock(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _record(line: bytes) -> dict[str, Json] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _as_json(value: object) -> Json:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a numpy scalar
        return value.item()  # pyright: ignore[reportAttributeAccessIssue]
    raise TypeError(f"{type(value).__name__} has no place in a case")
