"""Single files of the store: a journal left behind, files that cannot be read or written, links and pipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from forensics.absent import Absent
from forensics.checks.registry import check, finding
from forensics.model import Cause, Finding, Place, Remedy
from forensics.readers.access import Owner, Rights, has_acl, rights, specials
from forensics.readers.database import DATABASE
from forensics.readers.hnsw import FileFacts
from forensics.readers.layout import HEADER_FILE, ID_MAP_FILE, SEGMENT_FILES
from forensics.readers.sqlite_header import JOURNAL_HEAD, JOURNAL_MAGIC
from forensics.store import UUID, Store
from forensics.words import counted

ROOT = 0


@check("CF004", scope="store")
def hot_journal(store: Store) -> Iterator[Finding]:
    """A -journal or -wal with content beside the database, and nobody who could still be writing it."""
    if store.in_use:
        return
    rows = [row for suffix in ("-journal", "-wal") if (row := _journal(store, DATABASE + suffix)) is not None]
    if not rows:
        return
    hot, ahead = any(row["hot"] for row in rows), _flushed_within(store, rows)
    yield finding(
        "CF004",
        store,
        count=len(rows),
        unit="files",
        expected="no journal beside a database that nobody has open",
        found={"journals": rows, **({"written within": ahead} if ahead else {})},
        where=tuple(Place(file=row["file"]) for row in rows),
        means=_journal_means(hot, bool(ahead)),
        remedy=Remedy(action="settle-journal", safety="safe"),
        severity="warning" if hot or ahead else "note",
        causes=_died_while_writing(hot, ahead),
    )


def _journal_means(hot: bool, ahead: bool) -> str:
    if ahead:
        return (
            "The last transaction was not finished and counts as never begun, but within it an index was written: "
            "vectors of the records that it changed can be newer than their documents. Which ones, only a "
            "diagnosis with the embedder can say."
        )
    if hot:
        return (
            "The last transaction was not finished; SQLite rolls it back at the next open. "
            "A copy of the database without this file is damaged."
        )
    return "SQLite takes no notice of this file: nothing of the transaction had reached the database, or it had ended."


def _died_while_writing(hot: bool, ahead: Sequence[str]) -> tuple[Cause, ...]:
    if not hot and not ahead:
        return ()
    seen = "the journal is complete" if hot else "the journal is that of a transaction which never ended"
    flush = (
        f"; header.bin of {' and '.join(ahead)} was written after it, the id map beside it before"
        if ahead
        else ""
    )
    evidence = f"{seen}{flush}, and nobody has the store open"
    return (Cause(name="a process died while it wrote", confidence="likely", evidence=evidence),)


def _flushed_within(store: Store, journals: Sequence[dict[str, Any]]) -> list[str]:
    """Segments of which header.bin was written after an unfinished journal and the id map, a flush's last file, before.

    No copy of a store has its files in this order: a directory is copied in one go, the journal is not in it."""
    unfinished = {row["file"] for row in journals if not row["ended"]}
    begun = [entry.mtime_ns for entry in store.entries if entry.name in unfinished]
    return [
        segment.relative
        for segment in store.segment_directories
        if isinstance(header := segment.facts[HEADER_FILE], FileFacts)
        and isinstance(id_map := segment.facts[ID_MAP_FILE], FileFacts)
        and any(id_map.mtime_ns < when <= header.mtime_ns for when in begun)
    ]


def _journal(store: Store, name: str) -> dict[str, Any] | None:
    """What is known of a journal with content. `hot`: SQLite would act on it. `ended`: all of its head was cleared, as a
    commit does; before the first sync only the magic and the count are zeros."""
    entry = next((entry for entry in store.entries if entry.name == name and entry.kind == "file"), None)
    if entry is None or entry.size == 0:
        return None
    try:
        with open(store.tree.resolve(name), "rb") as handle:
            head = handle.read(JOURNAL_HEAD)
    except OSError:
        head = JOURNAL_MAGIC  # it cannot be read here; whoever can will act on it
    hot = name.endswith("-wal") or head.startswith(JOURNAL_MAGIC)
    return {"file": name, "size": entry.size, "hot": hot, "ended": not any(head)}


@check("CF010", scope="store")
def file_permissions(store: Store) -> Iterator[Finding]:
    """A file of the store that we cannot read, or one of a segment that the store's owner cannot write."""
    owner = _owner(store)
    problems = [*_unreadable(store), *(() if owner is None else _unwritable(store, owner))]
    if not problems:
        return
    closed = sum(problem["problem"] == "cannot be read" for problem in problems)
    yield finding(
        "CF010",
        store,
        count=len(problems),
        unit="files",
        expected="the owner of the database can write every file of its segments, and we can read them",
        found={"owner": None if owner is None else owner.uid, "files": problems},
        where=tuple(Place(file=problem["file"]) for problem in problems[:5]),
        means=_permissions_mean(closed, len(problems) - closed),
        remedy=Remedy(action="restore-permissions", safety="manual"),
        confidence="possible" if all(problem["uncertain"] for problem in problems) else "certain",
    )


def _permissions_mean(closed: int, frozen: int) -> str:
    parts = []
    if closed:
        parts.append(f"{counted(closed, 'files')} cannot be read here, so what they hold was not examined.")
    if frozen:
        parts.append(
            f"The store's owner cannot write {counted(frozen, 'files')}: the next flush loses vectors silently."
        )
    return " ".join(parts)


def _files(store: Store) -> Iterator[str]:
    """The paths of all that a client opens: the database, its journals, the segment directories."""
    names = {entry.name: entry.kind for entry in store.entries}
    yield from (name for name in (DATABASE, f"{DATABASE}-journal", f"{DATABASE}-wal") if name in names)
    for name in names:
        if names[name] == "directory" and UUID.fullmatch(name):
            yield name
            yield from (f"{name}/{file}" for file in SEGMENT_FILES)


def _rights(store: Store, name: str) -> Rights | None:
    return rights(store.tree.resolve(name), name)


def _unreadable(store: Store) -> Iterator[dict[str, Any]]:
    for name in _files(store):
        entry = _rights(store, name)
        if entry is not None and not entry.readable:
            yield {"file": name, "mode": f"{entry.mode:04o}", "problem": "cannot be read", "uncertain": False}


def _owner(store: Store) -> Owner | None:
    """Who writes the store; None where the mode keeps even that user from it: read-only on purpose."""
    database = _rights(store, DATABASE)
    if database is None:
        return None
    owner = Owner(database)
    return owner if owner.may_write(database) else None


def _unwritable(store: Store, owner: Owner) -> Iterator[dict[str, Any]]:
    known = _named(store)
    for name in _files(store):
        entry, folder = _rights(store, name), name.split("/")[0]
        if entry is None or "/" not in name or owner.may_write(entry):
            continue
        if known is not None and folder not in known:
            continue
        yield {
            "file": name,
            "mode": f"{entry.mode:04o}",
            "owner": entry.uid,
            "problem": "cannot be written by the owner of the database",
            "uncertain": owner.uid == ROOT or has_acl(store.tree.resolve(name)),
        }


def _named(store: Store) -> set[str] | None:
    """The ids in `segments`; None where that cannot be read, so that any directory may be a segment."""
    rows = Absent("no database") if isinstance(store.database, Absent) else store.database.segments
    return None if isinstance(rows, Absent) else {row.id for row in rows}


@check("CF011", scope="store")
def special_file(store: Store) -> Iterator[Finding]:
    """Links, pipes, sockets and devices at the top level and in segment directories."""
    segments = {segment.relative for segment in store.segment_directories}
    found = [
        special
        for entry in store.entries
        if entry.kind in ("link", "special") or entry.name in segments or UUID.fullmatch(entry.name)
        for special in specials(store.tree.resolve(entry.name), entry.name)
    ]
    if not found:
        return
    yield finding(
        "CF011",
        store,
        count=len(found),
        unit="entries",
        expected="only regular files and directories",
        found={"entries": [{"file": s.path, "kind": s.kind, "target": s.target} for s in found[:50]]},
        where=tuple(Place(file=special.path) for special in found[:5]),
        means="What these lead to was not looked at and is not part of the seal, of a copy or of a repair.",
        remedy=Remedy(action="replace-by-what-they-lead-to", safety="manual"),
    )
