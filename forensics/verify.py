"""The same checks again: whether a repair did what its plan said, and nothing else. Writes to no store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from forensics._verb import make_callable
from forensics.absent import Absent
from forensics.case import Case
from forensics.copying import copy_store
from forensics.diagnosis import Scope, diagnose_store
from forensics.engine import native_self_search
from forensics.errors import ForensicsError, MissingPackage, UsageError
from forensics.evidence import safe_name
from forensics.model import Diagnosis, Effect, Plan, Test, Verdict
from forensics.proof.claims import write_claims
from forensics.repair import comparison
from forensics.repair.actions.asking import ask_engine, was_skipped
from forensics.repair.actions.by_text import ASKED, found_by_text
from forensics.repair.actions.marks import skipping_problems, watermark_problems
from forensics.repair.actions.work import OwnStore, digests, load_embedder, open_draft, unmapped_file
from forensics.repair.comparison_vectors import kept_vectors, restored_vectors
from forensics.repair.draft import Draft
from forensics.repair.effects import reachable
from forensics.repair.failures import as_it_went, unembedded
from forensics.repair.options import RepairOptions
from forensics.repair.planner import in_doubt
from forensics.repair.proposals import GRAPH
from forensics.repair.provenance import (
    Origin,
    embedded_again,
    origins_of,
    renamed_in,
    write_losses,
    write_provenance,
)
from forensics.repair.recovery.ground import found_beside, ground_of, told_from
from forensics.repair.stages import plan_of
from forensics.repair.user_documents import OwnDocuments, with_documents
from forensics.sources import QUEUE
from forensics.store import Collection, Store, VectorSegment, open_store
from forensics.user_source import UserSource
from forensics.witness import seeded_sample

Progress = Callable[[str, float], None]
AFTER = "diagnosis-after.json"
K, EF = 10, 200
REPLACED = ("queue", "normalised", "zero")


def verify_draft(
    case: Case, plan: Plan, draft: Draft, *, engine: str | None = None, progress: Progress | None = None
) -> Verdict:
    """Whether the draft is the store that the plan promised; with chromadb at hand, by the engine's word too.

    Leaves the diagnosis of the draft and the provenance of every record of a touched index in the case.
    """
    say, plan = progress or (lambda text, share: None), as_it_went(case, plan)
    with OwnStore(case.store) as found, ground_of(plan, found) as before, open_draft(draft) as after:
        say("the same checks again", 0.65)
        diagnosis = _again(case, after, plan)
        case.write_json(AFTER, diagnosis.to_json())
        origins = origins_of(case, plan)
        effects = told_from(found, plan, comparison.measured(before, after, plan, embedded_again(origins)))
        tests = [
            comparison.gone(plan, diagnosis),
            comparison.nothing_new(_known(case, plan), diagnosis, plan),
        ]
        tests += [comparison.as_predicted(plan.effects, effects), _watermarks(after, before)]
        tests.append(comparison.tables_kept(before, after, plan))
        tests += [*comparison.not_shown(plan), *unembedded(case, plan)]
        for name in _touched(plan):
            tests += _collection_tests(
                case, plan, draft, before.collection(name), after.collection(name), origins[name]
            )
            tests += _by_text(case, draft, plan, after.collection(name), origins[name])
        write_provenance(case, after, origins)
        write_losses(case, plan, after)
        write_claims(case, plan, _touched(plan), found, after)
        tests.append(_untouched(draft))
        say("asking the engine", 0.8)
        spoken = (
            list(_engine_tests(draft, after, engine, origins)) if all(test.passed for test in tests) else []
        )
    return _verdict(
        [*tests, *spoken], effects, plan, diagnosis, asked=bool(spoken) and not was_skipped(spoken)
    )


def verify_case(case: Case, *, engine: str | None = None, progress: Progress | None = None) -> Verdict:
    """The same on the store as it is now, after the swap. Raises UsageError before it was applied."""
    plan = as_it_went(case, plan_of(case))
    if not case.has("result.json"):
        raise UsageError(f"The plan of the case {case.folder} has not been applied yet.")
    with open_store(case.store) as store:
        diagnosis = _again(case, store, plan, progress)
        effects = tuple(_now(effect, store) for effect in plan.effects)
        tests = [
            comparison.gone(plan, diagnosis),
            comparison.nothing_new(_known(case, plan), diagnosis, plan),
            _watermarks(store),
            *comparison.not_shown(plan),
            *unembedded(case, plan),
        ]
        tests += [
            comparison.ids_agree(store.collection(e.collection), e.lost)
            for e in plan.effects
            if e.collection in _touched(plan)
        ]
        brought = {name: [line.id for line in lines] for name, lines in origins_of(case, plan).items()}
        if progress is not None:
            progress("asking the engine on a copy", 0.99)
        spoken = list(
            ask_engine(
                store, engine, lambda dest: copy_store(store.path, dest), case.path("engine-copy"), brought
            )
        )
    return _verdict([*tests, *spoken], effects, plan, diagnosis, asked=not was_skipped(spoken))


def _again(case: Case, store: Store, plan: Plan, progress: Progress | None = None) -> Diagnosis:
    """The checks that the plan was made from; where they had an embedder, by its word too."""
    before = {line["code"]: line["outcome"] for line in case.read_json("diagnosis.json")["checks"]}
    if before.get("CF810", "not-asked") != "not-asked":
        store.embedder = load_embedder(RepairOptions.from_json(plan.options))
    return diagnose_store(store, Scope(embedder=store.embedder is not None), progress)


def _now(predicted: Effect, store: Store) -> Effect:
    """The effect with what the store has now."""
    return replace(predicted, after=reachable(store.collection(predicted.collection)))


def _verdict(
    tests: list[Test], effects: tuple[Effect, ...], plan: Plan, diagnosis: Diagnosis, *, asked: bool
) -> Verdict:
    passed = all(test.passed for test in tests)
    found = {*diagnosis.codes(notes=False), *in_doubt(plan.actions)} - comparison.OF_THE_MOMENT
    left = tuple(sorted(found))
    verified = None if not passed else "checks+engine" if asked else "checks"
    return Verdict(verified=verified, tests=tuple(tests), effects=effects, remaining=left)


def _known(case: Case, plan: Plan) -> Iterator[tuple[str, str | None]]:
    """(code, collection) of every finding before the repair, also of those behind a damaged database."""
    yield from found_beside(plan)
    for found in case.read_json("diagnosis.json")["findings"]:
        yield found["code"], found["collection"]


def _touched(plan: Plan) -> list[str]:
    """The collections that an approved action is about."""
    return sorted({action.collection for action in plan.approved if action.collection is not None})


def _kinds(plan: Plan, name: str) -> set[str]:
    return {action.kind for action in plan.approved if action.collection == name}


def _watermarks(store: Store, before: Store | None = None) -> Test:
    """No rule of watermarks is broken that was not broken before (and was then declined); a 0 before 1.0 always is."""
    known = set() if before is None else set(watermark_problems(before)) - set(skipping_problems(store))
    problems = [problem for problem in watermark_problems(store) if problem not in known]
    detail = "; ".join(problems) or "each is true and below the queue's top"
    return Test(name="watermarks", passed=not problems, detail=detail)


def _collection_tests(
    case: Case, plan: Plan, draft: Draft, old: Collection, new: Collection, origins: list[Origin]
) -> Iterator[Test]:
    lost = next((effect.lost for effect in plan.effects if effect.collection == new.name), 0)
    kinds = _kinds(plan, new.name)
    renamed = renamed_in(case, plan, new.name)
    former = {new_id: old_id for old_id, new_id in renamed.items()}
    yield comparison.ids_agree(new, lost)
    brought = frozenset(former.get(line.id, line.id) for line in origins if line.origin != "level 0")
    replaced = _replaced(case, new.name) if "replace-vectors" in kinds else frozenset[str]()
    replaced |= _unmapped(case, new.name)
    if "put-directory-back" not in kinds:  # else what stood there was the index of another collection
        yield kept_vectors(old, new, renamed, brought | replaced, recounted="rebuild-header" in kinds)
    yield restored_vectors(old, new, origins)
    if kinds & GRAPH and not isinstance(new.vector, Absent):
        yield _self_search(case, draft, new, new.vector)


def _replaced(case: Case, name: str) -> frozenset[str]:
    paths = (
        case.evidence(safe_name(f"replaced-{how}-{name}-replace-vectors") + ".jsonl") for how in REPLACED
    )
    return frozenset(name for path in paths for name in _ids_in(path))


def _unmapped(case: Case, name: str) -> frozenset[str]:
    """The ids that were taken off the vector of another record."""
    return frozenset(_ids_in(case.evidence(unmapped_file(name))))


def _ids_in(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line)["id"] for line in lines]


def _by_text(case: Case, draft: Draft, plan: Plan, new: Collection, origins: list[Origin]) -> Iterator[Test]:
    """What was embedded again, at most 200 of it, and what got another vector than one of another record, asked for by
    its text.
    """
    taken = _unmapped(case, new.name)
    made = [line.id for line in origins if line.origin == "embedded again"]
    sample = {made[i] for i in seeded_sample(len(made), ASKED).tolist()}
    again = [line.id for line in origins if line.id in sample or (line.id in taken and line.origin != QUEUE)]
    options = RepairOptions.from_json(plan.options)
    embedder = load_embedder(options)
    if again and embedder is not None:
        own = OwnDocuments(with_documents(UserSource.load(each, vectors=False) for each in options.source))
        yield found_by_text(draft, new, again, embedder.on(new), own)


def _self_search(case: Case, draft: Draft, collection: Collection, segment: VectorSegment) -> Test:
    """Every live vector of the index finds itself; what the action before found holds as long as the files
    are the same.
    """
    name = f"{collection.name}: every vector finds itself"
    told = _told(case, collection.name, segment)
    try:
        found = told if told is not None else _searched(draft, collection, segment)
    except MissingPackage as error:
        return Test(name=name, passed=True, detail=f"skipped: {error}")
    except ForensicsError as error:
        return Test(name=name, passed=False, detail=str(error))
    asked, missing, left = found["asked"], found["missing"], found.get("as_before", 0)
    detail = f"{asked - missing - left} of {asked} (k = {K}, ef up to {EF}; equal vectors count)"
    if asked < found["of"]:
        name = f"{collection.name}: the vectors that were added, and those whose links that could have cost, find themselves"
        detail += _not_asked(found)
    return Test(name=name, passed=missing == 0, detail=detail, count=asked)


def _not_asked(found: Mapping[str, int]) -> str:
    """Who was asked and who was not, where an index was only added to."""
    text = (
        f"; asked: {found['new']} new ones, {found['weakened']} older ones that lost a link and that at most three lead"
        f" to, an even sample of {found['sample']}; the other {found['of'] - found['asked']} of {found['of']} were not asked"
    )
    if found["as_before"]:
        text += f"; {found['as_before']} of the sample are not found, though the addition cost them no link"
    return text


def _told(case: Case, name: str, segment: VectorSegment) -> dict[str, int] | None:
    path = case.evidence(safe_name(f"self-search-{name}-relink-elements") + ".json")
    if not path.exists():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    return told if told["files"] == digests(segment.path) else None


def _searched(draft: Draft, collection: Collection, segment: VectorSegment) -> dict[str, int]:
    geometry = segment.files.geometry
    if isinstance(geometry, Absent):
        return {"asked": 0, "missing": 0, "of": 0}
    folder = draft.scratch / "self-search"
    try:
        directory = draft.materialise(folder, segment.relative)
        found = native_self_search(directory, collection.settings.space, geometry.dim, k=K)
    finally:
        shutil.rmtree(draft.scratch, ignore_errors=True)
    return {"asked": found.asked, "missing": len(found.missing), "of": found.asked}


def _untouched(draft: Draft) -> Test:
    """What is not in the draft is the original itself; `apply` compares its seal again before the swap."""
    changed = [entry.path for entry in draft.entries()]
    return Test(
        name="everything else is the original",
        passed=True,
        detail=f"changed entries: {', '.join(changed)}",
        count=len(changed),
    )


def _engine_tests(
    draft: Draft, after: Store, version: str | None, origins: Mapping[str, list[Origin]]
) -> Iterator[Test]:
    brought = {name: [line.id for line in lines] for name, lines in origins.items()}
    yield from ask_engine(after, version, draft.materialise, draft.scratch / "engine", brought)
    shutil.rmtree(draft.scratch, ignore_errors=True)


make_callable(__name__)
