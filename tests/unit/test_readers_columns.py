"""Ids by columns: what they say is what the dicts of the same file say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.readers import columns, id_map
from forensics.readers.columns import Column, are_distinct, column_of, column_of_lines, cut, place_of
from forensics.readers.id_map import BadIdMap, ColumnMap, IdMap, read_id_map
from forensics.testing.modern_map import modern_map

NAMES = st.text(max_size=40).filter(lambda name: "\n" not in name)
MAPS = st.dictionaries(NAMES, st.integers(0, 2**31 - 1), max_size=30)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of every size are read by columns, and in small steps."""
    monkeypatch.setattr(id_map, "COLUMNS_FROM", 0)
    monkeypatch.setattr(columns, "BLOCK", 7)
    monkeypatch.setattr(columns, "WINDOW", 400)


def _both(raw: bytes, path: Path) -> tuple[IdMap | BadIdMap, IdMap | BadIdMap]:
    path.write_bytes(raw)
    by_objects = id_map._whole(memoryview(raw), path)  # pyright: ignore[reportPrivateUsage]
    return read_id_map(path), by_objects


@settings(max_examples=60, deadline=None)
@given(forward=MAPS, seed=st.none() | st.integers(0, 9), other=st.none() | MAPS)
def test_columns_say_what_the_dicts_say(
    forward: dict[str, int],
    seed: int | None,
    other: dict[str, int] | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    back = None if other is None else {label: name for name, label in other.items()}
    path = tmp_path_factory.getbasetemp() / "map.pickle"
    found, expected = _both(modern_map(forward, back, seed=seed), path)
    assert isinstance(found, ColumnMap)
    assert isinstance(expected, IdMap)
    assert found.size == len(forward)
    assert found.highest_label == max(forward.values(), default=0)
    assert found.labels().tolist() == expected.labels().tolist()
    assert found.back_labels.tolist() == expected.back_labels.tolist()
    assert found.is_mirrored == expected.is_mirrored
    asked = [*forward, "nobody", *(other or {})]
    assert found.labels_among(asked) == expected.labels_among(asked)
    assert "_loaded" not in vars(found)
    assert found == expected == found
    assert type(dataclasses.replace(found, max_seq_id=3)) is IdMap


@settings(max_examples=150, deadline=None)
@given(forward=MAPS, at=st.integers(0, 5_000), byte=st.integers(0, 255), cut_off=st.booleans())
def test_a_damaged_file_reads_as_it_does_by_objects(
    forward: dict[str, int], at: int, byte: int, cut_off: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = bytearray(modern_map({"a": 1, "b": 2, **forward}))
    at %= len(raw)
    raw[at] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.pickle"
    found, expected = _both(bytes(raw[: at + 1] if cut_off else raw), path)
    assert found == expected


@pytest.mark.parametrize(
    "raw",
    [
        modern_map({"a": 1, "é" * 200: 2}),  # longer than a column takes
        modern_map({"a": 1}).replace(
            b"J\x01\0\0\0u", b"J\x01\0\0\0X\x01\0\0\0aJ\x02\0\0\0u", 1
        ),  # an id twice
        modern_map({"a": 1, "b": 2}).replace(b"J\x02", b"J\x01"),  # a label twice on both sides
        modern_map({"a": 1}).replace(b"J\x01\0\0\0u", b"J\xff\xff\xff\xffu", 1),  # below 0
        modern_map({"aaaa": 1}).replace(b"aaaa", b"a\xff\xffa", 1),  # no UTF-8
    ],
)
def test_what_columns_cannot_hold_is_left_to_the_dicts(raw: bytes, tmp_path: Path) -> None:
    assert cut(memoryview(raw)) is None
    found, expected = _both(raw, tmp_path / "map.pickle")
    assert found == expected


@given(held=st.lists(NAMES, unique=True), asked=st.lists(NAMES))
def test_places_are_those_of_the_ids(held: list[str], asked: list[str]) -> None:
    expected = [held.index(name) if name in held else -1 for name in asked]
    assert column_of(held).places(column_of(asked)).tolist() == expected
    if asked:
        assert (column_of_lines("\n".join(asked)).hashes == column_of(asked).hashes).all()


def test_an_id_that_is_there_twice_is_seen() -> None:
    assert not column_of(["a", "b", "a"]).is_distinct
    assert column_of(["a", "b", ""]).is_distinct
    assert Column(np.empty(0, dtype=np.uint64)).is_distinct


@given(held=st.lists(st.integers(0, 50) | st.integers(2**40, 2**41)), asked=st.lists(st.integers(-3, 60)))
def test_the_last_of_several_labels_counts(held: list[int], asked: list[int]) -> None:
    places = {label: at for at, label in enumerate(held)}
    found = place_of(np.array(held, dtype=np.int64), np.array(asked, dtype=np.int64))
    assert found.tolist() == [places.get(label, -1) for label in asked]


@given(labels=st.lists(st.integers(0, 40) | st.integers(2**62, 2**63 - 1)))
def test_numbers_that_are_there_twice_are_seen(labels: list[int]) -> None:
    expected = len(set(labels)) == len(labels)
    assert are_distinct(np.array(labels, dtype=np.int64)) == expected
    assert are_distinct(np.array(labels, dtype=np.uint64)) == expected
