"""The public verbs. Each ties the parts together for one purpose and imports them when it is called."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.absent import Absent
from forensics.readers.shelf import shelf
from forensics.selection import select
from forensics.store import Store
from forensics.verbs_embedder import embedder as embedder
from forensics.verbs_foretell import foretell as foretell
from forensics.verbs_inputs import (
    PathLikes,
    StoreLike,
    check_inputs,
    collection_of,
    needs,
    release_names,
    store_of,
)
from forensics.verbs_kept import apply as apply
from forensics.verbs_kept import export as export
from forensics.verbs_kept import release as release
from forensics.verbs_kept import report as report
from forensics.verbs_kept import undo as undo
from forensics.verbs_kept import verify as verify
from forensics.verbs_past import past as past
from forensics.verbs_saving import rescue as rescue
from forensics.verbs_saving import restore_quarantined as restore_quarantined
from forensics.verbs_sources import beside, keep_sources, load_sources
from forensics.verbs_telling import classify as classify
from forensics.verbs_telling import history as history
from forensics.verbs_telling import openings as openings
from forensics.verbs_telling import timeline as timeline

if TYPE_CHECKING:
    from forensics.diff import IdDiff
    from forensics.model import Diagnosis, Plan
    from forensics.repair.options import RepairOptions

Progress = Callable[[str, float], None]


def diagnose(
    store: StoreLike,
    *,
    deep: bool = False,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    collection: str | None = None,
    segment: str | None = None,
    metadata_segment: str | None = None,
    embedder: str | None = None,
    batch_size: int | None = None,
    requests_per_minute: float | None = None,
    also: PathLikes = (),
    source: PathLikes = (),
    case: Any = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """What is wrong with the store, by looking alone; with `case`, kept there with the full lists and the seal.

    `segment` names one collection by its vector segment; `metadata_segment` the sibling where SQLite does not say it.
    `source`: the user's own files or addresses, which the store is compared with.
    """
    from forensics.diagnosis import scope

    scope(only, skip)  # an unknown code is said before anything is read
    check_inputs(embedder, also, source)
    given = load_sources(source)
    with store_of(store) as opened:
        chosen = select(opened, collection, segment, metadata_segment)
        wanted = scope(only, skip, collection=chosen, deep=deep, embedder=embedder is not None)
        opened.also = (*opened.also, *(Path(fspath(path)).resolve() for path in also))
        if embedder is not None:
            from forensics.repair.embedding import Embedder
            from forensics.repair.options import RepairOptions

            asked = RepairOptions(
                embedder=embedder, batch_size=batch_size, requests_per_minute=requests_per_minute
            )
            opened.embedder = Embedder.of(asked)
        if case is None:
            return beside(_look(opened, wanted, progress), opened, given, chosen)[0]
        from forensics.verbs_case import filling, keep_diagnosis

        with filling(case, opened.path) as folder:
            found, compared = beside(_look(opened, wanted, progress), opened, given, chosen)
            keep_diagnosis(folder, opened, found)
            keep_sources(folder, compared)
    return found


def _look(store: Store, wanted: Any, progress: Progress | None) -> Diagnosis:
    from forensics.diagnosis import diagnose_store

    with _control(wanted.deep):
        return diagnose_store(store, wanted, progress)


@contextmanager
def _control(deep: bool) -> Generator[None]:
    """A deep diagnosis may build a fresh graph (in a child) to judge what the stored one does not reach."""
    if not deep:
        yield
        return
    from forensics.engine.control import fresh_graph
    from forensics.recall import CONTROL

    token = CONTROL.set(fresh_graph)
    try:
        yield
    finally:
        CONTROL.reset(token)


def diff_ids(store: StoreLike) -> dict[str, IdDiff]:
    """collection name → the ids of SQLite against the ids of the id map (pending rows left out of account)."""
    from forensics.diff import diff_sets
    from forensics.readers.id_map import IdMap

    out: dict[str, IdDiff] = {}
    with store_of(store) as opened:
        for collection in opened.collections:
            rows, id_map = collection.rows, collection.id_map
            if not isinstance(rows, Absent):
                mapped = id_map.id_to_label if isinstance(id_map, IdMap) else {}
                out[collection.name] = diff_sets(rows.ids, mapped, "SQLite", "id map")
    return out


@shelf()
def plan(
    store: StoreLike,
    *,
    case: Any = None,
    diagnosis: Diagnosis | None = None,
    options: RepairOptions | None = None,
    collection: str | None = None,
    segment: str | None = None,
    metadata_segment: str | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> Plan:
    """What would be done about the findings, in order, and what it would lose. Touches nothing in the store.

    `choices` are fields of RepairOptions (embedder, also, source, accept_loss, also_fix, ids, …). With `case` the
    diagnosis, the seal and the plan are kept there, ready for `apply`; a plan that was there before is replaced.
    """
    from forensics.repair.options import RepairOptions
    from forensics.repair.planner import make_plan

    chosen = options or RepairOptions(**choices)
    check_inputs(chosen.embedder, chosen.also, chosen.source)
    with store_of(store) as opened:
        wanted = collection_of(opened, collection, segment, metadata_segment)
        if case is None:
            return make_plan(opened, diagnosis or _diagnosed(opened, wanted, chosen, progress), chosen)
        from forensics.verbs_case import filling, keep_diagnosis, keep_plan

        with filling(case, opened.path) as folder:
            found = diagnosis or _diagnosed(opened, wanted, chosen, progress)
            if progress is not None:
                progress("planning and sealing", 0.99)
            made = make_plan(opened, found, chosen)
            keep_diagnosis(folder, opened, found)
            keep_plan(folder, made)
    return made


def _diagnosed(
    store: Store, collection: str | None, chosen: RepairOptions, progress: Progress | None
) -> Diagnosis:
    """The diagnosis that a plan is made from; with an embedder, by its word too."""
    return diagnose(store, collection=collection, **chosen.of_the_embedder(), progress=progress)


def probe(
    store: StoreLike,
    *,
    versions: Sequence[str] = (),
    collection: str | None = None,
    segment: str | None = None,
    case: Any = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What each API call does on a throw-away copy, in a child, judged against what is on disk.

    With `case` it is kept there, as `probe.json`.
    """
    release_names(versions)
    if not versions:
        needs("chromadb", "The probe")
    with store_of(store) as opened:
        chosen = select(opened, collection, segment)
        if case is None:
            return _asked(opened, versions, chosen, progress)
        from forensics.verbs_case import filling, keep_probe

        with filling(case, opened.path, applied_too=True) as folder:
            answer = _asked(opened, versions, chosen, progress)
            keep_probe(folder, answer)
    return answer


def _asked(
    store: Store, versions: Sequence[str], collection: str | None, progress: Progress | None
) -> dict[str, Any]:
    from forensics.probing import probe as ask

    found = diagnose(store, collection=collection, progress=progress)
    if progress is not None:
        progress("asking the engine on a copy", 0.99)
    return ask(store.path, versions=list(versions) or None, diagnosis=found, collection=collection)


def copy(store: StoreLike, dest: str | PathLike[str]) -> Any:
    """A sparse-aware copy of the whole store, journal included, verified by hash; returns its manifest."""
    from forensics.copying import copy_store

    with store_of(store) as opened:
        path = opened.path
    return copy_store(path, Path(fspath(dest)))


def explain(text: str) -> str:
    """The page of a code, or what an error message of Chroma's can come from."""
    from forensics.explaining import explain as look_up

    return look_up(text)
