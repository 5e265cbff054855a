"""The figures: every number of theirs is one of the data, and empty or odd data makes no figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forensics.report.figures import before_after, layers, missing_strip, read_numbers

SUMMARY = {"name": "notes", "records": 100, "indexed": 60, "pending": 10, "missing": 30, "ghosts": 0}


def test_layers_are_drawn_to_scale() -> None:
    (strip,) = layers([SUMMARY])

    assert [(bar.kind, bar.x, bar.width) for bar in strip.bars] == [
        ("indexed", 0.0, 60.0),
        ("pending", 60.0, 10.0),
        ("missing", 70.0, 30.0),
    ]
    assert strip.alt == "100 records of notes: 60 indexed, 10 pending, 30 missing, 0 ghosts"


def test_what_is_unknown_or_empty_is_not_drawn() -> None:
    assert layers([{**SUMMARY, "indexed": None}, {**SUMMARY, "records": 0}]) == ()


def test_a_block_of_missing_records_is_one_bar() -> None:
    strip = missing_strip("notes", np.arange(1, 26), 1, 100, "rowid")

    assert [(bar.x, bar.width, bar.height) for bar in strip.bars] == [(0.0, 25.0, 100.0)]
    assert strip.bars[0].label == "rowid 1 to 25: 100% missing"


def test_long_sequences_are_drawn_as_shares_that_add_up() -> None:
    positions = np.random.default_rng(7).choice(1_000_000, 50_000, replace=False) + 1
    strip = missing_strip("notes", positions, 1, 1_000_000, "rowid")
    area = sum(bar.width * bar.height for bar in strip.bars) / 10_000

    assert area == pytest.approx(0.0600, abs=0.001)  # 5 % missing, drawn no lower than 6 % to be seen


def test_a_single_missing_record_of_ten_million_can_be_seen() -> None:
    strip = missing_strip("notes", np.array([7_000_000]), 1, 10_000_000, "rowid")

    assert [(bar.height, bar.width) for bar in strip.bars] == [(6.0, 0.5)]
    assert strip.bars[0].x == pytest.approx(70, abs=0.5)


def test_before_and_after_have_the_same_length() -> None:
    effect = {"collection": "notes", "before": 60, "after": 90}
    before, after = before_after([effect], {"notes": 100})

    assert [bar.width for bar in before.bars] == [60.0, 40.0]
    assert [bar.width for bar in after.bars] == [90.0, 10.0]
    assert before_after([{**effect, "before": None}], {"notes": 100}) == ()


def test_lists_of_numbers_are_read_and_others_refused(tmp_path: Path) -> None:
    numbers, words = tmp_path / "rowids.csv", tmp_path / "ids.csv"
    numbers.write_bytes(b"rowids\r\n3\r\n1\r\n20\r\n")
    words.write_bytes(b"ids\r\n3\r\nseven\r\n")

    assert read_numbers(numbers).tolist() == [3, 1, 20]
    assert read_numbers(words).size == 0
