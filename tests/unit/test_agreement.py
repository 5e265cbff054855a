"""Code, page, damage, test and reference row agree: one that is missing, or that names what is not there, is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from forensics import samples
from forensics.checks import load_checks
from forensics.checks.registry import CHECKS
from forensics.codes import catalogue
from forensics.explaining import page
from forensics.testing.damage import damage_menu
from forensics.testing.healthy_kept import KEPT
from forensics.testing.otherwise import NOTES, WAYS

ROOT = Path(__file__).parents[2]
CODES = tuple(catalogue())
MENU = damage_menu()
OF_THE_TOOL = ("CF901", "CF902", "CF903")
OF_THE_PLAN = ("CF009",)
load_checks()


SAFETY = {
    "safe": r"\bsafe\b|nothing (is|else|that)|none is needed|--also-fix",
    "lossy": r"los(sy?|es?|t)\b|by hand|nothing is repaired",
    "manual": r"by hand|manual|none is needed|see the reasons|report the|matching client",
    "embedder": r"embed|by hand",
}
"""What a page says of a remedy, by what its row says that it is at best."""


def recipe(code: str) -> str:
    """The part of a page that says how to reproduce it."""
    return re.split(r"^## How to reproduce it", page(code), flags=re.MULTILINE)[1]


def test_every_row_of_the_reference_has_a_check_and_every_check_a_row() -> None:
    assert {*CHECKS, *OF_THE_TOOL, *OF_THE_PLAN} == set(CODES)


def test_a_check_runs_when_its_row_says() -> None:
    assert {code: check.run for code, check in CHECKS.items()} == {
        code: catalogue()[code].run for code in CHECKS
    }


def test_every_row_has_a_page_and_every_page_a_row() -> None:
    assert {path.stem for path in (ROOT / "forensics" / "explain").glob("*.md")} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_the_page_says_of_the_remedy_what_the_row_says(code: str) -> None:
    (remedy,) = re.findall(r"^## Remedy\n(.*?)^## ", page(code), flags=re.MULTILINE | re.DOTALL)
    assert re.search(SAFETY[catalogue()[code].remedy_at_best], remedy, re.IGNORECASE)


@pytest.mark.parametrize("code", [code for code in CODES if MENU.of(code)])
def test_a_damage_is_seen_by_the_run_that_the_row_says(code: str) -> None:
    run = catalogue()[code].run
    assert {entry.deep for entry in MENU.of(code).values()} == {run == "deep"}
    assert {entry.embedder for entry in MENU.of(code).values()} >= {run == "embedder"}


@pytest.mark.parametrize("code", CODES)
def test_the_corpus_page_has_the_code_as_its_row_says(code: str) -> None:
    """Its name and severity, damages that are on the menu, and that all of them were found."""
    text = (ROOT / "docs" / "CORPUS.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\| {code} (.*) \|$", text, flags=re.MULTILINE)
    name, severity, found, *_, shown = line.split(" | ")
    assert (name, severity) == (catalogue()[code].name, catalogue()[code].severity)
    assert re.fullmatch(r"(\d+) of \1", found)
    if MENU.of(code):
        assert set(shown.split(", ")) <= set(MENU.of(code))


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_shown_in_one_way(code: str) -> None:
    """By damages, by another way, or by a note of healthy stores; by one of these alone."""
    assert [bool(MENU.of(code)), code in WAYS, code in NOTES].count(True) == 1
    assert NOTES.get(code, KEPT[0]) in {*samples.names(), *KEPT}


@pytest.mark.parametrize("code", CODES)
def test_the_page_names_damages_of_its_own_code_that_exist(code: str) -> None:
    named = re.findall(r'\["([a-z0-9-]+)"\]', recipe(code))
    assert set(named) <= set(MENU), "a damage that is not on the menu"
    assert {MENU[name].code for name in named} <= {code}, "a damage of another code"
    if MENU.of(code):
        assert named, f"the page names none of {', '.join(MENU.of(code))}"


@pytest.mark.parametrize("code", CODES)
def test_the_page_names_samples_ways_and_tests_that_exist(code: str) -> None:
    text = recipe(code)
    assert set(re.findall(r"`(\d+\.\d+\.\d+[/-][a-z0-9.-]+)`", text)) <= {*samples.names(), *KEPT}
    assert set(re.findall(r'WAYS\["(CF\d{3})"\]', text)) <= {code} & set(WAYS)
    for name in re.findall(r"tests/[\w/]+\.py", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("code", CODES)
def test_a_test_names_the_code(code: str) -> None:
    """By itself, or with all the damages of its level."""
    tests = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / "tests").rglob("test_*.py")
        if path != Path(__file__)
    ]
    by_level = any(f'.of("{code[:3]}")' in text for text in tests) and bool(MENU.of(code))
    by_name = any(code in text for text in tests)
    assert by_level or by_name or code in WAYS
