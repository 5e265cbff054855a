"""Both shapes are read, nothing is executed, every kind of damage has its name."""

from __future__ import annotations

import os
import pickle
import pickletools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.readers.id_map import BadIdMap, IdMap, read_id_map
from forensics.readers.id_map_salvage import salvage
from forensics.readers.pickle_scan import scan


class Payload:
    """Touches a file when it is unpickled by something that executes."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def _plain(n: int) -> dict[str, object]:
    forward = {f"id-{i}": i + 1 for i in range(n)}
    return {
        "dimensionality": None,
        "total_elements_added": n,
        "max_seq_id": None,
        "id_to_label": forward,
        "label_to_id": {label: name for name, label in forward.items()},
        "id_to_seq_id": {},
    }


@pytest.mark.parametrize(
    "name",
    ["0.4.24/healthy", "0.5.23/healthy", "0.6.3/healthy", "1.0.20/healthy", "1.2.1/healthy", "1.5.9/healthy"],
)
def test_every_release_is_read(sample, name):
    loaded = read_id_map(next(sample(name).glob("*/index_metadata.pickle")))

    assert isinstance(loaded, IdMap)
    assert loaded.form == ("class" if name.startswith("0") else "dict")
    assert loaded.label_to_id == {label: name for name, label in loaded.id_to_label.items()}
    assert loaded.has_max_seq_id == (not name.startswith(("0.5", "0.6")))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_dict_of_any_protocol_is_read(tmp_path, protocol):
    path = tmp_path / "p"
    path.write_bytes(pickle.dumps(_plain(500), protocol))

    assert read_id_map(path).id_to_label == _plain(500)["id_to_label"]


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_a_payload_is_named_and_not_executed(tmp_path, protocol):
    path, trap = tmp_path / "p", tmp_path / "executed"
    path.write_bytes(pickle.dumps({**_plain(3), "x": Payload(str(trap))}, protocol))

    loaded = read_id_map(path)

    assert isinstance(loaded, BadIdMap)
    assert loaded.kind == ("hostile" if protocol else "malformed")
    assert not trap.exists()


def test_a_foreign_class_without_reduce_is_hostile(tmp_path):
    path = tmp_path / "p"
    path.write_bytes(b"\x80\x03cos\nsystem\n.")

    assert read_id_map(path).kind == "hostile"


def test_nested_tuples_cost_no_time(tmp_path):
    """The key doubles the work per level in the C unpickler; the scan refuses it at once."""
    doubling = b"".join(b"q" + bytes([level]) + b"h" + bytes([level]) + b"\x86" for level in range(40))
    path = tmp_path / "p"
    path.write_bytes(b"\x80\x03})" + doubling + b"K\x01s.")
    start = time.perf_counter()

    assert read_id_map(path).kind == "hostile"
    assert time.perf_counter() - start < 30


def test_a_memo_index_beyond_the_file_is_refused(tmp_path):
    path = tmp_path / "p"
    path.write_bytes(b"\x80\x03}r\xff\xff\xff\x7f.")

    assert isinstance(read_id_map(path), BadIdMap)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", "empty"),
        (b"\x80\x03", "truncated"),
        (b"garbage!", "malformed"),
        (pickle.dumps([1]), "hostile"),
        (pickle.dumps({"a": 1}), "malformed"),
    ],
)
def test_each_damage_has_its_kind(tmp_path, raw, kind):
    path = tmp_path / "p"
    path.write_bytes(raw)

    assert read_id_map(path).kind == kind


def test_a_file_that_is_not_there_is_missing(tmp_path):
    assert read_id_map(tmp_path / "p").kind == "missing"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4000), st.sampled_from([3, 5]))
def test_the_prefix_of_a_cut_map_is_salvaged_and_true(tmp_path_factory, cut, protocol):
    whole = _plain(100)
    raw = pickle.dumps(whole, protocol)
    path = tmp_path_factory.mktemp("cut") / "p"
    path.write_bytes(raw[: min(cut, len(raw) - 1)])

    found = salvage(path)

    assert read_id_map(path).kind in ("truncated", "empty")
    assert found.items() <= whole["id_to_label"].items()
    if cut > 2500:
        assert len(found) >= 90


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.text(max_size=300), st.integers(0, 2**62), max_size=30), st.sampled_from([2, 3, 4, 5])
)
def test_the_scan_accepts_every_map_of_text_to_integers(mapping, protocol):
    raw = pickle.dumps({"id_to_label": mapping}, protocol)

    assert scan(raw).kind == "ok"
    assert scan(raw).end == len(raw)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_what_the_scan_accepts_has_only_harmless_opcodes(tail):
    raw = b"\x80\x04" + tail + b"."
    if scan(raw).kind != "ok":
        return

    names = {opcode.name for opcode, _, _ in pickletools.genops(raw[: scan(raw).end])}

    assert not names & {
        "REDUCE",
        "INST",
        "OBJ",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "NEWOBJ_EX",
        "EXT1",
        "PERSID",
    }
