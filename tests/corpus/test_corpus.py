"""The corpus table holds: what stands in docs/CORPUS.md is of today's codes and damages, and can be made again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from forensics import samples
from forensics.testing.corpus import row
from forensics.testing.corpus_page import Blow, Page, markdown
from forensics.testing.damage import HEALTHY, damage_menu
from forensics.testing.otherwise import WAYS, possible


@pytest.mark.parametrize("code", WAYS)
def test_what_no_file_shows_is_shown_otherwise(code: str, tmp_path: Path) -> None:
    if why := possible(code):
        pytest.skip(why)
    store = samples.restore(HEALTHY, tmp_path / "store")
    assert code in WAYS[code](store)


def test_a_row_says_found_silent_and_repaired() -> None:
    made = row("CF406", ["1.5.9/healthy"], {})
    assert (made.total, made.found, made.holds) == (len(damage_menu().of("CF406")), made.total, True)
    assert set(made.after) == {"silent"}


def test_a_false_alarm_is_not_held() -> None:
    assert not row("CF901", ["1.5.9/healthy"], {"CF901": ["!1.5.9/healthy"]}).holds


def test_the_page_says_what_was_found_and_how_often() -> None:
    said = Counter({("CF303",): 3, (): 1})
    page = Page(
        "2026-11-20", (row("CF901", ["one"], {}),), (Blow("x", "header.bin", "bit-flipped", said, "why"),), 1
    )
    text = markdown(page)
    assert "| header.bin, bit-flipped | CF303 (3) · nothing (1) | why |" in text
    assert "| The check of CF604 raises; the others run on |" in text
