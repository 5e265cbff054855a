"""A damaged table is not repaired; the finding names the way out, and that way is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import forensics as fx
from forensics import samples
from forensics.testing.damage import damage_menu

SAMPLE = "1.5.9/healthy"


def test_what_the_finding_says_can_be_done(tmp_path: Path, say: Any) -> None:
    store, case = samples.restore(SAMPLE, tmp_path / "store"), tmp_path / "case"
    damage = damage_menu()["table-page-zeroed"]
    damage(store)
    (found,) = [f for f in fx.diagnose(store, deep=damage.deep).findings if f.code == "CF102"]
    assert found.remedy.safety == "manual"
    for words in ("forensics copy STORE DEST", "forensics export --case DIR"):
        assert words in found.means
        assert words.split(" STORE")[0].split(" DIR")[0] in say("explain", "CF102").out
    assert say("copy", store, tmp_path / "copy").status == 0
    planned = say("plan", store, "--case", case, "--format", "json")
    assert planned.data["actions"] == []
    say("export", "--case", case, "--to", "jsonl", "-o", tmp_path / "all.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    truth = {name for one in samples.truth(SAMPLE).values() for name in one.ids}
    assert lines
    assert {line["id"] for line in lines} <= truth
