"""What a plan predicts of disk and memory against what its repair takes; what it says where either is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from forensics import samples
from forensics.case import Case
from forensics.repair.draft import Draft
from forensics.repair.placing import ENTRIES, allocated
from forensics.report.room import minutes, room_sentence, size
from forensics.testing.damage import damage_menu

if sys.platform != "linux":
    pytest.skip("peaks and limits of memory are those of Linux", allow_module_level=True)

EMBEDDER = ("--embedder", "forensics.testing.embedder:embed")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = samples.restore("1.5.9/healthy", tmp_path / "store")
    damage_menu()["middle-lost"](store)
    return store


_MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[2:], check=False)
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
"""
"""A small process between: a child begins with the peak of the process that it was forked from."""


def run(folder: Path, *words: str | Path, data: int | None = None) -> tuple[dict[str, Any], int]:
    """(JSON, peak of resident memory in bytes) of a command under an RLIMIT_DATA of `data` bytes."""
    limit = ["prlimit", f"--data={data}"] if data else []
    peak = folder / "peak"
    command = [*limit, sys.executable, "-P", "-m", "forensics", *map(str, words), "--format", "json"]
    told = subprocess.run(
        [sys.executable, "-c", _MEASURED, peak, *command], stdout=subprocess.PIPE, check=True
    )
    return json.loads(told.stdout), int(peak.read_text())


def added(plan: dict[str, Any]) -> dict[str, Any]:
    return next(action for action in plan["actions"] if action["kind"] == "add-missing-vectors")


def test_the_prediction_covers_what_the_repair_takes(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    answer, peak = run(tmp_path, "repair", store, "--yes", "--engine", "none", "--case", folder, *EMBEDDER)
    assert answer["applied"]
    case = Case.open(folder)
    needs = case.read_json("plan.json")["room"]["needs"]
    draft = allocated(Draft.open(case).folder / ENTRIES)
    assert draft <= needs["disk"] + (64 << 10)
    assert needs["disk"] < 4 * draft
    assert peak / 2 < needs["memory"] < 10 * peak


def test_where_hnswlib_does_not_fit_it_is_done_on_maps_and_the_plan_says_why(
    store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "case"
    words = (
        "repair",
        store,
        "--yes",
        "--engine",
        "none",
        "--case",
        folder,
        "--max-elements",
        "20000000",
        *EMBEDDER,
    )
    answer, _ = run(tmp_path, *words, data=3_000_000_000)
    assert (answer["applied"], answer["verified"]) == (True, "checks")
    action = added(json.loads((folder / "plan.json").read_text()))
    assert action["parameters"]["add"] == "mapped"
    assert "hnswlib loads the index whole" in action["why"]
    assert "--add native" in action["why"]


def test_who_chooses_is_obeyed(store: Path, tmp_path: Path) -> None:
    for how in ("native", "mapped"):
        plan, _ = run(tmp_path, "plan", store, "--add", how, "--case", tmp_path / how, *EMBEDDER)
        assert added(plan).get("parameters", {}).get("add", "native") == how


def test_the_sentence_says_what_is_short() -> None:
    def sentence(disk: int, memory: int | None) -> str:
        needs = {"disk": 1_200_000_000, "memory": 900_000_000, "seconds": 170.0}
        return room_sentence({"room": {"needs": needs, "free": {"disk": disk, "memory": memory}}})

    whole = sentence(54_000_000_000, 20_000_000_000)
    assert whole == (
        "Needs about 1.2 GB of 54 GB free on the disk, 900 MB of 20 GB of memory, about 3 minutes."
    )
    assert "900 MB of memory" in sentence(54_000_000_000, None)
    assert "--in-place" in sentence(1_000_000_000, None)
    assert "--add mapped" in sentence(54_000_000_000, 800_000_000)
    assert room_sentence({}) == ""
    assert (size(999), size(40_000), minutes(59), minutes(7200)) == (
        "999 bytes",
        "40 kB",
        "under a minute",
        "about 2 hours",
    )
