"""Evidence and custody: what every file was when it was sealed, what it is since, and who touched what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forensics.history import SECOND, utc
from forensics.report.casefiles import CaseFiles
from forensics.report.data import Reveal, redacted, show
from forensics.report.plain import counted, number
from forensics.report.standing import phase_of

Json = Any
ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One entry of the store."""

    path: str
    size: str
    written: str
    before: str
    after: str
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One line of the action log."""

    time: str
    event: str
    facts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """`resealed`: the store was sealed again after a repair. `more`: how many rows are left out."""

    sealed: bool
    resealed: bool
    files: tuple[FileRow, ...]
    more: str
    log: tuple[LogRow, ...]
    statement: tuple[str, ...]


def custody(files: CaseFiles, reveal: Reveal) -> Custody:
    """Both seals side by side, the log, and what can be said about the original."""
    before = files.get("manifest")
    after = files.get("manifest_after") if phase_of(files) in ("repaired", "undone") else None
    rows = [_row(entry, _by_path(after)) for entry in _entries(before)]
    gone = {entry["path"] for entry in _entries(before)}
    rows += [_added(entry) for entry in _entries(after) if entry["path"] not in gone]
    return Custody(
        sealed=before is not None,
        resealed=after is not None,
        files=tuple(rows[:ROWS]),
        more=f"… and {counted(len(rows) - ROWS, 'more entry')}; see manifest.json"
        if len(rows) > ROWS
        else "",
        log=tuple(log_rows(files.log, reveal)),
        statement=tuple(_statement(files)),
    )


def _entries(manifest: Mapping[str, Json] | None) -> list[Json]:
    return [entry for entry in (manifest or {}).get("entries", ()) if entry["kind"] != "directory"]


def _by_path(manifest: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
    return None if manifest is None else {entry["path"]: entry for entry in _entries(manifest)}


def _row(entry: Mapping[str, Json], after: Mapping[str, Json] | None) -> FileRow:
    now = None if after is None else after.get(entry["path"])
    same = now is not None and now["sha256"] == entry["sha256"]
    return FileRow(
        path=entry["path"],
        size=number(entry["size"]),
        written=utc(entry["mtime_ns"] // SECOND),
        before=entry["sha256"] or entry["note"] or "not hashed",
        after="" if after is None else "removed" if now is None else "the same" if same else _hash(now),
        changed=after is not None and not same,
    )


def _hash(entry: Mapping[str, Json]) -> str:
    return entry["sha256"] or entry["note"] or "not hashed"


def _added(entry: Mapping[str, Json]) -> FileRow:
    return FileRow(
        path=entry["path"],
        size=number(entry["size"]),
        written=utc(entry["mtime_ns"] // SECOND),
        before="not there",
        after=_hash(entry),
        changed=True,
    )


def log_rows(log: Iterable[Mapping[str, Json]], reveal: Reveal) -> Iterator[LogRow]:
    """Every event but the reports themselves, so that a report does not depend on those before it."""
    for entry in log:
        if entry.get("event") == "reported":
            continue
        facts = {key: value for key, value in entry.items() if key not in ("time", "event")}
        facts["effect"] = without_seconds(facts.get("effect")) or None
        yield LogRow(
            time=str(entry.get("time", ""))[:19].replace("T", " "),
            event=str(entry.get("event", "")).replace("_", " "),
            facts=show(redacted(facts, reveal)),
        )


def without_seconds(effect: Json) -> Json:
    """What an action did, without how long it took: that differs from run to run."""
    return {k: v for k, v in effect.items() if k != "seconds"} if isinstance(effect, Mapping) else effect


def _statement(files: CaseFiles) -> Iterator[str]:
    diagnosis = files.get("diagnosis")
    if diagnosis is not None:
        yield "The store was opened for reading only, and no engine was started on it."
        yield _stood_still(diagnosis["store"])
    if any(entry.get("event") == "released" for entry in files.log):
        yield f"{_SWAPPED}; what was kept for an undo was let go."
    elif diagnosis is not None:
        yield _TOUCHED.get(phase_of(files), "Nothing in the store has been changed by this tool.")
    if files.get("proof") is not None:
        yield (
            "verify.py in the case tells, with Python's standard library alone, whether the old and the new store hold"
            f" what this case says: python verify.py OLD NEW --seal {files.get('proof')['seal']}"
        )


_SWAPPED = "The repair was made on a draft beside the store and swapped in"
_TOUCHED = {
    "repaired": f"{_SWAPPED}; the original is kept until `forensics case release`.",
    "undone": f"{_SWAPPED}; it was undone since, and the store is the original again.",
    "interrupted": "The exchange of entries of the store was begun and not finished.",
    "rolled-back": "The exchange of entries of the store was begun and taken back; the store is the original.",
    "copied": "Nothing in the store has been changed by this tool; the repaired copy stands elsewhere.",
}


def _stood_still(store: Mapping[str, Json]) -> str:
    how = {
        "immutable": "its database was read in place (immutable)",
        "read-only": "its database was read in place (read-only, locks honoured)",
        "copy": "its database was read as a copy, because a journal lay beside it",
    }.get(str(store.get("opened_as")), "its database could not be opened")
    if store.get("unchanged", True):
        return f"It did not change while it was read; {how}."
    return f"It CHANGED while it was read, so every finding is only possible; {how}."
