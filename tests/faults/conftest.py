"""Cases to be killed or starved: a store, a plan of byte-level actions, and what carries it out."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

WORKER = Path(__file__).with_name("worker.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here kills or starves the program."""
    for item in items:
        if item.path.is_relative_to(WORKER.parent):
            item.add_marker("fault")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fault_worker", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def worker() -> ModuleType:
    """The module `worker.py`, also run as a program by `start`."""
    return _load()


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """`start(words…)` runs the worker as a program."""

    def begin(*words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", str(WORKER), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`small_disk("20m")` mounts a tmpfs of that size below tmp_path."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        if os.geteuid() != 0 or not sys.platform.startswith("linux"):
            pytest.skip("only root can mount a small disk")
        point = tmp_path / f"disk-{len(mounted)}"
        point.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(point)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"mount is not permitted here: {done.stderr.decode().strip()}")
        mounted.append(point)
        return point

    yield mount
    for point in reversed(mounted):
        subprocess.run(["umount", str(point)], check=True)
