"""The figures and tables of the notebooks in depth, on stores of which it is known what they must say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics import lab
from forensics.absent import Absent
from forensics.chronicle import Chronicle
from forensics.history import Event
from forensics.readers.layout import level0_dtype
from forensics.store import Store

Sample = Callable[[str], Path]


@pytest.fixture
def opened(sample: Sample) -> Callable[[str], Store]:
    return lambda name: fx.open_store(sample(name))


def test_what_no_search_reaches_is_counted_per_level_and_listed(opened: Callable[[str], Store]) -> None:
    store = opened("flush-cut-reopened")
    (collection,), (segment,) = store.collections, store.segment_directories

    assert repr(lab.graph.reach(segment)).endswith("level 0: 300 of 320 reached")
    assert [row[3:] for row in lab.graph.levels(segment).rows][-1] == (300, 20)
    assert len(lab.graph.unreached(collection)) == 20
    assert "to 20 live ones none leads" in repr(lab.graph.degrees(segment))
    assert ("live, and no search reaches them", 20, "6.2% of 320") in lab.graph.overview(segment).rows


def test_recall_stands_beside_that_of_a_fresh_graph(opened: Callable[[str], Store]) -> None:
    stored, fresh, judged = lab.graph.recall(opened("healthy-churned").collections[0]).rows

    assert stored[1:3] == ("1.000", "0.963 – 1.000")
    assert fresh[1:4] == ("1.000", "0.963 – 1.000", 100)
    assert judged[1] == "not significantly different"


def test_an_unreached_record_is_listed_by_its_id(sample: Sample) -> None:
    path = sample("1.5.9/healthy")
    with fx.open_store(path) as store:
        files = store.segment_directories[0].files
        header = files.geometry
        assert not isinstance(header, Absent)
        dtype = level0_dtype(header.dim, header.M)
        file = store.segment_directories[0].directory / "data_level0.bin"
    level0 = np.memmap(file, dtype=dtype, mode="r+")
    victim = 100
    for row in range(len(level0)):  # no list names it any more
        links = level0["links"][row]
        links[links == victim] = 1 if row == 0 else 0
    level0.flush()
    del level0

    with fx.open_store(path) as store:
        listed = lab.graph.unreached(store.collections[0])
        assert [row[0] for row in listed.rows] == [victim]
        assert listed.rows[0][3] in store.collections[0].row_of


def test_classes_are_drawn_by_prefix_and_by_metadata(opened: Callable[[str], Store]) -> None:
    collection = opened("set-aside").collections[0]
    found = lab.records.classes(collection)

    assert ("    of these from: set-aside", 259, "") in lab.records.states(found).rows
    assert "hd: 8 indexed, 3 pending, 74 re-attachable" in repr(lab.records.by_prefix(found))
    keys = lab.records.keys(collection)
    assert lab.records.telling(collection, keys) == "obsolete"
    assert "2 groups by obsolete" in repr(lab.records.by_metadata(found, "obsolete"))


def test_odd_records_are_shown_between_quotes(sample: Sample) -> None:
    table = lab.records.oddities(fx.diagnose(sample("peek-failure")))
    rows = {row[0]: row for row in table.rows}

    assert rows["CF701"][2:4] == ("found", "2 ids")
    assert str(rows["CF701"][4]).count(" '") >= 1
    assert rows["CF704"][2:4] == ("clean", "")


def test_lengths_of_vectors_are_told(opened: Callable[[str], Store]) -> None:
    assert "lengths from 1.000 to 1.000; 0 of length 0" in repr(
        lab.records.norms(opened("set-aside").collections[0])
    )


def test_a_store_without_anything_gives_words_and_no_error() -> None:
    assert "no segment directory" in repr(lab.graph.overview(None))
    assert "no segment directory" in repr(lab.graph.reach(None))
    assert "No element" in repr(lab.graph.degrees(None))
    for table in (lab.graph.unreached(None), lab.graph.recall(None)):
        assert "names no collection" in repr(table)
    classes = lab.records.classes(None)
    for shown in (
        lab.records.states(classes),
        lab.records.by_prefix(classes),
        lab.records.by_metadata(classes, None),
    ):
        assert "names no collection" in repr(shown)
    assert lab.records.keys(None) == []
    assert lab.records.telling(None, []) is None
    assert "no index" in repr(lab.records.norms(None))


def test_events_are_drawn_along_time_and_sequence(opened: Callable[[str], Store]) -> None:
    told = fx.timeline(opened("set-aside"))

    assert repr(lab.timeline.along_time(told)).startswith("Picture: 6 dated events, from 2025-06-14 03:15:02")
    assert "285 … 300" in repr(lab.timeline.along_sequence(told))
    assert lab.timeline.openings(told).rows[-1][:2] == ("1.2.2 – 1.5.9", "opens")
    assert len(lab.timeline.events(told)) == len(told.events)
    assert lab.timeline.touched(told).rows[0][0] == "1.5.0 or later"


def test_what_has_no_date_and_what_is_too_much_is_said() -> None:
    many = tuple(
        Event(when=f"2026-01-{day:02d} 00:00:00", what="x", source="y", kind="observed")
        for day in range(1, 29)
    )

    assert "the last 18 of 28" in repr(lab.timeline.along_time(Chronicle(many, (), ())))
    assert "No event has a date" in repr(lab.timeline.along_time(Chronicle((), (), ())))
    assert "No event has a place" in repr(lab.timeline.along_sequence(Chronicle((), (), ())))
