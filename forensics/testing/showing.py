"""Shows what a diagnosis says of a damage: nothing before it, exactly its codes after it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from forensics import samples
from forensics.codes import lookup
from forensics.diagnosis import diagnose_store, scope
from forensics.model import Diagnosis, Finding
from forensics.store import open_store
from forensics.testing.damage import Damage, damage_menu

INCOMPLETE = ("skipped", "partial", "crashed")
EMBEDDER = "forensics.testing.embedder:embed"
"""The embedder of the samples."""
MILD = {"mostly-deleted": "CF607"}
"""In so small an index it is a note."""


def diagnosed(store: Path, *, deep: bool = False, embedder: bool = False) -> Diagnosis:
    """The diagnosis of a store; by default without what takes long and without an embedder."""
    if deep or embedder:  # with a fresh graph beside the stored one
        import forensics as fx

        return fx.diagnose(store, deep=deep, embedder=EMBEDDER if embedder else None)
    with open_store(store) as opened:
        return diagnose_store(opened, scope())


def named(found: Diagnosis, code: str) -> Finding:
    """The one finding with that code. Raises ValueError where there is none, or more than one."""
    (finding,) = (item for item in found.findings if item.code == code)
    return finding


def incomplete(found: Diagnosis) -> list[str]:
    """The checks that did not run to their end, with the reason."""
    return [f"{one.code} {one.outcome}: {one.reason}" for one in found.checks if one.outcome in INCOMPLETE]


@cache
def before(sample: str, *, deep: bool = False, embedder: bool = False) -> Diagnosis:
    """The diagnosis of a sample as it is."""
    with TemporaryDirectory() as folder:
        store = samples.restore(sample, Path(folder) / "store")
        return diagnosed(store, deep=deep, embedder=embedder)


def shown(name: str, folder: Path, sample: str = "", seed: int = 0) -> Finding:
    """The finding of the damage's own code, on its sample restored below `folder` and then damaged.

    Raises AssertionError where the sample was not silent before, where other codes are named than the menu says,
    or where a check did not run to its end.
    """
    entry = damage_menu()[name]
    entry = replace(entry, sample=sample or entry.sample)
    healthy = before(entry.sample, deep=entry.deep, embedder=entry.embedder)
    assert not healthy.codes(notes=False), f"{entry.sample} shows something before it is damaged"
    assert entry.code not in healthy.codes()
    return named(struck(entry, folder, seed), entry.code)


def struck(entry: Damage, folder: Path, seed: int = 0) -> Diagnosis:
    """The diagnosis of the damage's sample after the damage. Raises AssertionError as `shown` does."""
    store = samples.restore(entry.sample, folder / f"{entry.name}-{len(list(folder.iterdir()))}")
    entry(store, seed)
    found = diagnosed(store, deep=entry.deep, embedder=entry.embedder)
    assert set(found.codes(notes=False)) <= set(entry.codes), f"{entry.name}: {found.codes(notes=False)}"
    assert set(entry.codes) <= set(found.codes()), f"{entry.name}: {found.codes()}"
    mild = {one.code for one in found.findings if one.severity == "note"} & set(entry.codes)
    assert all(lookup(code).severity == "note" for code in mild - {MILD.get(entry.name)}), (
        f"{entry.name}: {mild}"
    )
    assert not incomplete(found), incomplete(found)
    return found
