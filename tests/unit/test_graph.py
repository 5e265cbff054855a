"""The measurements of the graph, against plain Python over the same lists and against chroma-hnswlib's own
graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forensics import graph
from forensics.absent import Absent
from forensics.graph import Graph, measure, without_twin
from forensics.readers.hnsw import HnswFiles
from forensics.readers.layout import LINKS_FILE, level0_dtype
from forensics.readers.link_walk import LinkWalk
from forensics.writers.relink import in_degrees
from forensics.writers.segment_files import make_header, write_header


def segment(
    folder: Path, lists: list[list[int]], upper: dict[int, list[list[int]]] | None = None, **header
) -> HnswFiles:
    """A segment with M = 2 whose level 0 has these lists; `upper` maps an element to its lists from level 1
    on."""
    folder.mkdir(parents=True, exist_ok=True)
    level0 = np.zeros(len(lists), dtype=level0_dtype(3, 2))
    level0["label"], level0["vector"] = np.arange(1, len(lists) + 1), np.arange(3 * len(lists)).reshape(-1, 3)
    for element, links in enumerate(lists):
        level0["count"][element] = len(links)
        level0["links"][element, : min(len(links), 4)] = links[:4]
    level0.tofile(folder / "data_level0.bin")
    with open(folder / LINKS_FILE, "wb") as file:
        for element in range(len(lists)):
            own = (upper or {}).get(element, [])
            file.write(np.uint32(12 * len(own)).tobytes())
            for links in own:
                file.write(np.array([len(links), *links, *[0] * (2 - len(links))], dtype="<u4").tobytes())
    np.zeros(len(lists), dtype="<f4").tofile(folder / "length.bin")
    fields = {
        "maxlevel": max((len(own) for own in (upper or {}).values()), default=0),
        "enterpoint": 0,
    } | header
    write_header(
        folder / "header.bin", make_header(dim=3, M=2, ef_construction=10, count=len(lists), **fields)
    )
    return HnswFiles(folder)


def measured(files: HnswFiles) -> Graph:
    found = measure(files)
    assert not isinstance(found, Absent)
    return found


def walked_by_hand(files: HnswFiles) -> set[int]:
    """What a path from the entry point leads to, in plain Python, one list at a time."""
    level0, walk, header = files.level0, files.links, files.header
    assert isinstance(level0, np.ndarray)
    assert isinstance(walk, LinkWalk)
    assert not isinstance(header, Absent)
    reached = {header.enterpoint}
    for level in range(header.maxlevel, -1, -1):
        lists = {n: row["links"][: row["count"]].tolist() for n, row in enumerate(level0)}
        if level:
            elements, counts, links = walk.level(level)
            rows = zip(elements.tolist(), counts.tolist(), links.tolist(), strict=True)
            lists = {element: row[:count] for element, count, row in rows}
        todo = list(reached)
        while todo:
            fresh = set(lists.get(todo.pop(), [])) - reached
            reached |= fresh
            todo += fresh
    return reached


def test_a_ring_is_reached_and_an_island_is_not(tmp_path: Path) -> None:
    found = measured(segment(tmp_path, [[1], [2], [0], [4], [3]]))
    assert found.reached.tolist() == [True, True, True, False, False]
    assert found.entry_problem is None
    assert not any(
        found.owners(kind) for kind in ("too_long", "out_of_range", "to_self", "repeated", "empty")
    )


def test_upper_levels_lead_to_where_level_0_starts(tmp_path: Path) -> None:
    """0 and 3 have lists on level 1 and know each other there; on level 0 they lie on two islands."""
    lists = [[1], [0], [3], [2]]
    assert measured(segment(tmp_path / "flat", lists)).reached.tolist() == [True, True, False, False]
    tall = segment(tmp_path / "tall", lists, {0: [[3]], 3: [[0]]})
    assert measured(tall).reached.all()
    assert measured(tall).levels.tolist() == [1, 0, 0, 1]


def test_each_fault_is_named_with_its_owner(tmp_path: Path) -> None:
    found = measured(segment(tmp_path, [[1, 9], [1, 0], [0, 0], [], [0, 1, 2, 3, 0]]))
    faults = {
        kind: owners[0].tolist()
        for kind in ("out_of_range", "to_self", "repeated", "empty", "too_long")
        for owners in [found.owners(kind)]
    }
    assert faults == {"out_of_range": [0], "to_self": [1], "repeated": [2], "empty": [3], "too_long": [4]}


def test_a_neighbour_that_has_the_number_of_an_unused_slot_is_out_of_range_only(tmp_path: Path) -> None:
    found = measured(segment(tmp_path, [[1, 4], [0], [0]]))
    assert found.owners("out_of_range")[0].tolist() == [0]
    assert not found.owners("repeated")


def test_a_link_to_an_element_without_that_level(tmp_path: Path) -> None:
    found = measured(segment(tmp_path, [[1], [0]], {0: [[1]]}))
    assert {level: owners.tolist() for level, owners in found.owners("absent_level").items()} == {1: [0]}


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ({"enterpoint": 7}, "past the last"),
        ({"maxlevel": 2}, "has lists up to level 0"),
        ({"maxlevel": -1}, "maxlevel is -1"),
    ],
)
def test_an_entry_point_that_is_none(tmp_path: Path, header: dict[str, int], problem: str) -> None:
    found = measured(segment(tmp_path, [[1], [0]], **header))
    assert problem in (found.entry_problem or "")
    assert not found.reached.any()


def test_graphs_of_one_and_of_no_element(tmp_path: Path) -> None:
    assert measured(segment(tmp_path / "one", [[]])).reached.tolist() == [True]
    none = measured(segment(tmp_path / "none", []))
    assert (none.elements, none.entry_problem, len(none.reached)) == (0, None, 0)


def test_level_0_that_is_shorter_than_its_header(tmp_path: Path) -> None:
    files = segment(tmp_path, [[1], [2], [3], [0]])
    with open(tmp_path / "data_level0.bin", "r+b") as file:
        file.truncate(2 * level0_dtype(3, 2).itemsize + 5)
    found = measured(HnswFiles(files.directory))
    assert found.elements == 2
    assert found.reached.tolist() == [True, True]
    assert not found.owners("out_of_range")  # 3 exists, though its bytes are lost


def test_a_long_chain_is_walked_to_its_end(tmp_path: Path) -> None:
    chain = [[n + 1] for n in range(5000)] + [[0]]
    assert measured(segment(tmp_path, chain)).reached.all()


def test_without_level_0_there_is_no_graph(tmp_path: Path) -> None:
    segment(tmp_path, [[1], [0]])
    (tmp_path / "data_level0.bin").unlink()
    assert isinstance(measure(HnswFiles(tmp_path)), Absent)


@pytest.mark.parametrize("seed", range(5))
def test_random_lists_are_walked_as_by_hand(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    lists = [sorted(set(random.integers(0, 80, random.integers(0, 4)).tolist()) - {n}) for n in range(80)]
    tall = random.choice(80, 12, replace=False).tolist()
    upper = {n: [random.choice(tall, 2, replace=False).tolist()] for n in tall}
    files = segment(tmp_path, lists, upper, enterpoint=tall[0])
    assert set(np.flatnonzero(measured(files).reached).tolist()) == walked_by_hand(files)


def test_what_hnswlib_builds_has_no_fault(tmp_path: Path) -> None:
    hnswlib = pytest.importorskip("hnswlib")
    index = hnswlib.Index("l2", 16)
    index.init_index(
        3000, M=8, ef_construction=50, is_persistent_index=True, persistence_location=str(tmp_path)
    )
    index.add_items(
        np.random.default_rng(0).standard_normal((2000, 16), dtype=np.float32),
        np.arange(1, 2001),
        num_threads=1,
    )
    index.persist_dirty()
    index.close_file_handles()
    files = HnswFiles(tmp_path)
    found = measured(files)
    kinds = ("too_long", "out_of_range", "to_self", "repeated", "absent_level", "empty")
    assert not any(found.owners(kind) for kind in kinds)
    assert set(np.flatnonzero(found.reached).tolist()) == walked_by_hand(files)
    assert isinstance(files.level0, np.ndarray)
    assert in_degrees(files.level0).sum() == files.level0["count"].sum()


def test_twins_are_found_by_their_bits(tmp_path: Path) -> None:
    files = segment(tmp_path, [[1], [2], [3], [0]])
    with open(tmp_path / "data_level0.bin", "r+b") as file:
        raw = np.memmap(file, dtype=level0_dtype(3, 2), mode="r+")
        raw["vector"][3] = raw["vector"][1]
        raw.flush()
    files = HnswFiles(tmp_path)
    reached = np.array([True, True, False, False])
    assert without_twin(files, np.array([2, 3]), reached).tolist() == [2]


def test_a_segment_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = segment(tmp_path, [[1], [0]])
    first = measured(files)
    monkeypatch.setattr(graph, "_measure", lambda _: pytest.fail("measured twice"))
    assert measured(files) is first
