"""A store of which the database must first be made anew: the plan for the rest stands on the store as it will be then.

Planning makes the fresh database in scratch, `apply` makes it again in the draft, verification a third time to compare
with: of the same file and the same choices always the same rows come out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from forensics.checks.lost_catalogue import full_directories
from forensics.checks.raw import database_file
from forensics.checks.store import database_kind
from forensics.diagnosis import Scope, diagnose_store
from forensics.errors import Refused
from forensics.model import Action, Diagnosis, Effect, Json, Plan
from forensics.readers.database import DATABASE, SIDE_FILES
from forensics.repair.alternatives import alternatives
from forensics.repair.options import RepairOptions
from forensics.repair.proposals import Proposal, propose
from forensics.repair.recovery.build import recover
from forensics.repair.recovery.directories import lacking, rebuild_catalogue
from forensics.repair.recovery.settings import judge_collections, judge_settings
from forensics.repair.recovery.together import restore_records
from forensics.repair.recovery.wording import lost_rows, why_catalogued, why_recovered, why_restored
from forensics.segment import Tree
from forensics.store import Collection, Store
from forensics.words import counted

RECOVER, CATALOGUE, RESTORE = "recover-database", "rebuild-catalogue", "restore-records"
KINDS: Mapping[str, frozenset[str]] = {
    RECOVER: frozenset({"CF101", "CF102", "CF104"}),
    CATALOGUE: frozenset({"CF001", "CF003", "CF008"}),
    RESTORE: frozenset({"CF503"}),
}
"""kind of action → the codes for which the database is made anew by it, before anything else is planned."""
NEWEST, OLD = "1.5.9", "0.6.3"


@dataclass(frozen=True, slots=True)
class OverlaidTree:
    """A store with another database in the place of its own."""

    below: Tree
    database: Path

    def names(self) -> list[str]:
        sides = {DATABASE + side for side in SIDE_FILES}
        return sorted({DATABASE, *(name for name in self.below.names() if name not in sides)})

    def resolve(self, relative: str) -> Path:
        if relative == DATABASE:
            return self.database
        hidden = relative in {DATABASE + side for side in SIDE_FILES}
        return self.database.parent / "none" / relative if hidden else self.below.resolve(relative)


@dataclass(frozen=True, slots=True)
class Made:
    """A database that was made anew: what to say of it, and a line for each row that is lost, put together or refused."""

    report: Mapping[str, Json]
    lines: tuple[Mapping[str, Json], ...] = ()


def kind_for(diagnosis: Diagnosis, options: RepairOptions) -> str | None:
    """The kind of action that makes the database anew; None where none is needed, or the choices leave a code alone."""
    found = {each.code for each in diagnosis.findings}
    for kind, codes in KINDS.items():
        here = codes & found
        if here and not here & set(options.decline) and (not options.only or here <= set(options.only)):
            return kind
    return None


def make_anew(kind: str, store: Store, target: Path, options: RepairOptions) -> Made:
    """`target` is the store's database, made anew. The same store and choices give the same rows. Raises Refused."""
    dialect = options.target_chromadb or dialect_of(store)
    if kind == CATALOGUE:
        if store.held_here or database_kind(store) not in ("file", "nothing"):
            raise Refused("What stands in the place of the database is no file, or this process has it open.")
        also = [Path(path) for path in options.also]
        return Made(rebuild_catalogue(store, target, dialect, also))
    if kind == RESTORE:
        return Made(*restore_records(store, target))
    recovered = recover(source_of(store), target, dialect)
    if not recovered.has_rows and not full_directories(store):
        raise Refused("Not one row of the database holds together, and no segment directory tells any ids.")
    judged = judge_collections(store, target) if recovered.filled("collections") else []
    if recovered.has_lost("segment_metadata") and recovered.has_lost("collection_metadata"):
        judged += judge_settings(store, target)
    return Made({**recovered.report, "settings_judged": judged}, recovered.lost_rows)


def source_of(store: Store) -> Path:
    """The file to recover from: the database, or what an unfinished transaction was rolled back in. Raises Refused."""
    path = None if store.held_here else database_file(store)
    if path is None:
        why = "a client in this process has it open" if store.held_here else "there is no file to read"
        raise Refused(f"The database cannot be made anew: {why}.")
    return path


def dialect_of(store: Store) -> str:
    """The release whose schema stands in for what the file does not tell: by the id maps that lie beside it."""
    old = any(getattr(segment.id_map, "form", "") == "class" for segment in store.segment_directories)
    return OLD if old else NEWEST


@contextmanager
def anew(kind: str, store: Store, options: RepairOptions) -> Generator[tuple[Store, Made]]:
    """The store with its database made anew in scratch; both are gone after the block. Raises Refused."""
    folder = store.scratch / kind
    folder.mkdir()
    try:
        made = make_anew(kind, store, folder / DATABASE, options)
        tree = OverlaidTree(store.tree, folder / DATABASE)
        (folder / "scratch").mkdir()
        with type(store)(store.path, tree, folder / "scratch") as ground:
            ground.also, ground.embedder = store.also, store.embedder
            yield ground, made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def ground_of(plan: Plan, store: Store) -> Generator[Store]:
    """The store that the other actions of the plan were planned for: the store itself unless its database is made anew."""
    options = RepairOptions.from_json(plan.options)
    with ExitStack() as stack:
        for action in plan.approved:
            if action.kind in KINDS:
                store, _ = stack.enter_context(anew(action.kind, store, options))
        yield store


def told_from(store: Store, plan: Plan, effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """The effects told from the store as it was found, where the plan makes its database anew."""
    made = any(action.kind in KINDS for action in plan.approved)
    return tuple(since(each, _named(store, each.collection)) if made else each for each in effects)


def found_beside(plan: Plan) -> Iterable[tuple[str, str | None]]:
    """(code, collection) of what the plan found behind the damage of the database."""
    for action in plan.approved:
        for code, name in action.parameters["found"] if action.kind in KINDS else ():
            yield code, name or None


Planned = Callable[[Store, Diagnosis, RepairOptions], Plan]


def plan_on_new_database(
    kind: str, store: Store, diagnosis: Diagnosis, options: RepairOptions, planned: Planned
) -> Plan:
    """The plan whose first action makes the database anew; the rest is `planned` for the store as it will be then, where
    that action is approved.
    """
    with anew(kind, store, options) as (ground, made):
        beside = diagnose_store(ground, Scope(embedder=store.embedder is not None))
        first = _first(kind, diagnosis, made, beside, options).action
        rest = planned(ground, beside, options)
    first = _waiting(first, rest)
    if not first.approved:
        rest = replace(rest, actions=(), effects=(), promised=(), remaining=(), losses=(), alternatives=())
    ways = alternatives(store, diagnosis, [first], {}, set())
    return _joined(store, diagnosis, first, replace(rest, alternatives=(*ways, *rest.alternatives)))


def _waiting(first: Action, rest: Plan) -> Action:
    """Not approved where what must follow it is not: else a store would be left with a sound database and no catalogue."""
    open_ones = [action for action in rest.actions if action.kind in KINDS and not action.approved]
    if not open_ones:
        return first
    (then,) = open_ones
    codes = tuple(sorted({*first.codes, *then.codes}))
    return replace(
        first, codes=codes, approval=then.approval, approved=False, safety=then.safety, loses=then.loses,
        why=f"{first.why}; then: {then.title} ({then.why})",
    )  # fmt: skip


def _first(
    kind: str, diagnosis: Diagnosis, made: Made, beside: Diagnosis, options: RepairOptions
) -> Proposal:
    codes = KINDS[kind] & {each.code for each in diagnosis.findings}
    found = sorted([each.code, each.collection or ""] for each in beside.findings)
    parameters: dict[str, Json] = {"report": dict(made.report), "found": found}
    if kind == RECOVER:
        title = "Make the database anew from every page that holds together, with all of its indexes"
        doubtful = sum(row["doubtful"] for row in made.report["tables"].values())
        return propose(
            kind,
            None,
            codes,
            title,
            options,
            safety="lossy" if doubtful else "safe",
            approval="accept-loss" if doubtful else "yes",
            why=why_recovered(made.report),
            parameters=parameters,
        )
    if kind == RESTORE:
        count = counted(sum(row["records"] for row in made.report["restored"]), "record")
        title = (
            f"Put {count} together again whose row of embeddings is gone, from id map, metadata and level 0"
        )
        return propose(
            kind, None, codes, title, options, why=why_restored(made.report), parameters=parameters
        )
    bare = sum(count for _, count in lacking(made.report))
    return propose(
        kind,
        None,
        codes,
        "Make the catalogue anew from the segment directories",
        options,
        safety="lossy" if bare else "safe",
        approval="accept-loss" if bare else "yes",
        loses=bare,
        why=why_catalogued(made.report),
        parameters=parameters,
    )


def _joined(store: Store, diagnosis: Diagnosis, first: Action, rest: Plan) -> Plan:
    """One plan: what the rest promises, and the codes of the damage itself."""
    found = {each.code for each in diagnosis.findings}
    above = {each.code for each in diagnosis.findings if each.severity != "note"}
    left = set(rest.remaining) | (set() if first.approved else above)
    masked = {code for code in found if code not in rest.findings} if first.approved else set()
    return replace(
        rest,
        findings=tuple(sorted({*rest.findings, *found})),
        actions=(first, *rest.actions),
        effects=tuple(since(effect, _named(store, effect.collection)) for effect in rest.effects),
        promised=tuple(sorted({*rest.promised, *masked} - left)),
        remaining=tuple(sorted(left)),
        losses=(*(lost_rows(first.parameters["report"]) if first.approved else ()), *rest.losses),
    )


def _named(store: Store, name: str) -> Collection | None:
    return next((each for each in store.collections if each.name == name), None)


def since(effect: Effect, original: Collection | None) -> Effect:
    """The effect told from the store as it was found, not from the recovered one."""
    from forensics.repair.effects import reachable, surely_reachable

    before = None if original is None else reachable(original)
    surely = 0 if original is None else surely_reachable(original)
    after = effect.after or 0
    return replace(effect, before=before, reattached=max(0, after - surely - effect.reembedded))
