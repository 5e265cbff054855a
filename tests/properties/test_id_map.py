"""Id maps: what is written is read back; whatever else is in the file is a value, and never executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.readers.id_map import BadIdMap, IdMap, read_id_map
from forensics.readers.id_map_salvage import salvage
from forensics.writers.id_map import write_id_map

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=0, max_size=300)
LABELS = st.integers(min_value=1, max_value=2**40)


@st.composite
def id_maps(draw: st.DrawFn) -> IdMap:
    """Any id map that a release could have written."""
    labels = draw(st.dictionaries(IDS, LABELS, max_size=12))
    return IdMap(
        form=draw(st.sampled_from(["class", "dict"])),
        dimensionality=draw(st.integers(1, 4096)),
        total_elements_added=len(labels) + draw(st.integers(0, 9)),
        max_seq_id=draw(st.integers(1, 2**50)),
        id_to_label=labels,
        label_to_id={label: name for name, label in labels.items()},
        id_to_seq_id={name: draw(st.integers(1, 2**50)) for name in labels},
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("id-map") / "index_metadata.pickle"


@given(id_map=id_maps())
def test_what_is_written_is_read_back(path: Path, id_map: IdMap) -> None:
    write_id_map(path, id_map)
    assert read_id_map(path) == id_map


@given(id_map=id_maps())
def test_the_whole_of_a_good_map_can_be_salvaged(path: Path, id_map: IdMap) -> None:
    write_id_map(path, id_map)
    assert salvage(path) == id_map.id_to_label


@given(id_map=id_maps(), data=st.data())
def test_what_is_salvaged_from_a_cut_map_is_true(path: Path, id_map: IdMap, data: st.DataObject) -> None:
    write_id_map(path, id_map)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1), label="bytes kept")])
    assert isinstance(read_id_map(path), BadIdMap)
    assert salvage(path).items() <= id_map.id_to_label.items()


@given(id_map=id_maps(), data=st.data())
def test_a_changed_byte_is_a_value(path: Path, id_map: IdMap, data: st.DataObject) -> None:
    write_id_map(path, id_map)
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1), label="at")] = data.draw(st.integers(0, 255), label="byte")
    path.write_bytes(raw)
    assert isinstance(read_id_map(path), IdMap | BadIdMap)
    assert isinstance(salvage(path), dict)


def test_no_room_is_made_for_a_frame_that_is_longer_than_the_file(path: Path) -> None:
    state = {"id_to_label": {"a": 1}, "label_to_id": {1: "a"}}
    raw = bytearray(pickle.dumps(state, protocol=4))
    assert raw[2] == 0x95
    raw[3:11] = (1 << 50).to_bytes(8, "little")
    path.write_bytes(raw)
    found = read_id_map(path)
    assert isinstance(found, BadIdMap)
    assert found.kind == "malformed"
    assert "frame" in found.reason


@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_value(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    assert isinstance(read_id_map(path), IdMap | BadIdMap)
    assert isinstance(salvage(path), dict)


class Bomb:
    """Makes a folder when it is unpickled by somebody who trusts the file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["whole", "value", "key-of-map", "class-attribute"])
def test_nothing_is_executed(tmp_path: Path, protocol: int, place: str) -> None:
    target, path = tmp_path / "executed", tmp_path / "index_metadata.pickle"
    bomb = Bomb(target)
    state = {"id_to_label": {"a": 1}, "label_to_id": {1: "a"}, "id_to_seq_id": {}}
    shapes: dict[str, Any] = {
        "whole": bomb,
        "value": state | {"max_seq_id": bomb},
        "key-of-map": state | {"id_to_label": {bomb: 1}},
        "class-attribute": [state, bomb],
    }
    path.write_bytes(pickle.dumps(shapes[place], protocol))
    found = read_id_map(path)
    salvage(path)
    assert isinstance(found, BadIdMap)
    assert not target.exists()
    pickle.loads(path.read_bytes())
    assert target.exists(), "the bomb is a dud: this test would not notice"
