"""The binary files of a draft: written whole, repaired in place, nothing touched that was sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hnswlib
import numpy as np
import pytest

from forensics.engine import make_searchable, native_load, native_self_search
from forensics.errors import Refused
from forensics.readers import layout
from forensics.readers.hnsw import HnswFiles
from forensics.readers.link_walk import walk_link_lists
from forensics.writers.draft_maps import file_for_writing, level0_for_writing
from forensics.writers.relink import in_degrees, nearest
from forensics.writers.segment_files import (
    drop_bad_neighbours,
    flatten_links,
    leading_elements,
    make_header,
    rebuild_header,
    relink,
    rewrite_link_lists,
    set_deleted,
    settle_entry,
    write_header,
    write_lengths,
)

N, DIM, M = 3000, 16, 8
FILES = layout.BINARY_FILES


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("built")
    vectors = np.random.default_rng(1).normal(size=(N, DIM)).astype(np.float32)
    index = hnswlib.Index("l2", DIM)
    index.init_index(
        N + 50, M=M, ef_construction=80, is_persistent_index=True, persistence_location=str(directory)
    )
    index.add_items(vectors, np.arange(1, N + 1), num_threads=1)
    index.persist_dirty()
    index.close_file_handles()
    assert make_searchable(directory, "l2", DIM).missing.size == 0
    return directory


@pytest.fixture
def draft(built: Path, tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "draft"
    directory.mkdir()
    for name in FILES:
        (directory / name).write_bytes((built / name).read_bytes())
    yield directory
    assert sorted(path.name for path in directory.iterdir()) == sorted(FILES), "a temporary file was left"


def content(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in FILES}


def missing(directory: Path) -> int:
    return native_self_search(directory, "l2", DIM).missing.size


def test_a_sound_index_is_left_as_it_is(draft: Path) -> None:
    before = content(draft)
    assert drop_bad_neighbours(draft).size == 0
    walk = HnswFiles(draft).links
    assert rewrite_link_lists(draft, walk) == 0
    settle_entry(draft)
    header = HnswFiles(draft).header
    assert relink(draft, np.array([], dtype=int), "l2").size == 0
    assert content(draft) == before
    room = header.max_elements
    rebuilt = rebuild_header(draft, DIM, M, 80, N)
    assert rebuilt.maxlevel == header.maxlevel == HnswFiles(draft).links.levels[rebuilt.enterpoint]
    assert room >= rebuilt.max_elements >= N


def test_make_header_is_what_hnswlib_writes(built: Path) -> None:
    header = HnswFiles(built).header
    made = make_header(
        dim=DIM,
        M=M,
        ef_construction=80,
        count=N,
        maxlevel=header.maxlevel,
        enterpoint=header.enterpoint,
        max_elements=header.max_elements,
    )
    assert made.to_bytes() == header.to_bytes()
    empty = make_header(dim=DIM, M=M, ef_construction=80, count=0, maxlevel=0, enterpoint=0)
    assert (empty.maxlevel, empty.enterpoint) == (-1, layout.EMPTY_ENTERPOINT)


def test_a_header_that_contradicts_itself_is_not_written(tmp_path: Path) -> None:
    header = make_header(dim=DIM, M=M, ef_construction=0, count=1, maxlevel=0, enterpoint=0)
    with pytest.raises(ValueError, match="ef_construction"):
        write_header(tmp_path / "header.bin", header)
    assert list(tmp_path.iterdir()) == []


def test_bad_neighbours_go_and_the_others_stay(draft: Path) -> None:
    old = HnswFiles(draft).level0.copy()
    with level0_for_writing(draft) as level0:
        level0["links"][5, 0] = N
        level0["links"][6, 1] = 6
        level0["links"][7, 2] = level0["links"][7, 1]
        level0["links"][8, 0] = 0xFFFFFFFF
        level0["count"][9] = 999
    assert drop_bad_neighbours(draft).tolist() == [5, 6, 7, 8, 9]
    new = HnswFiles(draft).level0
    for element, place in ((5, 0), (6, 1), (7, 2), (8, 0)):
        count = int(old["count"][element])
        kept = np.delete(old["links"][element][:count], place)
        assert new["links"][element][: count - 1].tolist() == kept.tolist()
        assert new["count"][element] == count - 1
        assert not new["links"][element][count - 1 :].any()
    assert new["count"][9] <= 2 * M
    untouched = np.delete(np.arange(N), [5, 6, 7, 8, 9])
    assert (np.asarray(new[untouched]) == old[untouched]).all()
    assert drop_bad_neighbours(draft).size == 0


def test_bad_neighbours_on_upper_levels_go(draft: Path) -> None:
    walk = HnswFiles(draft).links
    elements, counts, links = walk.level(1)
    flat = int(np.flatnonzero(walk.levels == 0)[0])
    owner = int(elements[counts >= 3][0])
    start = int(walk.offsets[np.searchsorted(walk.tall, owner)])
    with file_for_writing(draft / layout.LINKS_FILE) as raw:
        raw[start : start + 4 + 12].view("<u4")[1:4] = [flat, N + 5, owner]
    assert drop_bad_neighbours(draft).tolist() == [owner]
    after_elements, after_counts, after_links = HnswFiles(draft).links.level(1)
    row = int(np.flatnonzero(elements == owner)[0])
    assert after_counts[row] == counts[row] - 3
    assert after_links[row][: after_counts[row]].tolist() == links[row][3 : counts[row]].tolist()
    others = elements != owner
    assert (after_links[others] == links[others]).all()
    assert (after_elements == elements).all()
    assert missing(draft) == 0


def test_flattened_links_still_reach_everything(draft: Path) -> None:
    enterpoint = flatten_links(draft)
    files = HnswFiles(draft)
    assert files.links.problem is None
    assert files.links.end == 4 * N == (draft / layout.LINKS_FILE).stat().st_size
    assert (files.header.maxlevel, files.header.enterpoint) == (0, enterpoint)
    assert native_load(draft, "l2", DIM) == N
    assert missing(draft) == 0


def test_the_enterpoint_of_flattened_links_is_live(draft: Path) -> None:
    set_deleted(draft, np.arange(0, N - 1), True)
    assert flatten_links(draft) == N - 1


def test_a_tail_behind_the_lists_is_cut(draft: Path) -> None:
    before = content(draft)
    with open(draft / layout.LINKS_FILE, "r+b") as handle:
        handle.truncate(1 << 32)
    assert rewrite_link_lists(draft, HnswFiles(draft).links) == 0
    assert content(draft) == before


def test_lists_before_a_break_are_kept(draft: Path) -> None:
    walk = HnswFiles(draft).links
    victim = int(walk.tall[len(walk.tall) // 2])
    word = int(walk.offsets[len(walk.tall) // 2]) - 4
    with file_for_writing(draft / layout.LINKS_FILE) as raw:
        raw[word : word + 4].view("<u4")[0] = 7
    broken = HnswFiles(draft).links
    assert broken.problem is not None
    assert rewrite_link_lists(draft, broken) == N - victim
    drop_bad_neighbours(draft)
    after = HnswFiles(draft)
    assert after.links.problem is None
    assert after.links.levels[:victim].tolist() == walk.levels[:victim].tolist()
    assert not after.links.levels[victim:].any()
    assert after.links.levels[after.header.enterpoint] == after.header.maxlevel == after.links.levels.max()
    assert native_load(draft, "l2", DIM) == N
    assert missing(draft) == 0


def test_a_walk_of_another_index_is_refused(draft: Path) -> None:
    walk = walk_link_lists(np.zeros(40, dtype=np.uint8), 10, M)
    with pytest.raises(Refused, match="another header"):
        rewrite_link_lists(draft, walk)


@pytest.mark.parametrize("lost", ["missing", "empty", "zero"])
def test_a_lost_header_is_rebuilt(draft: Path, lost: str) -> None:
    old = HnswFiles(draft).header
    path = draft / layout.HEADER_FILE
    path.unlink() if lost == "missing" else path.write_bytes(b"" if lost == "empty" else bytes(100))
    count = leading_elements(draft / layout.LEVEL0_FILE, DIM, M, N)
    assert count == N
    new = rebuild_header(draft, DIM, M, 80, count)
    assert (new.maxlevel, new.cur_element_count) == (old.maxlevel, N)
    assert HnswFiles(draft).links.levels[new.enterpoint] == new.maxlevel
    assert missing(draft) == 0
    assert native_load(draft, "l2", DIM) == N


def test_more_elements_than_there_are_is_refused(draft: Path) -> None:
    room = (draft / layout.LEVEL0_FILE).stat().st_size // layout.element_size(DIM, M)
    with pytest.raises(Refused, match="elements"):
        rebuild_header(draft, DIM, M, 80, room + 1)


def test_leading_elements_stop_at_the_first_impossible_label(draft: Path) -> None:
    with level0_for_writing(draft) as level0:
        level0["label"][100] = level0["label"][3]
    assert leading_elements(draft / layout.LEVEL0_FILE, DIM, M, N) == 100
    with level0_for_writing(draft) as level0:
        level0["label"][50] = 0
    assert leading_elements(draft / layout.LEVEL0_FILE, DIM, M, N) == 50


def test_deleted_flags_are_set_and_cleared(draft: Path) -> None:
    before = content(draft)
    assert set_deleted(draft, np.array([3, 4, 4]), True) == 2
    assert np.flatnonzero(HnswFiles(draft).summary.deleted).tolist() == [3, 4]
    assert set_deleted(draft, np.array([3, 4, 5]), False) == 2
    assert content(draft) == before


def test_lengths_are_written_as_float32(tmp_path: Path) -> None:
    write_lengths(tmp_path / "length.bin", np.array([1.5, 2.5]))
    assert np.fromfile(tmp_path / "length.bin", dtype="<f4").tolist() == [1.5, 2.5]


def test_elements_without_links_are_linked_again(draft: Path) -> None:
    flat = np.flatnonzero(HnswFiles(draft).links.levels == 0)
    victims = np.random.default_rng(2).choice(flat, 60, replace=False)
    with level0_for_writing(draft) as level0:
        level0["count"][victims] = 0
        level0["links"][victims] = 0
        others = np.setdiff1d(np.arange(N), victims)
        lists = level0["links"][others]
        used = np.arange(2 * M)[None, :] < level0["count"][others][:, None]
        keep = used & ~np.isin(lists, victims)
        order = np.argsort(~keep, axis=1, kind="stable")
        level0["count"][others] = keep.sum(axis=1)
        level0["links"][others] = np.take_along_axis(lists, order, axis=1)
    assert set(victims.tolist()) <= set(native_self_search(draft, "l2", DIM).missing.tolist())
    vectors = HnswFiles(draft).level0["vector"].copy()
    changed = relink(draft, victims, "l2")
    assert set(victims.tolist()) <= set(changed.tolist())
    files = HnswFiles(draft)
    assert (files.level0["vector"] == vectors).all()
    assert (in_degrees(files.level0)[victims] >= 1).all()
    assert (files.level0["count"] <= 2 * M).all()
    assert drop_bad_neighbours(draft).size == 0
    assert missing(draft) == 0


def test_nobody_loses_the_last_link_that_leads_to_him(draft: Path) -> None:
    before = in_degrees(HnswFiles(draft).level0)
    relink(draft, np.arange(0, N, 3), "l2", incoming=3)
    after = in_degrees(HnswFiles(draft).level0)
    assert ((after >= 1) | (before == 0)).all()
    assert (after[np.arange(0, N, 3)] >= np.minimum(before[np.arange(0, N, 3)], 1)).all()


def test_relinking_needs_somebody_to_link_to(draft: Path) -> None:
    with pytest.raises(Refused, match="rebuilt"):
        relink(draft, np.arange(N), "l2")
    with pytest.raises(Refused, match="not a space"):
        relink(draft, np.arange(3), "euclid")
    with pytest.raises(Refused, match="not one of them"):
        relink(draft, np.array([N]), "l2")


@pytest.mark.parametrize("space", ["l2", "ip", "cosine"])
def test_nearest_is_exact(draft: Path, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.writers.relink.BLOCK_BYTES", 500 * 4 * DIM)
    level0 = HnswFiles(draft).level0
    vectors = level0["vector"].astype(np.float64)
    allowed = np.arange(N) % 7 != 0
    queries = vectors[:20].astype(np.float32)
    found = nearest(level0, space, queries, allowed, 5)
    if space == "l2":
        away = ((queries[:, None, :] - vectors[None, :, :]) ** 2).sum(axis=2)
    else:
        away = 1 - queries @ vectors.T
    away[:, ~allowed] = np.inf
    wanted = np.sort(away, axis=1)[:, :5]
    assert np.allclose(np.take_along_axis(away, found, axis=1), wanted, atol=1e-4)
