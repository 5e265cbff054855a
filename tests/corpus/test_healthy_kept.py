"""The healthy stores that are kept here: what they are, and that nothing above a note is said of any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import forensics as fx
from forensics.compatibility import RELEASES
from forensics.seal import compare, seal
from forensics.testing.healthy_kept import KEPT, built_by, recipe, restore, root


def test_every_release_and_way_of_writing_is_among_them() -> None:
    assert {path.name for path in root().iterdir()} == set(KEPT)
    assert len(set(KEPT)) == len(KEPT) >= 40
    assert {release for name in KEPT for release in built_by(name)} == set(RELEASES)
    assert {name: built_by(name) for name in KEPT} == {name: recipe(name).releases for name in KEPT}


@pytest.mark.parametrize("name", KEPT)
def test_health_is_met_with_silence(name: str, tmp_path: Path) -> None:
    store = restore(name, tmp_path / "store")
    before = seal(store)

    found = fx.diagnose(store, deep=True)

    assert found.codes(notes=False) == recipe(name).leaves
    assert [each for each in found.checks if each.outcome in ("crashed", "partial", "skipped")] == []
    assert compare(before, seal(store)) == ()


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_is_small_and_all_of_it_is_used(name: str) -> None:
    packed = {path for path in (root() / name / "store").rglob("*") if path.is_file()}
    manifest = json.loads((root() / name / "manifest.json").read_text(encoding="utf-8"))
    assert {root() / name / entry["stored"] for entry in manifest["entries"] if "stored" in entry} == packed
    assert sum(path.stat().st_size for path in packed) < 300_000
