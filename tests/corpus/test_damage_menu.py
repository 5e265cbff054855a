"""The damage menu as a whole: one style of names, a table to teach with, and blows that nothing crashes on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from forensics import samples
from forensics.codes import catalogue
from forensics.errors import ForensicsError
from forensics.seal import seal
from forensics.testing.damage import Damage, damage_menu
from forensics.testing.damage_six import BLOWS, FILES
from forensics.testing.showing import diagnosed, incomplete, struck

Sample = Callable[[str], Path]
MENU = damage_menu()
UNSEEN = [entry for entry in MENU.values() if not entry.codes]


def test_names_are_words_with_hyphens_and_codes_exist() -> None:
    assert len(MENU) > 120
    for name, entry in MENU.items():
        assert entry.name == name
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)
        assert set(entry.codes) <= catalogue().keys()
        assert len(set(entry.codes)) == len(entry.codes)
        assert entry.what.endswith(".")
        assert entry.codes or entry.unseen, f"{name}: neither seen nor said why not"


def test_there_are_six_blows_for_each_of_six_files() -> None:
    assert {f"{file}-{blow}" for file in FILES for blow in BLOWS} <= set(MENU)
    assert len(FILES) == len(BLOWS) == 6


def test_the_menu_is_a_table_in_a_notebook_and_as_text() -> None:
    part = MENU.of("CF4")
    assert {entry.code[:3] for entry in part.values()} == {"CF4"}
    html = part._repr_html_()
    assert html.count("<tr>") == len(part) + 1
    assert '<td style="text-align: left">id-map-cut</td>' in html
    assert len(repr(part).splitlines()) == len(part)


def test_what_is_mistyped_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="id-map-cut"):
        MENU["id-map"]
    with pytest.raises(FileNotFoundError, match=r"samples\.restore"):
        MENU["id-map-cut"](tmp_path)
    assert "function" not in repr(MENU["id-map-cut"])
    assert not list(tmp_path.iterdir())


def test_what_it_does_is_escaped() -> None:
    assert "<" not in re.sub(r"</?(table|tr|th|td)( style=\"[^\"]*\")?>", "", MENU._repr_html_())


@pytest.mark.parametrize(
    "name", ["id-map-cut", "level0-bit-flipped", "oldest-lost", "header-torn", "mirror-lost"]
)
def test_the_same_seed_makes_the_same_damage(name: str, sample: Sample) -> None:
    made = []
    for seed in (3, 3, 4):
        store = sample(MENU[name].sample)
        MENU[name](store, seed)
        made.append({entry.path: entry.sha256 for entry in seal(store).entries})
    assert made[0] == made[1]


@pytest.mark.parametrize("entry", UNSEEN, ids=lambda entry: entry.name)
def test_what_cannot_be_seen_is_met_with_silence(entry: Damage, tmp_path: Path) -> None:
    assert struck(entry, tmp_path).codes(notes=False) == ()


@pytest.mark.parametrize("file", FILES)
def test_no_flipped_bit_crashes_a_check(file: str, tmp_path: Path) -> None:
    """A finding, or silence: never a check that crashed or that was left out."""
    entry, said = MENU[f"{file}-bit-flipped"], Counter[str]()
    for seed in range(1, 7):
        store = samples.restore(entry.sample, tmp_path / f"{seed}")
        entry(store, seed)
        try:
            found = diagnosed(store)
        except ForensicsError:
            continue
        assert not incomplete(found), (seed, incomplete(found))
        said.update(found.codes(notes=False))
    assert "CF901" not in said
