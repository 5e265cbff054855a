"""The same checks again: whether a repair did what its plan said, and nothing else. Never writes to a store."""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from forensics._verb import make_callable
from forensics.absent import Absent
from forensics.case import Case
from forensics.copying import copy_store
from forensics.diagnosis import diagnose_store
from forensics.engine import native_self_search
from forensics.engine.truth import expected_of
from forensics.engine.verify import verify_with_engine
from forensics.errors import ChildFailed, ForensicsError, MissingPackage, UsageError
from forensics.model import Diagnosis, Effect, Plan, Test, Verdict
from forensics.repair import comparison
from forensics.repair.actions.marks import watermark_problems
from forensics.repair.actions.work import PROVENANCE, OwnStore, digests, open_draft, safe_name
from forensics.repair.comparison import Origin
from forensics.repair.draft import Draft
from forensics.repair.planner import reachable
from forensics.repair.proposals import GRAPH
from forensics.repair.stages import plan_of
from forensics.store import Collection, Store, VectorSegment, open_store

if TYPE_CHECKING:
    from forensics.records import Records

Progress = Callable[[str, float], None]
AFTER = "diagnosis-after.json"
K, EF = 10, 200
NO_ENGINE = "none"
"""As `engine`: only our own checks are run."""


def verify_draft(
    case: Case, plan: Plan, draft: Draft, *, engine: str | None = None, progress: Progress | None = None
) -> Verdict:
    """Whether the draft is the store that the plan promised; with chromadb at hand, by the engine's word too.

    Leaves the diagnosis of the draft and the provenance of every record of a touched index in the case.
    """
    say = progress or (lambda text, share: None)
    with OwnStore(case.store) as before, open_draft(draft) as after:
        say("the same checks again", 0.65)
        diagnosis = diagnose_store(after)
        case.write_json(AFTER, diagnosis.to_json())
        origins = _origins(case, plan)
        effects = comparison.measured(before, after, plan, _embedded(origins))
        tests = [comparison.gone(plan, diagnosis), comparison.nothing_new(_known(case), diagnosis)]
        tests += [comparison.as_predicted(plan.effects, effects), _watermarks(after)]
        tests.append(comparison.tables_kept(before, after, plan))
        for name in _touched(plan):
            tests += _collection_tests(
                case, plan, draft, before.collection(name), after.collection(name), origins[name]
            )
        _write_provenance(case, after, origins)
        tests.append(_untouched(draft))
        say("asking the engine", 0.8)
        spoken = list(_engine_tests(draft, after, engine)) if all(test.passed for test in tests) else []
    return _verdict([*tests, *spoken], effects, plan, diagnosis, asked=bool(spoken) and not _is_skip(spoken))


def verify_case(case: Case, *, engine: str | None = None, progress: Progress | None = None) -> Verdict:
    """The same on the store as it is now, after the swap. Raises UsageError where nothing has been applied."""
    plan = plan_of(case)
    if not case.has("result.json"):
        raise UsageError(f"The plan of the case {case.folder} has not been applied yet.")
    with open_store(case.store) as store:
        diagnosis = diagnose_store(store, progress=progress)
        effects = tuple(_now(effect, store) for effect in plan.effects)
        tests = [
            comparison.gone(plan, diagnosis),
            comparison.nothing_new(_known(case), diagnosis),
            _watermarks(store),
        ]
        tests += [
            comparison.ids_agree(store.collection(e.collection), e.lost)
            for e in plan.effects
            if e.collection in _touched(plan)
        ]
        spoken = list(
            _engine_on_copy(
                store, engine, lambda dest: copy_store(store.path, dest), case.path("engine-copy")
            )
        )
    return _verdict([*tests, *spoken], effects, plan, diagnosis, asked=not _is_skip(spoken))


def _now(predicted: Effect, store: Store) -> Effect:
    """The effect with what the store has now."""
    return replace(predicted, after=reachable(store.collection(predicted.collection)))


def _verdict(
    tests: list[Test], effects: tuple[Effect, ...], plan: Plan, diagnosis: Diagnosis, *, asked: bool
) -> Verdict:
    passed = all(test.passed for test in tests)
    left = tuple(code for code in diagnosis.codes(notes=False) if code not in comparison.OF_THE_MOMENT)
    verified = None if not passed else "checks+engine" if asked else "checks"
    return Verdict(verified=verified, tests=tuple(tests), effects=effects, remaining=left)


def _known(case: Case) -> Iterator[tuple[str, str | None]]:
    """(code, collection) of every finding before the repair."""
    for found in case.read_json("diagnosis.json")["findings"]:
        yield found["code"], found["collection"]


def _touched(plan: Plan) -> list[str]:
    """The collections that an approved action is about."""
    return sorted({action.collection for action in plan.approved if action.collection is not None})


def _kinds(plan: Plan, name: str) -> set[str]:
    return {action.kind for action in plan.approved if action.collection == name}


# --- where the records come from ------------------------------------------------------------------------------------


def _origins(case: Case, plan: Plan) -> Mapping[str, list[Origin]]:
    """collection name → the lines that the actions left; of a record that two brought back, the last."""
    found: dict[str, dict[str, Origin]] = defaultdict(dict)
    for action in plan.approved:
        if action.collection is None:
            continue
        path = case.evidence(safe_name(f"provenance-{action.collection}-{action.kind}") + ".csv")
        for row in _lines(path):
            found[action.collection][row[0]] = Origin(
                row[0], int(row[1]), row[2], row[3], int(row[4]), row[5] == "True"
            )
    return defaultdict(list, {name: list(lines.values()) for name, lines in found.items()})


def _lines(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as handle:
        return list(csv.reader(handle))[1:]


def _embedded(origins: Mapping[str, list[Origin]]) -> dict[str, int]:
    return {name: sum(line.origin == "embedded again" for line in lines) for name, lines in origins.items()}


def _write_provenance(case: Case, after: Store, origins: Mapping[str, list[Origin]]) -> None:
    """evidence/provenance-<collection>.csv names the origin of every record of each touched index."""
    for name, lines in origins.items():
        records, segment = after.collection(name).records, after.collection(name).vector
        if isinstance(records, Absent) or isinstance(segment, Absent):
            continue
        with open(
            case.evidence(safe_name(f"provenance-{name}") + ".csv"),
            "w",
            newline="",
            encoding="utf-8",
            errors="surrogateescape",
        ) as handle:
            writer = csv.writer(handle)
            writer.writerow(PROVENANCE[:6])
            writer.writerows(_all_records(records, {line.id: line for line in lines}))


def _all_records(records: Records, known: Mapping[str, Origin]) -> Iterator[tuple[object, ...]]:
    for name, label, indexed, pending in zip(
        records.rows.ids,
        records.labels.tolist(),
        records.indexed.tolist(),
        records.pending.tolist(),
        strict=True,
    ):
        line = known.get(name)
        if line is not None:
            yield name, label, line.origin, line.place, line.ref, line.exact
        elif indexed:
            yield name, label, "kept in the index", "", "", True
        else:
            yield name, "", "pending in the queue" if pending else "lost", "", "", ""


# --- the tests ------------------------------------------------------------------------------------------------------


def _watermarks(store: Store) -> Test:
    problems = watermark_problems(store)
    return Test(
        name="watermarks",
        passed=not problems,
        detail="; ".join(problems) or "each is true and below the queue's top",
    )


def _collection_tests(
    case: Case, plan: Plan, draft: Draft, old: Collection, new: Collection, origins: list[Origin]
) -> Iterator[Test]:
    lost = next((effect.lost for effect in plan.effects if effect.collection == new.name), 0)
    kinds = _kinds(plan, new.name)
    renamed = (
        dict(_lines(case.evidence(safe_name(f"trimmed-ids-{new.name}-trim-ids") + ".csv")))
        if "trim-ids" in kinds
        else {}
    )
    yield comparison.ids_agree(new, lost)
    yield comparison.kept_vectors(
        old, new, renamed, _replaced(case, new.name) if "replace-vectors" in kinds else frozenset()
    )
    back = [line if line.id not in renamed else _as(line, renamed[line.id]) for line in origins]
    yield comparison.restored_vectors(old, new, back)
    if kinds & GRAPH and not isinstance(new.vector, Absent):
        yield _self_search(case, draft, new, new.vector)


def _as(line: Origin, name: str) -> Origin:
    return Origin(name, line.label, line.origin, line.place, line.ref, line.exact)


def _replaced(case: Case, name: str) -> frozenset[str]:
    path = case.evidence(safe_name(f"replaced-{name}-replace-vectors") + ".jsonl")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return frozenset(json.loads(line)["id"] for line in lines)


def _self_search(case: Case, draft: Draft, collection: Collection, segment: VectorSegment) -> Test:
    """Every live vector of the index finds itself; what the action before found holds as long as the files
    are the same.
    """
    name = f"{collection.name}: every vector finds itself"
    told = _told(case, collection.name, segment)
    try:
        asked, missing = told if told is not None else _searched(draft, collection, segment)
    except MissingPackage as error:
        return Test(name=name, passed=True, detail=f"skipped: {error}")
    except ForensicsError as error:
        return Test(name=name, passed=False, detail=str(error))
    detail = f"{asked - missing} of {asked} (k = {K}, ef up to {EF}; equal vectors count)"
    return Test(name=name, passed=missing == 0, detail=detail, count=asked)


def _told(case: Case, name: str, segment: VectorSegment) -> tuple[int, int] | None:
    path = case.evidence(safe_name(f"self-search-{name}-relink-elements") + ".json")
    if not path.exists():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    return (told["asked"], told["missing"]) if told["files"] == digests(segment.path) else None


def _searched(draft: Draft, collection: Collection, segment: VectorSegment) -> tuple[int, int]:
    geometry = segment.files.geometry
    if isinstance(geometry, Absent):
        return 0, 0
    folder = draft.scratch / "self-search"
    try:
        directory = draft.materialise(folder, segment.relative)
        found = native_self_search(directory, collection.settings.space, geometry.dim, k=K)
    finally:
        shutil.rmtree(draft.scratch, ignore_errors=True)
    return found.asked, len(found.missing)


def _untouched(draft: Draft) -> Test:
    """What is not in the draft is the original itself; `apply` compares its seal again before the swap."""
    changed = [entry.path for entry in draft.entries()]
    return Test(
        name="everything else is the original",
        passed=True,
        detail=f"changed entries: {', '.join(changed)}",
        count=len(changed),
    )


# --- the engine -----------------------------------------------------------------------------------------------------


def _engine_tests(draft: Draft, after: Store, version: str | None) -> Iterator[Test]:
    yield from _engine_on_copy(after, version, draft.materialise, draft.scratch / "engine")
    shutil.rmtree(draft.scratch, ignore_errors=True)


def _engine_on_copy(
    store: Store, version: str | None, copy: Callable[[Path], object], dest: Path
) -> Iterator[Test]:
    if version == NO_ENGINE:
        yield skipped("not asked for")
        return
    if version is None and _installed("chromadb") is None:
        yield skipped("chromadb is not installed here; `--engine VERSION` names a release to ask")
        return
    reason = _does_not_fit(store, dest.parent)
    if reason:
        yield skipped(reason)
        return
    try:
        copy(dest)
        yield from verify_with_engine(dest, expected_of(store), version)
    except ChildFailed as error:
        yield Test(name="engine", passed=False, detail=str(error))
    finally:
        shutil.rmtree(dest, ignore_errors=True)


def skipped(reason: str) -> Test:
    """The engine was not asked, and why; nothing that could fail was left out in silence."""
    return Test(name="engine", passed=True, detail=f"skipped: {reason}")


def _is_skip(tests: list[Test]) -> bool:
    return any(test.detail.startswith("skipped:") and test.name == "engine" for test in tests)


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _does_not_fit(store: Store, folder: Path) -> str:
    """Why a throw-away copy or the engine's memory does not fit here; empty where both do."""
    allocated = sum(_allocated(store.tree.resolve(name)) for name in store.tree.names())
    free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
    if allocated * 1.5 > free:
        return f"a copy of {allocated >> 20} MiB does not fit into the {free >> 20} MiB that are free"
    memory = _available_memory()
    if memory is not None and 3 * allocated > memory:
        return f"the engine needs about {3 * allocated >> 20} MiB of memory and {memory >> 20} MiB are free"
    return ""


def _allocated(path: Path) -> int:
    if path.is_symlink() or not path.exists():
        return 0
    if path.is_dir():
        return sum(_allocated(child) for child in path.iterdir())
    return path.stat().st_blocks * 512


def _available_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")), None)


make_callable(__name__)
