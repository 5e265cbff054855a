"""A slice is a real store: the engine reads it, every record in it is what it was, and the queue goes on
behind it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forensics.engine import native_self_search
from forensics.engine.slices import cut_slice, verify_with_slices
from forensics.engine.truth import expected_of
from forensics.engine.verify import same_vectors
from forensics.errors import Refused
from forensics.readers.hnsw import HnswFiles
from forensics.store import open_store

Sample = Callable[[str], Path]
NAMES = ["0.4.24/healthy", "0.6.3/healthy", "1.2.1/healthy", "1.5.9/healthy-churned"]


@pytest.mark.parametrize("name", NAMES)
def test_a_slice_holds_its_records_as_they_were(sample: Sample, tmp_path: Path, name: str) -> None:
    with open_store(sample(name)) as store:
        collection, full = store.collections[0], expected_of(store)["terms"]
        wanted = full.ids[100:103]
        cut = cut_slice(collection, tmp_path / "slice", ids=wanted, most=90)
        elements = collection.vector.files.elements
        dim, space = full.dimension, full.space
    with open_store(tmp_path / "slice") as small:
        one = expected_of(small)["terms"]
        files, watermark = small.collections[0].vector.files, small.collections[0].vector_watermark
        assert small.collections[0].records.missing.sum() == 0
        directory = small.collections[0].vector.directory
    assert (cut.records, cut.of, len(one.ids)) == (90, len(full.ids), 90)
    assert set(wanted) <= set(one.ids)
    place = {name: row for row, name in enumerate(full.ids)}
    rows = [place[name] for name in one.ids]
    assert rows == sorted(rows)
    assert one.known.all()
    assert same_vectors(one.vectors, full.vectors[rows], "l2").all()
    assert files.elements == cut.indexed < elements
    with open_store(sample(name)) as store:
        assert store.collections[0].vector_watermark == watermark
    if space != "ip":
        assert native_self_search(directory, space, dim).missing.size == 0


def test_the_queue_goes_on_behind_a_slice(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.5.9/healthy")
    with open_store(store) as opened:
        cut_slice(opened.collections[0], tmp_path / "slice", most=20)
    highest = "SELECT max(seq_id) FROM embeddings_queue"
    with (
        sqlite3.connect(store / "chroma.sqlite3") as old,
        sqlite3.connect(tmp_path / "slice/chroma.sqlite3") as new,
    ):
        assert new.execute(highest).fetchone() == old.execute(highest).fetchone()
        assert new.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = [
            new.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("embeddings", "embedding_fulltext_search")
        ]
    old.close()
    new.close()
    assert counts == [20, 20]


def test_the_engine_verifies_slices(sample: Sample, tmp_path: Path) -> None:
    with open_store(sample("1.5.9/healthy-three-collections")) as store:
        tests = verify_with_slices(store, tmp_path, most=100)
    assert [test.name for test in tests if not test.passed] == []
    assert any("on a slice of 100 of 170 records" in test.detail for test in tests)
    assert list(tmp_path.glob("slice-*")) == []


def test_levels_and_links_of_a_slice_fit_it(sample: Sample, tmp_path: Path) -> None:
    with open_store(sample("1.5.9/healthy")) as store:
        collection = store.collections[0]
        cut_slice(collection, tmp_path / "slice", most=150)
        segment = collection.vector.id
    files = HnswFiles(tmp_path / "slice" / segment)
    used = np.arange(files.level0["links"].shape[1])[None, :] < files.level0["count"][:, None]
    assert (files.level0["links"][used] < files.elements).all()
    assert files.links.problem is None
    assert files.links.end == (tmp_path / "slice" / segment / "link_lists.bin").stat().st_size
    assert files.links.levels[files.header.enterpoint] == files.header.maxlevel


def test_a_store_without_a_map_is_refused(sample: Sample, tmp_path: Path) -> None:
    store = sample("1.5.9/pickle-truncated")
    with open_store(store) as opened, pytest.raises(Refused, match="no slice can be cut"):
        cut_slice(opened.collections[0], tmp_path / "slice", most=50)
