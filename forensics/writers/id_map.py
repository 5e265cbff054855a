"""index_metadata.pickle in the dialect of the version that reads it; chromadb is not needed for that.

"class": an instance of `PersistentData`, protocol 5, as 0.4–0.6 write it and 1.x reads it too.
"dict": a plain dict of six keys, protocol 3, as 1.x writes it; 0.4–0.6 do not read it.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

from forensics.readers.id_map import CLASS, IdMap
from forensics.writers.atomic import replacing

CLASS_PROTOCOL = 5
DICT_PROTOCOL = 3


def write_id_map(path: Path, id_map: IdMap) -> None:
    """`path` holds `id_map` in its own form, on the disk; an older file there is replaced in one step.

    In the class form every id has an entry in `id_to_seq_id`, because 0.4–0.6 delete from it without looking.
    Raises ValueError where a count is unknown that the reading version needs.
    """
    if id_map.total_elements_added is None:
        raise ValueError("an id map needs total_elements_added")
    with replacing(path) as handle:
        if id_map.form == "class":
            _write_class(handle, id_map)
        else:
            pickle.dump(_dict_state(id_map), handle, protocol=DICT_PROTOCOL)


def _dict_state(id_map: IdMap) -> dict[str, Any]:
    return {
        "dimensionality": id_map.dimensionality,
        "total_elements_added": id_map.total_elements_added,
        "max_seq_id": id_map.max_seq_id,
        "id_to_label": id_map.id_to_label,
        "label_to_id": id_map.label_to_id,
        "id_to_seq_id": id_map.id_to_seq_id,
    }


def _class_state(id_map: IdMap) -> dict[str, Any]:
    """The attributes in the order in which 0.4–0.6 set them."""
    if id_map.dimensionality is None and id_map.id_to_label:
        raise ValueError("an id map in the class form needs the dimensionality of its vectors")
    state = _dict_state(id_map)
    if not id_map.has_max_seq_id:
        del state["max_seq_id"]
    return {**state, "id_to_seq_id": _filled(id_map)}


def _filled(id_map: IdMap) -> dict[str, Any]:
    known = id_map.id_to_seq_id
    if known.keys() >= id_map.id_to_label.keys():
        return known
    return dict.fromkeys(id_map.id_to_label, id_map.max_seq_id or 0) | known


def _write_class(handle: BinaryIO, id_map: IdMap) -> None:
    """The opcodes of an instance around the pickled dict of its attributes.

    The dict is written by the C pickler and loses its first two bytes (PROTO) and its last (STOP). The
    opcodes before it memoize nothing, so the memo numbers inside the dict stay right.
    """
    state = _class_state(id_map)
    module, name = (_short_string(part) for part in CLASS)
    handle.write(pickle.PROTO + bytes([CLASS_PROTOCOL]) + module + name)
    handle.write(pickle.STACK_GLOBAL + pickle.EMPTY_TUPLE + pickle.NEWOBJ)
    body = _Body(handle)
    pickle.dump(state, body, protocol=CLASS_PROTOCOL)
    body.finish(pickle.BUILD + pickle.STOP)


def _short_string(text: str) -> bytes:
    raw = text.encode("utf-8")
    return pickle.SHORT_BINUNICODE + bytes([len(raw)]) + raw


class _Body:
    """A file for a pickler that passes everything on but the first two bytes and the last one."""

    def __init__(self, handle: BinaryIO) -> None:
        self.handle, self.skip, self.last = handle, 2, b""

    def write(self, data: bytes) -> int:
        size = len(data)
        dropped = min(self.skip, size)
        self.skip -= dropped
        rest = bytes(data[dropped:])
        if rest:
            self.handle.write(self.last + rest[:-1])
            self.last = rest[-1:]
        return size

    def finish(self, ending: bytes) -> None:
        if self.last != pickle.STOP:
            raise ValueError("the pickler did not end with STOP")
        self.handle.write(ending)
