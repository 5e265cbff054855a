"""examples/mempalace_repair.py does what its modes say, and mempalace itself, where it is installed, agrees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import forensics as fx
from tests.conftest import Sample

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "mempalace_repair.py"
MODES = {
    "hnsw": ("1.5.9/neighbour-out-of-range", "CF601"),
    "reconcile": ("1.5.9/sql-only-orphans", "CF501"),
    "max-seq-id": ("1.5.9/watermark-poisoned", "CF203"),
}


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.parametrize(
    "mode",
    [pytest.param(mode, marks=[] if mode == "reconcile" else [pytest.mark.oldchroma]) for mode in MODES],
)
def test_each_mode_heals_what_it_is_for(mode: str, sample: Sample, tmp_path: Path) -> None:
    name, code = MODES[mode]
    store = sample(name)
    command = [sys.executable, "-P", str(EXAMPLE), str(store), "--mode", mode]
    command += ["--embedder", "forensics.testing.embedder:embed"] if mode == "reconcile" else []
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False)
    assert "verified: checks+engine" in done.stdout, done.stdout
    assert done.returncode == 0
    assert code not in {each.code for each in fx.diagnose(store).findings}


@pytest.mark.oldchroma
@pytest.mark.timeout(600)
def test_mempalace_finds_what_was_reconciled(tmp_path: Path) -> None:
    """A palace of 2,000 drawers and 41 orphans; mempalace 3.11.0 is installed by uv into an environment of its own, which
    is kept where the old releases are."""
    kept = os.environ.get("FORENSICS_RELEASES")
    if kept:
        (tmp_path / "peers").symlink_to(Path(kept).parent / "peers", target_is_directory=True)
        (Path(kept).parent / "peers").mkdir(parents=True, exist_ok=True)
    words = ("--only", "orphans", "--size", "0.004", "--stores", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sizes", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    told = json.loads(done.stdout)["orphans"]
    assert told["sqlite_against_index"] == [[0, 0]]
    assert told["repair_status"] | {"divergence": "0", "status": "OK"} == told["repair_status"]
    assert told["top_hits"] == told["searched"] >= 10
    assert done.returncode == 0
