"""A store of which the database must first be made anew: the plan for the rest stands on the store as it will be then.

Planning makes the fresh database in scratch, `apply` makes it again in the draft, verification a third time to compare
with: of the same file and the same choices always the same rows come out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from forensics.checks.raw import database_file
from forensics.diagnosis import Scope, diagnose_store
from forensics.errors import Refused
from forensics.model import Diagnosis, Effect, Json, Plan
from forensics.readers.database import DATABASE, SIDE_FILES
from forensics.repair.options import RepairOptions
from forensics.repair.proposals import Proposal, propose
from forensics.repair.recovery.build import Recovered, recover
from forensics.segment import Tree
from forensics.store import Collection, Store

KIND = "recover-database"
TORN = frozenset({"CF101", "CF102", "CF104"})
"""With one of these the database is made anew first, and everything else is planned for what comes out."""
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
class Ground:
    """The store as it will be once its database is made anew, and what was found on the way."""

    store: Store
    recovered: Recovered


def is_torn(diagnosis: Diagnosis, options: RepairOptions) -> frozenset[str]:
    """The codes for which the database would be made anew; none where the choices leave one of them alone."""
    found = TORN & {each.code for each in diagnosis.findings}
    wanted = found - set(options.decline)
    return wanted if wanted == found and (not options.only or wanted <= set(options.only)) else frozenset()


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
def recovered_ground(store: Store) -> Generator[Ground]:
    """The store with its database made anew in scratch; both are gone after the block. Raises Refused."""
    folder = store.scratch / "recovered"
    folder.mkdir()
    target = folder / DATABASE
    try:
        recovered = recover(source_of(store), target, dialect_of(store))
        with type(store)(store.path, OverlaidTree(store.tree, target), folder / "scratch") as ground:
            ground.also, ground.embedder = store.also, store.embedder
            yield Ground(ground, recovered)
    finally:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()


@contextmanager
def ground_of(plan: Plan, store: Store) -> Generator[Store]:
    """The store that the other actions of the plan were planned for: the store itself unless its database is made anew."""
    if not any(action.kind == KIND for action in plan.approved):
        yield store
        return
    with recovered_ground(store) as ground:
        yield ground.store


def told_from(store: Store, plan: Plan, effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """The effects told from the store as it was found, where the plan makes its database anew."""
    made = any(action.kind == KIND for action in plan.approved)
    return tuple(since(each, _named(store, each.collection)) if made else each for each in effects)


def found_beside(plan: Plan) -> Iterable[tuple[str, str | None]]:
    """(code, collection) of what the plan found behind the damage of the database."""
    for action in plan.approved:
        for code, name in action.parameters["found"] if action.kind == KIND else ():
            yield code, name or None


Planned = Callable[[Store, Diagnosis, RepairOptions], Plan]


def plan_on_recovered(
    store: Store, diagnosis: Diagnosis, options: RepairOptions, codes: frozenset[str], planned: Planned
) -> Plan:
    """The plan whose first action makes the database anew; the rest is `planned` for the store as it will be then."""
    with recovered_ground(store) as ground:
        beside = diagnose_store(ground.store, Scope(embedder=store.embedder is not None))
        rest = planned(ground.store, beside, options)
        first = _first(codes, ground.recovered, beside, options)
    return _joined(store, diagnosis, first, rest)


def _first(
    codes: frozenset[str], recovered: Recovered, beside: Diagnosis, options: RepairOptions
) -> Proposal:
    parameters: dict[str, Json] = {
        "report": recovered.report,
        "found": sorted([found.code, found.collection or ""] for found in beside.findings),
    }
    title = "Make the database anew from every page that holds together, with all of its indexes"
    return propose(KIND, None, codes, title, options, why=_why(recovered), parameters=parameters)


def _why(recovered: Recovered) -> str:
    """How many rows came from where and how many did not come back, for people."""
    rows = recovered.tables.values()
    parts = [f"{sum(int(str(row['kept'])) for row in rows):,} rows are read from their tables"]
    for name, words in (
        ("from_stray_pages", "pages that no table reaches any more"),
        ("from_indexes", "indexes"),
    ):
        count = sum(int(str(row[name])) for row in rows)
        parts += [f"{count:,} from {words}"] if count else []
    gone = {name: row["lost"] for name, row in recovered.tables.items() if row["lost"]}
    lost = ", ".join(f"{count:,} of {name}" for name, count in gone.items())
    parts.append(f"lost with their pages: {lost}" if lost else "no row is known to be lost")
    if recovered.uncounted:
        parts.append(f"of {', '.join(recovered.uncounted)} nothing tells how many rows are gone")
    return "; ".join(parts) + "; the damaged file is kept with the original"


def _joined(store: Store, diagnosis: Diagnosis, first: Proposal, rest: Plan) -> Plan:
    """One plan: what the rest promises, and the codes of the damage itself."""
    found = {each.code for each in diagnosis.findings}
    left = set(rest.remaining)
    masked = {code for code in found if code not in rest.findings and code not in left}
    action = first.action
    return replace(
        rest,
        findings=tuple(sorted({*rest.findings, *found})),
        actions=(action, *rest.actions),
        effects=tuple(since(effect, _named(store, effect.collection)) for effect in rest.effects),
        promised=tuple(sorted({*rest.promised, *masked})),
        losses=(*_lost_rows(action.parameters["report"]), *rest.losses),
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


def _lost_rows(report: Mapping[str, Json]) -> Iterable[dict[str, object]]:
    for table, row in report["tables"].items():
        if row["lost"] or row["lost"] is None:
            reason = f"rows of {table} stood on pages that are destroyed, and nothing else has them"
            count = {"count": row["lost"], "unit": "rows", "examples": row["examples"]}
            yield {"collection": None, "reason": reason, **count}
