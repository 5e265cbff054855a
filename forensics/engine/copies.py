"""Throw-away copies of a store, in scratch: the engine is let loose on nothing else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from forensics.copying import copy_store
from forensics.engine.limits import roomy_folder
from forensics.errors import NoSpace


@contextmanager
def scratch(needed: int) -> Generator[Path]:
    place = roomy_folder(needed)
    if place is None:
        raise NoSpace(
            f"No scratch folder has the {needed:,} bytes that a throw-away copy needs (TMPDIR names one)."
        )
    folder = Path(tempfile.mkdtemp(prefix="forensics-probe-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Copies:
    """Throw-away copies of a store: a fresh one for each call, or one for all where it is large."""

    def __init__(self, store: Path, folder: Path, *, each_its_own: bool) -> None:
        self.store, self.folder, self.each_its_own = store, folder, each_its_own
        self.made = 0

    @contextmanager
    def copy(self) -> Generator[Path]:
        target = self.folder / f"copy-{self.made if self.each_its_own else 0}"
        if not target.exists():
            copy_store(self.store, target)
            self.made += 1
        yield target
        if self.each_its_own:
            shutil.rmtree(target)
