"""What to do about ids, records without a vector, watermarks and the queue of one collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from forensics.absent import Absent
from forensics.checks.id_text import malformed, trimmed
from forensics.repair.holdings import LOST
from forensics.repair.proposals import Proposal, propose
from forensics.repair.site import Site
from forensics.repair.watermarks import Target
from forensics.words import counted


def record_proposals(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """Ids, unsearchable records, watermarks and queue rows of one collection."""
    if "CF701" in codes:
        yield from _ids(site)
    yield from _unsearchable(site, codes)
    yield from _watermarks(site, codes)
    if site.blocking:
        yield _blocking_rows(site, codes & {"CF208", "CF209", "CF809"})


def _ids(site: Site) -> Iterator[Proposal]:
    """Malformed ids: trimmed, deleted or kept, as chosen. A collision is refused: that id stays as it is."""
    rows, options, name = site.collection.rows, site.options, site.collection.name
    if isinstance(rows, Absent):
        return
    bad = [rows.ids[row] for row in malformed(rows.ids)]
    if options.ids == "delete":
        title = f"Delete {counted(len(bad), 'record')} with malformed ids (kept in the case)"
        why = "calls with these ids find nothing afterwards; peek shows the records after them"
        yield propose(
            "delete-ids",
            name,
            {"CF701"},
            title,
            options,
            approval="choice",
            chosen=True,
            loses=len(bad),
            why=why,
        )
        return
    if not bad:
        return
    if options.ids == "keep":
        yield _kept(site, len(bad), "")
        return
    possible, refused = split_by_collision(rows.ids)
    if refused and not possible:
        yield _kept(site, len(refused), "trimmed, each would be the id of another record, or nothing; ")
    if possible:
        yield propose(
            "trim-ids",
            name,
            {"CF701"},
            f"Trim {counted(len(possible), 'id')} in SQLite, the id map and the queue",
            options,
            heals=() if refused else {"CF701"},
            why=_trim_note(len(refused)),
            parameters={"trimmed": len(possible), "refused": len(refused)},
        )


def _kept(site: Site, count: int, because: str) -> Proposal:
    """What it means for calls that malformed ids stay as they are; there is nothing to do."""
    return propose(
        "keep-ids",
        site.collection.name,
        {"CF701"},
        f"Leave {counted(count, 'malformed id')} as {'it is' if count == 1 else 'they are'}",
        site.options,
        heals=(),
        safety="manual",
        approval="manual",
        why=f"{because}peek and get go on giving such an id as it is stored; who asks for it as it is read finds nothing",
        parameters={"kept": count},
    )


def _trim_note(refused: int) -> str:
    note = "peek and get give the same records under the trimmed ids; who asks with the blanks finds nothing"
    collided = (
        f"; {refused} would be the id of another record, or nothing, and stay as they are" if refused else ""
    )
    return note + collided


def split_by_collision(ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """(those that can be trimmed, those that would collide with another id or become empty)."""
    bad = [ids[row] for row in malformed(ids)]
    taken = Counter(trimmed(name) for name in bad)
    there = set(ids).difference(bad)
    refused = {
        name for name in bad if not trimmed(name) or trimmed(name) in there or taken[trimmed(name)] > 1
    }
    return [name for name in bad if name not in refused], [name for name in bad if name in refused]


def _unsearchable(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    """Records without any vector: the plan offers to set them aside, never by default."""
    wanted = codes & {"CF501", "CF301", "CF408", "CF304", "CF704"}
    if not wanted or site.holdings is None:
        return
    lost = int(site.holdings.mask(LOST).sum())
    if lost:
        yield propose(
            "set-aside-records",
            site.collection.name,
            wanted,
            f"Set {counted(lost, 'record')} without a vector aside in the case, so that peek works again",
            site.options,
            heals=(),
            safety="lossy",
            approval="choice",
            chosen=site.options.set_aside_unsearchable,
            loses=lost,
            why="while one returned id has no vector, every call for vectors fails; the case keeps id, document "
            "and metadata of each",
        )


def _watermarks(site: Site, codes: frozenset[str]) -> Iterator[Proposal]:
    marks, collection = site.watermarks, site.collection
    if codes & {"CF203", "CF204"}:
        for scope, target in (("metadata", marks.metadata), ("vector", marks.vector)):
            if target.change == "restore":
                yield _restored(site, scope, target, codes & {"CF203", "CF204"})
    if "CF206" in codes and marks.vector.change == "insert":
        title = f"Insert the watermark {marks.vector.value} that only the id map holds"
        yield propose(
            "insert-watermark", collection.name, {"CF206"}, title, site.options, why=marks.vector.why
        )


def _restored(site: Site, scope: str, target: Target, codes: frozenset[str]) -> Proposal:
    title = f"Set the {scope} watermark to {target.value}"
    return propose(
        "restore-watermark",
        site.collection.name,
        codes,
        title,
        site.options,
        why=target.why,
        parameters={"segment": scope},
    )


def _blocking_rows(site: Site, codes: frozenset[str]) -> Proposal:
    count = len(site.blocking)
    lost = _left_without(site)
    return propose(
        "quarantine-queue-rows",
        site.collection.name,
        codes,
        f"Move {counted(count, 'queue row')} that cannot be applied into the case",
        site.options,
        safety="lossy" if lost else "safe",
        approval="accept-loss" if lost else "yes",
        loses=lost,
        why="each of them blocks all writes behind it; the rows are kept as JSON lines",
        parameters={"rows": count},
    )


def _left_without(site: Site) -> int:
    """How many records have no vector once these rows are gone, although the row seemed to bring one."""
    found, holdings = site.found_as.records, site.holdings
    if isinstance(found, Absent) or holdings is None:
        return 0
    return int((found.pending & holdings.mask(LOST)).sum())
