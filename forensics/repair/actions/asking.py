"""Asks the engine about a repaired store, on a throw-away copy, where both fit here; else says why it did
not.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from forensics.absent import Absent
from forensics.engine.installed import version_of
from forensics.engine.slices import verify_with_slices
from forensics.engine.truth import expected_of
from forensics.engine.verify import verify_with_engine
from forensics.errors import ChildFailed, Refused
from forensics.memory import available_memory as _available_memory
from forensics.model import Test
from forensics.readers.migrations import written_by
from forensics.store import Store

NO_ENGINE = "none"
"""As `engine`: only our own checks are run."""
OTHER_RELEASE = "engine: another release"
"""The test that says which release was asked, where it is not of those that wrote the store."""


def ask_engine(
    store: Store,
    version: str | None,
    copy: Callable[[Path], object],
    dest: Path,
    brought: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Test]:
    """The engine's answers on a copy that `copy` makes at `dest`, or on slices there where a whole copy does not fit.

    `brought` names by collection the ids that a repair brought back: they are in a slice, and of a large collection
    their embeddings and a sample of the others are compared. Where it cannot be asked, one test says why.
    """
    if version == NO_ENGINE:
        yield skipped("not asked for")
    elif version is None and version_of("chromadb") is None:
        yield skipped("chromadb is not installed here; `--engine VERSION` names a release to ask")
    elif _does_not_fit(store, dest.parent):
        yield from _asked_on_slices(store, version, dest, brought or {})
    else:
        yield from of_another_release(store, version)
        yield from _asked(lambda: _on_copy(store, version, copy, dest, brought or {}), dest)


def of_another_release(store: Store, version: str | None) -> Iterator[Test]:
    """Says that a store of before 1.0 is asked with a later release, which treats queue and watermarks in its own way."""
    asked = version or version_of("chromadb") or ""
    if store.is_modern or asked.startswith("0.") or isinstance(store.database, Absent):
        return
    wrote = written_by(store.database.migrations)
    yield Test(name=OTHER_RELEASE, passed=True, detail=f"chromadb {asked}; the store was written by {wrote}")


def _on_copy(
    store: Store,
    version: str | None,
    copy: Callable[[Path], object],
    dest: Path,
    brought: Mapping[str, Sequence[str]],
) -> list[Test]:
    copy(dest)
    return verify_with_engine(dest, expected_of(store, brought=brought), version)


def _asked_on_slices(
    store: Store, version: str | None, dest: Path, brought: Mapping[str, Sequence[str]]
) -> Iterator[Test]:
    """Says first why it is not the whole, so that the report can say which part is proved by what."""
    yield Test(name="engine: on slices", passed=True, detail=_does_not_fit(store, dest.parent))
    yield from _asked(lambda: verify_with_slices(store, dest, version, ids=brought), dest)


def _asked(ask: Callable[[], list[Test]], dest: Path) -> list[Test]:
    """The tests, or the one that failed because the engine died; the copy is gone."""
    try:
        return ask()
    except ChildFailed as error:
        return [Test(name="engine", passed=False, detail=str(error))]
    except Refused as error:
        return [skipped(str(error))]
    finally:
        shutil.rmtree(dest, ignore_errors=True)


def skipped(reason: str) -> Test:
    """The engine was not asked, and why; nothing that could fail was left out in silence."""
    return Test(name="engine", passed=True, detail=f"skipped: {reason}")


def was_skipped(tests: list[Test]) -> bool:
    return any(test.detail.startswith("skipped:") and test.name == "engine" for test in tests)


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
