"""The table of naturally broken stores: what counts as found, in part, wrongly named, missed, alarmed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from forensics import samples
from forensics.codes import catalogue
from forensics.testing.natural_corpus import Case, cases
from forensics.testing.natural_page import page, span
from forensics.testing.natural_table import EXPLAINS, Row, Standing, standing_of, symptoms_of, unnamed
from forensics.testing.oracle import swollen

ROOT = Path(__file__).parents[2]
RAISES, LOST = ("terms", "raises"), ("terms", "lost")


def line(kind: str, seed: int, symptoms: dict[str, dict[str, int]]) -> dict[str, Any]:
    verdict = {"release": "1.5.9", "symptoms": symptoms, "errors": []}
    return Case(kind, seed).heading | {"date": "2026-01-02", "story": ["it fell"], "verdicts": [verdict]}


def test_every_code_that_explains_exists() -> None:
    assert {code for codes in EXPLAINS.values() for code in codes} <= catalogue().keys()


@pytest.mark.parametrize(
    ("symptoms", "alarms", "standing"),
    [
        (set(), set(), "silent"),
        (set(), {("terms", "CF501")}, "false alarm"),
        ({LOST}, set(), "missed"),
        ({LOST}, {("terms", "CF503")}, "found"),
        ({LOST}, {(None, "CF102")}, "found"),
        ({LOST}, {("notes", "CF503")}, "wrongly named"),
        ({LOST}, {("terms", "CF606")}, "wrongly named"),
        ({LOST, RAISES}, {("terms", "CF606")}, "in part"),
    ],
)
def test_standing(
    symptoms: set[tuple[str, str]], alarms: set[tuple[str | None, str]], standing: Standing
) -> None:
    assert standing_of(symptoms, alarms) == standing


def test_what_no_code_explains_is_listed() -> None:
    assert unnamed({LOST, RAISES}, {("terms", "CF606")}) == ("terms: lost",)
    assert symptoms_of(line("killed", 1, {"terms": {"lost": 3, "raises": 1}})) == {LOST, RAISES}


def test_cases_go_seed_by_seed_through_the_releases() -> None:
    assert [case.name for case in cases(("killed", "hopped"), (4, 5))] == [
        "killed-4-1.5.9",
        "hopped-4-1.5.9",
        "killed-5-0.5.23",
        "hopped-5-0.5.23",
    ]


def test_the_page_says_the_figures_and_each_store_that_was_not_found() -> None:
    rows = [
        Row(line("killed", 1, {"terms": {"lost": 3}}), "found", "found", ("CF503",), (), ()),
        Row(line("killed", 3, {"terms": {"lost": 3}}), "missed", "found", (), ("CF810",), ("terms: lost",)),
        Row(line("hopped", 4, {}), "false alarm", "false alarm", ("CF006",), (), ()),
        Row(line("hopped", 5, {}), "silent", "silent", (), (), ()),
    ]
    text = page(rows).replace("\n", " ")
    assert "Of 2 naturally broken stores 1 are reported (2 with the embedder), 1 of them" in text
    assert "1 missed, 0 without a trace. Of 2 sound ones 1 alarmed." in text
    assert "Last run 2026-01-02: 4 stores built, seeds 1 to 5 without 2." in text
    assert "without a name: terms: lost" in text
    assert "| **all** | 4 | 2 | 1 | 0 | 0 | 1 | 0 | 1 | 1 | 0 |" in text


def test_a_file_that_grows_out_of_all_proportion_is_a_symptom_of_its_collection(tmp_path: Path) -> None:
    store, copy = samples.restore("1.5.9/healthy", tmp_path / "store"), tmp_path / "copy"
    shutil.copytree(store, copy)
    assert swollen(store, copy) == set()
    (links,) = copy.glob("*/link_lists.bin")
    os.truncate(links, 4 << 30)  # a hole
    assert len(swollen(store, copy)) == 1


def test_span() -> None:
    assert span([3, 1, 2, 1]) == "1 to 3"


def test_the_folder_of_a_case(tmp_path: Path) -> None:
    assert Case("killed", 0, tmp_path).store == tmp_path / "killed-0-0.5.23" / "store"


def test_the_readme_says_what_the_page_says() -> None:
    """broken, reported, with the embedder, sound, alarmed, date."""
    told = re.search(
        r"Of (\d+) naturally broken stores (\d+) are reported \((\d+) with the embedder\)"
        r".* Of (\d+) sound ones (\d+) alarmed\.\*\* Last run ([\d-]+):",
        " ".join((ROOT / "docs" / "NATURAL.md").read_text(encoding="utf-8").split()),
    )
    said = re.search(
        r"Of (\d+) naturally broken stores the default diagnosis reports (\d+) \((\d+) with the embedder\)"
        r"; of (\d+) sound ones it alarms over (\d+)\..*\[([\d-]+)\]\(docs/NATURAL\.md\)",
        " ".join((ROOT / "README.md").read_text(encoding="utf-8").split()),
    )
    assert told
    assert said
    assert said.groups() == told.groups()
