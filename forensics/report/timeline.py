"""What happened when, as far as the case tells: each fact observed or inferred, and its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from forensics.history import FILE_TIME, SECOND, STANDSTILL, Event, utc
from forensics.report.casefiles import CaseFiles
from forensics.report.plain import counted, joined, number, quoted, raised
from forensics.report.text import brief_path

Json = Any
DATABASE = "chroma.sqlite3"
LEVEL0 = "data_level0.bin"
ID_MAP = "index_metadata.pickle"
_EVENTS = {
    "created": "The case was opened.",
    "diagnosed": "The store was diagnosed and sealed.",
    "planned": "The repair was planned.",
    "probed": "The calls were tried on a throw-away copy.",
    "apply begins": "The exchange of the repaired entries with those of the store began.",
    "apply done": "The repaired entries stood in the store, the original in the draft.",
    "apply taken back": "The exchange was taken back; the store is the original.",
    "applied": "The repaired store was sealed; the result is in the case.",
    "copied": "A repaired copy was made elsewhere; the store was not touched.",
    "undo begins": "The undo began.",
    "undo done": "The original stood in the store again.",
    "redo begins": "The undo of the undo began.",
    "redo done": "The repaired entries stood in the store again.",
    "not applied": "The repair was asked for and not made.",
    "draft discarded": "The draft was thrown away.",
    "released": "The kept original was let go; there is no undo any more.",
}


def timeline(files: CaseFiles) -> tuple[Event, ...]:
    """Dated events in order, then those that have only a place in the sequence."""
    manifest, diagnosis = files.get("manifest"), files.get("diagnosis")
    logged = [_logged(entry) for entry in files.log if entry.get("event") != "reported"]
    told = _beyond_the_seal(files.get("history"), manifest)
    still = {event.when for event in told if event.source == STANDSTILL}
    compared = [event for event in _compared(manifest) if event.when not in still]
    dated = [*_written(manifest), *compared, *logged, *(event for event in told if event.when)]
    dated.sort(key=lambda event: event.when)
    return (*dated, *(event for event in told if not event.when), *_sequence(diagnosis))


def told_events(data: Mapping[str, Json]) -> tuple[Event, ...]:
    """The events of `history.json` in their order."""
    return tuple(map(Event.from_json, data["events"]))


def place(event: Event) -> str:
    """When it was, or where in the sequence; "" where neither is known."""
    if event.when or event.sequence is None:
        return event.when
    return f"seq_id {number(event.sequence[0])} … {number(event.sequence[1])}"


def _beyond_the_seal(history: Mapping[str, Json] | None, manifest: Mapping[str, Json] | None) -> list[Event]:
    """What the store tells of itself, without the file times, which a seal holds already."""
    found = () if history is None else told_events(history)
    return [event for event in found if manifest is None or event.source != FILE_TIME]


def words(name: str) -> str:
    """The name of a cause as words: `index removed after purge`."""
    return raised(name.replace("-", " "))


def _files(manifest: Mapping[str, Json] | None) -> list[Json]:
    return [entry for entry in (manifest or {}).get("entries", ()) if entry["kind"] == "file"]


def _written(manifest: Mapping[str, Json] | None) -> Iterator[Event]:
    """When the database and each group of segment files were last written, by their mtimes."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in _files(manifest):
        path = PurePosixPath(entry["path"])
        groups.setdefault((utc(entry["mtime_ns"] // SECOND), str(path.parent)), []).append(path.name)
    for (when, folder), names in groups.items():
        place = "" if folder == "." else f" of {brief_path(folder)}"
        yield Event(
            when=when,
            what=f"{joined(sorted(names))}{place} last written.",
            source="file mtime at the seal",
            kind="observed",
        )


def _compared(manifest: Mapping[str, Json] | None) -> Iterator[Event]:
    """Where level 0 or the id map of a directory is older than the database or than its neighbours."""
    times = {entry["path"]: entry["mtime_ns"] for entry in _files(manifest)}
    database = times.get(DATABASE)
    for path, written in times.items():
        folder = str(PurePosixPath(path).parent)
        if PurePosixPath(path).name != LEVEL0:
            continue
        if database is not None and database - written > SECOND:
            yield _inferred(
                written,
                f"Nothing was flushed to the index in {brief_path(folder)} after this, although the database "
                f"was written until {utc(database // SECOND)}.",
                f"mtimes of {LEVEL0} and {DATABASE}",
            )
        mapped = times.get(f"{folder}/{ID_MAP}")
        if mapped is not None and written - mapped > SECOND:
            yield _inferred(
                written,
                f"The index in {brief_path(folder)} is newer than its id map: a flush was cut in between.",
                f"mtimes of {LEVEL0} and {ID_MAP}",
            )


def _inferred(when_ns: int, what: str, source: str) -> Event:
    return Event(when=utc(when_ns // SECOND), what=what, source=source, kind="inferred")


def _logged(entry: Mapping[str, Json]) -> Event:
    event = str(entry.get("event", ""))
    when = str(entry.get("time", ""))[:19].replace("T", " ")
    what = _EVENTS.get(event, f"{words(event)}.")
    if event == "action":
        what = f"On the draft: {entry.get('kind')}{_of(entry.get('collection'))}."
    return Event(when=when, what=what, source="log.jsonl", kind="observed")


def _of(collection: str | None) -> str:
    return "" if collection is None else f" of {quoted(collection)}"


def _sequence(diagnosis: Mapping[str, Json] | None) -> Iterator[Event]:
    """What the findings say of seq_ids, and how they think it came about."""
    for finding in (diagnosis or {}).get("findings", ()):
        place = _of(finding["collection"])
        for first, last in _ranges(finding["found"]):
            amount = counted(finding["count"], finding["unit"])
            yield Event(
                when="",
                sequence=(first, last),
                what=f"{amount}{place} under {finding['code']} {finding['name']}.",
                source=f"{DATABASE}, read by {finding['code']}",
                kind="observed",
            )
        for cause in finding["causes"][:1]:
            yield Event(
                when="",
                what=f"{words(cause['name'])}: {cause['evidence']}.",
                source=finding["code"],
                kind="inferred",
            )


def _ranges(value: Json) -> Iterator[Sequence[int]]:
    """The range of seq_ids that `found` keeps under `sequence`, where it is known."""
    at = value.get("sequence") if isinstance(value, Mapping) else None
    if isinstance(at, Mapping) and at.get("highest_seq", -1) >= 0:
        yield at["lowest_seq"], at["highest_seq"]
