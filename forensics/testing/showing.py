"""Shows what a diagnosis says of a damage: nothing before it, exactly its codes after it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from forensics import samples
from forensics.diagnosis import diagnose_store
from forensics.model import Diagnosis, Finding
from forensics.store import open_store
from forensics.testing.menu import menu

INCOMPLETE = ("skipped", "partial", "crashed")


def diagnosed(store: Path) -> Diagnosis:
    """The default diagnosis of a store."""
    with open_store(store) as opened:
        return diagnose_store(opened)


def named(found: Diagnosis, code: str) -> Finding:
    """The one finding with that code. Raises ValueError where there is none, or more than one."""
    (finding,) = (item for item in found.findings if item.code == code)
    return finding


@cache
def is_silent(sample: str) -> bool:
    """True where a diagnosis of the sample names nothing above a note."""
    with TemporaryDirectory() as folder:
        return diagnosed(samples.restore(sample, Path(folder) / "store")).codes(notes=False) == ()


def shown(name: str, folder: Path, sample: str = "1.5.9/healthy", seed: int = 0) -> Finding:
    """The finding of the damage's own code, on a sample restored below `folder` and then damaged.

    Raises AssertionError where the sample was not silent before, where other codes are named than the menu says,
    or where a check did not run to its end.
    """
    store, entry = folder / f"{name}-{len(list(folder.iterdir()))}", menu()[name]
    assert is_silent(sample), f"{sample} shows something before it is damaged"
    entry.apply(samples.restore(sample, store), seed)
    found = diagnosed(store)
    assert found.codes(notes=False) == tuple(sorted(entry.codes)), f"{name}: {found.codes(notes=False)}"
    incomplete = [check for check in found.checks if check.outcome in INCOMPLETE]
    assert not incomplete, incomplete
    return named(found, entry.codes[0])
