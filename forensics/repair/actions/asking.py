"""Asks the engine about a repaired store, on a throw-away copy, where both fit here; else says why it did
not.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from forensics.engine.truth import expected_of
from forensics.engine.verify import verify_with_engine
from forensics.errors import ChildFailed
from forensics.model import Test
from forensics.store import Store

NO_ENGINE = "none"
"""As `engine`: only our own checks are run."""


def ask_engine(
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


def was_skipped(tests: list[Test]) -> bool:
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
