"""Each picture is drawn from a real sample, and says in words what it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import forensics as fx
from forensics.diagnosis import diagnose_store
from forensics.lab import figures
from forensics.lab.picture import Picture
from forensics.model import Effect
from forensics.store import Store

Sample = Callable[[str], Path]


@pytest.fixture
def opened(sample: Sample) -> Callable[[str], Store]:
    return lambda name: fx.open_store(sample(name))


def assert_drawn(picture: Picture) -> None:
    data, metadata = picture._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == f"Picture: {picture.says}"
    assert metadata["image/png"]["width"] > 0


def test_a_wholly_different_index(opened: Callable[[str], Store]) -> None:
    store = opened("peek-failure")
    collection = store.collections[0]
    pictures = {
        figures.ids_by_layer(diagnose_store(store).collections): "terms: 21 indexed, 0 pending, 279 missing",
        figures.missing_along_sequence(collection): "279 records of 300 missing, from 1 to 279 of 300",
        figures.label_map(collection): "21 label, 0 no label, pending in the queue, 279 no label, missing",
    }
    for picture, says in pictures.items():
        assert says in picture.says
        assert_drawn(picture)


def test_a_few_bad_entries(opened: Callable[[str], Store]) -> None:
    collection = opened("peek-failure-few").collections[0]
    assert "5 records of 300 missing" in figures.missing_along_sequence(collection).says
    assert "275 label, 20 no label, pending in the queue, 5 no label" in figures.label_map(collection).says


def test_a_lost_id_map_is_said_and_not_drawn_as_if_it_were_known(opened: Callable[[str], Store]) -> None:
    store = opened("pickle-lost")
    assert "unknown which of them are indexed" in figures.ids_by_layer(diagnose_store(store).collections).says
    for picture in (
        figures.missing_along_sequence(store.collections[0]),
        figures.label_map(store.collections[0]),
    ):
        assert "not known" in picture.says
        assert_drawn(picture)


def test_files_and_links(opened: Callable[[str], Store]) -> None:
    segment = opened("1.5.9/healthy").segment_directories[0]
    assert "header.bin 100 bytes, 100 needed" in figures.file_sizes(segment).says
    assert ", 0 without any" in figures.degrees(segment).says
    assert_drawn(figures.file_sizes(segment))
    assert_drawn(figures.degrees(segment))


def test_what_is_not_there_is_said() -> None:
    nothing = (
        figures.ids_by_layer(()),
        figures.missing_along_sequence(None),
        figures.label_map(None),
        figures.file_sizes(None),
        figures.degrees(None),
        figures.before_and_after(()),
    )
    for picture in nothing:
        assert picture.says
        assert_drawn(picture)


def test_before_and_after() -> None:
    picture = figures.before_and_after(
        [Effect(collection="terms", before=21, after=300), Effect(collection="b", before=None, after=3)]
    )
    assert picture.says == "terms: 21 before, 300 after; b: unknown before, 3 after"
    assert_drawn(picture)


def test_the_same_data_give_the_same_bytes() -> None:
    effects = [Effect(collection="terms", before=21, after=300)]
    assert figures.before_and_after(effects).png() == figures.before_and_after(effects).png()


def test_many_records_are_drawn_as_few_marks(
    opened: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "TICKS", 100)
    collection = opened("peek-failure").collections[0]
    strip, labels = figures.missing_along_sequence(collection), figures.label_map(collection)
    assert "279 records of 300 missing" in strip.says
    assert max(len(line.get_xdata()) for line in labels.figure.axes[0].lines) == 100  # pyright: ignore[reportArgumentType]
    assert_drawn(strip)
