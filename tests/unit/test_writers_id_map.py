"""Id maps are written in the dialect of the version that reads them, whole or not at all."""

from __future__ import annotations

import pickle
import pickletools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.readers.id_map import CLASS, IdMap, read_id_map
from forensics.store import open_store
from forensics.writers.atomic import replacing
from forensics.writers.id_map import write_id_map

IDS = st.dictionaries(st.text(max_size=300), st.integers(1, 2**40), max_size=30)


def id_map(labels: dict[str, int], form: str, *, max_seq_id: int | None = None, has: bool = True) -> IdMap:
    return IdMap(
        form="class" if form == "class" else "dict",
        dimensionality=8 if form == "class" else None,
        total_elements_added=max(labels.values(), default=0),
        max_seq_id=max_seq_id,
        has_max_seq_id=has,
        id_to_label=labels,
        label_to_id={label: name for name, label in labels.items()},
        id_to_seq_id=dict.fromkeys(labels, max_seq_id or 0) if form == "class" else {},
    )


@given(labels=IDS, form=st.sampled_from(["class", "dict"]), seq=st.none() | st.integers(1, 2**40))
@settings(max_examples=60, deadline=None)
def test_a_map_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, labels: dict[str, int], form: str, seq: int | None
) -> None:
    path = tmp_path_factory.mktemp("map") / "index_metadata.pickle"
    given_map = id_map(labels, form, max_seq_id=seq, has=seq is not None or form == "dict")
    write_id_map(path, given_map)
    assert read_id_map(path) == given_map
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "name", ["0.4.24/healthy", "0.5.23/healthy", "0.6.3/healthy", "1.2.1/healthy", "1.5.9/healthy"]
)
def test_what_chroma_wrote_is_written_with_the_same_content(sample: Callable[[str], Path], name: str) -> None:
    with open_store(sample(name)) as store:
        segment = store.collections[0].vector
        before = segment.id_map
        write_id_map(segment.path("index_metadata.pickle"), before)
        assert read_id_map(segment.path("index_metadata.pickle")) == before


def persistent_data() -> type:
    """A class as 0.4–0.6 have it, under the name that their pickles ask for."""
    return type(CLASS[1], (), {"__module__": CLASS[0]})


@pytest.mark.parametrize("has", [True, False])
def test_the_class_form_loads_with_plain_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: bool
) -> None:
    """As 0.4–0.6 load it: `pickle.load`, the class found by its real name, attributes in their order."""
    module = ModuleType(CLASS[0])
    module.PersistentData = persistent_data()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, CLASS[0], module)
    path = tmp_path / "index_metadata.pickle"
    write_id_map(path, id_map({"a": 1, "b": 2}, "class", max_seq_id=7 if has else None, has=has))
    with open(path, "rb") as handle:
        loaded = pickle.load(handle)
    assert type(loaded) is module.PersistentData  # type: ignore[attr-defined]
    wanted = ["dimensionality", "total_elements_added", *["max_seq_id"] * has]
    assert list(vars(loaded)) == [*wanted, "id_to_label", "label_to_id", "id_to_seq_id"]
    assert loaded.label_to_id == {1: "a", 2: "b"}


def test_the_class_form_survives_the_unpickler_written_in_python(tmp_path: Path) -> None:
    """It minds frames and memo numbers more than the C one."""
    path = tmp_path / "index_metadata.pickle"
    labels = {f"id-{n}": n + 1 for n in range(20_000)}
    write_id_map(path, id_map(labels, "class", max_seq_id=5))

    class Loader(pickle._Unpickler):  # type: ignore[name-defined]
        def find_class(self, module: str, name: str) -> type:
            assert (module, name) == CLASS
            return persistent_data()

    with open(path, "rb") as handle:
        assert Loader(handle).load().id_to_label == labels


def test_every_id_has_a_seq_id_in_the_class_form(tmp_path: Path) -> None:
    """0.6.3 deletes from `id_to_seq_id` without looking whether the id is there."""
    path = tmp_path / "index_metadata.pickle"
    write_id_map(path, replace(id_map({"a": 1, "b": 2}, "class", max_seq_id=9), id_to_seq_id={"a": 4}))
    found = read_id_map(path)
    assert isinstance(found, IdMap)
    assert found.id_to_seq_id == {"a": 4, "b": 9}


def test_the_dict_form_has_protocol_3_and_all_six_keys(tmp_path: Path) -> None:
    path = tmp_path / "index_metadata.pickle"
    write_id_map(path, id_map({"a": 1}, "dict"))
    raw = path.read_bytes()
    assert max(opcode.proto for opcode, _, _ in pickletools.genops(raw)) <= 3
    keys = list(pickle.loads(raw))
    assert keys == [
        "dimensionality",
        "total_elements_added",
        "max_seq_id",
        "id_to_label",
        "label_to_id",
        "id_to_seq_id",
    ]


def test_what_the_reading_version_needs_is_demanded(tmp_path: Path) -> None:
    whole = id_map({"a": 1}, "class")
    with pytest.raises(ValueError, match="total_elements_added"):
        write_id_map(tmp_path / "map", replace(whole, total_elements_added=None))
    with pytest.raises(ValueError, match="dimensionality"):
        write_id_map(tmp_path / "map", replace(whole, dimensionality=None))
    assert list(tmp_path.iterdir()) == []


def write_half(path: Path) -> None:
    with replacing(path) as handle:
        handle.write(b"new and")
        raise RuntimeError("half way")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with pytest.raises(RuntimeError, match="half way"):
        write_half(path)
    assert path.read_bytes() == b"old"
    with replacing(path) as handle:
        handle.write(b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]
